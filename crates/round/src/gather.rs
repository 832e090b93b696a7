//! Reads the binding contexts: rules first, then, only if some rule is due, the nodes.

use std::collections::BTreeMap;

use ng_engine::node::{Interest, Nodes};
use ng_hook::context::{Context, Flow, Kind, Sink, WatchEvent};
use ng_hook::json::{Error, Raw, Reader};

use ng_nodes::NODES;

use crate::bindings::RULES;
use crate::due::{Agenda, Duty};
use crate::quiet::Extent;
use crate::rule_item::RuleItem;

/// Input beyond which the rest of the contexts is not read when nothing is due. Snapshots are equal in all contexts
/// of one array and newer than any event in it, so once the rules were seen nothing can follow that matters; small
/// inputs are read to the end all the same, and so checked.
const WORTH_STOPPING: usize = 256 * 1024;

/// What the contexts hold.
pub(crate) struct Gathered<'a> {
    /// What has to be done.
    pub(crate) duty: Duty<'a>,
    /// All rules that were told, by name.
    pub(crate) items: BTreeMap<String, RuleItem<'a>>,
    /// The nodes; `None` if the contexts had none, or none were needed.
    pub(crate) nodes: Option<Nodes>,
    /// How much was read, if all rules of the cluster were told.
    pub(crate) extent: Option<Extent>,
}

/// Takes the parts of the contexts as they come.
pub(crate) struct Gatherer<'a, 'd> {
    agenda: &'d Agenda<'d>,
    /// What has to be known of the nodes for this work.
    interest: &'d dyn Fn(&Duty<'a>, &BTreeMap<String, RuleItem<'a>>) -> Interest,
    size: usize,
    items: BTreeMap<String, RuleItem<'a>>,
    complete: bool,
    /// The objects of a Synchronization, which count where no snapshot follows.
    first_objects: Option<Raw<'a>>,
    /// Where reading ended, if it was not at the end.
    stopped: Option<usize>,
    nodes_seen: bool,
    unread_nodes: Option<Raw<'a>>,
    duty: Option<Duty<'a>>,
    nodes: Option<Nodes>,
}

impl<'a, 'd> Gatherer<'a, 'd> {
    pub(crate) fn new(
        agenda: &'d Agenda<'d>,
        size: usize,
        interest: &'d dyn Fn(&Duty<'a>, &BTreeMap<String, RuleItem<'a>>) -> Interest,
    ) -> Self {
        Self {
            agenda,
            interest,
            size,
            items: BTreeMap::new(),
            complete: false,
            first_objects: None,
            stopped: None,
            nodes_seen: false,
            unread_nodes: None,
            duty: None,
            nodes: None,
        }
    }

    /// Everything that was read.
    pub(crate) fn finish(mut self) -> Result<Gathered<'a>, Error> {
        if let (Some(objects), false) = (self.first_objects.take(), self.complete) {
            // Events are newer.
            let events = std::mem::take(&mut self.items);
            self.read_rules(&mut objects.reader())?;
            self.items.extend(events);
        }
        let duty = match self.duty.take() {
            Some(duty) => duty,
            None => self.agenda.duty(&self.items, self.complete),
        };
        if let (Some(raw), false) = (self.unread_nodes, duty.is_empty()) {
            let mut nodes = Nodes::new(&(self.interest)(&duty, &self.items));
            ng_nodes::read_snapshot(&mut raw.reader(), &mut nodes)?;
            self.nodes = Some(nodes);
        }
        let extent = self.stopped.map_or(Extent::Whole, Extent::Beginning);
        Ok(Gathered {
            duty,
            items: self.items,
            nodes: self.nodes,
            extent: self.complete.then_some(extent),
        })
    }

    fn read_rules(&mut self, list: &mut Reader<'a>) -> Result<(), Error> {
        list.items(|reader, _| {
            reader.fields(|reader, key| {
                if key == "object"
                    && let Some(item) = RuleItem::read(reader)?
                {
                    self.items.insert(item.name.clone(), item);
                }
                Ok(())
            })
        })?;
        self.complete = true;
        Ok(())
    }

    fn read_nodes(&mut self, list: &mut Reader<'a>) -> Result<Flow, Error> {
        self.nodes_seen = true;
        if !self.complete {
            // Rules may still follow, and with them what has to be known of the nodes.
            self.unread_nodes = Some(list.raw()?);
            return Ok(Flow::Continue);
        }
        let duty = self.agenda.duty(&self.items, true);
        if duty.is_empty() {
            self.duty = Some(duty);
            let position = list.position();
            return Ok(if self.size.saturating_sub(position) > WORTH_STOPPING {
                self.stopped = Some(position);
                Flow::Stop
            } else {
                Flow::Continue
            });
        }
        let mut nodes = Nodes::new(&(self.interest)(&duty, &self.items));
        self.duty = Some(duty);
        ng_nodes::read_snapshot(list, &mut nodes)?;
        self.nodes = Some(nodes);
        Ok(Flow::Continue)
    }

    /// One changed rule. Where the snapshot is there, it is newer than any event.
    fn read_event(&mut self, object: Raw<'a>, event: WatchEvent) -> Result<(), Error> {
        if self.complete {
            return Ok(());
        }
        if let Some(mut item) = RuleItem::read(&mut object.reader())? {
            item.deleting |= event == WatchEvent::Deleted;
            self.items.insert(item.name.clone(), item);
        }
        Ok(())
    }
}

impl<'a> Sink<'a> for Gatherer<'a, '_> {
    fn wants(&mut self, snapshot: &str) -> bool {
        match snapshot {
            RULES => !self.complete,
            NODES => !self.nodes_seen,
            _ => false,
        }
    }

    fn snapshot(&mut self, name: &str, list: &mut Reader<'a>) -> Result<Flow, Error> {
        match name {
            RULES => self.read_rules(list).map(|()| Flow::Continue),
            _ => self.read_nodes(list),
        }
    }

    fn context(&mut self, context: &Context<'a>) -> Result<Flow, Error> {
        if context.head.binding != RULES {
            return Ok(Flow::Continue);
        }
        match (&context.head.kind, context.objects, context.object) {
            (Kind::Synchronization, Some(objects), _) => self.first_objects = Some(objects),
            (Kind::Event { watch_event }, _, Some(object)) => {
                self.read_event(object, *watch_event)?;
            }
            _ => {}
        }
        Ok(Flow::Continue)
    }
}
