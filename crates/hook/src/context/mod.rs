//! Binding contexts, streamed: shell-operator's array of what happened, with snapshots of what is.
//!
//! Every context of the array counts. Unknown bindings, types and fields are passed over. Keys
//! come in any order, so a context's kind may be known only after its snapshots; they are equal in
//! all contexts of one array and carry the truth, while the kind only says "look again".

mod file;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use file::{ContextError, ContextFile};

use crate::json::{Error, Raw, Reader};

/// Whether to read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on with the next part.
    Continue,
    /// Leave the rest of the file unread, and unchecked: no further snapshot, no further context,
    /// not even the kind of the one that was being read.
    Stop,
}

/// What a hook does with its contexts.
pub trait Sink<'a> {
    /// Whether the snapshot of this name is to be read. It is asked once per context that carries
    /// the snapshot: answer `false` once it has been read, as the copies are equal.
    fn wants(&mut self, snapshot: &str) -> bool {
        let _ = snapshot;
        false
    }

    /// Takes a wanted snapshot: the reader stands on its list of `{object, filterResult}`.
    fn snapshot(&mut self, name: &str, list: &mut Reader<'a>) -> Result<Flow, Error> {
        let _ = (name, list);
        Ok(Flow::Continue)
    }

    /// Takes what one context says; its snapshots have passed by now.
    fn context(&mut self, context: &Context<'a>) -> Result<Flow, Error> {
        let _ = context;
        Ok(Flow::Continue)
    }
}

/// One context without its snapshots.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// Which binding fired, and how.
    pub head: ContextHead<'a>,
    /// The list of `{object, filterResult}` of a Synchronization.
    pub objects: Option<Raw<'a>>,
    /// The object of an event; absent without full objects in memory.
    pub object: Option<Raw<'a>>,
    /// The filtered object of an event; absent without a filter, and `null` if it gave that.
    pub filter_result: Option<Raw<'a>>,
    /// The request of an admission or conversion webhook.
    pub review: Option<Raw<'a>>,
}

/// Which binding fired, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextHead<'a> {
    /// The binding's name; of a group, the name of just one of its bindings.
    pub binding: Cow<'a, str>,
    /// What happened.
    pub kind: Kind<'a>,
}

/// What happened to a binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind<'a> {
    /// The operator has started; also taken for a context without a type.
    OnStartup,
    /// A schedule has ticked.
    Schedule,
    /// The first state of a watched kind.
    Synchronization,
    /// A watched object has changed.
    Event {
        /// How it has changed.
        watch_event: WatchEvent,
    },
    /// Something has happened in a group of bindings.
    Group {
        /// The group's name.
        name: Cow<'a, str>,
    },
    /// A validating webhook asks.
    Validating,
    /// A mutating webhook asks.
    Mutating,
    /// A conversion webhook asks.
    Conversion,
    /// A type this version does not know.
    Unknown(String),
}

/// How a watched object has changed, as far as its selector and filter see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchEvent {
    /// It has come into view, which does not mean that it is new.
    Added,
    /// Its filtered form differs.
    Modified,
    /// It has gone out of view.
    Deleted,
    /// Something this version does not know.
    Unknown,
}

/// Reads a context array and hands its parts to the sink, in the order of the document.
pub fn read<'a>(bytes: &'a [u8], sink: &mut impl Sink<'a>) -> Result<(), Error> {
    let mut reader = Reader::new(bytes);
    reader.begin_array()?;
    let mut index = 0;
    while reader.next_item()? {
        let flow = context(&mut reader, sink).map_err(|error| error.in_index(index))?;
        if flow == Flow::Stop {
            return Ok(());
        }
        index += 1;
    }
    reader.finish()
}

/// The fields of a context as they come by.
#[derive(Default)]
struct Fields<'a> {
    binding: Option<Cow<'a, str>>,
    type_name: Option<Cow<'a, str>>,
    watch_event: Option<Cow<'a, str>>,
    group: Option<Cow<'a, str>>,
    objects: Option<Raw<'a>>,
    object: Option<Raw<'a>>,
    filter_result: Option<Raw<'a>>,
    review: Option<Raw<'a>>,
}

fn context<'a>(reader: &mut Reader<'a>, sink: &mut impl Sink<'a>) -> Result<Flow, Error> {
    let mut fields = Fields::default();
    reader.begin_object()?;
    while let Some(key) = reader.next_key()? {
        let flow = match &*key {
            "snapshots" => snapshots(reader, sink),
            _ => field(reader, &key, &mut fields).map(|()| Flow::Continue),
        };
        if flow.map_err(|error| error.in_key(&key))? == Flow::Stop {
            return Ok(Flow::Stop);
        }
    }
    sink.context(&fields.into_context())
}

fn field<'a>(reader: &mut Reader<'a>, key: &str, fields: &mut Fields<'a>) -> Result<(), Error> {
    match key {
        "binding" => fields.binding = Some(reader.string()?),
        "type" => fields.type_name = Some(reader.string()?),
        "watchEvent" => fields.watch_event = Some(reader.string()?),
        "groupName" => fields.group = Some(reader.string()?),
        // Go writes a list that was never filled as null.
        "objects" if reader.take_null() => {}
        "objects" => fields.objects = Some(reader.raw()?),
        "object" => fields.object = Some(reader.raw()?),
        "filterResult" => fields.filter_result = Some(reader.raw()?),
        "review" => fields.review = Some(reader.raw()?),
        _ => reader.skip()?,
    }
    Ok(())
}

fn snapshots<'a>(reader: &mut Reader<'a>, sink: &mut impl Sink<'a>) -> Result<Flow, Error> {
    if reader.take_null() {
        return Ok(Flow::Continue);
    }
    reader.begin_object()?;
    while let Some(name) = reader.next_key()? {
        if !sink.wants(&name) {
            reader.skip().map_err(|error| error.in_key(&name))?;
            continue;
        }
        let flow = snapshot(reader, &name, sink).map_err(|error| error.in_key(&name))?;
        if flow == Flow::Stop {
            return Ok(Flow::Stop);
        }
    }
    Ok(Flow::Continue)
}

fn snapshot<'a>(
    reader: &mut Reader<'a>,
    name: &str,
    sink: &mut impl Sink<'a>,
) -> Result<Flow, Error> {
    // Go writes a list that was never filled as null: to the sink it is an empty list.
    if reader.take_null() {
        return sink.snapshot(name, &mut Reader::new(b"[]"));
    }
    reader.visit_until(|reader| sink.snapshot(name, reader))
}

impl<'a> Fields<'a> {
    fn into_context(self) -> Context<'a> {
        let kind = self.kind();
        Context {
            head: ContextHead {
                binding: self.binding.unwrap_or_default(),
                kind,
            },
            objects: self.objects,
            object: self.object,
            filter_result: self.filter_result,
            review: self.review,
        }
    }

    fn kind(&self) -> Kind<'a> {
        let Some(type_name) = self.type_name.as_deref() else {
            return Kind::OnStartup;
        };
        match type_name {
            "OnStartup" => Kind::OnStartup,
            "Schedule" => Kind::Schedule,
            "Synchronization" => Kind::Synchronization,
            "Event" => Kind::Event {
                watch_event: self.watch_event(),
            },
            "Group" => Kind::Group {
                name: self.group.clone().unwrap_or_default(),
            },
            "Validating" => Kind::Validating,
            "Mutating" => Kind::Mutating,
            "Conversion" => Kind::Conversion,
            unknown => Kind::Unknown(unknown.to_owned()),
        }
    }

    fn watch_event(&self) -> WatchEvent {
        match self.watch_event.as_deref() {
            Some("Added") => WatchEvent::Added,
            Some("Modified") => WatchEvent::Modified,
            Some("Deleted") => WatchEvent::Deleted,
            _ => WatchEvent::Unknown,
        }
    }
}
