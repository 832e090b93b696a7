//! Replays recorded contexts and scenarios, and tests rules.
//!
//! A scenario is played against the hook's own code: [`ng_round::tick`] gets contexts as shell-operator makes
//! them, a simulated cluster and simulated readings, and what it writes is applied to that cluster. Nothing outside
//! of a temporary directory is touched.
//!
//! - `cli`: the commands. `scenario`: the file, checked. `simulate`: virtual time, cluster, readings, verdicts.
//! - `timeline`: what happened. `show`: how it is printed.
//! - `context`: one recorded context through a hook's executable.
//! - `cleanup`: what the hooks have set on the nodes of a real cluster, taken away. `node_object`: a node with its marks.

mod cleanup;
mod cli;
mod context;
mod demo;
mod node_object;
mod scenario;
mod show;
mod simulate;
mod timeline;

pub use cli::main;
