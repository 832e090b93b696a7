//! `AlertTemplate`: the words of an alert.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{InvalidObject, ObjectMeta, TEMPLATE_KIND, TemplateStatus, without_status};

/// An `AlertTemplate`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TemplateObject {
    /// Who it is.
    pub metadata: ObjectMeta,
    /// What the user wants.
    pub spec: TemplateSpec,
    /// What was last published about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TemplateStatus>,
}

impl TemplateObject {
    /// Reads a template from JSON. A status that cannot be read is left out.
    pub fn from_json(json: &str) -> Result<Self, InvalidObject> {
        serde_json::from_str(json)
            .or_else(|error| without_status(json).ok_or(error))
            .map_err(|source| InvalidObject::new(TEMPLATE_KIND, json, source))
    }
}

/// `spec` of a template. Every text is a template itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TemplateSpec {
    /// One line, such as the subject of a mail.
    pub subject: String,
    /// The message.
    pub body: String,
    /// Channels, if the rule names none.
    pub channels: Vec<ChannelSpec>,
    /// Names that the texts use; for people, or with values of their own.
    pub variables: Map<String, Value>,
    /// Older name of `subject`.
    pub title: String,
    /// Older: a short form of the message.
    pub summary: String,
    /// Older name of `body`.
    pub description: String,
    /// Older: used instead of the rule's severity.
    pub severity: String,
}

/// A channel by name, or with settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelSpec {
    /// `"email"`
    Name(String),
    /// `{type: email, …}`
    Object(ChannelObject),
}

/// A channel with settings.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ChannelObject {
    /// Name of the channel.
    #[serde(rename = "type")]
    pub kind: String,
    /// Absent: true.
    pub enabled: Option<bool>,
    /// Where to send, instead of the configured address.
    pub url: String,
    /// Headers of the request.
    pub headers: BTreeMap<String, String>,
}

/// Addresses and headers hold tokens, so only their presence is shown.
impl fmt::Debug for ChannelObject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&String> = self.headers.keys().collect();
        out.debug_struct("ChannelObject")
            .field("type", &self.kind)
            .field("enabled", &self.enabled)
            .field("url", &if self.url.is_empty() { "" } else { "***" })
            .field("headers", &headers)
            .finish()
    }
}

impl ChannelSpec {
    /// The channel's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Object(object) => &object.kind,
        }
    }

    /// Whether the channel is to be used.
    pub fn is_enabled(&self) -> bool {
        match self {
            Self::Name(_) => true,
            Self::Object(object) => object.enabled.unwrap_or(true),
        }
    }
}

impl Serialize for ChannelSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Name(name) => serializer.serialize_str(name),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ChannelSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ChannelVisitor;

        impl<'de> Visitor<'de> for ChannelVisitor {
            type Value = ChannelSpec;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a channel such as \"email\" or {\"type\": \"email\"}")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<ChannelSpec, E> {
                Ok(ChannelSpec::Name(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<ChannelSpec, A::Error> {
                ChannelObject::deserialize(MapAccessDeserializer::new(entries))
                    .map(ChannelSpec::Object)
            }
        }

        deserializer.deserialize_any(ChannelVisitor)
    }
}
