//! What a message says beyond the words of its template: that its nodes are flapping.

use ng_config::Language;
use ng_notify::message::Message;

/// Says that the nodes are flapping and that further alerts of them are held.
pub(crate) fn add_flapping(message: &mut Message, language: Language) {
    let (mark, sentence) = match language {
        Language::English => (
            "flapping",
            "Flapping: triggered again and again. Further alerts are held until it calms down; then the last state is told.",
        ),
        Language::Chinese => (
            "抖动",
            "抖动:反复触发。后续告警暂缓发送,直到恢复稳定,届时通知最后状态。",
        ),
    };
    message.title = format!("{} ({mark})", message.title);
    message.summary = format!("{} ({mark})", message.summary);
    if !message.body.is_empty() && !message.body.ends_with('\n') {
        message.body.push('\n');
    }
    message.body.push_str(sentence);
    message.body.push('\n');
    if let Some(html) = &mut message.html {
        *html = format!("{html}<p>{sentence}</p>");
    }
}
