//! Conditions: durations, gaps, unknown readings, logic.

use ng_engine::plan::{Happening, Input};

use crate::decide_support::{Story, events, happened};

/// A rule on `cpuLoadRatio > 1` that has to last.
fn lasting(duration: &str) -> String {
    format!("conditions: [{{metric: cpuLoadRatio, operator: '>', value: 1, duration: {duration}}}]")
}

/// Plays readings `^` (high), `_` (low) and `?` (unknown) at this distance; gives the phase after each.
fn play(rule: &str, seconds: u64, readings: &str) -> String {
    let mut story = Story::new(["n1", "n2"]).rule("hot", rule);
    let mut phases = String::new();
    for reading in readings.chars() {
        match reading {
            '^' => story.load("n1", 2.0),
            '_' => story.load("n1", 0.5),
            _ => story.silence("n1"),
        }
        story.after(seconds);
        phases.push(story.phase("hot", "n1"));
        assert_eq!(story.phase("hot", "n2"), '-', "a node without readings");
    }
    phases
}

#[test]
fn a_condition_has_to_be_true_for_its_duration() {
    for (duration, readings, phases) in [
        ("60s", "^^^", "--T"),
        ("61s", "^^^^", "---T"),
        ("0s", "^", "T"),
        ("0s", "?_?^", "---T"),
        ("60s", "^^_^^_^^^", "--------T"),
        // Unknown neither triggers nor starts again …
        ("60s", "????????", "--------"),
        ("60s", "^^?^", "---T"),
        ("60s", "^?^", "--T"),
        ("0s", "?", "-"),
        // … unless known samples are more than three intervals apart.
        ("60s", "^??^", "---T"),
        ("60s", "^???^^^", "------T"),
        ("60s", "^^???^^^", "-------T"),
    ] {
        assert_eq!(
            play(&lasting(duration), 30, readings),
            phases,
            "{duration} {readings}"
        );
    }
}

#[test]
fn evaluations_too_far_apart_start_the_timer_again() {
    for (seconds, readings, phases) in [
        (90, "^^", "-T"),
        (91, "^^^^", "----"),
        // A node stays triggered over any gap, and its way back starts again.
        (90, "^^_^", "-TRT"),
    ] {
        assert_eq!(
            play(&lasting("60s"), seconds, readings),
            phases,
            "{seconds} {readings}"
        );
    }
    let mut story = Story::new(["n1"]).rule("hot", &lasting("60s"));
    story.load("n1", 2.0);
    story.repeat(3, 30);
    story.load("n1", 0.5);
    assert_eq!(story.phase("hot", "n1"), 'T');
    story.after(30);
    story.after(600);
    assert_eq!(
        story.phase("hot", "n1"),
        'R',
        "nobody looked for ten minutes"
    );
    story.repeat(2, 30);
    assert_eq!(story.phase("hot", "n1"), '-');
}

#[test]
fn without_recovery_conditions_the_logic_has_to_be_false_for_the_longest_duration() {
    for (readings, phases) in [
        ("^^^___", "--TRR-"),
        ("^^^_^___", "--TRTRR-"),
        // Unknown recovers nothing, and it is no relapse either.
        ("^^^???????", "--TTTTTTTT"),
        ("^^^_?_", "--TRR-"),
        ("^^^__?_", "--TRRR-"),
        ("^^^_???___", "--TRRRRRR-"),
    ] {
        assert_eq!(play(&lasting("60s"), 30, readings), phases, "{readings}");
    }
    let longest = "conditions:
  - {metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}
  - {metric: cpuLoadRatio, operator: '>', value: 0, duration: 90s}";
    assert_eq!(play(longest, 30, "^^^^____"), "---TRRR-");
    assert_eq!(play(&lasting("0s"), 30, "^_"), "T-");
}

#[test]
fn recovery_conditions_have_thresholds_and_durations_of_their_own() {
    let rule = "conditions: [{metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}]
recoveryConditions: [{metric: cpuLoadRatio, operator: '<', value: 0.6, duration: 60s}]";
    for (readings, phases) in [
        ("^___", "TRR-"),
        ("^__^___", "TRRTRR-"),
        ("^????", "TTTTT"),
        ("^_?_", "TRR-"),
        ("^_???___", "TRRRRRR-"),
    ] {
        assert_eq!(play(rule, 30, readings), phases, "{readings}");
    }
    let mut story = Story::new(["n1"]).rule("hot", rule);
    story.load("n1", 2.0);
    story.after(30);
    story.load("n1", 0.8);
    story.repeat(10, 30);
    assert_eq!(
        story.phase("hot", "n1"),
        'T',
        "below the trigger, above the recovery"
    );
}

#[test]
fn the_words_of_the_author_go_with_a_condition_into_the_alert() {
    let rule = "conditions:
  - {metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s, description: ' too hot '}
  - {metric: cpuLoadRatio, operator: '>', value: 0, duration: 0s, description: ' '}
recoveryConditions: [{metric: cpuLoadRatio, operator: '<', value: 0.6, duration: 0s, description: cool again}]
actions: [{type: alert}]
recoveryActions: [{type: alert}]";
    let mut story = Story::new(["n1"]).rule("hot", rule);
    for (load, want) in [
        (2.0, &["too hot", "cpuLoadRatio > 0"][..]),
        (0.5, &["cool again"]),
    ] {
        story.load("n1", load);
        let plan = story.after(600);
        let inputs = &plan.alerts[0].conditions;
        let words: Vec<&str> = inputs.iter().map(Input::words).collect();
        assert_eq!(words, want);
    }
}

/// Sets both metrics of `n1` to high, low or unknown.
fn both(story: &mut Story, cpu: char, memory: char) {
    story.silence("n1");
    for (metric, state) in [("cpuLoadRatio", cpu), ("memoryUtilizationPercent", memory)] {
        match state {
            '^' => story.metric(metric, "n1", 99.0),
            '_' => story.metric(metric, "n1", 0.0),
            _ => {}
        }
    }
}

#[test]
fn and_and_or_know_three_values() {
    // cpu, memory, AND, OR: `^` true, `_` false, `?` unknown.
    let table = [
        "^^^^", "^__^", "_^_^", "____", "^??^", "?^?^", "_?_?", "?__?", "????",
    ];
    for row in table {
        let row: Vec<char> = row.chars().collect();
        for (logic, truth) in [("AND", row[2]), ("OR", row[3])] {
            let rule = format!(
                "conditions:
  - {{metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}}
  - {{metric: memoryUtilizationPercent, operator: '>', value: 1, duration: 0s}}
conditionLogic: {logic}"
            );
            let mut story = Story::new(["n1"]).rule("hot", &rule);
            both(&mut story, row[0], row[1]);
            let plan = story.after(30);
            assert_eq!(
                story.is_triggered("hot", "n1"),
                truth == '^',
                "{logic} {row:?}"
            );
            assert_eq!(
                plan.evaluated[0].unknown,
                usize::from(truth == '?'),
                "{logic} {row:?}"
            );
            assert_eq!(plan.evaluated[0].unknown_example.is_some(), truth == '?');
            let mut story = Story::new(["n1"]).rule("hot", &rule);
            both(&mut story, '^', '^');
            story.after(30);
            both(&mut story, row[0], row[1]);
            story.after(30);
            assert_eq!(
                story.is_triggered("hot", "n1"),
                truth != '_',
                "recovery of {logic} {row:?}"
            );
            let rule = format!(
                "conditions: [{{nodeCondition: Ready, status: ['True'], duration: 0s}}]
recoveryConditions:
  - {{metric: cpuLoadRatio, operator: '>', value: 1, duration: 0s}}
  - {{metric: memoryUtilizationPercent, operator: '>', value: 1, duration: 0s}}
recoveryConditionLogic: {logic}"
            );
            let mut story = Story::new(["n1"]).rule("hot", &rule);
            story.after(30);
            both(&mut story, row[0], row[1]);
            story.after(30);
            assert_eq!(
                story.is_triggered("hot", "n1"),
                truth != '^',
                "recovery conditions with {logic} {row:?}"
            );
        }
    }
}

#[test]
fn every_comparison_is_exact_at_its_threshold() {
    for (signs, below, equal, above) in [
        ([">", "GreaterThan"], '-', '-', 'T'),
        ([">=", "GreaterThanOrEqual"], '-', 'T', 'T'),
        (["<", "LessThan"], 'T', '-', '-'),
        (["<=", "LessThanOrEqual"], 'T', 'T', '-'),
        (["==", "EqualTo"], '-', 'T', '-'),
        (["!=", "NotEqualTo"], 'T', '-', 'T'),
    ] {
        for sign in signs {
            let rule = format!(
                "conditions: [{{metric: cpuLoadRatio, operator: '{sign}', value: 1.5, duration: 0s}}]"
            );
            for (value, phase) in [
                (1.4, below),
                (1.5, equal),
                (1.499_999_999_9, equal),
                (1.6, above),
                (f64::NAN, '-'),
                (f64::INFINITY, '-'),
            ] {
                let mut story = Story::new(["n1"]).rule("hot", &rule);
                story.load("n1", value);
                let plan = story.after(30);
                assert_eq!(story.phase("hot", "n1"), phase, "{value} {sign} 1.5");
                assert_eq!(plan.evaluated[0].unknown, usize::from(!value.is_finite()));
            }
        }
    }
}

#[test]
fn node_conditions_are_watched_like_readings() {
    let rule =
        "conditions: [{nodeCondition: DiskPressure, status: ['True', Unknown], duration: 60s}]";
    for (statuses, phases) in [
        (vec!["True", "True", "True"], "--T"),
        (vec!["True", "Unknown", "True"], "--T"),
        (vec!["True", "False", "True", "True"], "----"),
        (vec!["", "", ""], "---"),
        (vec!["True", "", "True", "False", "", "False"], "--TRR-"),
    ] {
        let mut story = Story::new(["n1"]).rule("hot", rule);
        let mut seen = String::new();
        for status in &statuses {
            story.node("n1").conditions.remove("DiskPressure");
            if !status.is_empty() {
                story.node("n1").condition("DiskPressure", status);
            }
            story.after(30);
            seen.push(story.phase("hot", "n1"));
        }
        assert_eq!(seen, phases, "{statuses:?}");
    }
}

#[test]
fn a_step_of_the_clock_neither_triggers_nor_blocks() {
    let mut story = Story::new(["n1"]).rule("hot", &lasting("60s"));
    story.load("n1", 2.0);
    story.after(30);
    let before = story.now;
    // An hour back: the timer starts again.
    story.now = story.now.minus(std::time::Duration::from_hours(1));
    story.evaluate();
    story.after(30);
    assert_eq!(story.phase("hot", "n1"), '-');
    story.after(30);
    assert_eq!(story.phase("hot", "n1"), 'T');
    // A year ahead and back: repeats go on.
    story.now = before.plus(std::time::Duration::from_hours(24 * 365));
    story.repeat(3, 30);
    story.now = before;
    story.evaluate();
    let plan = story.repeat(21, 30);
    assert!(
        story.plans[story.plans.len() - 3..]
            .iter()
            .any(|plan| happened(plan, "n1", Happening::Repeated)),
        "{:?}",
        events(&plan)
    );
}

#[test]
fn a_triggered_node_is_not_pending() {
    let mut story = Story::new(["n1", "n2"]).rule("hot", &lasting("60s"));
    story.load("n1", 2.0);
    story.repeat(3, 30);
    story.load("n1", 0.5);
    story.after(30);
    for node in ["n1", "n2"] {
        story.load(node, 2.0);
    }
    let plan = story.after(30);
    assert_eq!(plan.evaluated[0].pending, 1, "n2 alone");
}

#[test]
fn a_spike_of_one_sample_does_nothing() {
    let mut story = Story::new(["n1"]).rule("hot", &lasting("30s"));
    for _ in 0..20 {
        story.load("n1", 9.0);
        let plan = story.after(30);
        assert!(plan.decisions.is_empty(), "{:?}", events(&plan));
        story.load("n1", 0.0);
        story.after(30);
    }
}
