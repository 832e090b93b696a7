//! What the hook listens to, and what its contexts say.

use std::collections::BTreeMap;

use ng_hook::context::{Context, Flow, Kind, Sink, WatchEvent};
use ng_hook::json::{Error, Raw, Reader};
use ng_hook::{HookConfig, Kubernetes, ObjectEvent, Run, Schedule};

/// Name of the schedule.
pub(crate) const DELIVERY: &str = "alert-delivery";
/// Name of the binding of the templates.
pub(crate) const TEMPLATES: &str = "monitor-alert-templates";
/// A queue of its own: receivers can be slow, and nothing else must wait for them.
const QUEUE: &str = "nodeguardian-alerts";
const EVERY_FIVE_SECONDS: &str = "*/5 * * * * *";
/// Only what users change: our own status must not wake us.
const TEMPLATE_FILTER: &str = "{spec: .spec, deletionTimestamp: .metadata.deletionTimestamp}";

/// The bindings. They are no group: a run must be able to tell a tick from a changed template, so that a tick with
/// nothing to send reads no template.
pub(crate) fn bindings() -> HookConfig {
    HookConfig::new()
        .schedule(
            Schedule::new(DELIVERY, EVERY_FIVE_SECONDS)
                .queue(QUEUE)
                .allow_failure()
                .snapshots([TEMPLATES]),
        )
        .kubernetes(
            Kubernetes::new(TEMPLATES, "nodeguardian.k8s.io/v1", "AlertTemplate")
                .jq_filter(TEMPLATE_FILTER)
                .on_events([
                    ObjectEvent::Added,
                    ObjectEvent::Modified,
                    ObjectEvent::Deleted,
                ])
                .queue(QUEUE)
                .snapshots([TEMPLATES]),
        )
}

/// Why the hook runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reasons {
    /// Alerts are to be delivered.
    pub(crate) delivery: bool,
    /// Templates may have changed.
    pub(crate) templates: bool,
}

impl Reasons {
    /// Reads what fired, and no snapshot.
    pub(crate) fn of(run: &Run) -> anyhow::Result<Self> {
        let mut reasons = Self::default();
        run.read_contexts(&mut reasons)?;
        Ok(reasons)
    }
}

impl<'a> Sink<'a> for Reasons {
    fn context(&mut self, context: &Context<'a>) -> Result<Flow, Error> {
        if context.head.binding == TEMPLATES {
            self.templates = true;
        } else if context.head.binding == DELIVERY || context.head.kind == Kind::Schedule {
            self.delivery = true;
        }
        Ok(Flow::Continue)
    }
}

/// The templates of the contexts: unread objects by name.
#[derive(Debug, Default)]
pub(crate) struct Snapshot<'a> {
    /// By name.
    pub(crate) objects: BTreeMap<String, Raw<'a>>,
    /// Whether these are all there are; else only some changed ones are known.
    pub(crate) complete: bool,
    /// Names of templates that are gone.
    pub(crate) gone: Vec<String>,
}

impl<'a> Snapshot<'a> {
    /// Reads the templates.
    pub(crate) fn of(run: &'a Run) -> anyhow::Result<Self> {
        let mut snapshot = Self::default();
        run.read_contexts(&mut snapshot)?;
        Ok(snapshot)
    }

    fn read_list(&mut self, list: &mut Reader<'a>) -> Result<(), Error> {
        // Newer than any event.
        self.objects.clear();
        self.gone.clear();
        self.complete = true;
        list.items(|reader, _| {
            reader.fields(|reader, key| {
                if key == "object" {
                    let object = reader.raw()?;
                    if let Some(name) = name(object)? {
                        self.objects.insert(name, object);
                    }
                }
                Ok(())
            })
        })
    }

    fn read_event(&mut self, object: Raw<'a>, event: WatchEvent) -> Result<(), Error> {
        let Some(name) = name(object)? else {
            return Ok(());
        };
        if event == WatchEvent::Deleted {
            self.objects.remove(&name);
            self.gone.push(name);
        } else {
            self.gone.retain(|gone| *gone != name);
            self.objects.insert(name, object);
        }
        Ok(())
    }
}

impl<'a> Sink<'a> for Snapshot<'a> {
    fn wants(&mut self, snapshot: &str) -> bool {
        snapshot == TEMPLATES && !self.complete
    }

    fn snapshot(&mut self, _name: &str, list: &mut Reader<'a>) -> Result<Flow, Error> {
        self.read_list(list)?;
        Ok(Flow::Continue)
    }

    fn context(&mut self, context: &Context<'a>) -> Result<Flow, Error> {
        if context.head.binding != TEMPLATES || self.complete {
            return Ok(Flow::Continue);
        }
        match (&context.head.kind, context.objects, context.object) {
            (Kind::Synchronization, Some(objects), _) => self.read_list(&mut objects.reader())?,
            (Kind::Event { watch_event }, _, Some(object)) => {
                self.read_event(object, *watch_event)?;
            }
            _ => {}
        }
        Ok(Flow::Continue)
    }
}

/// `metadata.name` of an object.
fn name(object: Raw<'_>) -> Result<Option<String>, Error> {
    let mut name = None;
    object.reader().fields(|reader, key| {
        if key == "metadata" {
            reader.fields(|reader, key| {
                if key == "name" {
                    name = Some(reader.string()?.into_owned());
                }
                Ok(())
            })?;
        }
        Ok(())
    })?;
    Ok(name.filter(|name: &String| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_operator_takes_the_bindings() {
        assert_eq!(bindings().problems(), Vec::<String>::new());
    }
}
