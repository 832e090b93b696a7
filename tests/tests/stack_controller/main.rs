//! The controller against the real servers, with exactly the rights that are shipped.

mod episodes;
mod rig;
