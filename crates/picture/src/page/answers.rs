//! The two answers somebody needs first: what is broken and since when, and what will be full next.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use ng_engine::time::Time;

use super::markup::{Page, class};
use crate::model::{Incident, Level, Node, Readiness, Report};
use crate::rank::soonest_first;
use crate::say;
use crate::words::Word;

/// Lines of each answer.
const LINES: usize = 8;

pub(super) fn draw(page: &mut Page, report: &Report) {
    page.raw("<div class=\"answers\">\n");
    broken(page, report);
    full(page, report);
    page.raw("</div>\n");
}

/// Something that is wrong now: an open incident, or a critical node without one.
enum Trouble<'a> {
    Incident(&'a Incident),
    Node(&'a Node),
}

impl<'a> Trouble<'a> {
    /// What comes first: the worst, and of those what is there longest.
    fn order(&self) -> (Reverse<Level>, Option<Time>, &'a str) {
        match self {
            Self::Incident(incident) => {
                let level = Level::from(incident.severity);
                (Reverse(level), Some(incident.begin), &incident.node)
            }
            Self::Node(node) => (Reverse(node.level), node.since, &node.name),
        }
    }
}

fn troubles(report: &Report) -> Vec<Trouble<'_>> {
    let open = report
        .incidents
        .iter()
        .filter(|incident| incident.end.is_none());
    let told: BTreeSet<&str> = open
        .clone()
        .map(|incident| incident.node.as_str())
        .collect();
    let untold = report
        .nodes
        .iter()
        .filter(|node| node.level == Level::Critical && !told.contains(node.name.as_str()));
    let mut troubles: Vec<Trouble<'_>> = open
        .map(Trouble::Incident)
        .chain(untold.map(Trouble::Node))
        .collect();
    troubles.sort_by(|one, other| one.order().cmp(&other.order()));
    troubles
}

fn broken(page: &mut Page, report: &Report) {
    page.raw("<section>\n<h2>")
        .word(Word::BrokenNow)
        .raw("</h2>\n");
    let troubles = troubles(report);
    if troubles.is_empty() {
        page.raw("<p class=\"none\">")
            .word(Word::NothingBroken)
            .raw("</p>\n</section>\n");
        return;
    }
    page.raw("<ul class=\"list\">\n");
    for trouble in troubles.iter().take(LINES) {
        match trouble {
            Trouble::Incident(incident) => {
                item(page, incident.severity.into(), &incident.node);
                page.text(&incident.key);
                since(page, report, Some(incident.begin));
                if !incident.message.is_empty() {
                    page.raw("<p class=\"message\">")
                        .text(&incident.message)
                        .raw("</p>");
                }
            }
            Trouble::Node(node) => {
                item(page, node.level, &node.name);
                page.word(match node.readiness {
                    Readiness::Ready => Word::Critical,
                    Readiness::NotReady => Word::NotReady,
                    Readiness::Unheard => Word::Unheard,
                });
                since(page, report, node.since);
            }
        }
        page.raw("</div></li>\n");
    }
    page.raw("</ul>\n")
        .more(Word::AndMore, troubles.len(), LINES)
        .raw("</section>\n");
}

fn item(page: &mut Page, level: Level, node: &str) {
    page.raw("<li class=\"")
        .raw(class(level))
        .raw("\" data-node=\"")
        .text(node)
        .raw("\">");
    page.sign(level)
        .raw("<span class=\"hidden\">")
        .word(level)
        .raw("</span><div><b>")
        .text(node)
        .raw("</b> ");
}

fn since(page: &mut Page, report: &Report, begin: Option<Time>) {
    let Some(begin) = begin else { return };
    let span = say::exactly(report.at.since(begin), report.language);
    let time = Word::Utc.with(report.language, &[&say::near(begin, report.at)]);
    let span = Word::For.with(report.language, &[&span]);
    let time = Word::Since.with(report.language, &[&time]);
    page.raw(" <span class=\"since\">")
        .with(Word::InBrackets, &[&span, &time])
        .raw("</span>");
}

fn full(page: &mut Page, report: &Report) {
    page.raw("<section>\n<h2>")
        .word(Word::FullNext)
        .raw("</h2>\n");
    let ranked = soonest_first(&report.nodes);
    if ranked.is_empty() {
        page.raw("<p class=\"none\">")
            .word(Word::NothingFull)
            .raw("</p>\n</section>\n");
        return;
    }
    page.raw("<ul class=\"list\">\n");
    for node in ranked.iter().take(LINES) {
        let Some(next) = node.next else { continue };
        let now = node.readings.get(next.measure);
        let level = now.map_or(Level::Unknown, |value| {
            report.limits.get(next.measure).level(value)
        });
        item(page, level, &node.name);
        page.word(next.measure).raw(" <span class=\"since\">");
        match now {
            Some(value) => page.with(Word::NowIs, &[&say::value(next.measure, value)]),
            None => page.word(Word::NowUnknown),
        };
        let words = say::forecast(&next.arrival, next.measure, (report.at, report.language));
        page.raw("</span><p class=\"message\">")
            .text(&words)
            .raw("</p></div></li>\n");
    }
    page.raw("</ul>\n")
        .more(Word::AndMore, ranked.len(), LINES)
        .raw("</section>\n");
}
