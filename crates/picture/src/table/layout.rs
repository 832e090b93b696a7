//! Which columns fit, and how wide they are.

use crate::model::{Language, Measure};
use crate::text::columns;
use crate::words::Word;

/// Widths of bars, the best first.
const BARS: [usize; 6] = [10, 8, 6, 5, 4, 3];
/// A name keeps this much before a column is dropped for it.
const LEAST_NAME: usize = 14;
/// A longer name is shortened even where there is room.
const MOST_NAME: usize = 48;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Node,
    Level,
    Measure(Measure),
    Next,
    Age,
}

/// All columns; those on the right are dropped first.
const COLUMNS: [Column; 9] = [
    Column::Node,
    Column::Level,
    Column::Measure(Measure::Cpu),
    Column::Measure(Measure::Memory),
    Column::Measure(Measure::Disk),
    Column::Measure(Measure::Pods),
    Column::Measure(Measure::Load),
    Column::Next,
    Column::Age,
];

impl Column {
    /// What stands above it.
    pub(super) fn title(self, language: Language) -> &'static str {
        let word = match self {
            Self::Node => Word::Node,
            Self::Level => Word::State,
            Self::Measure(Measure::Memory) => Word::MemoryShort,
            Self::Measure(measure) => measure.into(),
            Self::Next => Word::Next,
            Self::Age => Word::Age,
        };
        word.say(language)
    }

    /// Whether it is set to the right: numbers without bars, and ages.
    pub(super) fn is_right(self, bar: usize) -> bool {
        match self {
            Self::Measure(_) => bar == 0,
            Self::Age => true,
            Self::Node | Self::Level | Self::Next => false,
        }
    }

    fn least(self, bar: usize, language: Language) -> usize {
        let content = match self {
            Self::Node => LEAST_NAME,
            Self::Level => 5,
            Self::Measure(_) if bar == 0 => 4,
            Self::Measure(_) => bar + 5,
            Self::Next => 9,
            Self::Age => 4,
        };
        let title = if self == Self::Node {
            0
        } else {
            columns(self.title(language))
        };
        content.max(title)
    }
}

/// The columns that fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// In their order.
    pub(super) columns: Vec<Column>,
    /// Width of bars; 0: none.
    pub(super) bar: usize,
    /// What is between two columns.
    pub(super) gap: &'static str,
    name: usize,
    language: Language,
}

impl Layout {
    /// The best layout for names of this width on a screen of this width.
    pub(super) fn fit(longest: usize, width: usize, language: Language) -> Self {
        let wanted = longest.clamp(columns(Word::Node.say(language)), MOST_NAME);
        for count in (2..=COLUMNS.len()).rev() {
            let full = BARS.iter().flat_map(|bar| [("  ", *bar), (" ", *bar)]);
            let mut attempts: Vec<(&'static str, usize, usize)> =
                full.map(|(gap, bar)| (gap, bar, wanted)).collect();
            attempts.push((" ", 3, wanted.min(LEAST_NAME)));
            for (gap, bar, name) in attempts {
                let mut layout = Self {
                    columns: COLUMNS[..count].to_vec(),
                    bar,
                    gap,
                    name,
                    language,
                };
                let spare = width.checked_sub(layout.total());
                if let Some(spare) = spare {
                    layout.name = (layout.name + spare).min(wanted);
                    return layout;
                }
            }
        }
        Self {
            columns: vec![Column::Node],
            bar: 0,
            gap: " ",
            name: width,
            language,
        }
    }

    /// The width of a column.
    pub(super) fn width(&self, column: Column) -> usize {
        if column == Column::Node {
            self.name
        } else {
            column.least(self.bar, self.language)
        }
    }

    fn total(&self) -> usize {
        let widths: usize = self.columns.iter().map(|column| self.width(*column)).sum();
        widths + self.gap.len() * (self.columns.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eighty_columns_hold_everything_and_fewer_lose_the_right_side() {
        let mut last = COLUMNS.len();
        assert_eq!(Layout::fit(40, 80, Language::English).columns.len(), last);
        assert_eq!(Layout::fit(40, 80, Language::Chinese).columns.len(), last);
        for width in (20..80).rev() {
            let layout = Layout::fit(40, width, Language::English);
            assert!(layout.total() <= width, "{width}");
            assert!(layout.columns.len() <= last, "{width}");
            assert_eq!(layout.columns, COLUMNS[..layout.columns.len()]);
            last = layout.columns.len();
        }
        assert!(last < 4);
    }

    #[test]
    fn more_room_makes_longer_bars_and_whole_names() {
        let wide = Layout::fit(40, 200, Language::English);
        assert_eq!((wide.bar, wide.name, wide.gap), (10, 40, "  "));
        assert_eq!(Layout::fit(8, 90, Language::English).name, 8);
    }
}
