//! Medians and other ranks of numbers.

/// A number as an integer of the same order, which is quicker to compare. Any number has a place, NaN too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ranked(i64);

impl Ranked {
    /// Below every number.
    pub(crate) const LEAST: Self = Self(i64::MIN);

    pub(crate) fn of(number: f64) -> Self {
        Self(turned(number.to_bits().cast_signed()))
    }

    pub(crate) fn number(self) -> f64 {
        f64::from_bits(turned(self.0).cast_unsigned())
    }
}

/// Negative numbers are stored by their size: their order is turned round, and back by the same step.
const fn turned(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// The median; 0 of nothing. The numbers are put into another order.
pub(crate) fn median(numbers: &mut [Ranked]) -> f64 {
    halves(numbers).1
}

/// The numbers below the median, the median, and those above it.
pub(crate) fn halves(numbers: &mut [Ranked]) -> (&mut [Ranked], f64, &mut [Ranked]) {
    let (half, is_odd) = (numbers.len() / 2, numbers.len() % 2 == 1);
    if numbers.is_empty() {
        return (&mut [], 0.0, &mut []);
    }
    let (below, middle, above) = numbers.select_nth_unstable(half);
    let upper = middle.number();
    let lower = below.iter().copied().max().unwrap_or(Ranked::LEAST);
    let median = if is_odd {
        upper
    } else {
        f64::midpoint(lower.number(), upper)
    };
    (below, median, above)
}

/// The number below which a share from 0 to 1 of them lies; 0 of nothing. The numbers are put into another order.
pub(crate) fn quantile(numbers: &mut [Ranked], share: f64) -> f64 {
    if numbers.is_empty() {
        return 0.0;
    }
    let last = numbers.len() - 1;
    let place = place(count(last) * share + 0.5).min(last);
    numbers.select_nth_unstable(place).1.number()
}

/// The middle one of three.
pub(crate) fn middle([a, b, c]: [f64; 3]) -> f64 {
    a.min(b).max(a.max(b).min(c))
}

/// A small number of things, to count with.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(crate) fn count(of: usize) -> f64 {
    of as f64
}

/// The place that a number falls into; what is below zero falls into the first.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast ends at the bounds, and NaN is zero"
)]
pub(crate) fn place(number: f64) -> usize {
    number as usize
}
