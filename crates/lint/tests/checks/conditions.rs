//! Conditions, durations and recoveries.

use crate::support::{check, rule};

#[test]
fn conditions_that_can_never_hold() {
    let conditions = |logic: &str, conditions: &str| {
        rule(
            "r",
            &format!("conditionLogic: {logic}\nconditions: [{conditions}]"),
        )
    };
    let cpu = |operator: &str, value: &str| {
        format!("{{metric: cpuUtilizationPercent, operator: '{operator}', value: {value}}}")
    };
    let ready = |status: &str| format!("{{nodeCondition: Ready, status: [{status}]}}");
    let never =
        |level: &str, index: usize| format!("{level} unreachable spec.conditions[{index}].value");
    check(&[
        (conditions("AND", &cpu(">", "99.9")), &[]),
        (conditions("AND", &cpu(">=", "100")), &[]),
        (conditions("AND", &cpu(">", "100")), &[&never("error", 0)]),
        (conditions("AND", &cpu(">=", "101")), &[&never("error", 0)]),
        (conditions("AND", &cpu("<", "0")), &[&never("error", 0)]),
        (conditions("AND", &cpu("==", "-1")), &[&never("error", 0)]),
        (
            conditions("OR", &format!("{}, {}", cpu(">", "100"), cpu(">", "90"))),
            &[&never("warning", 0)],
        ),
        (
            conditions("AND", &cpu(">=", "0")),
            &["warning always-true spec.conditions[0].value"],
        ),
        (
            conditions("AND", &cpu("!=", "200")),
            &["warning always-true spec.conditions[0].value"],
        ),
        (conditions("AND", &cpu("!=", "0")), &[]),
        (
            conditions("AND", "{metric: cpuLoadRatio, operator: '>', value: 500}"),
            &[],
        ),
        (
            conditions("AND", "{metric: cpuLoadRatio, operator: '<', value: 0}"),
            &[&never("error", 0)],
        ),
        (
            conditions("AND", &format!("{}, {}", cpu(">", "80"), cpu("<", "90"))),
            &[],
        ),
        (
            conditions("AND", &format!("{}, {}", cpu(">", "80"), cpu("<", "70"))),
            &["error unreachable spec.conditions[1]"],
        ),
        (
            conditions("AND", &format!("{}, {}", cpu(">=", "80"), cpu("<=", "80"))),
            &[],
        ),
        (
            conditions("AND", &format!("{}, {}", cpu(">", "80"), cpu("<=", "80"))),
            &["error unreachable spec.conditions[1]"],
        ),
        (
            conditions("AND", &format!("{}, {}", cpu("==", "80"), cpu("!=", "80"))),
            &["error unreachable spec.conditions[1]"],
        ),
        (
            conditions("OR", &format!("{}, {}", cpu(">", "80"), cpu("<", "70"))),
            &[],
        ),
        (
            conditions(
                "AND",
                &format!("{}, {}", ready("'True'"), ready("'False', Unknown")),
            ),
            &["error unreachable spec.conditions[1]"],
        ),
        (
            conditions(
                "AND",
                &format!(
                    "{}, {}",
                    ready("'True', Unknown"),
                    ready("'False', Unknown")
                ),
            ),
            &[],
        ),
        (
            conditions("AND", &format!("{}, {}", cpu(">", "80"), cpu(">", "80"))),
            &["warning duplicate spec.conditions[1]"],
        ),
        (
            conditions("AND", &format!("{}, {}", cpu(">", "80"), cpu(">", "81"))),
            &[],
        ),
    ]);
}

#[test]
fn durations_shorter_than_the_check_interval() {
    let condition = |duration: &str, interval: &str| {
        rule(
            "r",
            &format!(
                "monitoring: {{checkInterval: {interval}}}\nconditions: [{{metric: cpuLoadRatio, operator: '>', value: 2, duration: {duration}}}]"
            ),
        )
    };
    check(&[
        (
            condition("10s", "1m"),
            &["warning short-duration spec.conditions[0].duration"],
        ),
        (condition("1m", "1m"), &[]),
        (condition("0s", "1m"), &[]),
        (
            condition("29s", "''"),
            &["warning short-duration spec.conditions[0].duration"],
        ),
    ]);
}

#[test]
fn recoveries_that_hold_while_the_trigger_does() {
    let both = |logic: &str, trigger: &str, recovery_logic: &str, recovery: &str| {
        let list = |tests: &str| {
            let one = |test: &str| {
                let words: Vec<&str> = test.split_whitespace().collect();
                format!(
                    "{{metric: {}, operator: '{}', value: {}}}",
                    words[0], words[1], words[2]
                )
            };
            tests.split(',').map(one).collect::<Vec<_>>().join(", ")
        };
        rule(
            "r",
            &format!(
                "conditionLogic: {logic}\nconditions: [{}]\nrecoveryConditionLogic: {recovery_logic}\nrecoveryConditions: [{}]",
                list(trigger),
                list(recovery)
            ),
        )
    };
    let (cpu, mem) = ("cpuUtilizationPercent", "memoryUtilizationPercent");
    check(&[
        (
            both("AND", &format!("{cpu} > 80"), "AND", &format!("{cpu} < 70")),
            &[],
        ),
        (
            both(
                "AND",
                &format!("{cpu} > 80"),
                "AND",
                &format!("{cpu} <= 80"),
            ),
            &[],
        ),
        (
            both("AND", &format!("{cpu} > 80"), "AND", &format!("{cpu} < 90")),
            &["error recovery-overlap spec.recoveryConditions[0]"],
        ),
        (
            both(
                "AND",
                &format!("{cpu} >= 80"),
                "AND",
                &format!("{cpu} <= 80"),
            ),
            &["error recovery-overlap spec.recoveryConditions[0]"],
        ),
        (
            both(
                "AND",
                &format!("{cpu} > 80,{mem} > 90"),
                "AND",
                &format!("{cpu} < 70"),
            ),
            &[],
        ),
        (
            both(
                "AND",
                &format!("{cpu} > 80,{mem} > 90"),
                "OR",
                &format!("{cpu} < 70,{mem} < 80"),
            ),
            &[],
        ),
        (
            both(
                "OR",
                &format!("{cpu} > 80,{mem} > 90"),
                "AND",
                &format!("{cpu} < 70,{mem} < 80"),
            ),
            &[],
        ),
        (
            both(
                "OR",
                &format!("{cpu} > 80,{mem} > 90"),
                "OR",
                &format!("{cpu} < 70,{mem} < 80"),
            ),
            &["warning recovery-overlap spec.recoveryConditions"],
        ),
        (
            both(
                "OR",
                &format!("{cpu} > 80,{mem} > 90"),
                "AND",
                &format!("{cpu} < 70"),
            ),
            &["warning recovery-overlap spec.recoveryConditions"],
        ),
        (
            both("AND", &format!("{cpu} > 80"), "AND", &format!("{mem} < 50")),
            &["warning recovery-overlap spec.recoveryConditions"],
        ),
        (
            both(
                "AND",
                &format!("{cpu} > 80"),
                "AND",
                &format!("{cpu} < 70,{cpu} > 75"),
            ),
            &["error unreachable spec.recoveryConditions[1]"],
        ),
        (
            both("AND", &format!("{cpu} > 80"), "AND", &format!("{cpu} < 0")),
            &["error unreachable spec.recoveryConditions[0].value"],
        ),
    ]);
    check(&[
        (
            rule(
                "r",
                "conditions: [{nodeCondition: Ready, status: ['False', Unknown]}]\nrecoveryConditions: [{nodeCondition: Ready, status: ['True']}]",
            ),
            &[],
        ),
        (
            rule(
                "r",
                "conditions: [{nodeCondition: Ready, status: ['False', Unknown]}]\nrecoveryConditions: [{nodeCondition: Ready, status: ['True', Unknown]}]",
            ),
            &["error recovery-overlap spec.recoveryConditions[0]"],
        ),
    ]);
}
