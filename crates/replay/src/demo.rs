//! The built-in scenario.

use crate::scenario::{self, Scenario};

const FILE: &str = include_str!("demo.yaml");

/// What to do next.
pub(crate) const EPILOGUE: &str = "\
Nothing outside of this program was touched: the hook's own code ran in virtual time.
Try a scenario of your own with `replay run FILE.yaml`, and `--explain NODE` for every reason.
";

/// The demo, as a scenario.
pub(crate) fn scenario() -> Result<Scenario, Vec<String>> {
    scenario::parse("demo", FILE, &|name| Err(format!("{name} is not built in")))
}
