//! The head: which cluster, when, how many nodes, and how they are.

use super::markup::{Page, class};
use super::{SCRIPT_HASH, STYLE, STYLE_HASH};
use crate::model::{Report, Source};
use crate::rank::counts;
use crate::say;
use crate::words::Word;

pub(super) fn draw(page: &mut Page, report: &Report) {
    document(page, report);
    page.raw("<header>\n<h1>");
    title(page, report);
    page.raw("</h1>\n<p class=\"when\"><time datetime=\"")
        .text(&report.at.to_string())
        .raw("\">");
    page.with(Word::Utc, &[&say::minute(report.at)])
        .raw("</time> · ");
    page.text(&say::nodes(report.nodes.len(), report.language))
        .raw("</p>\n<ul class=\"counts\">\n");
    for (level, count) in counts(&report.nodes) {
        page.raw("<li class=\"").raw(class(level));
        page.raw(if count == 0 { " none\">" } else { "\">" });
        page.sign(level)
            .raw("<b>")
            .text(&say::number(count))
            .raw("</b> ")
            .word(level)
            .raw("</li>\n");
    }
    page.raw("</ul>\n</header>\n<main>\n");
    source(page, report);
}

fn document(page: &mut Page, report: &Report) {
    page.raw("<!DOCTYPE html>\n<html lang=\"")
        .word(Word::Tag)
        .raw("\">\n<head>\n<meta charset=\"utf-8\"/>\n");
    page.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-");
    page.raw(STYLE_HASH)
        .raw("'; script-src 'sha256-")
        .raw(SCRIPT_HASH);
    page.raw("'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types\"/>\n");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n");
    page.raw("<meta name=\"color-scheme\" content=\"light dark\"/>\n<meta name=\"referrer\" content=\"no-referrer\"/>\n");
    page.raw("<title>");
    title(page, report);
    page.raw("</title>\n<style>")
        .raw(STYLE)
        .raw("</style>\n</head>\n<body>\n");
}

fn title(page: &mut Page, report: &Report) {
    if report.cluster.is_empty() {
        page.word(Word::TitleAlone);
    } else {
        page.with(Word::Title, &[&report.cluster]);
    }
}

fn source(page: &mut Page, report: &Report) {
    if let Source::Silent { since } = report.source {
        let span = say::exactly(report.at.since(since), report.language);
        let time = say::near(since, report.at);
        let time = Word::Utc.with(report.language, &[&time]);
        page.raw("<p class=\"silent\" role=\"alert\">")
            .sign(crate::model::Level::Unknown);
        page.raw("<span>")
            .with(Word::SourceSilent, &[&span, &time])
            .raw("</span></p>\n");
    }
}
