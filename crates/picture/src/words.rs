//! Every word of the pictures, in each language.

use crate::model::{Language, Level, Measure, NoForecast, Severity, Silence};

/// One line a word: its name here, in English, in Chinese. `{}` are the places of values, in the same order in both.
macro_rules! words {
    ($($name:ident: $english:literal, $chinese:literal;)*) => {
        /// A word or a sentence of the pictures.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Word { $(#[doc = $english] $name),* }

        impl Word {
            /// Every word, for tests.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            /// The word in a language.
            pub(crate) const fn say(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$name, Language::English) => $english,
                      (Self::$name, Language::Chinese) => $chinese,)*
                }
            }
        }
    };
}

words! {
    Title: "Nodes of {}", "集群 {} 的节点";
    TitleAlone: "Nodes", "节点";
    Tag: "en", "zh-Hans";
    Utc: "{} UTC", "{} UTC";
    Nodes: "{} nodes", "{} 个节点";
    OneNode: "1 node", "1 个节点";
    Ok: "ok", "正常";
    Unknown: "unknown", "未知";
    Warning: "warning", "警告";
    Critical: "critical", "严重";
    OkShort: "ok", "正常";
    UnknownShort: "unkn", "未知";
    WarningShort: "WARN", "警告";
    CriticalShort: "CRIT", "严重";
    SourceSilent: "No metrics for {}: no source has answered since {}. Readings below are unknown or old, not zero.",
        "已 {} 没有指标：自 {} 起没有任何来源应答。下面的读数未知或已过时，不是零。";
    SourceSilentShort: "no metrics for {}", "已 {} 没有指标";
    BrokenNow: "Broken now", "当前故障";
    NothingBroken: "Nothing is known to be broken.", "没有已知的故障。";
    FullNext: "Full next", "即将用满";
    NothingFull: "No forecast says that anything fills up.", "没有预测显示有资源将用满。";
    AndMore: "and {} more", "另有 {} 项";
    AndMoreNodes: "and {} more nodes", "另有 {} 个节点";
    For: "for {}", "已 {}";
    Since: "since {}", "自 {} 起";
    EveryNode: "Every node", "所有节点";
    HeatHelp: "One cell is one node, in order of names; point at it or tap it for the values.",
        "每格一个节点，按名称排序；悬停或点按可看数值。";
    NoZone: "no zone", "无可用区";
    Zone: "Zone {}", "可用区 {}";
    Worst: "Worst nodes", "最差的节点";
    Filter: "Filter by node", "按节点筛选";
    Node: "Node", "节点";
    State: "State", "状态";
    Cpu: "CPU", "CPU";
    Memory: "Memory", "内存";
    Disk: "Disk", "磁盘";
    Inodes: "Inodes", "inode";
    Pods: "Pods", "Pod";
    Load: "Load", "负载";
    MemoryShort: "MEM", "内存";
    InodesShort: "INOD", "INOD";
    Next: "Full next", "即将用满";
    Age: "Age", "时效";
    AgeOf: "Age of reading", "读数时效";
    Cordoned: "cordoned", "已停止调度";
    NotReady: "not ready", "未就绪";
    Unheard: "not heard of", "失去联系";
    Trends: "Trends and forecasts", "趋势与预测";
    NoTrends: "There is no history to draw yet.", "还没有可以绘制的历史。";
    Now: "now", "现在";
    NowIs: "now {}", "当前 {}";
    GapsShown: "{} gaps", "{} 处缺口";
    OneGap: "1 gap", "1 处缺口";
    NothingMeasured: "Nothing was measured in this time.", "这段时间没有测量值。";
    FullIn: "full in {}", "{}后用满";
    FullNow: "full now", "现已用满";
    ReachesIn: "at {} in {}", "{1}后达到 {0}";
    ReachedNow: "at {} now", "现已达到 {}";
    Range: "{} to {}", "{}到 {}";
    OpenRange: "{} or later, perhaps never", "{}或更晚，也可能不会";
    InBrackets: "{} ({})", "{}（{}）";
    Confidence: "{}, confidence {}", "{}，置信度 {}";
    NoForecast: "No forecast: {}.", "无预测：{}。";
    TooShort: "the history is too short", "历史太短";
    Gaps: "too much of the history is missing", "历史缺失太多";
    NoTrend: "it goes up and down without a direction", "起伏不定，没有趋势";
    Falling: "it falls", "正在下降";
    Beyond: "it rises, but reaches no limit within {}", "在上升，但 {}内不会达到限值";
    Changed: "it has changed abruptly, so the time before says nothing", "刚发生突变，此前的历史不能说明问题";
    NowUnknown: "what is there now is not known", "当前值未知";
    Timeline: "Timeline of alerts", "告警时间线";
    NoIncidents: "No alerts in this time.", "这段时间没有告警。";
    Open: "open for {}", "持续 {}，未结束";
    Closed: "{}, ended {}", "{}，结束于 {}";
    Times: "{} times", "{} 次";
    WhatIsUnknown: "What is not known", "未知的内容";
    AllKnown: "Every reading of every node is known.", "所有节点的读数都已知。";
    UnknownHelp: "Unknown is neither good nor bad, and never zero: nothing is decided from it.",
        "未知既不是好也不是坏，更不是零：不会据此作出任何决定。";
    UnknownOf: "{}: unknown for {} ({})", "{}：{} 未知（{}）";
    UnknownAll: "Every measure", "全部指标";
    NoSample: "no sample", "没有样本";
    Stale: "too old", "样本过旧";
    Unreachable: "source does not answer", "来源无应答";
    NoSource: "no source", "没有来源";
    BadAnswer: "unusable answer", "应答不可用";
    NoReason: "no reason known", "原因不明";
    Legend: "Legend", "图例";
    LegendLine: "mean, with the range from smallest to largest", "平均值，以及最小到最大的范围";
    LegendGap: "gap: nothing was measured", "缺口：没有测量值";
    LegendRay: "forecast with its range", "预测及其范围";
    LegendWarning: "warning limit", "警告限值";
    LegendCritical: "critical limit", "严重限值";
    LegendOpen: "alert, and one that is still open", "告警，以及仍未结束的告警";
    LegendLoad: "Load is for each CPU; all others are percent.", "负载按每个 CPU 计；其余均为百分比。";
    LegendTimes: "All times are UTC.", "所有时间均为 UTC。";
    Seconds: "{} s", "{} 秒";
    Minutes: "{} min", "{} 分钟";
    Hours: "{} h", "{} 小时";
    Days: "{} d", "{} 天";
    SecondsShort: "{}s", "{}秒";
    MinutesShort: "{}m", "{}分";
    HoursShort: "{}h", "{}时";
    DaysShort: "{}d", "{}天";
    NowShort: "now", "现在";
    MoreShort: "... {} more nodes", "... 另有 {} 个节点";
    List: ", ", "、";
}

impl Word {
    /// The word with values in its places: `{}` takes the next, `{1}` that of this number.
    pub(crate) fn with(self, language: Language, values: &[&str]) -> String {
        let mut text = String::new();
        let mut parts = self.say(language).split('{');
        text.push_str(parts.next().unwrap_or_default());
        for (next, part) in parts.enumerate() {
            let (place, rest) = part.split_once('}').unwrap_or(("", part));
            let index = place.parse().unwrap_or(next);
            text.push_str(values.get(index).copied().unwrap_or_default());
            text.push_str(rest);
        }
        text
    }
}

impl From<Level> for Word {
    fn from(level: Level) -> Self {
        match level {
            Level::Ok => Self::Ok,
            Level::Unknown => Self::Unknown,
            Level::Warning => Self::Warning,
            Level::Critical => Self::Critical,
        }
    }
}

impl From<Severity> for Word {
    fn from(severity: Severity) -> Self {
        Level::from(severity).into()
    }
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Warning => Self::Warning,
            Severity::Critical => Self::Critical,
        }
    }
}

impl From<Measure> for Word {
    fn from(measure: Measure) -> Self {
        match measure {
            Measure::Cpu => Self::Cpu,
            Measure::Memory => Self::Memory,
            Measure::Disk => Self::Disk,
            Measure::Inodes => Self::Inodes,
            Measure::Pods => Self::Pods,
            Measure::Load => Self::Load,
        }
    }
}

impl From<Silence> for Word {
    fn from(silence: Silence) -> Self {
        match silence {
            Silence::NoSample => Self::NoSample,
            Silence::Stale => Self::Stale,
            Silence::Unreachable => Self::Unreachable,
            Silence::NoSource => Self::NoSource,
            Silence::BadAnswer => Self::BadAnswer,
        }
    }
}

impl From<NoForecast> for Word {
    fn from(reason: NoForecast) -> Self {
        match reason {
            NoForecast::TooShort => Self::TooShort,
            NoForecast::Gaps => Self::Gaps,
            NoForecast::NoTrend => Self::NoTrend,
            NoForecast::Falling => Self::Falling,
            NoForecast::Beyond(_) => Self::Beyond,
            NoForecast::Changed => Self::Changed,
            NoForecast::Unknown => Self::NowUnknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and signs that are the same in both languages.
    const SAME: [Word; 3] = [Word::Cpu, Word::Utc, Word::InodesShort];

    #[test]
    fn every_word_is_there_in_both_languages_with_the_same_places() {
        for word in Word::ALL {
            let (english, chinese) = (word.say(Language::English), word.say(Language::Chinese));
            assert!(!english.is_empty() && !chinese.is_empty(), "{word:?}");
            assert!(english.is_ascii(), "{word:?}: {english}");
            let places = |text: &str| text.matches('{').count();
            assert_eq!(places(english), places(chinese), "{word:?}");
            let differs = english != chinese || SAME.contains(word);
            assert!(differs, "{word:?} is not translated");
        }
    }

    #[test]
    fn values_take_their_places() {
        let say = |language| Word::ReachesIn.with(language, &["90%", "6 h"]);
        assert_eq!(say(Language::English), "at 90% in 6 h");
        assert_eq!(say(Language::Chinese), "6 h后达到 90%");
        let hostile = Word::Title.with(Language::English, &["{}{1}"]);
        assert_eq!(hostile, "Nodes of {}{1}", "a value is no template");
    }
}
