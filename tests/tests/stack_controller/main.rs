//! The controller, alone and beside the other hooks, against the real servers, with exactly the rights that are
//! shipped.

mod cleanup;
mod episodes;
mod evictions;
mod faults;
mod idle;
mod limits;
mod monitor;
mod rig;
mod together;
mod watcher;
