//! Whether nothing can be due yet, told from what an earlier run left: then neither rules nor state have to be read.
//!
//! A run that found nothing to do leaves a note in the state directory: what it had read, and until when nothing comes
//! due of itself. While the contexts begin with the same bytes, nobody has written to the state and the defaults are the
//! same, a later run would read the same rules and the same history, and find nothing either. A note that is missing,
//! torn or of another release only means that the run reads everything.

use std::fs::OpenOptions;
use std::hash::{Hash as _, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use ng_engine::time::Time;
use ng_hook::log::Value as Field;
use ng_state::Stamp;
use rustc_hash::FxHasher;

use crate::due::Scope;
use crate::tick::Desk;

/// For how long a note counts at most, whatever the intervals of the rules are.
pub(crate) const LONGEST_MS: i64 = 60_000;

/// How much of the contexts a run has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of them.
    Whole,
    /// So many bytes: all rules were among them.
    Beginning(usize),
}

/// What a note depends on besides time and contexts: who may use it, and what was decided with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Basis(u64);

impl Basis {
    /// Taken before the state is opened, so that what others write while it is read counts as a change. `None`: the
    /// state cannot be told apart from another.
    pub(crate) fn of(desk: &Desk<'_>, defaults: u64) -> Option<Self> {
        let mut hasher = FxHasher::default();
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        defaults.hash(&mut hasher);
        Stamp::of(desk.state_dir)?.hash(&mut hasher);
        Some(Self(hasher.finish()))
    }
}

/// Whether an earlier run's note says that nothing is due.
pub(crate) fn is_told(desk: &Desk<'_>, basis: Basis, contexts: &[u8]) -> bool {
    let read = std::fs::read_to_string(file(desk)).ok();
    read.and_then(|text| Note::parse(&text))
        .is_some_and(|note| note.holds(desk.now, basis, contexts))
}

/// Leaves the note of a run that had nothing to do, whose rules come due at `until` at the earliest.
pub(crate) fn tell(desk: &Desk<'_>, basis: Basis, contexts: (&[u8], Extent), until: Time) {
    let path = file(desk);
    let text = Note::of(desk.now, until, basis, contexts).text();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    if let Err(error) = written {
        // Nothing is lost but a millisecond of the next run; what is wrong with the directory is told by what has to
        // be kept there.
        desk.log.debug(
            "cannot leave a note that nothing is due",
            &[
                ("path", Field::Shown(&path.display())),
                ("problem", Field::Shown(&error)),
            ],
        );
    }
}

fn file(desk: &Desk<'_>) -> PathBuf {
    desk.state_dir.join(match desk.scope {
        Scope::Everything => "evaluation.quiet",
        Scope::Held => "recovery.quiet",
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Note {
    basis: u64,
    /// Milliseconds; a clock that goes back behind it makes everything due.
    since: i64,
    /// Milliseconds; from here on something may be due.
    until: i64,
    extent: Extent,
    /// Hash of the contexts as far as they were read.
    contexts: u64,
}

impl Note {
    fn of(now: Time, until: Time, basis: Basis, (contexts, extent): (&[u8], Extent)) -> Self {
        let read = match extent {
            Extent::Whole => contexts,
            Extent::Beginning(length) => &contexts[..length.min(contexts.len())],
        };
        Self {
            basis: basis.0,
            since: now.millis(),
            until: until.millis().min(now.millis().saturating_add(LONGEST_MS)),
            extent,
            contexts: hash(read),
        }
    }

    fn holds(&self, now: Time, basis: Basis, contexts: &[u8]) -> bool {
        let read = match self.extent {
            Extent::Whole => Some(contexts),
            Extent::Beginning(length) => contexts.get(..length),
        };
        self.basis == basis.0
            && (self.since..self.until).contains(&now.millis())
            && read.is_some_and(|read| hash(read) == self.contexts)
    }

    /// One line; the hash is last and of fixed length, so that a torn line is none.
    fn text(&self) -> String {
        let length = match self.extent {
            Extent::Whole => "whole".to_owned(),
            Extent::Beginning(length) => length.to_string(),
        };
        format!(
            "{:016x} {} {} {length} {:016x}\n",
            self.basis, self.since, self.until, self.contexts
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_suffix('\n')?.split(' ');
        let note = Self {
            basis: u64::from_str_radix(words.next()?, 16).ok()?,
            since: words.next()?.parse().ok()?,
            until: words.next()?.parse().ok()?,
            extent: match words.next()? {
                "whole" => Extent::Whole,
                length => Extent::Beginning(length.parse().ok()?),
            },
            contexts: u64::from_str_radix(words.next()?, 16).ok()?,
        };
        words.next().is_none().then_some(note)
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;
    const CONTEXTS: &[u8] = br#"[{"snapshots":{"a":[1],"nodes":[]}}]"#;

    fn at(millis: i64) -> Time {
        Time::from_millis(NOW + millis)
    }

    fn note(extent: Extent) -> Note {
        Note::of(at(0), at(30_000), Basis(7), (CONTEXTS, extent))
    }

    #[test]
    fn a_note_holds_until_its_time_and_for_the_same_input_only() {
        let longer = [CONTEXTS, b" "].concat();
        let other = CONTEXTS.to_ascii_uppercase();
        for (extent, now, basis, contexts, expected) in [
            (Extent::Whole, 0, 7, CONTEXTS, true),
            (Extent::Whole, 29_999, 7, CONTEXTS, true),
            (Extent::Whole, 30_000, 7, CONTEXTS, false),
            (Extent::Whole, -1, 7, CONTEXTS, false),
            (Extent::Whole, 5_000, 8, CONTEXTS, false),
            (Extent::Whole, 5_000, 7, &longer, false),
            (Extent::Whole, 5_000, 7, &other, false),
            (Extent::Beginning(20), 5_000, 7, CONTEXTS, true),
            (Extent::Beginning(20), 5_000, 7, &longer, true),
            (Extent::Beginning(20), 5_000, 7, &CONTEXTS[..20], true),
            (Extent::Beginning(20), 5_000, 7, &CONTEXTS[..19], false),
            (Extent::Beginning(20), 5_000, 7, &other, false),
        ] {
            let holds = note(extent).holds(at(now), Basis(basis), contexts);
            assert_eq!(
                holds, expected,
                "{extent:?}, {now} ms, basis {basis}, {contexts:?}"
            );
        }
    }

    #[test]
    fn a_note_never_counts_for_longer_than_a_minute() {
        let note = Note::of(
            at(0),
            at(i64::MAX - NOW),
            Basis(7),
            (CONTEXTS, Extent::Whole),
        );
        assert_eq!(note.until, NOW + LONGEST_MS);
    }

    #[test]
    fn what_was_written_is_read_back_and_nothing_shorter_is() {
        for extent in [Extent::Whole, Extent::Beginning(20)] {
            let text = note(extent).text();
            assert_eq!(Note::parse(&text), Some(note(extent)));
            for length in 0..text.len() {
                assert_eq!(Note::parse(&text[..length]), None, "{:?}", &text[..length]);
            }
        }
    }
}
