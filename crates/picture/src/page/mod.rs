//! The report: one HTML file that needs nothing else and asks nobody for anything.
//!
//! The order is that of the questions somebody has who was woken up: what is broken and since when, what will be full
//! next, and then everything else. The page works without its script, which only sorts, filters and shows what a cell
//! stands for where there is no pointer.

mod answers;
mod bars;
mod head;
mod heat;
mod markup;
mod notes;
mod plot;
mod timeline;
mod trends;
mod worst;

use crate::model::Report;
use crate::rank::worst_first;
use markup::Page;

/// The style sheet; [`STYLE_HASH`] has to follow every change.
const STYLE: &str = include_str!("report.css");
/// The script; [`SCRIPT_HASH`] has to follow every change.
const SCRIPT: &str = include_str!("report.js");
/// SHA-256 of the style sheet in Base64, so that the page allows no other.
const STYLE_HASH: &str = "23Qr4oxpBRZ3hYnJ/G14Fy32o7royI3Ir5Sfx0/Q2Zk=";
/// SHA-256 of the script in Base64.
const SCRIPT_HASH: &str = "GEYdJibNHEN3MMG2wiqa02FjCgLM4lQzKmWLC1NN0h0=";

/// The report as one HTML file.
///
/// Its size grows with the nodes by about 150 bytes each; tables and timelines show the worst and say how many more
/// there are.
pub fn report(report: &Report) -> String {
    let mut page = Page::new(report.language);
    let ranked = worst_first(&report.nodes);
    head::draw(&mut page, report);
    answers::draw(&mut page, report);
    heat::draw(&mut page, &report.nodes);
    worst::draw(&mut page, report, &ranked);
    trends::draw(&mut page, report);
    timeline::draw(&mut page, report);
    notes::unknown(&mut page, &ranked);
    notes::legend(&mut page);
    page.raw("</main>\n<script>")
        .raw(SCRIPT)
        .raw("</script>\n</body>\n</html>\n");
    page.finish()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_policy_allows_exactly_this_style_and_this_script() {
        for (text, hash) in [(STYLE, STYLE_HASH), (SCRIPT, SCRIPT_HASH)] {
            let found = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text));
            assert_eq!(hash, found);
        }
    }
}
