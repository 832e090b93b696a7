// What a reader would stumble over, as lists that have to be empty.
(() => {
  const name = (element) => `${element.tagName}.${element.getAttribute("class") || ""} "${(element.textContent || "").slice(0, 40)}"`;
  const inPicture = (element) => element.ownerSVGElement || element.closest(".hidden, thead");
  const all = Array.from(document.body.querySelectorAll("*"));
  const width = document.documentElement.clientWidth;
  const wide = all.filter((element) => {
    const box = element.getBoundingClientRect();
    return !inPicture(element) && box.width > 0 && (box.right > width + 0.5 || box.left < -0.5);
  });

  const parse = (color) => color.match(/[\d.]+/g).map(Number);
  const light = ([red, green, blue]) => {
    const part = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const says = (element) => Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.data.trim());
  const faint = all.filter((element) => {
    if (!says(element) || element.closest(".hidden, title, script, style") || !element.getClientRects().length) return false;
    const style = getComputedStyle(element);
    const ink = light(parse(element.ownerSVGElement ? style.fill : style.color));
    const back = light(behind(element));
    return (Math.max(ink, back) + 0.05) / (Math.min(ink, back) + 0.05) < 4.5;
  });
  const small = all.filter((element) => says(element) && !element.ownerSVGElement && element.getClientRects().length
    && parseFloat(getComputedStyle(element).fontSize) < 12);
  // A picture shrinks with the page; its letters must stay readable.
  const tiny = Array.from(document.querySelectorAll(".cards svg.plot")).filter((plot) => plot.getBoundingClientRect().width / 360 * 11 < 9);
  const broken = all.filter((element) => !inPicture(element) && element.matches(".value, .level, .counts li, h3 small, .quiet")
    && element.textContent.length < 24 && element.getClientRects().length > 0
    && element.getBoundingClientRect().height > 2.6 * parseFloat(getComputedStyle(element).fontSize) + 20 * element.matches(".counts li"));
  const overlap = Array.from(document.querySelectorAll(".cards svg.plot")).filter((plot) => {
    const boxes = Array.from(plot.querySelectorAll("text")).map((text) => text.getBoundingClientRect());
    return boxes.some((one, index) => boxes.slice(index + 1).some((other) =>
      one.left < other.right - 1 && other.left < one.right - 1 && one.top < other.bottom - 3 && other.top < one.bottom - 3));
  });
  return {
    scroll: document.documentElement.scrollWidth - width,
    width, wide: wide.map(name), faint: faint.map(name), small: small.map(name), tiny: tiny.map(name), broken: broken.map(name), overlap: overlap.map(name),
    cells: document.querySelectorAll(".heat i").length,
    rows: document.querySelectorAll("#worst tbody tr").length,
    back: getComputedStyle(document.body).backgroundColor,
    untitled: Array.from(document.querySelectorAll("svg[role=img]")).filter((svg) => svg.firstElementChild.tagName !== "title").map(name),
  };
})()
