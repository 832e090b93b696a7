//! The built-in words, in English and Chinese: for alerts without a template, and for those whose template cannot be
//! used.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ng_config::{Language, duration};
use ng_engine::history::Guard;
use ng_engine::plan::{AlertKind, Input, Seen};

use super::facts::Facts;
use super::words::{SUMMARY_CHARS, Words, cut};
use crate::message::NodeFacts;

/// The most nodes that are named with their readings; the rest is counted.
const NAMED: usize = 20;

/// The built-in words for these facts.
pub(super) fn words(facts: &Facts<'_>, language: Language) -> Words {
    let language = facts
        .notice()
        .and_then(|notice| notice.language.parse().ok())
        .unwrap_or(language);
    Words {
        title: title(facts, language),
        summary: summary(facts, language),
        body: body(facts, language),
        html: None,
    }
}

/// One text in the language wanted.
const fn say(language: Language, english: &'static str, chinese: &'static str) -> &'static str {
    match language {
        Language::English => english,
        Language::Chinese => chinese,
    }
}

fn title(facts: &Facts<'_>, language: Language) -> String {
    if let ([_], Some(notice)) = (facts.nodes.as_slice(), facts.notice()) {
        return notice.title.clone();
    }
    if facts.notice().is_some() {
        return several_notices(facts, language);
    }
    let what = what_happened(facts, language);
    let title = match language {
        Language::English => format!("{}: {what}", facts.rule),
        Language::Chinese => format!("{}：{what}", facts.rule),
    };
    if facts.dry_run {
        return title + say(language, " (dry run)", "（演练）");
    }
    title
}

/// Alerts that came with words of their own, together: how bad, what, and who first.
fn several_notices(facts: &Facts<'_>, language: Language) -> String {
    let mark = match facts.kind {
        AlertKind::Recovery => say(language, "RESOLVED", "恢复").to_owned(),
        AlertKind::Trigger | AlertKind::Repeat => match language {
            Language::English => severity(facts, language).to_uppercase(),
            Language::Chinese => severity(facts, language).to_owned(),
        },
    };
    let what = facts.rule_description;
    let first = facts.nodes.first().map_or("", NodeFacts::name);
    let more = facts.nodes.len().saturating_sub(1);
    match language {
        Language::English => format!("[{mark}] {what}: {first} and {more} more"),
        Language::Chinese => format!("【{mark}】{what}：{first} 等 {} 个", more + 1),
    }
}

/// What is told, in a word or two.
const fn status(kind: AlertKind, language: Language) -> &'static str {
    match kind {
        AlertKind::Trigger => say(language, "triggered", "已触发"),
        AlertKind::Repeat => say(language, "still triggered", "仍未恢复"),
        AlertKind::Recovery => say(language, "recovered", "已恢复"),
    }
}

/// Who did what, such as `node-1 triggered`.
fn what_happened(facts: &Facts<'_>, language: Language) -> String {
    let first = facts.nodes.first().map_or("", NodeFacts::name);
    let total = facts.nodes.len();
    let status = status(facts.kind, language);
    // "worker-1 is still triggered", but "worker-1 triggered".
    let verb = match (facts.kind, total > 1) {
        (AlertKind::Repeat, false) => "is ",
        (AlertKind::Repeat, true) => "are ",
        (AlertKind::Trigger | AlertKind::Recovery, _) => "",
    };
    match (language, total > 1) {
        _ if total == 0 => status.to_owned(),
        (Language::English, false) => format!("{first} {verb}{status}"),
        (Language::English, true) => format!("{total} nodes {verb}{status}, first {first}"),
        (Language::Chinese, false) => format!("节点 {first} {status}"),
        (Language::Chinese, true) => format!("{total} 个节点{status}，首个为 {first}"),
    }
}

/// What happened, and why where it is one node.
fn summary(facts: &Facts<'_>, language: Language) -> String {
    let mut text = title(facts, language);
    if let ([only], None) = (facts.nodes.as_slice(), facts.notice()) {
        let inputs = only.inputs();
        let seen: Vec<String> = inputs.filter_map(|input| reading(&input)).collect();
        if !seen.is_empty() {
            text.push_str(say(language, "; ", "；"));
            text.push_str(&seen.join(say(language, ", ", "，")));
        }
    }
    cut(&text, SUMMARY_CHARS)
}

fn body(facts: &Facts<'_>, language: Language) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        if !value.is_empty() {
            let colon = say(language, ": ", "：");
            // Writing into a text cannot fail.
            let _ = writeln!(text, "{name}{colon}{value}");
        }
    };
    row(
        say(language, "Status", "状态"),
        status(facts.kind, language),
    );
    if let [only] = facts.nodes.as_slice() {
        row(say(language, "Node", "节点"), only.name());
    }
    match (facts.notice(), facts.nodes.len()) {
        (None, _) => row(say(language, "Rule", "规则"), &rule(facts, language)),
        (Some(notice), 1) => row(say(language, "Alert", "告警"), &notice.key),
        (Some(_), _) => row(say(language, "Alert", "告警"), facts.rule_description),
    }
    row(
        say(language, "Cluster", "集群"),
        facts.cluster.unwrap_or_default(),
    );
    row(say(language, "Severity", "级别"), severity(facts, language));
    row(say(language, "Time", "时间"), &facts.at.to_string());
    row(say(language, "Since", "开始于"), &since(facts, language));
    match facts.nodes.as_slice() {
        [only] => one_node(&mut text, only, language),
        [] => {}
        many => many_nodes(&mut text, many, language),
    }
    held_back(&mut text, facts, language);
    if facts.dry_run {
        text.push_str(say(
            language,
            "Dry run: nothing in the cluster was changed.\n",
            "演练：未对集群做任何更改。\n",
        ));
    }
    text.truncate(text.trim_end().len());
    text
}

fn rule(facts: &Facts<'_>, language: Language) -> String {
    match (facts.rule_description, language) {
        ("", _) => facts.rule.to_owned(),
        (description, Language::English) => format!("{} ({description})", facts.rule),
        (description, Language::Chinese) => format!("{}（{description}）", facts.rule),
    }
}

fn severity(facts: &Facts<'_>, language: Language) -> &'static str {
    use ng_engine::rule::Severity;
    match facts.severity {
        Severity::Info => say(language, "info", "信息"),
        Severity::Warning => say(language, "warning", "警告"),
        Severity::Critical => say(language, "critical", "严重"),
    }
}

/// When it began, for how long it has lasted, and how often it was told; nothing at the first alert of one episode.
fn since(facts: &Facts<'_>, language: Language) -> String {
    let lasted = facts.at.since(facts.since);
    if lasted.is_zero() && facts.repeats == 0 {
        return String::new();
    }
    // Whole seconds: nobody reads more of an hour.
    let lasted = duration::format(std::time::Duration::from_secs(lasted.as_secs()));
    let since = facts.since;
    let repeats = facts.repeats;
    match (language, repeats) {
        (Language::English, 0) => format!("{since} (for {lasted})"),
        (Language::English, 1) => format!("{since} (for {lasted}, repeated once)"),
        (Language::English, _) => format!("{since} (for {lasted}, repeated {repeats} times)"),
        (Language::Chinese, 0) => format!("{since}（持续 {lasted}）"),
        (Language::Chinese, _) => format!("{since}（持续 {lasted}，已重复 {repeats} 次）"),
    }
}

fn one_node(text: &mut String, node: &NodeFacts, language: Language) {
    // Where words came with the alert, they say it better than a status.
    let said = |input: &Input| node.notice().is_none() || matches!(input.seen, Seen::Value { .. });
    let conditions: Vec<String> = node
        .inputs()
        .filter(said)
        .map(|input| condition(&input, language))
        .collect();
    list(text, say(language, "Conditions:", "条件："), &conditions);
    if let Some(notice) = node.notice().filter(|notice| !notice.text.is_empty()) {
        text.push_str(&notice.text);
        text.push('\n');
    }
    let actions: Vec<String> = node
        .actions()
        .iter()
        .map(|action| format!("{}: {}", action.kind, action.description))
        .collect();
    list(text, say(language, "Actions:", "动作："), &actions);
    let pods: Vec<String> = node
        .top_pods()
        .iter()
        .map(|pod| {
            let (cpu, memory) = (cpu_text(pod.cpu), memory_text(pod.memory));
            format!("{}/{}: CPU {cpu}, {memory}", pod.namespace, pod.name)
        })
        .collect();
    list(
        text,
        say(language, "Largest pods:", "占用最多的 Pod："),
        &pods,
    );
}

fn many_nodes(text: &mut String, nodes: &[NodeFacts], language: Language) {
    let mut lines: Vec<String> = nodes.iter().take(NAMED).map(readings).collect();
    if nodes.len() > NAMED {
        lines.push(more(nodes.len() - NAMED, language));
    }
    let noted = nodes.iter().any(|node| node.notice().is_some());
    let head = match (language, noted) {
        (Language::English, false) => format!("Nodes ({}):", nodes.len()),
        (Language::Chinese, false) => format!("节点（{}）：", nodes.len()),
        (Language::English, true) => format!("All ({}):", nodes.len()),
        (Language::Chinese, true) => format!("全部（{}）：", nodes.len()),
    };
    list(text, &head, &lines);
}

fn list(text: &mut String, head: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    text.push_str(head);
    text.push('\n');
    for line in lines {
        text.push_str("- ");
        text.push_str(line);
        text.push('\n');
    }
}

/// A node and what was read of it.
fn readings(node: &NodeFacts) -> String {
    if let Some(notice) = node.notice() {
        return format!("{} ({})", notice.title, notice.key);
    }
    let inputs = node.inputs();
    let seen: Vec<String> = inputs.filter_map(|input| reading(&input)).collect();
    if seen.is_empty() {
        return node.name().to_owned();
    }
    format!("{}: {}", node.name(), seen.join(", "))
}

/// What was compared, and its value: `cpuLoadRatio 1.82`.
fn reading(input: &Input) -> Option<String> {
    let what = input.test.split(' ').next()?;
    match &input.seen {
        Seen::Value { value, .. } => Some(format!("{what} {}", short(*value))),
        Seen::Status(status) => Some(format!("{what} {status}")),
        Seen::Unknown(_) => None,
    }
}

fn condition(input: &Input, language: Language) -> String {
    let test = &input.test;
    match (&input.seen, language) {
        // Nothing was looked at, as in a call by hand.
        (Seen::Unknown(reason), _) if reason.is_empty() => test.clone(),
        (Seen::Value { value, .. }, Language::English) => format!("{test}: {}", short(*value)),
        (Seen::Value { value, .. }, Language::Chinese) => format!("{test}：{}", short(*value)),
        (Seen::Status(status), Language::English) => format!("{test}: {status}"),
        (Seen::Status(status), Language::Chinese) => format!("{test}：{status}"),
        (Seen::Unknown(reason), Language::English) => format!("{test}: unknown ({reason})"),
        (Seen::Unknown(reason), Language::Chinese) => format!("{test}：未知（{reason}）"),
    }
}

/// Every guard that holds something back, with the number of its nodes.
fn held_back(text: &mut String, facts: &Facts<'_>, language: Language) {
    let mut guards: BTreeMap<&str, (usize, &Guard)> = BTreeMap::new();
    for guard in facts.nodes.iter().filter_map(NodeFacts::guard) {
        guards.entry(guard.word()).or_insert((0, guard)).0 += 1;
    }
    for (word, (count, guard)) in guards {
        let reason = guard_text(guard, language);
        let _ = match (language, facts.nodes.len()) {
            (Language::English, 1) => writeln!(text, "Held back by {word}: {reason}"),
            (Language::English, _) => {
                writeln!(text, "Held back by {word}: {reason} ({count} nodes)")
            }
            (Language::Chinese, 1) => writeln!(text, "被 {word} 阻止：{reason}"),
            (Language::Chinese, _) => writeln!(text, "被 {word} 阻止：{reason}（{count} 个节点）"),
        };
    }
}

/// Why actions are held back, in words.
pub(super) fn guard_text(guard: &Guard, language: Language) -> String {
    match (language, guard) {
        (Language::English, guard) => guard.to_string(),
        (Language::Chinese, Guard::Paused) => "配置中启用了 safety.paused".to_owned(),
        (Language::Chinese, Guard::DryRun) => {
            "规则的 metadata.dryRun 或 safety.dryRun 已设置".to_owned()
        }
        (Language::Chinese, Guard::Ignored) => format!(
            "节点带有注解 {}: \"true\"",
            ng_engine::node::IGNORE_ANNOTATION
        ),
        (Language::Chinese, Guard::ControlPlane) => {
            "该节点是控制平面节点，且规则未按该标签或名称选择它".to_owned()
        }
        (Language::Chinese, Guard::MaxNodes { limit, counted }) => {
            format!("已有 {counted} 个节点被占用、停止调度或未就绪，安全上限为 {limit}")
        }
    }
}

/// What stands in the place of the nodes that are not named.
pub(super) fn more(count: usize, language: Language) -> String {
    match language {
        Language::English => format!("and {count} more"),
        Language::Chinese => format!("另有 {count} 个节点"),
    }
}

/// A reading with as many digits as people want.
fn short(value: f64) -> String {
    let digits = if value.abs() < 0.1 { 4 } else { 2 };
    let text = format!("{value:.digits$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.is_empty() || text == "-0" {
        return "0".to_owned();
    }
    text.to_owned()
}

/// Cores as kubectl shows them: `250m`.
pub(super) fn cpu_text(cores: f64) -> String {
    format!("{:.0}m", (cores * 1000.0).max(0.0))
}

/// Bytes as kubectl shows them: `512Mi`.
pub(super) fn memory_text(bytes: f64) -> String {
    format!("{:.0}Mi", (bytes / f64::from(1 << 20)).max(0.0))
}
