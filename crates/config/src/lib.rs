//! Files, secrets and environment into one checked configuration.
//!
//! [`load`] and its kin are the only functions with effects: they read the mounted files and keep the last valid one.
//! [`resolve`] does the rest from texts alone. The environment comes in as a map and is never read here, and nothing
//! here knows of rules, alerts or nodes.
//!
//! Each setting is taken from the highest layer that has it: the Secret's files, the configuration file, the
//! environment, the built-in default. An empty text counts as not set in every layer, so that
//! `"webhookUrl": ""` in a file does not hide `ALERT_WEBHOOK_URL`, with one exception: `prometheus.url` left empty
//! in the file says that there is no Prometheus. An empty text for a duration, size, level or other setting with a
//! grammar is an error in the file. An empty list in the file is a value, unless a variable has one to give.
//!
//! - [`edit`]: changes one setting of a file and leaves the rest as it is
//! - [`load`], [`inspect`]: files, and what to run on when they are broken
//! - [`resolve`]: the layers, and every mistake in them
//! - `sections`: every setting with its default; `reader`: how one is looked up; `setting`, `text`: how a type is read
//! - the types: [`Config`] and its parts, [`Secret`], [`HttpUrl`], [`MaxNodes`], …
//! - [`duration`]: Go's durations, for every crate

mod choice;
mod documents;
pub mod duration;
pub mod edit;
mod header;
mod issue;
mod key;
mod load;
mod model;
mod monitor;
mod names;
mod reader;
mod ready;
mod resolve;
mod schema;
mod secret;
mod sections;
mod setting;
mod size;
mod stops;
mod suggest;
mod text;
mod tree;
mod url;
mod value;

pub use choice::{
    ChannelKind, Language, LogFormat, LogLevel, LogOutput, MaxNodes, Percent, SmtpTls, TaintEffect,
};
pub use documents::{Document, documents};
pub use header::HeaderName;
pub use issue::{Entry, Issue, Origin};
pub use load::{
    LAST_VALID, Loaded, Sources, State, Used, inspect, load, load_applied, read_file, read_secrets,
    read_text,
};
pub use model::{
    Alert, Channels, Config, Email, Log, Metric, MetricsServer, Monitoring, Node, Pagerduty,
    Prometheus, Safety, SignedWebhook, Telegram,
};
pub use monitor::{Levels, MONITOR_CHANNEL, NodeMonitor, Receivers, Retention, Thresholds};
pub use names::{
    ChatId, EmailAddress, Host, LabelPrefix, MetricName, NameError, NamespaceName, Port,
    QualifiedName,
};
pub use ready::ReadyMetric;
pub use resolve::{Detail, File, Inputs, Resolution, resolve};
pub use schema::schema;
pub use secret::{MASK, Secret, SecretUrl};
pub use sections::IGNORED;
pub use size::{ByteSize, SizeError};
pub use tree::Format;
pub use url::{HttpUrl, UrlError};
