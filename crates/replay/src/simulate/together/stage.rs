//! A run of a hook in its parts: it begins, it decides, and what it writes arrives.

use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use ng_config::Config;
use ng_engine::node::Nodes;
use ng_engine::time::Time;
use ng_hook::Logger;
use ng_hook::context::ContextFile;
use ng_metrics::{Fetched, Settings, Wanted};
use ng_round::ports::{Source, Times};
use ng_round::{Desk, Outcome, tick};
use ng_state::{DeliveryState, OutboxFilter, Settlement, Store};

use super::super::source::SimSource;
use super::api::{Api, Shared, Stillness};
use super::{CALM, Hook, ROUND, STILL};
use crate::scenario::{Scenario, checked_config};

/// What all hooks share.
pub(super) struct Stage<'a> {
    scenario: &'a Scenario,
    config: Config,
    state: &'a Path,
    pub(super) api: Mutex<Api>,
    arrived: Condvar,
    pub(super) rounds: usize,
    /// Why a run failed: then all end with their round, or the others would wait for ever.
    failure: Mutex<Option<String>>,
}

/// A run that has begun.
pub(super) struct Begun {
    hook: Hook,
    contexts: Vec<u8>,
    now: Time,
}

/// A run that has decided, and whose writes are under way.
pub(super) struct Decided {
    pub(super) hook: Hook,
    now: Time,
    outcome: Outcome,
}

/// Readings, and what happens while they are fetched: between the first look at the state and the transaction.
struct Meanwhile<'a> {
    source: SimSource<'a>,
    act: &'a dyn Fn(),
}

impl Source for Meanwhile<'_> {
    fn fetch(
        &self,
        wanted: &[Wanted],
        nodes: &Nodes,
        settings: &Settings,
        times: &Times<'_>,
    ) -> Fetched {
        (self.act)();
        self.source.fetch(wanted, nodes, settings, times)
    }
}

impl<'a> Stage<'a> {
    pub(super) fn new(scenario: &'a Scenario, state: &'a Path, rounds: usize, seed: u64) -> Self {
        Self {
            scenario,
            config: checked_config(&scenario.config).unwrap(),
            state,
            api: Mutex::new(Api::new(scenario, seed)),
            arrived: Condvar::new(),
            rounds,
            failure: Mutex::new(None),
        }
    }

    pub(super) fn api(&self) -> MutexGuard<'_, Api> {
        self.api.lock().unwrap()
    }

    /// Gives the hook its snapshot and the time.
    pub(super) fn begin(&self, hook: Hook, last: &mut usize) -> Begun {
        let (contexts, now) = self.api().snapshot(hook, last);
        Begun {
            hook,
            contexts,
            now,
        }
    }

    /// The run itself; `meanwhile` happens while it fetches readings.
    pub(super) fn decide(&self, begun: Begun, meanwhile: &dyn Fn()) -> Option<Decided> {
        let Begun {
            hook,
            contexts,
            now,
        } = begun;
        let timestamp = jiff::Timestamp::from_millisecond(now.millis()).unwrap();
        let (log, _) = Logger::in_memory(timestamp);
        let outcome = tick(
            &ContextFile::from_bytes("together", contexts),
            &Desk {
                config: &self.config,
                log: &log,
                now,
                deadline: Instant::now() + Duration::from_hours(1),
                state_dir: self.state,
                scope: hook.scope(),
                cluster: &Shared(&self.api),
                source: &Meanwhile {
                    source: SimSource {
                        series: &self.scenario.series,
                        start: self.scenario.start,
                        answers: true,
                    },
                    act: meanwhile,
                },
            },
        );
        match outcome {
            Ok(outcome) => {
                self.api().take(hook, now, &outcome);
                Some(Decided { hook, now, outcome })
            }
            Err(error) => {
                *self.failure.lock().unwrap() = Some(format!("{hook:?}: {error:#}"));
                self.api().under_way.remove(&now);
                self.arrived.notify_all();
                None
            }
        }
    }

    /// What the run wrote arrives.
    pub(super) fn arrive(&self, decided: &Decided, round: usize) {
        self.arrive_at(&mut self.api(), decided, round);
    }

    /// What the run wrote arrives, after that of every run that began earlier.
    pub(super) fn arrive_in_turn(&self, decided: &Decided, round: usize) {
        let is_early = |api: &mut Api| api.under_way.first() != Some(&decided.now);
        let mut api = self.arrived.wait_while(self.api(), is_early).unwrap();
        self.arrive_at(&mut api, decided, round);
        self.arrived.notify_all();
    }

    fn arrive_at(&self, api: &mut Api, decided: &Decided, round: usize) {
        let still = if round + STILL >= self.rounds + CALM {
            Stillness::Expected
        } else {
            Stillness::NotYet
        };
        api.arrive(decided.hook, decided.now, &decided.outcome, still);
    }

    /// Sends what is in the outbox; gives the alerts that are out.
    pub(super) fn deliver(&self) -> Vec<i64> {
        let now = self.api().clock;
        let mut store = Store::open(self.state, now).unwrap().store;
        let pending = OutboxFilter {
            state: Some(DeliveryState::Pending),
            ..OutboxFilter::default()
        };
        let alerts: Vec<i64> = store
            .outbox(pending)
            .unwrap()
            .iter()
            .map(|queued| queued.id)
            .collect();
        if !alerts.is_empty() {
            let mut transaction = store.begin().unwrap();
            let settled = transaction
                .settle("log", &alerts, &Settlement::Done, now)
                .unwrap();
            assert_eq!(settled, alerts.len() as u64);
            transaction.commit().unwrap();
        }
        alerts
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.lock().unwrap().is_some()
    }

    /// Moves the clock, and begins and ends the trouble.
    pub(super) fn advance(&self, round: usize, troubled: bool) {
        let mut api = self.api();
        let base = self
            .scenario
            .start
            .plus(Duration::from_secs(round as u64 * ROUND));
        api.clock = base;
        api.troubled = troubled && round < self.rounds;
        api.world.advance(base);
    }

    /// Everything that was counted.
    pub(super) fn end(self) -> Api {
        assert_eq!(self.failure.into_inner().unwrap(), None);
        self.api.into_inner().unwrap()
    }
}
