//! One thing that is wrong, from its beginning to its end, and when it is told.

use std::time::Duration;

use ng_engine::plan::AlertKind;
use ng_engine::time::Time;
use serde::{Deserialize, Serialize};

use crate::kind::Level;
use crate::plan::Changed;

/// What is known at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Nothing: neither begins nor ends an episode.
    Unknown,
    /// All is well.
    Clear,
    /// It is not, and so bad.
    Bad(Level),
}

/// One thing that is wrong, or was until a moment ago.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Episode {
    /// When it began.
    pub since: Time,
    /// How bad it is; of one that is over, how bad it was.
    pub level: Level,
    /// The reading when it was last known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// When something will be full, where that is what is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Time>,
    /// A detail, such as the reason why a node is not ready.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
    /// What people know: how bad it is. `None`: nothing, or that it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Level>,
    /// The last alert that was not about its end, of this episode or the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_alert: Option<(Time, Level)>,
    /// How often it was told again.
    #[serde(default)]
    pub repeats: u32,
}

impl Episode {
    pub(crate) fn begin(level: Level, now: Time) -> Self {
        Self {
            since: now,
            level,
            value: None,
            expected: None,
            detail: String::new(),
            ended: None,
            told: None,
            last_alert: None,
            repeats: 0,
        }
    }

    /// Whether it goes on.
    pub fn is_open(&self) -> bool {
        self.ended.is_none()
    }

    /// Takes in what is known now.
    pub(crate) fn observe(&mut self, verdict: Verdict, now: Time) -> Option<Changed> {
        match (verdict, self.is_open()) {
            (Verdict::Unknown, _) | (Verdict::Clear, false) => None,
            (Verdict::Clear, true) => {
                self.ended = Some(now);
                Some(Changed::Ended)
            }
            (Verdict::Bad(level), false) => {
                // The clock of the cooldown goes on: the key is the same.
                let (last_alert, told) = (self.last_alert, self.told);
                *self = Self {
                    told,
                    last_alert,
                    ..Self::begin(level, now)
                };
                Some(Changed::Began)
            }
            (Verdict::Bad(level), true) => {
                let before = std::mem::replace(&mut self.level, level);
                match level.cmp(&before) {
                    std::cmp::Ordering::Greater => Some(Changed::Rose),
                    std::cmp::Ordering::Less => Some(Changed::Fell),
                    std::cmp::Ordering::Equal => None,
                }
            }
        }
    }

    /// What is told now, if anything; remembers that it was.
    ///
    /// Within the cooldown only a rise above what was last told goes out, and the end of what people know of; what
    /// begins anew is told when the cooldown is over, if it still lasts then. `hidden`: something larger explains it, so
    /// that its beginning waits until that is over.
    pub(crate) fn tell(&mut self, now: Time, again: Again, hidden: Hidden) -> Option<AlertKind> {
        if !self.is_open() {
            return self.told.take().map(|_| AlertKind::Recovery);
        }
        if hidden == Hidden::Yes {
            return None;
        }
        let cooled = self.last_alert.is_none_or(|(at, level)| {
            // An alert of the future: the clock was set back.
            self.level > level || at > now || now.since(at) >= again.cooldown
        });
        let at_once = self.told.is_none() && !again.waits;
        if !cooled && !at_once {
            return None;
        }
        let rose = self.told.is_none_or(|told| self.level > told);
        if !rose && !again.repeats {
            return None;
        }
        let kind = if rose {
            AlertKind::Trigger
        } else {
            self.repeats = self.repeats.saturating_add(1);
            AlertKind::Repeat
        };
        self.told = Some(self.level);
        self.last_alert = Some((now, self.level));
        Some(kind)
    }

    /// Whether nothing is lost when it is forgotten.
    pub(crate) fn is_over(&self, now: Time, cooldown: Duration) -> bool {
        let cooled = |(at, _)| at > now || now.since(at) >= cooldown;
        !self.is_open() && self.told.is_none() && self.last_alert.is_none_or(cooled)
    }
}

/// When something is told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Again {
    pub(crate) cooldown: Duration,
    /// Whether it is told again while it lasts.
    pub(crate) repeats: bool,
    /// Whether a new episode waits for the cooldown of the one before.
    pub(crate) waits: bool,
}

/// Whether something larger explains an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hidden {
    /// It is told by that.
    Yes,
    /// It stands for itself.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOLDOWN: Duration = Duration::from_mins(15);
    const AGAIN: Again = Again {
        cooldown: COOLDOWN,
        repeats: true,
        waits: true,
    };

    fn at(minutes: u32) -> Time {
        Time::from_millis(1_700_000_000_000).plus(Duration::from_mins(1) * minutes)
    }

    /// A letter a minute: `w`arning, `c`ritical, `.` clear, `?` unknown; capitals: hidden. What is told: `T`rigger,
    /// re`P`eat, `R`ecovery or `-`.
    fn told(letters: &str) -> String {
        let mut episode: Option<Episode> = None;
        let mut told = String::new();
        for (minute, letter) in letters.chars().enumerate() {
            let now = at(u32::try_from(minute).unwrap());
            let verdict = match letter.to_ascii_lowercase() {
                'w' => Verdict::Bad(Level::Warning),
                'c' => Verdict::Bad(Level::Critical),
                '.' => Verdict::Clear,
                _ => Verdict::Unknown,
            };
            match (&mut episode, verdict) {
                (Some(episode), verdict) => {
                    episode.observe(verdict, now);
                }
                (None, Verdict::Bad(level)) => episode = Some(Episode::begin(level, now)),
                (None, _) => {}
            }
            let hidden = if letter.is_ascii_uppercase() {
                Hidden::Yes
            } else {
                Hidden::No
            };
            let word = episode
                .as_mut()
                .and_then(|episode| episode.tell(now, AGAIN, hidden));
            told.push(match word {
                None => '-',
                Some(AlertKind::Trigger) => 'T',
                Some(AlertKind::Repeat) => 'P',
                Some(AlertKind::Recovery) => 'R',
            });
            episode = episode.filter(|episode| !episode.is_over(now, COOLDOWN));
        }
        told
    }

    #[test]
    fn one_alert_in_a_cooldown_but_for_a_rise_and_the_end() {
        let cases = [
            ("....", "----"),
            ("wwww.", "T---R"),
            // A rise goes out at once, a fall does not.
            ("wccw.", "TT--R"),
            ("cwww.", "T---R"),
            // Still bad after the cooldown.
            ("wwwwwwwwwwwwwwwwww.", "T--------------P--R"),
            // Back within the cooldown: told when it is over, if it is still bad.
            ("w.w.w.w.", "TR------"),
            ("w.wwwwwwwwwwwwwwww", "TR-------------T--"),
            // Worse than what was told is news at any time.
            ("w.cc.", "TRT-R"),
            // Unknown is neither.
            ("w??w??.", "T-----R"),
            ("???", "---"),
            // Hidden: told when it is no longer; its end is told only if its beginning was.
            ("WWWw.", "---TR"),
            ("WWW.", "----"),
            ("wWW.", "T--R"),
        ];
        for (letters, expected) in cases {
            assert_eq!(told(letters), expected, "{letters}");
        }
    }

    #[test]
    fn what_is_told_once_is_not_repeated() {
        let mut episode = Episode::begin(Level::Warning, at(0));
        let once = Again {
            repeats: false,
            ..AGAIN
        };
        let told = [0, 20, 500].map(|minutes| episode.tell(at(minutes), once, Hidden::No));
        assert_eq!(told, [Some(AlertKind::Trigger), None, None]);
        episode.observe(Verdict::Clear, at(501));
        let end = episode.tell(at(501), once, Hidden::No);
        assert_eq!(end, Some(AlertKind::Recovery));
    }

    #[test]
    fn what_does_not_wait_is_told_again_soon_after_its_end() {
        for (waits, expected) in [(true, None), (false, Some(AlertKind::Trigger))] {
            let again = Again { waits, ..AGAIN };
            let mut episode = Episode::begin(Level::Critical, at(0));
            episode.tell(at(0), again, Hidden::No);
            episode.observe(Verdict::Clear, at(1));
            episode.tell(at(1), again, Hidden::No);
            episode.observe(Verdict::Bad(Level::Critical), at(2));
            assert_eq!(episode.tell(at(2), again, Hidden::No), expected);
            // While it lasts it waits like any other.
            assert_eq!(episode.tell(at(3), again, Hidden::No), None);
        }
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nothing_up() {
        let mut episode = Episode::begin(Level::Warning, at(60));
        assert_eq!(
            episode.tell(at(60), AGAIN, Hidden::No),
            Some(AlertKind::Trigger)
        );
        assert_eq!(
            episode.tell(at(0), AGAIN, Hidden::No),
            Some(AlertKind::Repeat)
        );
        assert_eq!(episode.tell(at(1), AGAIN, Hidden::No), None);
    }
}
