//! Pictures of what is known of the nodes: one HTML file that needs nothing else, and a table for terminals.
//!
//! Data in, text out: no I/O, no clock, no environment, and nothing is decided here; levels and forecasts come in.
//! Every text that comes in is taken for hostile: it can neither leave its place in the page nor steer a terminal. What
//! is not known is shown as unknown, never as a number and never as a line.
//!
//! - `model`: what the caller fills in
//! - `page`: the report, a file for each of its sections, with its style sheet and its script
//! - `table`: the table
//! - `rank`: which node comes first; `scale`: numbers to lengths
//! - `words`: every word in each language; `say`: numbers, times and forecasts in them; `text`: hostile text made safe

mod model;
mod page;
mod rank;
mod say;
mod scale;
mod table;
mod text;
mod words;

pub use model::{
    Arrival, Incident, Language, Level, Limit, Limits, Measure, Next, NoForecast, Node, Outlook,
    Paint, Point, Readiness, Readings, Report, Screen, Severity, Silence, Source, Table, Trend,
};
pub use page::report;
pub use table::table;
