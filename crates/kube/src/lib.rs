//! A small Kubernetes API client: requests as values, one sender, every kubeconfig credential.
//!
//! What it does not do: watch, cache, know rules.
//!
//! - [`request`]: what to ask, built without a socket;
//! - [`Credentials`]: where the API server is and who we are, from a kubeconfig or the pod;
//! - [`Client`]: the only part that talks; [`KubeError`] and [`ApiStatus`] say what went wrong;
//! - [`pods`] and [`eviction`]: which pods may go, in which order, and what the server's answer means;
//! - [`quantity`]: `250m`, `3885656Ki` and the like as exact numbers.

mod auth;
mod client;
mod credentials;
mod error;
pub mod eviction;
mod exec;
mod kubeconfig;
mod list;
pub mod objects;
pub mod pods;
pub mod quantity;
pub mod request;
mod secret;
mod status;
mod tls;

pub use client::{Client, Options, Response};
pub use credentials::{Credentials, SERVICE_ACCOUNT_DIR};
pub use error::{CredentialsError, KubeError};
pub use k8s_openapi;
pub use request::{Page, PodRef, Request};
pub use secret::Secret;
pub use status::{ApiStatus, Cause};
