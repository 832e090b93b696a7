//! A run under way: the memory as it will be, and the plan so far.

use std::collections::BTreeMap;

use ng_engine::plan::{Alert, Input, Mute, Notice, Seen, Verdict as Holds};
use ng_engine::time::{Time, millis};

use crate::episode::{Again, Episode, Hidden, Verdict};
use crate::kind::{Kind, Subject};
use crate::memory::Memory;
use crate::plan::{Change, Note, Plan};
use crate::settings::Settings;
use crate::words;

/// What is found out about a subject in one respect.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    pub(crate) value: Option<f64>,
    pub(crate) expected: Option<Time>,
    pub(crate) detail: String,
}

impl Finding {
    pub(crate) fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            value: None,
            expected: None,
            detail: String::new(),
        }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}

/// What alerts about a node carry besides what is wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct About {
    /// Known readings by name.
    pub(crate) metrics: BTreeMap<String, f64>,
    /// Why its alerts are not sent.
    pub(crate) mute: Option<Mute>,
}

/// A run under way.
pub(crate) struct Draft<'a> {
    pub(crate) memory: Memory,
    pub(crate) plan: Plan,
    pub(crate) settings: &'a Settings,
    pub(crate) now: Time,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(memory: Memory, settings: &'a Settings, now: Time) -> Self {
        Self {
            memory,
            plan: Plan::default(),
            settings,
            now,
        }
    }

    pub(crate) fn note(&mut self, note: Note) {
        self.plan.notes.push(note);
    }

    /// Takes in a finding; it is told later, when it is known what explains what.
    pub(crate) fn observe(&mut self, subject: &Subject, kind: Kind, finding: Finding) {
        let known = self.memory.episodes.get_mut(subject);
        let episode = known.and_then(|episodes| episodes.get_mut(&kind));
        let (episode, mut changed) = match (episode, finding.verdict) {
            (None, Verdict::Unknown | Verdict::Clear) => return,
            (Some(episode), verdict) => {
                let changed = episode.observe(verdict, self.now);
                (episode, changed)
            }
            (None, Verdict::Bad(level)) => {
                let episodes = self.memory.episodes.entry(subject.clone()).or_default();
                let episode = Episode::begin(level, self.now);
                let episode = episodes.entry(kind).or_insert(episode);
                (episode, Some(crate::plan::Changed::Began))
            }
        };
        if finding.verdict == Verdict::Unknown {
            changed = None;
        } else {
            episode.value = finding.value.or(episode.value);
            episode.expected = finding.expected;
            if !finding.detail.is_empty() || episode.is_open() {
                episode.detail = finding.detail;
            }
        }
        if let Some(what) = changed {
            self.plan.changes.push(Change {
                subject: subject.clone(),
                kind,
                what,
                level: episode.level,
                since: episode.since,
                value: episode.value,
                detail: episode.detail.clone(),
            });
        }
    }

    /// Tells what there is to tell of a subject, and forgets what is over.
    pub(crate) fn tell(
        &mut self,
        subject: &Subject,
        hidden: impl Fn(Kind, &Memory) -> Hidden,
        about: impl Fn() -> About,
    ) {
        let Some(mut episodes) = self.memory.episodes.remove(subject) else {
            return;
        };
        let mut known: Option<About> = None;
        for (kind, episode) in &mut episodes {
            let hidden = if self.settings.channels.is_empty() {
                Hidden::Yes
            } else {
                hidden(*kind, &self.memory)
            };
            let level = episode.told.unwrap_or(episode.level);
            let again = Again {
                cooldown: self.settings.cooldown,
                repeats: kind.repeats(),
                waits: kind.waits(),
            };
            let Some(told) = episode.tell(self.now, again, hidden) else {
                continue;
            };
            let level = if episode.is_open() {
                episode.level
            } else {
                level
            };
            let about = known.get_or_insert_with(&about);
            let draft = AlertDraft {
                subject,
                kind: *kind,
                episode,
                told,
                level,
            };
            self.plan
                .alerts
                .push(alert(&draft, about, self.settings, self.now));
        }
        episodes.retain(|_, episode| !episode.is_over(self.now, self.settings.cooldown));
        if !episodes.is_empty() {
            self.memory.episodes.insert(subject.clone(), episodes);
        }
    }
}

/// What an alert is made of.
struct AlertDraft<'a> {
    subject: &'a Subject,
    kind: Kind,
    episode: &'a Episode,
    told: ng_engine::plan::AlertKind,
    level: crate::kind::Level,
}

fn alert(draft: &AlertDraft<'_>, about: &About, settings: &Settings, now: Time) -> Alert {
    let AlertDraft {
        subject,
        kind,
        episode,
        told,
        level,
    } = *draft;
    let mute = about.mute.filter(|mute| match mute {
        Mute::ForeignCordon => !kind.outlives_cordon(),
        Mute::NotReady | Mute::Until(_) => true,
    });
    let said = words::Said {
        subject,
        kind,
        episode,
        told,
        level,
        now,
    };
    Alert {
        kind: told,
        at: now,
        rule: kind.rule(),
        rule_description: words::kind_name(kind, settings.language).to_owned(),
        severity: level.severity(),
        node: subject.name(),
        template: String::new(),
        channels: settings.channels.clone(),
        since: episode.since,
        repeats: episode.repeats,
        guard: None,
        dry_run: false,
        metrics: about.metrics.clone(),
        conditions: input(&said, settings).into_iter().collect(),
        actions: Vec::new(),
        muted: mute,
        notice: Some(Notice {
            key: subject.key(kind),
            title: words::heading(&said, settings),
            text: words::details(&said, settings.language),
            language: settings.language.as_str().to_owned(),
        }),
    }
}

/// What is wrong, in the form of a rule's condition.
fn input(said: &words::Said<'_>, settings: &Settings) -> Option<Input> {
    let episode = said.episode;
    // What was seen at the beginning is no longer so.
    if !episode.is_open() && episode.value.is_none() {
        return None;
    }
    let seen = match (episode.value, episode.detail.as_str()) {
        (Some(value), _) => Seen::Value {
            value,
            age: 0,
            origin: "node-monitor".to_owned(),
        },
        (None, "") => Seen::Status(said.kind.word().to_owned()),
        (None, detail) => Seen::Status(detail.to_owned()),
    };
    Some(Input {
        test: words::test(said, settings),
        description: None,
        seen,
        true_for: Some(millis(said.now.since(episode.since))),
        needed: 0,
        verdict: if episode.is_open() {
            Holds::Holds
        } else {
            Holds::Clear
        },
    })
}
