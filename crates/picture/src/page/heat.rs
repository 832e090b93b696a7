//! The heat strip: one small cell for every node, by zone.

use std::collections::BTreeMap;

use super::markup::{Page, class};
use crate::model::{Level, Measure, Node};
use crate::rank::counts;
use crate::say;
use crate::words::Word;

/// From this many nodes on the cells are smaller.
const MANY: usize = 600;

pub(super) fn draw(page: &mut Page, nodes: &[Node]) {
    if nodes.is_empty() {
        return;
    }
    let mut zones: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    for node in nodes {
        zones.entry(&node.zone).or_default().push(node);
    }
    let alone = zones.len() == 1 && zones.contains_key("");
    page.raw("<section>\n<h2>")
        .word(Word::EveryNode)
        .raw("</h2>\n<p class=\"hint\">")
        .word(Word::HeatHelp);
    page.raw("</p>\n<div class=\"heat");
    page.raw(if nodes.len() > MANY {
        " many\">\n"
    } else {
        "\">\n"
    });
    for (zone, mut nodes) in zones {
        nodes.sort_by(|one, other| one.name.cmp(&other.name));
        page.raw("<div class=\"zone\">");
        let label = caption(page, zone, &nodes);
        if !alone {
            page.raw("<h3>").text(&label).raw("</h3>");
        }
        page.raw("<div class=\"cells\" role=\"img\" aria-label=\"")
            .text(&label)
            .raw("\">");
        for node in nodes {
            cell(page, node);
        }
        page.raw("</div></div>\n");
    }
    page.raw("</div>\n<output id=\"cell\" class=\"hint\"></output>\n</section>\n");
}

/// "Zone a: 1,650 nodes, 3 critical, 12 warning"
fn caption(page: &Page, zone: &str, nodes: &[&Node]) -> String {
    let language = page.language();
    let mut label = if zone.is_empty() {
        Word::NoZone.say(language).to_owned()
    } else {
        Word::Zone.with(language, &[zone])
    };
    label.push_str(" · ");
    label.push_str(&say::nodes(nodes.len(), language));
    for (level, count) in counts(nodes.iter().copied()) {
        if count > 0 && level != Level::Ok {
            label.push_str(Word::List.say(language));
            label.push_str(&say::number(count));
            label.push(' ');
            label.push_str(Word::from(level).say(language));
        }
    }
    label
}

fn cell(page: &mut Page, node: &Node) {
    let language = page.language();
    page.raw("<i ");
    if node.level != Level::Ok {
        page.raw("class=\"").raw(class(node.level)).raw("\" ");
    }
    page.raw("title=\"")
        .text(&node.name)
        .raw(": ")
        .word(node.level);
    for measure in Measure::ALL {
        page.raw(", ").word(measure).raw(" ");
        match node.readings.get(measure) {
            Some(value) => page.text(&say::value(measure, value)),
            None => page.text(Word::Unknown.say(language)),
        };
    }
    page.raw("\"></i>");
}
