//! The client against real servers on loopback.

#![expect(clippy::unwrap_used, reason = "what helps a test fails like a test")]

mod auth;
mod sending;
mod support;
mod tls;
