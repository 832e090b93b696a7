//! Replays recorded contexts and scenarios.
fn main() {}
