//! Evictions and drains, in short passes: each tick asks for some pods, remembers every question before it is put
//! and every answer after it, and leaves the rest to the next tick. No pass waits for a pod to stop.

use std::time::{Duration, Instant};

use ng_engine::history::{History, Job, JobEnd, NodeRecord, PodAttempt, PodResult, Task};
use ng_engine::time::Time;
use ng_hook::log::Value as Field;
use ng_kube::eviction::EvictionOutcome;
use ng_kube::objects::Pod;
use ng_kube::pods::{DrainMode, DrainRules, EvictablePod, SkipReason, evictable, order};
use ng_state::Store;

use crate::ports::LiveNode;
use crate::tick::Desk;

/// Pods asked for in one pass over one node: at an answer every few milliseconds well below a second.
const PODS_PER_PASS: usize = 50;
/// How long one run may spend on evictions, so that its queue is free for the next evaluation.
const RUN_LIMIT: Duration = Duration::from_secs(8);
/// How often kubectl asks again for a pod that its budget protects.
const BUDGET_WAIT: Duration = Duration::from_secs(5);
/// The longest wait for a pod that was refused again and again.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// When an `evict` that cannot get its pods gives up; `drain` has a timeout of its own.
const EVICT_TIMEOUT: Duration = Duration::from_mins(5);

/// One thing to tell about a job.
pub(crate) struct JobNote {
    pub(crate) rule: String,
    pub(crate) node: String,
    pub(crate) node_uid: String,
    pub(crate) message: String,
    /// Whether something went wrong.
    pub(crate) failed: bool,
}

/// What the passes of one run did.
#[derive(Default)]
pub(crate) struct Passes {
    pub(crate) notes: Vec<JobNote>,
    /// Pods by result: `evicted`, `waiting`, `failed`.
    pub(crate) results: std::collections::BTreeMap<&'static str, u64>,
    /// Whether any record changed.
    pub(crate) changed: bool,
}

/// Carries on every job in `history`. The emergency stop and the dry run of all rules hold for jobs of rules that are
/// not evaluated, too: no pod is asked for, and no mark is set before one would be.
pub(crate) fn run(store: &mut Store, history: &History, desk: &Desk<'_>) -> anyhow::Result<Passes> {
    let mut passes = Passes::default();
    let safety = &desk.config.safety;
    if safety.paused || safety.dry_run {
        return Ok(passes);
    }
    let deadline = (Instant::now() + RUN_LIMIT).min(desk.deadline);
    let mut rules: Vec<_> = history
        .rules
        .iter()
        .filter(|(_, rule)| rule.summary.jobs > 0)
        .collect();
    rules.sort_by_key(|(name, rule)| (rule.summary.priority, name.as_str()));
    for (rule, remembered) in rules {
        for (node, record) in remembered
            .records
            .iter()
            .filter(|(_, record)| record.absent.is_none())
        {
            for job in record.jobs.iter().filter(|job| job.end.is_none()) {
                let mut pass = Pass {
                    store,
                    desk,
                    deadline,
                    rule,
                    node,
                    record,
                    task: &job.task,
                    passes: &mut passes,
                };
                pass.run(job)?;
            }
        }
    }
    Ok(passes)
}

/// One pass of one job.
struct Pass<'a> {
    store: &'a mut Store,
    desk: &'a Desk<'a>,
    deadline: Instant,
    rule: &'a str,
    node: &'a str,
    record: &'a NodeRecord,
    task: &'a Task,
    passes: &'a mut Passes,
}

impl Pass<'_> {
    fn run(&mut self, job: &Job) -> anyhow::Result<()> {
        if Instant::now() >= self.deadline {
            return Ok(());
        }
        let live = match self.desk.cluster.node(self.node, self.deadline) {
            Ok(live) => live,
            Err(error) => {
                return self.trouble(job, &format!("cannot look at node {}: {error}", self.node));
            }
        };
        // The snapshot had the node a moment ago. If it is gone since, its pods go all the same, and none comes to it.
        if let Some(live) = live {
            if !self.is_meant(&live) {
                return self.end(JobEnd::Cancelled, "the node is gone");
            }
            if live.ignored {
                self.desk.log.info(
                    "eviction held back",
                    &[
                        ("node", Field::Text(self.node)),
                        ("guard", "ignored".into()),
                    ],
                );
                return Ok(());
            }
            if let Err(error) = self.mark(&live) {
                return self.trouble(
                    job,
                    &format!("cannot mark node {} before its pods go: {error}", self.node),
                );
            }
        }
        let pods = match self.desk.cluster.pods_on(self.node, self.deadline) {
            Ok(pods) => pods,
            Err(error) => {
                return self.trouble(
                    job,
                    &format!("cannot list the pods of node {}: {error}", self.node),
                );
            }
        };
        let mut attempts = job.pods.clone();
        settle(&mut attempts, &pods);
        let candidates = candidates(&pods, self.node, self.task);
        self.ask(&candidates, &mut attempts)?;
        self.conclude(job, &candidates, &attempts, &pods)
    }

    /// Whether it is the node of the record and not another that carries its name now.
    fn is_meant(&self, live: &LiveNode) -> bool {
        self.record.uid.is_empty() || live.uid.is_empty() || live.uid == self.record.uid
    }

    /// Puts the rule's taints and cordon on the node if they are still on their way: pods that leave must not come
    /// back to it.
    fn mark(&self, live: &LiveNode) -> Result<(), String> {
        let missing: Vec<_> = self
            .record
            .marks
            .iter()
            .filter(|mark| mark.key.is_disruptive() && !live.has(mark))
            .cloned()
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.desk
            .cluster
            .mark(self.node, live, &missing, self.deadline)
    }

    /// Asks for the pods whose turn it is.
    fn ask(
        &mut self,
        candidates: &[EvictablePod],
        attempts: &mut Vec<PodAttempt>,
    ) -> anyhow::Result<()> {
        let mut allowance = self.allowance(attempts).min(PODS_PER_PASS);
        // Those that were refused come after all others, so that they hold none of them up.
        let (refused, others): (Vec<_>, Vec<_>) =
            candidates.iter().partition(|pod| is_waiting(pod, attempts));
        for pod in others.into_iter().chain(refused) {
            if allowance == 0 || Instant::now() >= self.deadline {
                break;
            }
            let earlier = attempts
                .iter()
                .find(|attempt| attempt.uid == pod.uid)
                .map(|attempt| attempt.result.clone());
            if !is_askable(earlier.as_ref(), self.desk.now) {
                continue;
            }
            allowance -= 1;
            self.remember(attempts, pod, PodResult::Asked)?;
            let outcome =
                self.desk
                    .cluster
                    .evict(&pod.reference(), self.grace_period(), self.deadline);
            let refusals = match earlier {
                Some(PodResult::Waiting { refusals, .. }) => refusals,
                _ => 0,
            };
            let stop = matches!(outcome, EvictionOutcome::Throttled { .. });
            let result = self.result(outcome, refusals);
            self.tell(pod, &result);
            if matches!(result, PodResult::Waiting { .. } | PodResult::Failed { .. }) {
                // The place is free for the next pod: one that is held by its budget holds up no other.
                allowance += 1;
            }
            self.remember(attempts, pod, result)?;
            if stop {
                break;
            }
        }
        Ok(())
    }

    /// How many more pods this job may take.
    fn allowance(&self, attempts: &[PodAttempt]) -> usize {
        match self.task {
            Task::Evict(evict) => {
                let taken = attempts
                    .iter()
                    .filter(|attempt| is_taken(&attempt.result))
                    .count();
                (evict.max_pods as usize).saturating_sub(taken)
            }
            Task::Drain(_) => usize::MAX,
        }
    }

    fn grace_period(&self) -> Option<i64> {
        match self.task {
            Task::Evict(_) => None,
            Task::Drain(drain) => drain
                .grace_period
                .and_then(|grace| i64::try_from(grace.as_secs()).ok()),
        }
    }

    /// Writes down how far a pod is, before anything else happens.
    fn remember(
        &mut self,
        attempts: &mut Vec<PodAttempt>,
        pod: &EvictablePod,
        result: PodResult,
    ) -> anyhow::Result<()> {
        let attempt = PodAttempt {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            result,
        };
        match attempts.iter_mut().find(|known| known.uid == attempt.uid) {
            Some(known) => *known = attempt,
            None => attempts.push(attempt),
        }
        self.write(|job| job.pods.clone_from(attempts))
    }

    fn write(&mut self, change: impl FnOnce(&mut Job)) -> anyhow::Result<()> {
        let task = self.task;
        self.store.update_jobs(self.rule, self.node, |record| {
            if let Some(job) = record
                .jobs
                .iter_mut()
                .find(|job| job.task == *task && job.end.is_none())
            {
                change(job);
            }
        })?;
        self.passes.changed = true;
        Ok(())
    }

    fn result(&self, outcome: EvictionOutcome, refusals: u32) -> PodResult {
        let wait = |reason: String, asked: Option<Duration>| {
            let own = BUDGET_WAIT
                .saturating_mul(1 << refusals.min(4))
                .min(LONGEST_WAIT);
            let until = self.desk.now.plus(asked.unwrap_or_default().max(own));
            PodResult::Waiting {
                until,
                reason,
                refusals: refusals.saturating_add(1),
            }
        };
        match outcome {
            EvictionOutcome::Accepted
            | EvictionOutcome::Gone
            | EvictionOutcome::Replaced
            | EvictionOutcome::NamespaceTerminating => PodResult::Evicted,
            EvictionOutcome::BlockedByBudget {
                message,
                retry_after,
            } => wait(message, retry_after),
            EvictionOutcome::Throttled { retry_after } => {
                wait("the API server is busy".to_owned(), retry_after)
            }
            EvictionOutcome::Retry {
                reason,
                retry_after,
            } => wait(reason, retry_after),
            EvictionOutcome::Misconfigured { message } | EvictionOutcome::Forbidden { message } => {
                PodResult::Failed { reason: message }
            }
            EvictionOutcome::Rejected { reason } => PodResult::Failed { reason },
        }
    }

    fn tell(&mut self, pod: &EvictablePod, result: &PodResult) {
        let (word, reason) = match result {
            PodResult::Asked => ("asked", ""),
            PodResult::Evicted => ("evicted", ""),
            PodResult::Waiting { reason, .. } => ("waiting", reason.as_str()),
            PodResult::Failed { reason } => ("failed", reason.as_str()),
        };
        *self.passes.results.entry(word).or_default() += 1;
        self.desk.log.info(
            "eviction",
            &[
                ("rule", Field::Text(self.rule)),
                ("node", Field::Text(self.node)),
                ("namespace", Field::Text(&pod.namespace)),
                ("pod", Field::Text(&pod.name)),
                ("result", Field::Text(word)),
                ("reason", Field::Text(reason)),
            ],
        );
    }

    /// Ends the job when there is nothing left to do, or no time to do it.
    fn conclude(
        &mut self,
        job: &Job,
        candidates: &[EvictablePod],
        attempts: &[PodAttempt],
        pods: &[Pod],
    ) -> anyhow::Result<()> {
        let open = candidates.iter().filter(|pod| {
            !attempts.iter().any(|attempt| {
                attempt.uid == pod.uid && !matches!(attempt.result, PodResult::Waiting { .. })
            })
        });
        let open = open.count();
        let failed: Vec<&PodAttempt> = attempts
            .iter()
            .filter(|attempt| matches!(attempt.result, PodResult::Failed { .. }))
            .collect();
        let finished = match self.task {
            Task::Evict(_) => self.allowance(attempts) == 0 || open == 0,
            // A drain is over when the API server no longer lists a pod that should go.
            Task::Drain(_) => open == 0 && !pods.iter().any(|pod| is_ours_and_there(pod, attempts)),
        };
        if finished {
            return match failed.first() {
                Some(attempt) => {
                    let message = format!(
                        "{} pods could not be evicted, first {}/{}: {}",
                        failed.len(),
                        attempt.namespace,
                        attempt.name,
                        reason(attempt)
                    );
                    self.fail(JobEnd::Done, &message)
                }
                None => self.end_well(pods),
            };
        }
        if self.record.worked_on(job, self.desk.now) >= self.timeout() {
            let waiting = attempts
                .iter()
                .find(|attempt| matches!(attempt.result, PodResult::Waiting { .. }));
            let why = waiting.map_or_else(String::new, |attempt| {
                format!(
                    ", first {}/{}: {}",
                    attempt.namespace,
                    attempt.name,
                    reason(attempt)
                )
            });
            return self.fail(
                JobEnd::TimedOut,
                &format!("{open} pods are left after the timeout{why}"),
            );
        }
        Ok(())
    }

    /// Every pod that may go is gone. One that a drain was not allowed to take keeps the node from being empty.
    fn end_well(&mut self, pods: &[Pod]) -> anyhow::Result<()> {
        let rules = rules(self.node, self.task);
        let mut left = pods.iter().filter_map(|pod| match evictable(pod, &rules) {
            Err(SkipReason::Unmanaged) => Some((pod, "no controller brings it back (force)")),
            Err(SkipReason::EmptyDir) => {
                Some((pod, "its emptyDir data would be lost (deleteEmptyDirData)"))
            }
            Ok(_) | Err(_) => None,
        });
        let Some((first, why)) = left.next() else {
            return self.end(JobEnd::Done, "nothing is left to evict");
        };
        let message = format!(
            "{} pods were left on the node, first {}/{}: {why}",
            1 + left.count(),
            first.metadata.namespace.as_deref().unwrap_or_default(),
            first.metadata.name.as_deref().unwrap_or_default(),
        );
        self.fail(JobEnd::Done, &message)
    }

    fn timeout(&self) -> Duration {
        match self.task {
            Task::Evict(_) => EVICT_TIMEOUT,
            Task::Drain(drain) => drain.timeout,
        }
    }

    /// The API server could not be asked: tried again at the next tick, until time is up.
    fn trouble(&mut self, job: &Job, message: &str) -> anyhow::Result<()> {
        self.desk.log.warn(
            "eviction",
            &[
                ("rule", Field::Text(self.rule)),
                ("problem", Field::Text(message)),
            ],
        );
        if self.record.worked_on(job, self.desk.now) >= self.timeout() {
            return self.fail(JobEnd::TimedOut, message);
        }
        Ok(())
    }

    fn fail(&mut self, end: JobEnd, message: &str) -> anyhow::Result<()> {
        self.finish(end, message, true)
    }

    fn end(&mut self, end: JobEnd, message: &str) -> anyhow::Result<()> {
        self.finish(end, message, false)
    }

    fn finish(&mut self, end: JobEnd, message: &str, failed: bool) -> anyhow::Result<()> {
        self.write(|job| job.end = Some(end))?;
        let what = match self.task {
            Task::Evict(_) => "evict",
            Task::Drain(_) => "drain",
        };
        self.passes.notes.push(JobNote {
            rule: self.rule.to_owned(),
            node: self.node.to_owned(),
            node_uid: self.record.uid.clone(),
            message: format!("{what}: {message}"),
            failed,
        });
        Ok(())
    }
}

fn reason(attempt: &PodAttempt) -> &str {
    match &attempt.result {
        PodResult::Waiting { reason, .. } | PodResult::Failed { reason } => reason,
        PodResult::Asked | PodResult::Evicted => "",
    }
}

/// Whether a pod uses up the number of pods that may be evicted. One whose answer was lost may have gone.
fn is_taken(result: &PodResult) -> bool {
    match result {
        PodResult::Asked | PodResult::Evicted => true,
        PodResult::Waiting { .. } | PodResult::Failed { .. } => false,
    }
}

fn is_waiting(pod: &EvictablePod, attempts: &[PodAttempt]) -> bool {
    let mut of_pod = attempts.iter().filter(|attempt| attempt.uid == pod.uid);
    of_pod.any(|attempt| matches!(attempt.result, PodResult::Waiting { .. }))
}

fn is_askable(earlier: Option<&PodResult>, now: Time) -> bool {
    match earlier {
        None | Some(PodResult::Asked) => true,
        Some(PodResult::Waiting { until, .. }) => *until <= now,
        Some(PodResult::Evicted | PodResult::Failed { .. }) => false,
    }
}

fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// Settles questions whose answer was lost: a pod that is going or gone was evicted, one that is still there was not.
fn settle(attempts: &mut Vec<PodAttempt>, pods: &[Pod]) {
    attempts.retain_mut(|attempt| {
        if attempt.result != PodResult::Asked {
            return true;
        }
        let there = pods.iter().find(|pod| uid(pod) == attempt.uid);
        let leaving = there.is_none_or(|pod| pod.metadata.deletion_timestamp.is_some());
        if leaving {
            attempt.result = PodResult::Evicted;
        }
        leaving
    });
}

fn is_ours_and_there(pod: &Pod, attempts: &[PodAttempt]) -> bool {
    attempts
        .iter()
        .any(|attempt| attempt.uid == uid(pod) && attempt.result == PodResult::Evicted)
}

/// The pods that may go, in the order in which they should.
fn candidates(pods: &[Pod], node: &str, task: &Task) -> Vec<EvictablePod> {
    let rules = rules(node, task);
    let mut chosen: Vec<EvictablePod> = pods
        .iter()
        .filter_map(|pod| evictable(pod, &rules).ok())
        .collect();
    order(&mut chosen);
    chosen
}

fn rules(node: &str, task: &Task) -> DrainRules {
    let (excluded_namespaces, mode) = match task {
        Task::Evict(evict) => (evict.exclude_namespaces.clone(), DrainMode::Evict),
        Task::Drain(drain) => (
            drain.exclude_namespaces.clone(),
            DrainMode::Drain {
                delete_empty_dir_data: drain.delete_empty_dir_data,
                force: drain.force,
            },
        ),
    };
    DrainRules {
        node: node.to_owned(),
        excluded_namespaces,
        mode,
    }
}

#[cfg(test)]
mod tests;
