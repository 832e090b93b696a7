//! Tests of the project itself: its code map, dependencies, READMEs, manifests, dashboards and alert rules against the
//! code.

mod checkout;
mod code_map;
mod dependencies;
mod deploy_script;
mod examples;
mod links;
mod manifests;
mod observability;
mod readme;
mod reference;
mod sbom;
