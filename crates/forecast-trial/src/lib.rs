//! The trial of `ng-forecast`: two corpora of generated series whose truth is known, walked as an operator would, with
//! a plain line of least squares beside it. For tests and the benchmark; no release has it.
//!
//! - `corpus`: kinds of series and the ranges they are drawn from; `shape`: their shapes; `random`: the numbers
//! - `view`: what a history keeps of a series
//! - `plain`: the forecast to compare with
//! - `score`: what counts as a false alarm, as found, as right

mod corpus;
mod plain;
mod random;
mod score;
mod shape;
mod view;

pub use corpus::{Kind, Series, chosen, held_out};
pub use plain::Line;
pub use score::{Score, Tally, by_kind, questions, score};
