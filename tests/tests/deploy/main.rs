//! The manifests and the chart: what they say, that they say the same, and what a real API server and shell-operator
//! make of them.

mod accepted;
mod chart;
mod copies;
mod installed;
mod objects;
mod overlays;
mod release;
mod rig;
mod rights;
