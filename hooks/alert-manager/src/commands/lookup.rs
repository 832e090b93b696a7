//! Where a direct call finds its template: in the cluster, else among those the hook has last seen.

use std::path::Path;
use std::time::{Duration, Instant};

use ng_engine::spec::{TemplateObject, TemplateSpec};
use ng_engine::time::Time;
use ng_hook::{Env, Logger};
use ng_kube::{Client, Credentials, KubeError, Options, SERVICE_ACCOUNT_DIR, request};
use ng_notify::compose::TemplateChoice;
use ng_state::Store;

/// The longest wait for the API server: an alert must not wait for its words.
const API_LIMIT: Duration = Duration::from_secs(5);
/// The state, as ng-state calls it. Looked for by name, since opening the state would make it.
const STATE_FILE: &str = "state.db";
/// The longest name of an object.
const LONGEST_NAME: usize = 253;

/// What was found under a name.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    /// No name was given.
    BuiltIn,
    /// Nothing.
    Missing,
    /// Something that is no template.
    Unreadable(String),
    /// A template.
    Template(Box<TemplateSpec>),
}

impl Found {
    /// The template for composing.
    pub(crate) fn choice<'a>(&'a self, name: &'a str) -> TemplateChoice<'a> {
        match self {
            Self::BuiltIn => TemplateChoice::BuiltIn,
            Self::Missing => TemplateChoice::Missing { name },
            Self::Unreadable(reason) => TemplateChoice::Unreadable { name, reason },
            Self::Template(spec) => TemplateChoice::Found { name, spec },
        }
    }

    fn read(json: &str) -> Self {
        match TemplateObject::from_json(json) {
            Ok(object) => Self::Template(Box::new(object.spec)),
            Err(error) => Self::Unreadable(chain(error)),
        }
    }

    /// The channels of the template.
    pub(crate) fn channels(&self) -> &[ng_engine::spec::ChannelSpec] {
        match self {
            Self::Template(spec) => &spec.channels,
            Self::BuiltIn | Self::Missing | Self::Unreadable(_) => &[],
        }
    }
}

/// A template, and the connection that found it.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) found: Found,
    /// The Kubernetes API, where there are credentials that can be used.
    pub(crate) client: Option<Client>,
}

/// Looks a template up. Without credentials and without state this touches neither network nor database.
pub(crate) fn look_up(name: &str, env: &Env, now: Time, log: &Logger) -> Lookup {
    let name = name.trim();
    if name.is_empty() {
        let (found, client) = (Found::BuiltIn, None);
        return Lookup { found, client };
    }
    if !is_name(name) {
        let (found, client) = (Found::Missing, None);
        return Lookup { found, client };
    }
    let client = connect(env).unwrap_or_else(|reason| {
        log.warn(
            "cannot use the Kubernetes credentials",
            &[("reason", (&reason).into())],
        );
        None
    });
    let in_cluster = client.as_ref().map(|client| ask(name, client));
    let found = match in_cluster {
        Some(Ok(found)) => found,
        Some(Err(reason)) => {
            let fields = [("template", name.into()), ("reason", (&reason).into())];
            log.warn("cannot read the template, using the one last seen", &fields);
            remembered(name, env, now, log)
        }
        None => remembered(name, env, now, log),
    };
    Lookup { found, client }
}

/// Whether an object can have this name, so that it can stand in a path as it is.
fn is_name(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    name.len() <= LONGEST_NAME && name.bytes().all(is_plain) && !name.starts_with('.')
}

/// The Kubernetes API; `None` if nothing says where it is.
fn connect(env: &Env) -> Result<Option<Client>, String> {
    let variable = |name: &str| env.get(name).map(str::to_owned);
    let credentials = Credentials::discover(&variable, Path::new(SERVICE_ACCOUNT_DIR));
    let Some(credentials) = credentials.map_err(chain)? else {
        return Ok(None);
    };
    let options = Options {
        timeout: API_LIMIT,
        connect_timeout: API_LIMIT,
        plugin_timeout: API_LIMIT,
        retries: 1,
        ..Options::default()
    };
    Client::connect(&credentials, options)
        .map(Some)
        .map_err(chain)
}

fn ask(name: &str, client: &Client) -> Result<Found, String> {
    let target = format!("/apis/nodeguardian.k8s.io/v1/alerttemplates/{name}");
    match client.send(&request::raw_get(&target), Instant::now() + API_LIMIT) {
        Ok(response) => Ok(Found::read(&String::from_utf8_lossy(&response.body))),
        Err(KubeError::Api { status, .. }) if status.code == 404 => Ok(Found::Missing),
        Err(error) => Err(chain(error)),
    }
}

/// The template as the hook has last seen it. The state is never made here.
fn remembered(name: &str, env: &Env, now: Time, log: &Logger) -> Found {
    if !env.state_dir().join(STATE_FILE).exists() {
        return Found::Missing;
    }
    let templates = Store::open(env.state_dir(), now).and_then(|opened| {
        crate::say_what_was_set_aside(&opened.store, log);
        opened.store.templates()
    });
    match templates {
        Ok(templates) => templates
            .get(name)
            .map_or(Found::Missing, |json| Found::read(json)),
        Err(error) => {
            let reason = chain(error);
            log.warn(
                "cannot read the templates last seen",
                &[("reason", (&reason).into())],
            );
            Found::Missing
        }
    }
}

/// An error with its causes in one line.
fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}
