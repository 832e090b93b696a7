"use strict";
// Comfort only: sorting, filtering, and what a cell stands for where nothing hovers. Text is only ever set as text.
(() => {
  const all = (selector, base) => Array.from((base || document).querySelectorAll(selector));
  const told = document.getElementById("cell");
  all(".heat .cells").forEach((cells) => cells.addEventListener("click", (event) => {
    if (event.target !== cells) told.textContent = event.target.title;
  }));

  const table = document.getElementById("worst");
  if (!table) return;
  const body = table.tBodies[0];
  const key = (row, column) => {
    const value = row.cells[column].dataset.value;
    return value === undefined ? row.dataset.node : value === "" ? null : Number(value);
  };
  const compare = (one, other) => {
    if (one === null || other === null) return (one === null) - (other === null);
    return typeof one === "string" ? one.localeCompare(other, "en", { numeric: true }) : one - other;
  };
  all("thead th", table).forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "descending" || (!head.hasAttribute("aria-sort") && body.rows[0] && column < 2);
      all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "ascending" : "descending");
      Array.from(body.rows)
        .map((row) => [key(row, column), row])
        .sort(([one], [other]) => (one === null || other === null || down ? compare(one, other) : compare(other, one)))
        .forEach(([, row]) => body.append(row));
    });
  });

  const filter = document.getElementById("filter");
  filter.hidden = false;
  filter.querySelector("input").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    all("[data-node]").forEach((item) => { item.hidden = !item.dataset.node.toLowerCase().includes(wanted); });
    all(".heat i").forEach((cell) => cell.classList.toggle("off", !cell.title.toLowerCase().includes(wanted)));
  });
})();
