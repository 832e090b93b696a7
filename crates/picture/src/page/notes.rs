//! What is not known, and what the signs mean.

use super::markup::Page;
use crate::model::{Language, Level, Measure, Node};
use crate::say;
use crate::words::Word;

/// Names told of each kind.
const NAMES: usize = 6;

pub(super) fn unknown(page: &mut Page, ranked: &[&Node]) {
    page.raw("<section>\n<h2>")
        .word(Word::WhatIsUnknown)
        .raw("</h2>\n");
    let gaps = gaps(ranked);
    if gaps.is_empty() {
        page.raw("<p class=\"none\">")
            .word(Word::AllKnown)
            .raw("</p>\n</section>\n");
        return;
    }
    page.raw("<p class=\"hint\">")
        .word(Word::UnknownHelp)
        .raw("</p>\n<ul class=\"plain\">\n");
    let language = page.language();
    for gap in gaps {
        let nodes = &gap.nodes;
        let values = [
            &gap.what(language),
            &say::nodes(nodes.len(), language),
            gap.why.say(language),
        ];
        page.raw("<li>")
            .with(Word::UnknownOf, &values)
            .raw("<small>");
        for (index, name) in nodes.iter().take(NAMES).enumerate() {
            if index > 0 {
                page.word(Word::List);
            }
            page.text(name);
        }
        if nodes.len() > NAMES {
            page.word(Word::List)
                .with(Word::AndMore, &[&say::number(nodes.len() - NAMES)]);
        }
        page.raw("</small></li>\n");
    }
    page.raw("</ul>\n</section>\n");
}

/// Measures that are missing together, why, and of which nodes.
struct Gap<'a> {
    missing: Vec<Measure>,
    why: Word,
    nodes: Vec<&'a str>,
}

impl Gap<'_> {
    fn what(&self, language: Language) -> String {
        if self.missing.len() == Measure::ALL.len() {
            return Word::UnknownAll.say(language).to_owned();
        }
        let words: Vec<&str> = self
            .missing
            .iter()
            .map(|measure| Word::from(*measure).say(language))
            .collect();
        words.join(Word::List.say(language))
    }
}

/// What is missing, what concerns most nodes first.
fn gaps<'a>(nodes: &[&'a Node]) -> Vec<Gap<'a>> {
    let mut gaps: Vec<Gap<'a>> = Vec::new();
    for node in nodes {
        let mut missing = Measure::ALL.to_vec();
        missing.retain(|measure| node.readings.get(*measure).is_none());
        if missing.is_empty() {
            continue;
        }
        let why = node.silence.map_or(Word::NoReason, Word::from);
        let same = |gap: &&mut Gap<'_>| gap.missing == missing && gap.why == why;
        match gaps.iter_mut().find(same) {
            Some(gap) => gap.nodes.push(&node.name),
            None => gaps.push(Gap {
                missing,
                why,
                nodes: vec![&node.name],
            }),
        }
    }
    gaps.sort_by_key(|gap| std::cmp::Reverse(gap.nodes.len()));
    gaps
}

pub(super) fn legend(page: &mut Page) {
    page.raw("<footer>\n<h2>")
        .word(Word::Legend)
        .raw("</h2>\n<ul class=\"legend\">\n");
    for level in Level::WORST_FIRST {
        page.raw("<li><span class=\"cells\" aria-hidden=\"true\"><i class=\"")
            .raw(super::markup::class(level));
        page.raw("\"></i></span>")
            .sign(level)
            .word(level)
            .raw("</li>\n");
    }
    let lines = [
        (
            "<path class=\"range\" d=\"M0 2L36 1V11L0 12z\"/><path class=\"mean\" d=\"M0 8L36 5\"/>",
            Word::LegendLine,
        ),
        (
            "<path class=\"gap\" d=\"M10 0H26V14H10z\"/><path class=\"mean\" d=\"M0 8H10M26 6H36\"/>",
            Word::LegendGap,
        ),
        (
            "<path class=\"fan\" d=\"M0 12L16 0H36z\"/><path class=\"ray\" d=\"M0 12L26 0\"/>",
            Word::LegendRay,
        ),
        (
            "<path class=\"limit wa\" d=\"M0 7H36\"/>",
            Word::LegendWarning,
        ),
        (
            "<path class=\"limit cr\" d=\"M0 7H36\"/>",
            Word::LegendCritical,
        ),
    ];
    for (shape, word) in lines {
        page.raw("<li><svg class=\"plot\" viewBox=\"0 0 36 14\" aria-hidden=\"true\">")
            .raw(shape)
            .raw("</svg>");
        page.word(word).raw("</li>\n");
    }
    page.raw("<li><span class=\"timeline\" aria-hidden=\"true\"><svg viewBox=\"0 0 36 12\"><path class=\"wa\" d=\"M0 6H15\"/>");
    page.raw(
        "<path class=\"cr\" d=\"M20 6H36\"/><path class=\"open\" d=\"M35 0V12\"/></svg></span>",
    );
    page.word(Word::LegendOpen)
        .raw("</li>\n</ul>\n<p class=\"hint\">")
        .word(Word::LegendLoad)
        .raw(" ");
    page.word(Word::LegendTimes).raw("</p>\n</footer>\n");
}
