//! The scenario: load that changes all the time, under rules that share marks and nodes.

use std::fmt::Write as _;

use super::{CALM, LIMIT, NODES, PHASE, ROUND};
use crate::scenario::{Scenario, parse};

/// xorshift64*.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed * 2 + 1)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) % limit
    }

    /// Whether the one case of so many has come.
    pub(super) fn one_in(&mut self, cases: u64) -> bool {
        self.below(cases) == 0
    }
}

/// Load that changes every [`PHASE`] rounds, under rules that share marks and nodes.
pub(super) fn scenario(seed: u64, rounds: usize) -> Scenario {
    let mut dice = Dice::new(seed);
    let step = ROUND * PHASE as u64;
    let mut text = format!(
        "duration: {}s
config: {{safety: {{maxNodes: {LIMIT}}}}}
rules:
  - name: hot
    spec:
      conditions: [{{metric: cpuUtilizationPercent, operator: '>', value: 80, duration: 0s}}]
      actions: [{{type: taint, taint: {{key: k, value: hot, effect: NoSchedule}}}}, {{type: label, label: {{labels: {{l: hot}}}}}}, \
{{type: alert, alert: {{channels: [log]}}}}]
      recoveryActions: [{{type: removeTaint, taint: {{key: k}}}}, {{type: removeLabel, label: {{keys: [l]}}}}, \
{{type: alert, alert: {{channels: [log]}}}}]
      monitoring: {{checkInterval: 5s, cooldownPeriod: 0s, recoveryCooldownPeriod: 0s}}
  - name: full
    spec:
      conditions: [{{metric: memoryUtilizationPercent, operator: '>', value: 80, duration: 5s}}]
      actions: [{{type: cordon}}, {{type: taint, taint: {{key: k, value: full, effect: NoSchedule}}}}, \
{{type: alert, alert: {{channels: [log]}}}}]
      recoveryConditions: [{{metric: memoryUtilizationPercent, operator: '<', value: 50, duration: 5s}}]
      recoveryActions: [{{type: untaint, untaint: {{key: k}}}}, {{type: uncordon}}, {{type: alert, alert: {{channels: [log]}}}}]
      monitoring: {{checkInterval: 10s, cooldownPeriod: 0s, recoveryCooldownPeriod: 0s}}
      metadata: {{priority: 10}}
nodes: [{{name: 'n-{{i}}', count: {NODES}, labels: {{l: theirs}}, taints: ['other=theirs:NoSchedule']}}]
series:
  step: {step}s
  metrics:
",
        (rounds + CALM) as u64 * ROUND
    );
    for metric in ["cpuUtilizationPercent", "memoryUtilizationPercent"] {
        let _ = writeln!(text, "    {metric}:");
        for node in 1..=NODES {
            let _ = write!(text, "      n-{node}: \"");
            for _ in 0..rounds.div_ceil(PHASE) {
                text.push_str(if dice.below(3) == 0 { "95 " } else { "10 " });
            }
            text.push_str("10\"\n");
        }
    }
    text.push_str("expect: []\n");
    parse("together", &text, &|_| Err(String::new())).unwrap_or_else(|lines| panic!("{lines:#?}"))
}
