//! Events about what was applied: all of its errors, and that it is valid again; each once.

use ng_config::{Issue, Loaded};
use ng_engine::time::Time;
use ng_hook::{PatchOperation, Run};
use ng_round::report::{self, TOLD_WHEN_APPLIED};
use ng_state::StateError;

/// Bytes of errors in one Event: the API server takes messages of up to 1,024 bytes.
const ROOM: usize = 900;
/// What goes beyond is in the log.
const MAX_EVENTS: usize = 20;

/// The Events about a configuration.
pub(super) fn events(loaded: &Loaded, now: Time) -> anyhow::Result<Vec<PatchOperation>> {
    let errors = super::errors(loaded);
    let event =
        |reason, message: &str| report::configuration_notice(&loaded.config, reason, message, now);
    if errors.is_empty() {
        return Ok(vec![event(
            "ConfigValid",
            "the configuration is valid again",
        )?]);
    }
    let parts = parts(errors);
    let count = parts.len();
    let numbered = parts.iter().take(MAX_EVENTS).enumerate();
    numbered
        .map(|(index, part)| {
            let number = match count {
                1 => String::new(),
                _ => format!(" ({} of {count})", index + 1),
            };
            let message = format!("the applied configuration is invalid{number}: {part}");
            event("ConfigInvalid", &message)
        })
        .collect()
}

/// Whether these errors are not those that were told last; notes them. They are noted before they are told, so that a
/// run that ends in between tells nothing rather than everything twice: log and metric say the same.
pub(super) fn is_news(loaded: &Loaded, run: &Run, now: Time) -> Result<bool, StateError> {
    let errors = report::in_one_line(super::errors(loaded));
    let mut store = report::open_state(run.env.state_dir(), now, &run.log)?.store;
    let note = store.note(TOLD_WHEN_APPLIED)?;
    if note.as_deref().map_or("", report::told) == errors.as_str() {
        return Ok(false);
    }
    let mut transaction = store.begin()?;
    transaction.set_note(TOLD_WHEN_APPLIED, Some(&report::told_now(&errors, now)))?;
    transaction.commit()?;
    Ok(true)
}

/// The errors in texts that an Event has room for.
fn parts(errors: &[Issue]) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for error in errors.iter().map(ToString::to_string) {
        match parts.last_mut() {
            Some(part) if part.len() + error.len() + 2 <= ROOM => {
                part.push_str("; ");
                part.push_str(&error);
            }
            _ => parts.push(error),
        }
    }
    parts
}
