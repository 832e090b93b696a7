//! The report in a real browser: on a screen and on a phone, by day and by night, in both languages.

mod browser;
#[path = "../../../crates/picture/tests/sample/mod.rs"]
#[expect(
    dead_code,
    reason = "what is only for the table is used by the crate's own tests"
)]
mod sample;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use base64::Engine as _;
use browser::Browser;
use ng_picture::{Language, Report, Source, report};
use ng_tests::server::write_file;
use ng_tests::tools::installed;
use serde_json::{Value, json};

const LOOK: &str = include_str!("look.js");

fn start() -> Result<Option<Browser>> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    installed(&names, "chromium", |_| true)?
        .map(|program| Browser::start(&program))
        .transpose()
}

/// Where pages and their pictures are left for people to look at.
fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn written(name: &str, report_of: &Report) -> Result<PathBuf> {
    let path = place(&format!("{name}.html"));
    write_file(&path, report(report_of))?;
    Ok(path)
}

/// A screen to look at a page on.
#[derive(Clone, Copy)]
struct Screen {
    width: u32,
    scheme: &'static str,
}

fn screens() -> impl Iterator<Item = Screen> {
    let schemes = ["light", "dark"];
    [1280, 360]
        .into_iter()
        .flat_map(move |width| schemes.map(|scheme| Screen { width, scheme }))
}

impl Screen {
    fn set(self, browser: &mut Browser) -> Result<()> {
        let metrics = json!({"width": self.width, "height": 800, "deviceScaleFactor": 1, "mobile": self.width < 500});
        browser.call("Emulation.setDeviceMetricsOverride", &metrics)?;
        let features = json!([{"name": "prefers-color-scheme", "value": self.scheme}]);
        browser.call("Emulation.setEmulatedMedia", &json!({"features": features}))?;
        Ok(())
    }

    /// Leaves a picture of the whole page.
    fn shoot(self, browser: &mut Browser, name: &str) -> Result<()> {
        let height = browser.value("document.documentElement.scrollHeight")?;
        let clip = json!({"x": 0, "y": 0, "width": self.width, "height": height, "scale": 1});
        let wanted = json!({"captureBeyondViewport": true, "clip": clip});
        let answer = browser.call("Page.captureScreenshot", &wanted)?;
        let picture = base64::engine::general_purpose::STANDARD
            .decode(answer["data"].as_str().unwrap_or_default())?;
        // The width is in the first block of every PNG.
        ensure!(
            picture.get(16..20) == Some(&self.width.to_be_bytes()[..]),
            "not {} wide",
            self.width
        );
        write_file(
            &place(&format!("{name}-{}-{}.png", self.width, self.scheme)),
            picture,
        )
    }
}

/// Fails if the page complained or asked for anything but itself.
fn is_quiet<'a>(events: impl Iterator<Item = &'a Value>, file: &Path) -> Result<()> {
    let own = format!("file://{}", file.display());
    let mut requests = 0;
    for event in events {
        match event["method"].as_str().unwrap_or_default() {
            "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded" => {
                anyhow::bail!("the page complains: {event}")
            }
            "Network.requestWillBeSent" => {
                requests += 1;
                let url = &event["params"]["request"]["url"];
                ensure!(*url == own.as_str(), "a request leaves the page: {url}");
            }
            _ => {}
        }
    }
    ensure!(requests == 1, "{requests} requests");
    Ok(())
}

fn looks_well(seen: &Value, screen: Screen, nodes: usize) -> Result<()> {
    for list in [
        "wide", "faint", "small", "tiny", "broken", "overlap", "untitled",
    ] {
        ensure!(
            seen[list] == json!([]),
            "{} {}: {list}: {:#}",
            screen.width,
            screen.scheme,
            seen[list]
        );
    }
    ensure!(
        seen["width"] == screen.width && seen["scroll"] == 0,
        "{seen}"
    );
    ensure!(
        seen["cells"] == nodes,
        "{} cells for {nodes} nodes",
        seen["cells"]
    );
    let back = if screen.scheme == "dark" {
        "rgb(18, 21, 24)"
    } else {
        "rgb(247, 248, 249)"
    };
    ensure!(seen["back"] == back, "{}", seen["back"]);
    Ok(())
}

/// A report with whatever makes a layout burst.
fn crowded(language: Language) -> Report {
    let mut report = sample::sample(language);
    let long = "ip-10-120-201-17.a-very-long-name-without-an-end.eu-central-1.compute.internal.example.com";
    report.source = Source::Silent {
        since: sample::ago(77),
    };
    report.cluster = format!("arn-{long}");
    for (node, name) in report.nodes.iter_mut().take(4).zip([
        long,
        sample::HOSTILE[0],
        sample::HOSTILE[1],
        "节点-一",
    ]) {
        name.clone_into(&mut node.name);
        long.clone_into(&mut node.zone);
    }
    for incident in report.incidents.iter_mut().take(2) {
        long.clone_into(&mut incident.node);
        incident.key = "W".repeat(120);
        incident.message = sample::HOSTILE.join(&"x".repeat(200));
    }
    long.clone_into(&mut report.trends[0].node);
    report
}

#[test]
fn the_report_reads_well_on_every_screen_and_asks_nobody() -> Result<()> {
    let Some(mut browser) = start()? else {
        return Ok(());
    };
    let pages = [
        ("report", sample::sample(Language::English)),
        ("report-zh", sample::sample(Language::Chinese)),
        ("report-crowded", crowded(Language::English)),
    ];
    for (name, report) in pages {
        let file = written(name, &report)?;
        for screen in screens() {
            screen.set(&mut browser)?;
            browser.load(&file)?;
            looks_well(&browser.value(LOOK)?, screen, report.nodes.len())?;
            screen.shoot(&mut browser, name)?;
            is_quiet(browser.events(), &file)?;
        }
    }
    Ok(())
}

#[test]
fn on_paper_nothing_is_cut_off() -> Result<()> {
    let Some(mut browser) = start()? else {
        return Ok(());
    };
    let file = written("report-paper", &crowded(Language::English))?;
    let metrics = json!({"width": 720, "height": 1000, "deviceScaleFactor": 1, "mobile": false});
    browser.call("Emulation.setDeviceMetricsOverride", &metrics)?;
    // Whoever likes it dark still has white paper.
    let features = json!([{"name": "prefers-color-scheme", "value": "dark"}]);
    let media = json!({"media": "print", "features": features});
    browser.call("Emulation.setEmulatedMedia", &media)?;
    browser.load(&file)?;
    let seen = browser.value(LOOK)?;
    for list in ["wide", "faint", "broken"] {
        ensure!(seen[list] == json!([]), "{list}: {:#}", seen[list]);
    }
    ensure!(seen["back"] == "rgb(255, 255, 255)", "{}", seen["back"]);
    Ok(())
}

#[test]
fn five_thousand_nodes_still_fit() -> Result<()> {
    let Some(mut browser) = start()? else {
        return Ok(());
    };
    let report = Report {
        nodes: sample::nodes(5000),
        ..sample::sample(Language::English)
    };
    let file = written("report-large", &report)?;
    for screen in screens() {
        screen.set(&mut browser)?;
        browser.load(&file)?;
        looks_well(&browser.value(LOOK)?, screen, 5000)?;
        is_quiet(browser.events(), &file)?;
    }
    let load = browser.value("performance.getEntriesByType('navigation')[0].loadEventEnd")?;
    ensure!(
        load.as_f64().is_some_and(|millis| millis < 10_000.0),
        "loaded in {load} ms"
    );
    Ok(())
}

/// The names in the first column, in their order.
const NAMES: &str =
    "Array.from(document.querySelectorAll('#worst tbody tr')).map((row) => row.dataset.node)";

#[test]
fn the_script_sorts_filters_and_tells_what_a_cell_is() -> Result<()> {
    let Some(mut browser) = start()? else {
        return Ok(());
    };
    let file = written("report-comfort", &sample::sample(Language::English))?;
    browser.load(&file)?;
    let before = browser.value(NAMES)?;
    ensure!(before[0] == "worker-0003", "{before}");

    let click = |column: usize| {
        format!("document.querySelectorAll('#worst thead button')[{column}].click(), {NAMES}")
    };
    let by_disk = browser.value(&click(4))?;
    ensure!(
        by_disk[0] == "worker-0007",
        "the fullest disk first: {by_disk}"
    );
    let rows = by_disk.as_array().map_or(0, Vec::len);
    ensure!(
        by_disk[rows - 1] == "worker-0069",
        "the unknown ones last: {by_disk}"
    );
    let by_disk = browser.value(&click(4))?;
    ensure!(
        by_disk[rows - 1] == "worker-0069",
        "and still last the other way round: {by_disk}"
    );

    let filter = "(() => { const input = document.querySelector('#filter input'); input.value = '0013'; \
        input.dispatchEvent(new Event('input')); \
        return Array.from(document.querySelectorAll('[data-node]')).filter((item) => !item.hidden) \
            .every((item) => item.dataset.node === 'worker-0013') \
            && document.querySelectorAll('.heat i:not(.off)').length; })()";
    let left = browser.value(filter)?;
    ensure!(left == 1, "one cell is left: {left}");

    let tap =
        "document.querySelector('.heat i.cr').click(), document.getElementById('cell').textContent";
    let told = browser.value(tap)?;
    ensure!(
        told.as_str()
            .is_some_and(|text| text.contains(": critical, CPU ")),
        "{told}"
    );
    is_quiet(browser.events(), &file)
}
