//! Evaluates rules on every tick and applies their actions.
fn main() {}
