//! Reads the binding contexts: changes of nodes one by one, and the snapshot if a check is due.

use ng_engine::node::{Interest, MUTE_UNTIL_ANNOTATION, Nodes, Reasons};
use ng_hook::context::{Context, Flow, Kind, Sink, WatchEvent};
use ng_hook::json::{Error, Reader};
use ng_monitor::{NodeEvent, Occurrence, PRESSURES, ZONE_LABEL};
use ng_nodes::NODES;

use crate::bindings::{CHECK, EVENTS};

/// What is kept of nodes.
pub(crate) fn interest() -> Interest {
    Interest {
        labels: vec![ZONE_LABEL.to_owned()],
        annotations: vec![MUTE_UNTIL_ANNOTATION.to_owned()],
        conditions: PRESSURES.map(|(kind, _)| kind.to_owned()).to_vec(),
        reasons: Reasons::Kept,
    }
}

/// Whether a check is due, so that the nodes are worth reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It is.
    Yes,
    /// The interval has not passed yet.
    NotYet,
}

/// What the contexts hold.
pub(crate) struct Gathered {
    due: Due,
    /// Whether the schedule, or something unknown that may mean it, asks for a check.
    pub(crate) check: bool,
    /// Changes of nodes, in order.
    pub(crate) events: Vec<NodeEvent>,
    /// The nodes, if a check is due and the contexts bring them.
    pub(crate) nodes: Option<Nodes>,
}

impl Gathered {
    pub(crate) fn new(due: Due) -> Self {
        Self {
            due,
            check: false,
            events: Vec::new(),
            nodes: None,
        }
    }

    /// Whether a check is asked for and due.
    pub(crate) fn is_check(&self) -> bool {
        self.check && self.due == Due::Yes
    }
}

impl<'a> Sink<'a> for Gathered {
    fn wants(&mut self, snapshot: &str) -> bool {
        snapshot == NODES && self.due == Due::Yes && self.nodes.is_none()
    }

    fn snapshot(&mut self, _: &str, list: &mut Reader<'a>) -> Result<Flow, Error> {
        let mut nodes = Nodes::new(&interest());
        ng_nodes::read_snapshot(list, &mut nodes)?;
        self.nodes = Some(nodes);
        Ok(Flow::Continue)
    }

    fn context(&mut self, context: &Context<'a>) -> Result<Flow, Error> {
        let head = &context.head;
        match &head.kind {
            Kind::Event { watch_event } if head.binding == EVENTS => {
                self.events.extend(event(context, *watch_event)?);
            }
            Kind::Schedule | Kind::Group { .. } => self.check = true,
            _ if head.binding == CHECK => self.check = true,
            _ => {}
        }
        Ok(Flow::Continue)
    }
}

/// The change of a node, from the filtered form or, where there is none, from the whole object.
fn event(context: &Context<'_>, watch_event: WatchEvent) -> Result<Option<NodeEvent>, Error> {
    let occurrence = match watch_event {
        WatchEvent::Added | WatchEvent::Modified => Occurrence::Present,
        WatchEvent::Deleted => Occurrence::Deleted,
        WatchEvent::Unknown => return Ok(None),
    };
    let mut nodes = Nodes::new(&interest());
    if let Some(filtered) = context.filter_result {
        ng_nodes::read_filtered(&mut filtered.reader(), &mut nodes)?;
    }
    if let (true, Some(object)) = (nodes.is_empty(), context.object) {
        ng_nodes::read_objects(&[object.decode()?], &mut nodes);
    }
    Ok((!nodes.is_empty()).then(|| of_node(&nodes, occurrence)))
}

/// The first node as an event.
fn of_node(nodes: &Nodes, occurrence: Occurrence) -> NodeEvent {
    let ready = nodes.condition(0, "Ready").map(|ready| {
        let reason = nodes.not_ready_reason(0).unwrap_or_default();
        (ready.status, reason.to_owned())
    });
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    NodeEvent {
        name: nodes.name(0).to_owned(),
        uid: nodes.uid(0).to_owned(),
        occurrence,
        ready,
        cordoned: nodes.is_unschedulable(0),
        taints: NodeEvent::away(nodes.taints(0)),
        zone: text(nodes.label(0, ZONE_LABEL)),
        mute_until: text(nodes.annotation(0, MUTE_UNTIL_ANNOTATION)),
    }
}
