//! Which alerts are told at all: muted ones are not, and those of a flapping node wait until it has calmed down.
//!
//! Each trigger of a node under a rule adds one to a score that halves with every half-life. When the score, rounded,
//! reaches the threshold, that trigger is told as the beginning of flapping, and what follows is held until the score
//! is below half the threshold.

use std::time::Duration;

use ng_engine::plan::AlertKind;
use ng_engine::rule::Severity;
use ng_engine::time::Time;

use crate::attempt::stretched;

/// Below this, a score is as good as none.
const FORGOTTEN: f64 = 0.05;

/// When a node counts as flapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flapping {
    /// How many recent triggers make a node a flapping one; 0: none do.
    pub threshold: u32,
    /// The time after which a past trigger counts half.
    pub half_life: Duration,
}

/// An alert that has just come into the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// What it tells.
    pub kind: AlertKind,
    /// How bad it is.
    pub severity: Severity,
    /// When it was queued.
    pub queued: Time,
    /// Whether its producer muted it.
    pub muted: bool,
}

/// What people know of a node under a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// That it triggered.
    Triggered,
    /// That it recovered.
    Recovered,
}

impl Told {
    /// What an alert of this kind lets people know.
    pub const fn by(kind: AlertKind) -> Self {
        match kind {
            AlertKind::Trigger | AlertKind::Repeat => Self::Triggered,
            AlertKind::Recovery => Self::Recovered,
        }
    }
}

/// What becomes of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It goes out.
    Send,
    /// It goes out and says that the node is flapping.
    SendFlapping,
    /// It waits until the node has calmed down; only the newest of a node that waits can still go out.
    Hold,
    /// It is counted and not told.
    Mute,
}

/// What is remembered of a node under a rule from one alert to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// Recent triggers, as of `at`.
    pub score: f64,
    /// When the score was last brought up to date.
    pub at: Time,
    /// Set while the node is flapping: when it will have calmed down.
    pub calm_at: Option<Time>,
    /// Alerts that were held since the node began to flap.
    pub held: u32,
    /// What people know.
    pub told: Option<Told>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            score: 0.0,
            at: Time::from_millis(0),
            calm_at: None,
            held: 0,
            told: None,
        }
    }
}

impl Memory {
    /// Decides about the next alert of the node, and remembers it.
    ///
    /// A muted recovery still goes out where people know of the trigger, since it closes what the trigger opened. The
    /// trigger of a critical rule is never held while people believe that the node is well.
    pub fn admit(&mut self, fresh: &Fresh, flapping: &Flapping) -> Admission {
        let closes = fresh.kind == AlertKind::Recovery && self.told == Some(Told::Triggered);
        if fresh.muted && !closes {
            return Admission::Mute;
        }
        if fresh.kind == AlertKind::Trigger {
            self.score = self.score_at(fresh.queued, flapping.half_life) + 1.0;
            self.at = fresh.queued;
        }
        let admission = self.judge(fresh, flapping);
        match admission {
            Admission::Send | Admission::SendFlapping => self.told = Some(Told::by(fresh.kind)),
            Admission::Hold => self.held = self.held.saturating_add(1),
            Admission::Mute => {}
        }
        admission
    }

    fn judge(&mut self, fresh: &Fresh, flapping: &Flapping) -> Admission {
        if flapping.threshold == 0 {
            self.calm_at = None;
            return Admission::Send;
        }
        let threshold = f64::from(flapping.threshold);
        if self.calm_at.is_none() {
            if fresh.kind != AlertKind::Trigger || self.score.round() < threshold {
                return Admission::Send;
            }
            self.calm_at = Some(self.calm(flapping));
            self.held = 0;
            return Admission::SendFlapping;
        }
        if fresh.kind == AlertKind::Trigger {
            self.calm_at = Some(self.calm(flapping));
            if fresh.severity == Severity::Critical && self.told != Some(Told::Triggered) {
                return Admission::SendFlapping;
            }
        }
        Admission::Hold
    }

    /// The node has calmed down. Whether the newest alert that was held has to be told now: it says something else
    /// than people know.
    pub fn calm_down(&mut self, newest_held: Option<AlertKind>) -> bool {
        self.calm_at = None;
        self.held = 0;
        let Some(news) = newest_held.map(Told::by) else {
            return false;
        };
        let tell = self.told != Some(news);
        self.told = Some(news);
        tell
    }

    /// Whether nothing is lost when this is forgotten.
    pub fn is_stale(&self, now: Time, flapping: &Flapping) -> bool {
        self.calm_at.is_none()
            && self.told != Some(Told::Triggered)
            && self.score_at(now, flapping.half_life) < FORGOTTEN
    }

    fn score_at(&self, now: Time, half_life: Duration) -> f64 {
        let halves = now.since(self.at).as_secs_f64() / half_life.as_secs_f64().max(0.001);
        self.score * (-halves).exp2()
    }

    /// When the score will be below half the threshold.
    fn calm(&self, flapping: &Flapping) -> Time {
        let halves = (2.0 * self.score / f64::from(flapping.threshold)).log2();
        // A millisecond more, so that it is below and not equal.
        let wait = stretched(flapping.half_life, halves.clamp(0.0, 64.0));
        self.at.plus(wait).plus(Duration::from_millis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const FLAPPING: Flapping = Flapping {
        threshold: 3,
        half_life: Duration::from_hours(1),
    };

    fn at(minutes: u32) -> Time {
        Time::from_millis(1_700_000_000_000).plus(MINUTE * minutes)
    }

    fn fresh(word: &str, minutes: u32) -> Fresh {
        let kind = match word.trim_start_matches(['!', '~']) {
            "t" => AlertKind::Trigger,
            "p" => AlertKind::Repeat,
            _ => AlertKind::Recovery,
        };
        Fresh {
            kind,
            severity: if word.starts_with('!') {
                Severity::Critical
            } else {
                Severity::Warning
            },
            queued: at(minutes),
            muted: word.starts_with('~'),
        }
    }

    /// Admits alerts a minute apart: `t`rigger, re`p`eat, `r`ecovery, `!` critical, `~` muted.
    fn admitted(alerts: &str, flapping: &Flapping) -> (String, Memory) {
        let mut memory = Memory::default();
        let letters = alerts.split(' ').zip(0..).map(|(word, minutes)| {
            match memory.admit(&fresh(word, minutes), flapping) {
                Admission::Send => 's',
                Admission::SendFlapping => 'F',
                Admission::Hold => 'h',
                Admission::Mute => 'm',
            }
        });
        (letters.collect(), memory)
    }

    #[test]
    fn alerts_are_told_held_or_muted() {
        let cases = [
            ("t r t r", "ssss"),
            ("t p p p p r", "ssssss"),
            // The third trigger says that the node is flapping, and the rest waits.
            ("t r t r t r t r t p r", "ssssFhhhhhh"),
            // People were told that the node is triggered, so a critical trigger adds nothing.
            ("!t r !t r !t r !t r", "ssssFhhh"),
            // A muted alert does not count towards flapping.
            ("~t ~r ~t ~r ~t ~r", "mmmmmm"),
            ("~t r", "ms"),
            // A muted recovery closes what people know of.
            ("t ~r ~t ~r", "ssmm"),
        ];
        for (alerts, expected) in cases {
            assert_eq!(admitted(alerts, &FLAPPING).0, expected, "{alerts}");
        }
    }

    #[test]
    fn without_a_threshold_nothing_flaps() {
        let flapping = Flapping {
            threshold: 0,
            ..FLAPPING
        };
        assert_eq!(admitted("t r t r t r t r", &flapping).0, "ssssssss");
    }

    #[test]
    fn a_critical_trigger_is_never_held_while_people_believe_the_node_well() {
        let (_, mut memory) = admitted("t r t r t r", &FLAPPING);
        memory.told = Some(Told::Recovered);
        assert_eq!(
            memory.admit(&fresh("t", 7), &FLAPPING),
            Admission::Hold,
            "a warning waits"
        );
        assert_eq!(
            memory.admit(&fresh("!t", 8), &FLAPPING),
            Admission::SendFlapping
        );
        assert_eq!(memory.admit(&fresh("!t", 9), &FLAPPING), Admission::Hold);
    }

    #[test]
    fn a_calm_node_tells_only_news() {
        let cases = [
            (Some(AlertKind::Recovery), true),
            (Some(AlertKind::Trigger), false),
            (Some(AlertKind::Repeat), false),
            (None, false),
        ];
        for (newest, tell) in cases {
            let (_, mut memory) = admitted("t r t r t r t", &FLAPPING);
            assert_eq!(memory.held, 2);
            assert_eq!(memory.calm_down(newest), tell, "{newest:?}");
            assert_eq!((memory.held, memory.calm_at), (0, None));
        }
    }

    #[test]
    fn it_calms_down_when_the_score_is_below_half_the_threshold() {
        let (_, memory) = admitted("t r t r t", &FLAPPING);
        let calm = memory.calm_at.unwrap();
        let half = f64::from(FLAPPING.threshold) / 2.0;
        assert!(memory.score_at(calm, FLAPPING.half_life) < half);
        assert!(memory.score_at(calm.minus(MINUTE), FLAPPING.half_life) > half);
        // Each further trigger moves it.
        let (_, later) = admitted("t r t r t r t", &FLAPPING);
        assert!(later.calm_at.unwrap() > calm);
    }

    #[test]
    fn memory_is_dropped_when_nothing_is_lost_by_it() {
        let cases = [("t", false), ("t r", true), ("t r t r t r", false)];
        for (alerts, stale) in cases {
            let memory = admitted(alerts, &FLAPPING).1;
            assert_eq!(memory.is_stale(at(60 * 24), &FLAPPING), stale, "{alerts}");
            assert!(!memory.is_stale(at(10), &FLAPPING), "{alerts}");
        }
    }
}
