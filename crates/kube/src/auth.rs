//! The current credential: read, run, cached and renewed.

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

use crate::credentials::{Auth, Identity, read};
use crate::error::CredentialsError;
use crate::exec::ExecPlugin;
use crate::secret::Secret;

/// The kubelet replaces a bound token well before it expires; reading it once a minute is what client-go does.
const TOKEN_FILE_AGE: Duration = Duration::from_mins(1);

/// Hands out what authenticates a request.
pub(crate) struct Authenticator {
    auth: Auth,
    plugin_timeout: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    generation: u64,
    held: Option<Held>,
}

#[derive(Clone)]
struct Held {
    authorization: Option<Secret>,
    identity: Option<Identity>,
    until: Until,
}

#[derive(Clone, Copy)]
enum Until {
    Forever,
    /// After this the file is read again.
    Reread(Instant),
    /// The plugin's own word.
    Expiry(Timestamp),
}

/// What authenticates one request.
#[derive(Clone)]
pub(crate) struct Grant {
    /// The value of the `Authorization` header.
    pub(crate) authorization: Option<Secret>,
    /// A client certificate of a plugin.
    pub(crate) identity: Option<Identity>,
    /// Counts renewals, so that threads that fail together renew once.
    pub(crate) generation: u64,
}

impl Authenticator {
    pub(crate) fn new(auth: Auth, plugin_timeout: Duration) -> Self {
        Self {
            auth,
            plugin_timeout,
            state: Mutex::default(),
        }
    }

    /// The credential in force, renewed if its time is over.
    pub(crate) fn grant(&self, deadline: Instant) -> Result<Grant, CredentialsError> {
        let mut state = self.lock();
        let held = match &state.held {
            Some(held) if held.until.is_ahead() => held.clone(),
            _ => {
                let before = state.held.take();
                let held = self.obtain(before, deadline)?;
                state.generation += 1;
                state.held = Some(held.clone());
                held
            }
        };
        Ok(Grant {
            authorization: held.authorization,
            identity: held.identity,
            generation: state.generation,
        })
    }

    /// After a 401: forgets the credential of that generation. False if a new one cannot differ.
    pub(crate) fn forget(&self, generation: u64) -> bool {
        let renewable = match &self.auth {
            Auth::TokenFile { .. } | Auth::Exec(_) => true,
            Auth::None | Auth::Token(_) | Auth::Basic { .. } => false,
        };
        let mut state = self.lock();
        if renewable && state.generation == generation {
            state.held = None;
        }
        renewable
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the state whole: it is replaced as one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn obtain(&self, before: Option<Held>, deadline: Instant) -> Result<Held, CredentialsError> {
        let forever = |authorization| Held {
            authorization,
            identity: None,
            until: Until::Forever,
        };
        match &self.auth {
            Auth::None => Ok(forever(None)),
            Auth::Token(token) => Ok(forever(Some(bearer(token.expose())))),
            Auth::Basic { username, password } => {
                let pair = format!("{username}:{}", password.expose());
                let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
                Ok(forever(Some(Secret::new(value))))
            }
            Auth::TokenFile { path, fallback } => {
                let authorization = match read_token(path) {
                    Ok(token) => Some(bearer(token.expose())),
                    // A token that worked a minute ago is better than none.
                    Err(error) => Some(
                        before
                            .and_then(|held| held.authorization)
                            .or_else(|| fallback.as_ref().map(|token| bearer(token.expose())))
                            .ok_or(error)?,
                    ),
                };
                Ok(Held {
                    authorization,
                    identity: None,
                    until: Until::Reread(Instant::now() + TOKEN_FILE_AGE),
                })
            }
            Auth::Exec(plugin) => self.run_plugin(plugin, deadline),
        }
    }

    fn run_plugin(&self, plugin: &ExecPlugin, deadline: Instant) -> Result<Held, CredentialsError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let credential = plugin.run(self.plugin_timeout.min(left))?;
        Ok(Held {
            authorization: credential.token.map(|token| bearer(token.expose())),
            identity: credential.identity,
            until: credential.expires.map_or(Until::Forever, Until::Expiry),
        })
    }
}

impl Until {
    fn is_ahead(self) -> bool {
        match self {
            Self::Forever => true,
            Self::Reread(instant) => Instant::now() < instant,
            Self::Expiry(time) => real_time() < time,
        }
    }
}

fn read_token(path: &Path) -> Result<Secret, CredentialsError> {
    let bytes = read(path)?;
    let token = String::from_utf8_lossy(&bytes);
    let token = token.trim();
    if token.is_empty() {
        return Err(CredentialsError::Read {
            path: path.to_owned(),
            source: io::Error::new(
                io::ErrorKind::InvalidData,
                "expected a token, found nothing",
            ),
        });
    }
    Ok(Secret::new(token))
}

fn bearer(token: &str) -> Secret {
    Secret::new(format!("Bearer {token}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a credential expires in real time, whatever time a replay pretends it is"
)]
fn real_time() -> Timestamp {
    Timestamp::now()
}
