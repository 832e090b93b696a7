//! What stands in the cells.

use ng_engine::time::Time;

use super::{Ink, Piece};
use crate::model::{Language, Level, Limits, Measure, Node, Paint, Readiness};
use crate::say::{self, Units};
use crate::scale::{real, whole};
use crate::text::right;
use crate::words::Word;

/// A load of this much for each CPU fills a bar, unless the critical limit says more.
const FULL_LOAD: f64 = 2.0;

/// A reading to draw.
pub(super) struct Cell<'a> {
    pub(super) measure: Measure,
    pub(super) value: Option<f64>,
    pub(super) limits: &'a Limits,
    /// Width of the bar; 0: none.
    pub(super) bar: usize,
}

/// Bar and number. What is not known is a question mark without any bar.
pub(super) fn cell(cell: &Cell<'_>, paint: Paint) -> Vec<Piece> {
    let Some(value) = cell.value else {
        let bar = if cell.bar == 0 {
            String::new()
        } else {
            " ".repeat(cell.bar + 1)
        };
        return vec![(Ink::Soft, bar + &right("?", 4))];
    };
    let ink = Ink::from(cell.limits.get(cell.measure).level(value));
    let text = right(&say::value(cell.measure, value), 4);
    let number = if ink == Ink::Good { Ink::Plain } else { ink };
    if cell.bar == 0 {
        return vec![(number, text)];
    }
    let (filled, rest) = bar(share(cell, value), cell.bar, paint);
    vec![(ink, filled), (Ink::Soft, rest + " "), (number, text)]
}

fn share(cell: &Cell<'_>, value: f64) -> f64 {
    let full = match cell.measure {
        Measure::Load => cell.limits.load.critical.unwrap_or(0.0).max(FULL_LOAD),
        Measure::Cpu | Measure::Memory | Measure::Disk | Measure::Inodes | Measure::Pods => 100.0,
    };
    (value / full).clamp(0.0, 1.0)
}

/// The filled part and the rest; together as wide as the bar.
fn bar(share: f64, width: usize, paint: Paint) -> (String, String) {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    match paint {
        Paint::Plain => {
            let filled = whole(share * real(width), width);
            ("#".repeat(filled), ".".repeat(width - filled))
        }
        Paint::Terminal => {
            let eighths = whole(share * real(width * 8), width * 8);
            let part = PARTS[eighths % 8];
            let used = eighths / 8 + usize::from(!part.is_empty());
            let filled = "█".repeat(eighths / 8) + part;
            (filled, "·".repeat(width - used))
        }
    }
}

/// The level, and for a node that is not ready that.
pub(super) fn level(node: &Node, language: Language) -> String {
    let word = match node.level {
        Level::Critical => Word::CriticalShort,
        Level::Warning => Word::WarningShort,
        Level::Unknown => Word::UnknownShort,
        Level::Ok => Word::OkShort,
    };
    let mark = if node.readiness == Readiness::Ready {
        ""
    } else {
        "!"
    };
    format!("{}{mark}", word.say(language))
}

/// "Disk 6h", or a dash.
pub(super) fn next(node: &Node, now: Time, language: Language) -> String {
    let Some(next) = node.next else {
        return "-".to_owned();
    };
    let what = match next.measure {
        Measure::Memory => Word::MemoryShort,
        Measure::Inodes => Word::InodesShort,
        other => other.into(),
    };
    let when = if next.arrival.at <= now {
        Word::NowShort.say(language).to_owned()
    } else {
        say::about(next.arrival.at.since(now), Units::Tight, language)
    };
    format!("{} {when}", what.say(language))
}
