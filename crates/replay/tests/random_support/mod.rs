//! A scenario from a seed: ten minutes in which anything may happen, then six in which nothing does.

use std::fmt::Write as _;

/// When load and trouble end.
const CALM: u64 = 600;
/// When nothing may be left or written any more.
const SETTLED: u64 = CALM + 270;
const END: u64 = CALM + 360;
/// Seconds between readings.
const STEP: u64 = 30;

/// xorshift64*: the same numbers everywhere.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            dice.next();
        }
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let count = words.len() as u64;
        words[usize::try_from(self.below(count)).unwrap()]
    }
}

/// What a scenario is made of, besides chance.
struct Plot {
    rules: u64,
    nodes: u64,
    limit: u64,
    /// Whether people cordon nodes and nodes get lost: then more nodes may be held than the limit says, since those
    /// are in the count already.
    outages: bool,
}

/// The scenario of a seed, as YAML.
pub(crate) fn scenario(seed: u64) -> String {
    let mut dice = Dice::new(seed);
    let plot = Plot {
        rules: 1 + dice.below(3),
        nodes: 2 + dice.below(4),
        limit: 1 + dice.below(2),
        outages: dice.one_in(3),
    };
    let mut text = format!(
        "name: seed {seed}\nduration: {END}s\nconfig: {{safety: {{maxNodes: {}}}}}\nrecoveryManager: {}\nrules:\n",
        plot.limit,
        dice.one_in(2)
    );
    for rule in 0..plot.rules {
        text.push_str(&self::rule(rule, &mut dice));
    }
    let _ = writeln!(
        text,
        "nodes: [{{name: 'n-{{i}}', count: {}, labels: {{l0: theirs}}, taints: ['other=theirs:NoSchedule']}}]",
        plot.nodes
    );
    let _ = writeln!(text, "series:\n  step: {STEP}s\n  metrics:");
    for metric in ["cpuUtilizationPercent", "memoryUtilizationPercent"] {
        let _ = writeln!(text, "    {metric}:");
        for node in 1..=plot.nodes {
            let _ = writeln!(text, "      n-{node}: \"{}10\"", load(&mut dice));
        }
    }
    text.push_str("events:\n");
    let exact = events(&plot, &mut dice, &mut text);
    expectations(&plot, exact, &mut text);
    text
}

fn rule(number: u64, dice: &mut Dice) -> String {
    let metric = dice.pick(&["cpuUtilizationPercent", "memoryUtilizationPercent"]);
    let duration = dice.pick(&["0s", "0s", "1m", "2m"]);
    let mut actions = Vec::new();
    let key = dice.pick(&["k0", "k1"]);
    let effect = dice.pick(&["NoSchedule", "NoSchedule", "NoExecute", "PreferNoSchedule"]);
    let label = dice.pick(&["l0", "l1"]);
    let value = dice.pick(&["", "", "-{{timestamp}}"]);
    for action in [
        format!("{{type: taint, taint: {{key: {key}, value: v{number}, effect: {effect}}}}}"),
        "{type: cordon}".to_owned(),
        format!("{{type: label, label: {{labels: {{{label}: 'v{number}{value}'}}}}}}"),
        format!("{{type: annotation, annotation: {{annotations: {{a: v{number}}}}}}}"),
        "{type: alert, alert: {channels: [log]}}".to_owned(),
    ] {
        if dice.one_in(2) {
            let position = usize::try_from(dice.below(actions.len() as u64 + 1)).unwrap();
            actions.insert(position, action);
        }
    }
    if actions.is_empty() {
        actions.push("{type: cordon}".to_owned());
    }
    let recovery = match dice.below(3) {
        0 => String::new(),
        1 => format!(
            "      recoveryConditions: [{{metric: {metric}, operator: '<', value: 50, duration: {}}}]\n",
            dice.pick(&["0s", "30s", "1m"])
        ),
        _ => format!(
            "      recoveryConditions: [{{metric: {metric}, operator: '<', value: 80, duration: 0s}}]\n"
        ),
    };
    let monitoring = format!(
        "{{checkInterval: {}, cooldownPeriod: {}, recoveryCooldownPeriod: {}}}",
        dice.pick(&["15s", "30s", "1m"]),
        dice.pick(&["0s", "1m", "3m"]),
        dice.pick(&["0s", "0s", "30s"])
    );
    format!(
        "  - name: r{number}
    spec:
      conditions: [{{metric: {metric}, operator: '>', value: 80, duration: {duration}}}]
      actions: [{}]
{recovery}      recoveryActions: [{{type: removeTaint, taint: {{key: k0}}}}, {{type: untaint, untaint: {{key: k1}}}}, \
         {{type: removeLabel, label: {{keys: [l0, l1]}}}}, {{type: uncordon}}, \
         {{type: removeAnnotation, annotation: {{keys: [a]}}}}]
      monitoring: {monitoring}
      metadata: {{priority: {}}}\n",
        actions.join(", "),
        dice.pick(&["5", "10", "10", "20"])
    )
}

/// Readings up to the calm, in runs.
fn load(dice: &mut Dice) -> String {
    let mut text = String::new();
    let mut left = CALM / STEP;
    while left > 0 {
        let run = (1 + dice.below(6)).min(left);
        let value = dice.pick(&["95", "95", "40", "40", "_"]);
        for _ in 0..run {
            let _ = write!(text, "{value} ");
        }
        left -= run;
    }
    text
}

/// Trouble; gives whether the limit held at every moment.
fn events(plot: &Plot, dice: &mut Dice, text: &mut String) -> bool {
    let mut exact = !plot.outages;
    let mut delayed = false;
    // When statuses tell again what was done: after a loss they are written anew within a minute.
    let mut told_at = 0;
    let mut at = 20 + dice.below(60);
    while at < CALM {
        let node = 1 + dice.below(plot.nodes);
        let rule = dice.below(plot.rules);
        let event = match dice.below(16) {
            0 => format!(
                "configure: {{safety: {{paused: {}}}}}",
                dice.pick(&["true", "false"])
            ),
            1 => {
                let lost = dice.one_in(2);
                told_at = if lost { CALM } else { at + 80 };
                format!("losePatches: {lost}")
            }
            2 => {
                delayed = true;
                format!("delaySnapshots: {}", dice.pick(&["0", "1", "3", "9"]))
            }
            3 | 4 if at >= told_at => {
                // What was set within the delay is not known to a state that begins anew.
                exact &= !delayed;
                "wipeState: true".to_owned()
            }
            5 => format!("replaceNode: n-{node}"),
            6 => format!("disableRule: r{rule}"),
            7 => format!("enableRule: r{rule}"),
            8 => format!(
                "editRule: {{name: r{rule}, spec: {{metadata: {{priority: {}, dryRun: {}}}}}}}",
                dice.pick(&["5", "10", "20"]),
                dice.pick(&["false", "false", "true"])
            ),
            9 => format!("prometheus: {}", dice.pick(&["up", "down"])),
            10 => format!(
                "patchNode: {{name: n-{node}, removeTaints: [k0, k1], labels: {{l1: null}}}}"
            ),
            11 => format!(
                "patchNode: {{name: n-{node}, annotations: {{nodeguardian.io/ignore: {}}}}}",
                dice.pick(&["'true'", "null"])
            ),
            12 if plot.outages => format!(
                "patchNode: {{name: n-{node}, conditions: {{Ready: '{}'}}}}",
                dice.pick(&["True", "False", "Unknown"])
            ),
            13 => format!("patchNode: {{name: n-{node}, unschedulable: false}}"),
            14 => format!("hideRules: {}", dice.pick(&["true", "false"])),
            _ => format!("controller: {}", dice.pick(&["up", "down", "up"])),
        };
        let _ = writeln!(text, "  - {{at: {at}s, {event}}}");
        at += 5 + dice.below(90);
    }
    calm(plot, text);
    exact
}

/// The end of all trouble.
fn calm(plot: &Plot, text: &mut String) {
    let _ = writeln!(
        text,
        "  - {{at: {CALM}s, losePatches: false, prometheus: up, controller: up, hideRules: false, delaySnapshots: 0, \
         configure: {{safety: {{paused: false}}}}, patchNode: {{name: '*', annotations: \
         {{nodeguardian.io/ignore: null}}, conditions: {{Ready: 'True'}}}}}}"
    );
    for rule in 0..plot.rules {
        let _ = writeln!(text, "  - {{at: {CALM}s, enableRule: r{rule}}}");
    }
}

fn expectations(plot: &Plot, exact: bool, text: &mut String) {
    let _ = write!(
        text,
        "expect:
  - {{at: {END}s, node: '*', noTaints: [k0, k1], taints: ['other=theirs:NoSchedule'], \
         labels: {{l0: theirs, l1: null}}, annotations: {{a: null}}, unschedulable: false}}
  - {{from: {SETTLED}s, at: {END}s, patches: 0, alerts: 0}}
"
    );
    for rule in 0..plot.rules {
        let _ = writeln!(
            text,
            "  - {{at: {END}s, rule: r{rule}, node: '*', phase: Healthy}}"
        );
    }
    if exact {
        let _ = writeln!(text, "  - {{at: {END}s, held: '<={}'}}", plot.limit);
    }
}
