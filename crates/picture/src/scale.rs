//! Numbers to lengths, in one place: the pictures need no more precision than a tenth of a pixel.

use std::time::Duration;

use ng_engine::time::Time;

/// Milliseconds from one time to another, negative if it is earlier.
#[expect(
    clippy::cast_precision_loss,
    reason = "exact for every span below 285,000 years"
)]
pub(crate) fn distance(from: Time, to: Time) -> f64 {
    to.millis().saturating_sub(from.millis()) as f64
}

/// Where a time is between two others: 0 at the first, 1 at the second.
pub(crate) fn share(from: Time, to: Time, at: Time) -> f64 {
    let whole = distance(from, to);
    if whole > 0.0 {
        distance(from, at) / whole
    } else {
        0.0
    }
}

/// A number between 0 and `most` as a whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the value is held between 0 and a small number"
)]
pub(crate) fn whole(value: f64, most: usize) -> usize {
    value.round().clamp(0.0, most as f64) as usize
}

/// A small whole number for calculations.
#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of cells and rows are small"
)]
pub(crate) fn real(value: usize) -> f64 {
    value as f64
}

/// Half a duration later.
pub(crate) fn middle(at: Time, lasting: Duration) -> Time {
    at.plus(lasting / 2)
}
