//! A rule as it stands in a snapshot: who it is, and its spec and status unread. Rules that are not due are never
//! parsed further.

use std::hash::Hasher;

use ng_hook::json::{Error, Raw, Reader};
use rustc_hash::FxHasher;

/// One rule object.
#[derive(Clone, Debug)]
pub(crate) struct RuleItem<'a> {
    /// `metadata.name`.
    pub(crate) name: String,
    /// `metadata.uid`.
    pub(crate) uid: String,
    /// `metadata.generation`; 0 if absent.
    pub(crate) generation: i64,
    /// Whether its deletion was asked for.
    pub(crate) deleting: bool,
    /// The whole object.
    pub(crate) object: Raw<'a>,
    /// `spec`.
    pub(crate) spec: Option<Raw<'a>>,
    /// `status`.
    pub(crate) status: Option<Raw<'a>>,
}

impl<'a> RuleItem<'a> {
    /// Reads the object at the reader; `None` if it has no name and so is no object.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Option<Self>, Error> {
        let mut metadata = Metadata::default();
        let (mut spec, mut status) = (None, None);
        let object = reader.fields_of(|reader, key| {
            match key.as_ref() {
                "metadata" => metadata.read(reader)?,
                "spec" => spec = Some(reader.raw()?),
                "status" => status = Some(reader.raw()?),
                _ => {}
            }
            Ok(())
        })?;
        Ok((!metadata.name.is_empty()).then_some(Self {
            name: metadata.name,
            uid: metadata.uid,
            generation: metadata.generation,
            deleting: metadata.deleting,
            object,
            spec,
            status,
        }))
    }

    /// Hash of the spec and of the defaults it is checked with; never the value that stands for a restored record.
    pub(crate) fn spec_hash(&self, defaults: u64) -> u64 {
        let mut hasher = FxHasher::default();
        hasher.write_u64(defaults);
        hasher.write(self.spec.map_or(&[][..], |spec| spec.bytes()));
        hasher.finish().max(ng_engine::history::RESTORED + 1)
    }

    /// The spec as text; empty if there is none.
    pub(crate) fn spec_text(&self) -> &'a str {
        self.spec
            .and_then(|spec| std::str::from_utf8(spec.bytes()).ok())
            .unwrap_or_default()
    }

    /// Whether it is evaluated and may ask for the metric: its text has the name somewhere.
    pub(crate) fn asks_for(&self, metric: &str) -> bool {
        let text = self.spec_text();
        !self.deleting && text.contains(metric) && is_enabled(text)
    }
}

fn is_enabled(spec: &str) -> bool {
    #[derive(serde::Deserialize, Default)]
    #[serde(default)]
    struct Spec {
        metadata: Metadata,
    }
    #[derive(serde::Deserialize, Default)]
    #[serde(default)]
    struct Metadata {
        enabled: Option<bool>,
    }
    let spec: Spec = serde_json::from_str(spec).unwrap_or_default();
    spec.metadata.enabled.unwrap_or(true)
}

/// The part of `metadata` that is of interest.
#[derive(Default)]
struct Metadata {
    name: String,
    uid: String,
    generation: i64,
    deleting: bool,
}

impl Metadata {
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        reader.fields(|reader, key| {
            match key.as_ref() {
                "name" => self.name = reader.string()?.into_owned(),
                "uid" => self.uid = reader.string()?.into_owned(),
                "generation" => self.generation = reader.integer()?,
                "deletionTimestamp" => self.deleting = !reader.take_null(),
                _ => {}
            }
            Ok(())
        })
    }
}
