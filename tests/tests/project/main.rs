//! Tests of the project itself: its code map, dependencies, READMEs and manifests against the code.

mod checkout;
mod code_map;
mod dependencies;
mod links;
mod manifests;
mod readme;
