//! What is said, in English and Chinese.

use std::time::Duration;

use ng_config::Language;
use ng_engine::plan::AlertKind;
use ng_engine::time::Time;

use crate::episode::Episode;
use crate::kind::{Kind, Level, Metric, Subject};
use crate::settings::Settings;

/// What there is to say.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// With what something is wrong.
    pub subject: &'a Subject,
    /// What is wrong.
    pub kind: Kind,
    /// What is known of it.
    pub episode: &'a Episode,
    /// What is told.
    pub told: AlertKind,
    /// How bad it is, or was.
    pub level: Level,
    /// The time of the run.
    pub now: Time,
}

/// What a kind is called.
pub const fn kind_name(kind: Kind, language: Language) -> &'static str {
    let [english, chinese] = match kind {
        Kind::NotReady => ["node not ready", "节点未就绪"],
        Kind::Deleted => ["node deleted", "节点已被删除"],
        Kind::CpuHigh => ["CPU usage high", "CPU 使用率过高"],
        Kind::MemoryHigh => ["memory usage high", "内存使用率过高"],
        Kind::DiskHigh => ["disk usage high", "磁盘使用率过高"],
        Kind::PodHigh => ["pod usage high", "Pod 使用率过高"],
        Kind::InodeHigh => ["inode usage high", "inode 使用率过高"],
        Kind::LoadHigh => ["load high", "负载过高"],
        Kind::MemoryPressure => ["memory pressure", "内存压力"],
        Kind::DiskPressure => ["disk pressure", "磁盘压力"],
        Kind::PidPressure => ["PID pressure", "进程数压力"],
        Kind::NetworkUnavailable => ["network unavailable", "网络不可用"],
        Kind::LeaseSilent => ["kubelet silent", "kubelet 心跳中断"],
        Kind::Cordoned => ["cordoned for long", "长时间停止调度"],
        Kind::Tainted => ["new taint stays", "新增污点长时间存在"],
        Kind::MemoryFullSoon => ["memory full soon", "内存即将耗尽"],
        Kind::DiskFullSoon => ["disk full soon", "磁盘即将写满"],
        Kind::PodFullSoon => ["no room for pods soon", "Pod 容量即将用尽"],
        Kind::InodeFullSoon => ["inodes used up soon", "inode 即将耗尽"],
        Kind::ManyNotReady => ["many nodes not ready", "大量节点未就绪"],
        Kind::MetricsSilent => ["metrics silent", "监控指标中断"],
    };
    match language {
        Language::English => english,
        Language::Chinese => chinese,
    }
}

/// One line that says it all: the title of a message about one subject.
pub fn heading(said: &Said<'_>, settings: &Settings) -> String {
    let language = settings.language;
    let name = kind_name(said.kind, language);
    let subject = subject(said.subject, language);
    let reading = reading(said, settings);
    let lasted = duration(said.now.since(said.episode.since));
    match (language, said.told) {
        (Language::English, AlertKind::Trigger) => {
            format!("[{}] {subject}: {name}{reading}", mark(said, language))
        }
        (Language::English, AlertKind::Repeat) => {
            let mark = mark(said, language);
            format!("[{mark}] {subject}: {name}{reading}, for {lasted}")
        }
        (Language::English, AlertKind::Recovery) => {
            format!("[RESOLVED] {subject}: {name} no longer{reading}, lasted {lasted}")
        }
        (Language::Chinese, AlertKind::Trigger) => {
            format!("【{}】{subject}{name}{reading}", mark(said, language))
        }
        (Language::Chinese, AlertKind::Repeat) => {
            let mark = mark(said, language);
            format!("【{mark}】{subject}{name}{reading}，已持续 {lasted}")
        }
        (Language::Chinese, AlertKind::Recovery) => {
            format!("【恢复】{subject}{name}已恢复{reading}，持续 {lasted}")
        }
    }
}

const fn mark(said: &Said<'_>, language: Language) -> &'static str {
    match (said.level, language) {
        (Level::Warning, Language::English) => "WARNING",
        (Level::Critical, Language::English) => "CRITICAL",
        (Level::Warning, Language::Chinese) => "警告",
        (Level::Critical, Language::Chinese) => "严重",
    }
}

fn subject(subject: &Subject, language: Language) -> String {
    match (subject, language) {
        (Subject::Node(name), Language::English) => format!("node {name}"),
        (Subject::Node(name), Language::Chinese) => format!("节点 {name} "),
        (Subject::Zone(name), Language::English) => format!("zone {name}"),
        (Subject::Zone(name), Language::Chinese) => format!("可用区 {name} "),
        (Subject::Cluster, Language::English) => "cluster".to_owned(),
        (Subject::Cluster, Language::Chinese) => "集群".to_owned(),
    }
}

/// The reading with its threshold, the time when something is full, or a detail.
fn reading(said: &Said<'_>, settings: &Settings) -> String {
    let language = settings.language;
    let open = said.told != AlertKind::Recovery;
    if let (Some(value), Some(metric)) = (said.episode.value, said.kind.metric()) {
        let value = number(value, metric);
        if let Some(expected) = said.episode.expected.filter(|_| open) {
            let left = duration(expected.since(said.now));
            return match language {
                Language::English => format!(": {value} now, full in about {left}"),
                Language::Chinese => format!("：当前 {value}，预计约 {left} 后用尽"),
            };
        }
        if !open || said.kind != metric.high() {
            return match language {
                Language::English => format!(": {value} now"),
                Language::Chinese => format!("：当前 {value}"),
            };
        }
        let (value, limit) = apart(
            said.episode.value.unwrap_or_default(),
            threshold(metric, said.level, settings),
            metric,
        );
        return match language {
            Language::English => format!(": {value}, above {limit}"),
            Language::Chinese => format!("：{value}，超过 {limit}"),
        };
    }
    let detail = said.episode.detail.as_str();
    // What was wrong is not so any more; only why it ended is worth a word.
    if !open && detail != kind_name(Kind::Deleted, language) {
        return String::new();
    }
    match (language, detail) {
        (_, "") => String::new(),
        (Language::English, detail) => format!(": {detail}"),
        (Language::Chinese, detail) => format!("：{detail}"),
    }
}

fn threshold(metric: Metric, level: Level, settings: &Settings) -> f64 {
    let levels = metric.levels(&settings.thresholds);
    match level {
        Level::Warning => levels.warning,
        Level::Critical => levels.critical,
    }
}

/// A reading and the threshold that it is above, with as many digits as it takes to see that.
fn apart(value: f64, limit: f64, metric: Metric) -> (String, String) {
    let (shown, limit_shown) = (number(value, metric), number(limit, metric));
    if shown == limit_shown {
        let unit = if metric == Metric::Load { "" } else { "%" };
        return (format!("{value:.4}{unit}"), limit_shown);
    }
    (shown, limit_shown)
}

fn number(value: f64, metric: Metric) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    match metric {
        Metric::Load => format!("{value:.2}"),
        _ => format!("{text}%"),
    }
}

/// What stands below the facts: a detail that the heading had no room for.
pub(crate) fn details(said: &Said<'_>, language: Language) -> String {
    let Some(expected) = said.episode.expected else {
        return String::new();
    };
    let detail = &said.episode.detail;
    match language {
        Language::English => {
            format!("Expected to be full at {expected}; range and confidence: {detail}.")
        }
        Language::Chinese => format!("预计用尽时间：{expected}；范围和置信度：{detail}。"),
    }
}

/// What is wrong, in the form of a rule's condition.
pub(crate) fn test(said: &Said<'_>, settings: &Settings) -> String {
    match said.kind.metric() {
        Some(metric) if metric.high() == said.kind => {
            let limit = threshold(metric, said.level, settings);
            format!("{} > {limit}", metric.name())
        }
        Some(metric) => format!("{} full soon", metric.name()),
        None if said.kind == Kind::NotReady => "Ready is not True".to_owned(),
        None => said.kind.word().to_owned(),
    }
}

/// A span of time in its two largest units: `2d3h`, `5m`, `40s`.
pub fn duration(span: Duration) -> String {
    let seconds = span.as_secs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let mut text = String::new();
    for (count, unit) in parts[first..].iter().take(2) {
        if *count > 0 || first == 3 {
            text.push_str(&count.to_string());
            text.push_str(unit);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_shown_in_two_units() {
        for (seconds, expected) in [
            (0, "0s"),
            (40, "40s"),
            (60, "1m"),
            (95, "1m35s"),
            (3_600, "1h"),
            (3_661, "1h1m"),
            (90_000, "1d1h"),
            (172_805, "2d"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn every_kind_has_a_name_of_its_own_in_both_languages() {
        for language in [Language::English, Language::Chinese] {
            let mut names: Vec<&str> = Kind::ALL
                .iter()
                .map(|kind| kind_name(*kind, language))
                .collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), Kind::ALL.len());
        }
    }
}
