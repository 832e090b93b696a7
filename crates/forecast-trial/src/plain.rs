//! The plain forecast to compare with: a line of least squares, as `predict_linear` of Prometheus lays one.

/// A line through samples of one minute each, the last being now.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Its level now.
    pub now: f64,
    /// What it rises in a minute.
    pub rise: f64,
}

impl Line {
    /// The line of least squares through points of minutes and values; None where there are fewer than two.
    pub fn through(points: impl Iterator<Item = (f64, f64)>, now: f64) -> Option<Self> {
        let (mut n, mut times, mut values, mut products, mut squares) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (at, value) in points {
            let x = at - now;
            n += 1.0;
            times += x;
            values += value;
            products += x * value;
            squares += x * x;
        }
        if n < 2.0 {
            return None;
        }
        let rise = (products - times * values / n) / (squares - times * times / n);
        Some(Self {
            now: values / n - rise * times / n,
            rise,
        })
    }

    /// Minutes until it is at 100, if it rises.
    pub fn minutes_left(&self) -> Option<f64> {
        (self.rise > 0.0).then(|| (100.0 - self.now) / self.rise)
    }
}
