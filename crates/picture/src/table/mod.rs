//! The table for terminals, and for files and pipes.

mod cells;
mod layout;

use crate::model::{Level, Node, Paint, Screen, Source, Table};
use crate::rank::{counts, worst_first};
use crate::say::{self, Units};
use crate::text::{columns, left, right, shortened, visible};
use crate::words::Word;
use cells::{Cell, cell};
use layout::{Column, Layout};

/// Below this no table can be drawn, whatever the screen says.
const LEAST_WIDTH: usize = 20;
/// A longer name of the cluster is shortened.
const MOST_CLUSTER: usize = 20;

/// The table, the worst node first, each line with its end.
///
/// No line is wider than the screen; where not all lines fit, the last says how many nodes are missing.
pub fn table(table: &Table, screen: &Screen) -> String {
    let width = screen.width.max(LEAST_WIDTH);
    let pen = Pen {
        paint: screen.paint,
        width,
    };
    let mut lines = pen.wrapped(&summary(table));
    if let Source::Silent { since } = table.source {
        let span = say::exactly(table.at.since(since), table.language);
        let text = Word::SourceSilentShort.with(table.language, &[&span]);
        lines.push(pen.line(&[(Ink::Bad, format!("! {text}"))]));
    }
    let ranked = worst_first(&table.nodes);
    let names: Vec<String> = ranked.iter().map(|node| visible(&node.name)).collect();
    let longest = names.iter().map(|name| columns(name)).max().unwrap_or(0);
    let layout = Layout::fit(longest, width, table.language);
    lines.push(pen.line(&head(&layout, table)));
    let room = screen
        .lines
        .map_or(usize::MAX, |most| most.saturating_sub(lines.len()));
    let shown = if ranked.len() > room {
        room.saturating_sub(1)
    } else {
        ranked.len()
    };
    for (node, name) in ranked.iter().zip(&names).take(shown) {
        lines.push(pen.line(&row(&layout, table, (node, name), screen.paint)));
    }
    if shown < ranked.len() {
        let count = say::number(ranked.len() - shown);
        lines.push(pen.line(&[(Ink::Soft, Word::MoreShort.with(table.language, &[&count]))]));
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

/// How a piece of a line looks on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ink {
    Plain,
    Strong,
    Soft,
    Good,
    Warn,
    Bad,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "1",
            Self::Soft => "2",
            Self::Good => "36",
            Self::Warn => "33",
            Self::Bad => "1;31",
        }
    }
}

impl From<Level> for Ink {
    fn from(level: Level) -> Self {
        match level {
            Level::Ok => Self::Good,
            Level::Unknown => Self::Soft,
            Level::Warning => Self::Warn,
            Level::Critical => Self::Bad,
        }
    }
}

/// A piece of a line: how it looks, and its text without any code.
type Piece = (Ink, String);

/// Puts pieces together for one kind of screen.
struct Pen {
    paint: Paint,
    width: usize,
}

impl Pen {
    /// The pieces two spaces apart, on as many lines as they take.
    fn wrapped(&self, pieces: &[Piece]) -> Vec<String> {
        let mut lines: Vec<Vec<Piece>> = Vec::new();
        let mut used = self.width;
        for piece in pieces {
            let width = columns(&piece.1);
            match lines.last_mut() {
                Some(line) if used + 2 + width <= self.width => {
                    line.push((Ink::Plain, "  ".to_owned()));
                    line.push(piece.clone());
                    used += 2 + width;
                }
                _ => {
                    lines.push(vec![piece.clone()]);
                    used = width;
                }
            }
        }
        lines.iter().map(|line| self.line(line)).collect()
    }

    /// The line, cut to the width, without spaces at its end.
    fn line(&self, pieces: &[Piece]) -> String {
        let whole: String = pieces.iter().map(|(_, text)| text.as_str()).collect();
        if columns(&whole) > self.width {
            return cut(&whole, self.width);
        }
        let mut line = String::new();
        for (ink, text) in pieces {
            match (self.paint, ink.code()) {
                (Paint::Plain, _) | (_, "") => line.push_str(text),
                (Paint::Terminal, code) => {
                    line.extend(["\u{1b}[", code, "m", text, "\u{1b}[0m"]);
                }
            }
        }
        line.trim_end().to_owned()
    }
}

/// The first columns of a line that is too wide.
fn cut(line: &str, width: usize) -> String {
    let mut kept = line.to_owned();
    while columns(&kept) > width.saturating_sub(1) {
        kept.pop();
    }
    kept + "~"
}

/// Cluster, time, number of nodes, and how many are at each level.
fn summary(table: &Table) -> Vec<Piece> {
    let language = table.language;
    let mut pieces = Vec::new();
    if !table.cluster.is_empty() {
        pieces.push((
            Ink::Strong,
            shortened(&visible(&table.cluster), MOST_CLUSTER, '~'),
        ));
    }
    pieces.push((
        Ink::Plain,
        Word::Utc.with(language, &[&say::minute(table.at)]),
    ));
    pieces.push((Ink::Plain, say::nodes(table.nodes.len(), language)));
    let present = counts(&table.nodes)
        .into_iter()
        .filter(|(_, count)| *count > 0);
    pieces.extend(present.map(|(level, count)| {
        let text = format!("{} {}", say::number(count), Word::from(level).say(language));
        (level.into(), text)
    }));
    pieces
}

fn head(layout: &Layout, table: &Table) -> Vec<Piece> {
    let title = |column: &Column| {
        let text = column.title(table.language);
        let width = layout.width(*column);
        if column.is_right(layout.bar) {
            right(text, width)
        } else {
            left(text, width)
        }
    };
    let titles: Vec<String> = layout.columns.iter().map(title).collect();
    vec![(Ink::Soft, titles.join(layout.gap))]
}

fn row(layout: &Layout, table: &Table, (node, name): (&Node, &str), paint: Paint) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for column in &layout.columns {
        if !pieces.is_empty() {
            pieces.push((Ink::Plain, layout.gap.to_owned()));
        }
        let width = layout.width(*column);
        match column {
            Column::Node => {
                let ink = if node.level == Level::Ok {
                    Ink::Plain
                } else {
                    Ink::Strong
                };
                let mark = if paint == Paint::Plain { '~' } else { '…' };
                pieces.push((ink, left(&shortened(name, width, mark), width)));
            }
            Column::Level => {
                let text = cells::level(node, table.language);
                pieces.push((node.level.into(), left(&text, width)));
            }
            Column::Measure(measure) => {
                let reading = Cell {
                    measure: *measure,
                    value: node.readings.get(*measure),
                    limits: &table.limits,
                    bar: layout.bar,
                };
                pieces.extend(cell(&reading, paint));
            }
            Column::Next => {
                let text = cells::next(node, table.at, table.language);
                let ink = if text == "-" { Ink::Soft } else { Ink::Plain };
                pieces.push((ink, left(&shortened(&text, width, '~'), width)));
            }
            Column::Age => {
                let age = |at| say::about(table.at.since(at), Units::Tight, table.language);
                let text = node.read_at.map_or_else(|| "?".to_owned(), age);
                pieces.push((Ink::Soft, right(&text, width)));
            }
        }
    }
    pieces
}
