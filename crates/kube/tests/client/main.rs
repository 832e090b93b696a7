//! The client against real servers on loopback.

mod auth;
mod sending;
mod support;
mod tls;
