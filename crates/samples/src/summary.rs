//! What many samples of a value come to, and the rows in which that is kept.

use crate::pack::{self, Malformed, UNKNOWN};
use crate::schema::CHUNK;

/// What the samples of one metric of one node in a stretch of time come to. Hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) min: i64,
    pub(crate) max: i64,
    pub(crate) last: i64,
    /// Of all samples; the mean is this by `known`.
    sum: i128,
    /// Samples that were known.
    pub(crate) known: u32,
}

impl Summary {
    pub(crate) const NOTHING: Self = Self {
        min: i64::MAX,
        max: i64::MIN,
        last: UNKNOWN,
        sum: 0,
        known: 0,
    };

    /// What one sample comes to.
    pub(crate) fn of(value: i64) -> Self {
        let mut summary = Self::NOTHING;
        summary.add(&Self {
            min: value,
            max: value,
            last: value,
            sum: i128::from(value),
            known: u32::from(value != UNKNOWN),
        });
        summary
    }

    /// What a row has of a node: mean, known samples, and how far the least, the largest and the last are from the mean.
    fn of_parts([mean, known, below, above, last]: [i64; 5]) -> Result<Self, Malformed> {
        if mean == UNKNOWN {
            return Ok(Self::NOTHING);
        }
        Ok(Self {
            min: mean.wrapping_sub(below),
            max: mean.wrapping_add(above),
            last: mean.wrapping_add(last),
            sum: i128::from(mean) * i128::from(known),
            known: u32::try_from(known).map_err(|_| Malformed)?,
        })
    }

    /// Adds what came later.
    pub(crate) fn add(&mut self, later: &Self) {
        if later.known > 0 {
            self.min = self.min.min(later.min);
            self.max = self.max.max(later.max);
            self.last = later.last;
            self.sum += later.sum;
            self.known = self.known.saturating_add(later.known);
        }
    }

    /// Rounded; between the least and the largest sample. [`UNKNOWN`] if no sample was known.
    pub(crate) fn mean(&self) -> i64 {
        if self.known == 0 {
            return UNKNOWN;
        }
        // Nearly always the sum is small, and then the division takes a tenth of the time.
        if let Some(twice) = i64::try_from(self.sum)
            .ok()
            .and_then(|sum| sum.checked_mul(2))
        {
            let known = i64::from(self.known);
            if let Some(above) = twice.checked_add(known) {
                return above.div_euclid(2 * known);
            }
        }
        let known = i128::from(self.known);
        let mean = (2 * self.sum + known).div_euclid(2 * known);
        i64::try_from(mean).unwrap_or(UNKNOWN)
    }
}

/// One metric of all nodes of a chunk over a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Checks in the stretch, whether or not a node's value was known.
    pub(crate) checks: u32,
    pub(crate) nodes: Vec<Summary>,
}

impl Column {
    pub(crate) const fn new() -> Self {
        Self {
            checks: 0,
            nodes: Vec::new(),
        }
    }

    /// Adds a check's values.
    pub(crate) fn add_sample(&mut self, body: &[u8]) -> Result<(), Malformed> {
        let mut room = [0; CHUNK];
        let values = read_sample(body, &mut room)?;
        self.checks = self.checks.saturating_add(1);
        self.reach(values.len());
        for (node, value) in self.nodes.iter_mut().zip(values) {
            node.add(&Summary::of(*value));
        }
        Ok(())
    }

    /// Adds a later stretch.
    pub(crate) fn add_summary(&mut self, body: &[u8]) -> Result<(), Malformed> {
        let later = Self::read(body)?;
        self.checks = self.checks.saturating_add(later.checks);
        self.reach(later.nodes.len());
        for (node, later) in self.nodes.iter_mut().zip(&later.nodes) {
            node.add(later);
        }
        Ok(())
    }

    fn reach(&mut self, count: usize) {
        if self.nodes.len() < count {
            self.nodes.resize(count, Summary::NOTHING);
        }
    }

    /// The means come first, so that who needs only them need not read on. The others are written as what they are
    /// from the mean, which is little.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write_count(self.nodes.len(), out);
        pack::put_varint(u64::from(self.checks), out);
        let means: Vec<i64> = self.nodes.iter().map(Summary::mean).collect();
        pack::pack(&means, out);
        let mut values = means.clone();
        let mut stream = |value: fn(&Summary, i64) -> i64| {
            for ((value_out, node), mean) in values.iter_mut().zip(&self.nodes).zip(&means) {
                if *mean != UNKNOWN {
                    *value_out = value(node, *mean);
                }
            }
            pack::pack(&values, out);
        };
        stream(|node, _| i64::from(node.known));
        stream(|node, mean| mean.wrapping_sub(node.min));
        stream(|node, mean| node.max.wrapping_sub(mean));
        stream(|node, mean| node.last.wrapping_sub(mean));
    }

    pub(crate) fn read(body: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = body;
        let count = read_count(&mut bytes)?;
        let checks = u32::try_from(pack::take_varint(&mut bytes)?).map_err(|_| Malformed)?;
        let mut streams = [[0; CHUNK]; 5];
        for stream in &mut streams {
            pack::unpack(&mut bytes, &mut stream[..count])?;
        }
        let [means, known, below, above, last] = &streams;
        let parts = |position| {
            [means, known, below, above, last].map(|stream: &[i64; CHUNK]| stream[position])
        };
        let mut column = Self {
            checks,
            nodes: vec![Summary::NOTHING; count],
        };
        for (position, node) in column.nodes.iter_mut().enumerate() {
            *node = Summary::of_parts(parts(position))?;
        }
        Ok(column)
    }

    /// Checks, and what a row that [`Column::write`] wrote has of one node.
    pub(crate) fn read_one(body: &[u8], position: usize) -> Result<(u32, Summary), Malformed> {
        let mut bytes = body;
        let count = read_count(&mut bytes)?;
        let checks = u32::try_from(pack::take_varint(&mut bytes)?).map_err(|_| Malformed)?;
        let mut parts = [0; 5];
        for part in &mut parts {
            *part = pack::pick(&mut bytes, count, position)?;
        }
        Ok((checks, Summary::of_parts(parts)?))
    }
}

/// The means of a row that [`Column::write`] wrote.
pub(crate) fn read_means<'a>(
    body: &[u8],
    room: &'a mut [i64; CHUNK],
) -> Result<&'a [i64], Malformed> {
    let mut bytes = body;
    let count = read_count(&mut bytes)?;
    pack::take_varint(&mut bytes)?;
    pack::unpack(&mut bytes, &mut room[..count])?;
    Ok(&room[..count])
}

/// Writes a check's values of at most a chunk of nodes.
pub(crate) fn write_sample(values: &[i64], out: &mut Vec<u8>) {
    write_count(values.len(), out);
    pack::pack(values, out);
}

/// The values of a row that [`write_sample`] wrote.
pub(crate) fn read_sample<'a>(
    body: &[u8],
    room: &'a mut [i64; CHUNK],
) -> Result<&'a [i64], Malformed> {
    let mut bytes = body;
    let count = read_count(&mut bytes)?;
    pack::unpack(&mut bytes, &mut room[..count])?;
    Ok(&room[..count])
}

/// One of the values of a row that [`write_sample`] wrote.
pub(crate) fn read_one_sample(body: &[u8], position: usize) -> Result<i64, Malformed> {
    let mut bytes = body;
    let count = read_count(&mut bytes)?;
    pack::pick(&mut bytes, count, position)
}

fn write_count(count: usize, out: &mut Vec<u8>) {
    pack::put_varint(count as u64, out);
}

fn read_count(bytes: &mut &[u8]) -> Result<usize, Malformed> {
    let count = usize::try_from(pack::take_varint(bytes)?).map_err(|_| Malformed)?;
    if count > CHUNK {
        return Err(Malformed);
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples() -> impl Strategy<Value = Vec<Vec<i64>>> {
        let value = prop_oneof![4 => -50..20_000_i64, 1 => Just(UNKNOWN)];
        let sample = proptest::collection::vec(value, 0..=90);
        proptest::collection::vec(sample, 1..8)
    }

    fn column(samples: &[Vec<i64>]) -> Column {
        let mut column = Column::new();
        for sample in samples {
            let mut body = Vec::new();
            write_sample(sample, &mut body);
            column.add_sample(&body).unwrap();
        }
        column
    }

    proptest! {
        #[test]
        fn a_column_says_what_its_samples_say(samples in samples()) {
            let column = column(&samples);
            prop_assert_eq!(column.checks as usize, samples.len());
            for (node, summary) in column.nodes.iter().enumerate() {
                let known: Vec<i64> = samples
                    .iter()
                    .filter_map(|sample| sample.get(node).copied())
                    .filter(|value| *value != UNKNOWN)
                    .collect();
                prop_assert_eq!(summary.known as usize, known.len());
                if let Some(last) = known.last() {
                    let sum: i64 = known.iter().sum();
                    let count = i64::try_from(known.len()).unwrap();
                    prop_assert_eq!(summary.min, *known.iter().min().unwrap());
                    prop_assert_eq!(summary.max, *known.iter().max().unwrap());
                    prop_assert_eq!(summary.last, *last);
                    prop_assert!((summary.mean() * count - sum).abs() * 2 <= count);
                } else {
                    prop_assert_eq!(*summary, Summary::NOTHING);
                }
            }
        }

        #[test]
        fn rows_come_back(samples in samples()) {
            let column = column(&samples);
            let mut body = Vec::new();
            column.write(&mut body);
            let found = Column::read(&body).unwrap();
            prop_assert_eq!(found.checks, column.checks);
            for (position, (found, written)) in found.nodes.iter().zip(&column.nodes).enumerate() {
                prop_assert_eq!(Column::read_one(&body, position).unwrap(), (column.checks, *found));
                let parts = |summary: &Summary| (
                    summary.min, summary.mean(), summary.max, summary.last, summary.known,
                );
                prop_assert_eq!(parts(found), parts(written));
            }
            let mut room = [0; CHUNK];
            let means: Vec<i64> = column.nodes.iter().map(Summary::mean).collect();
            prop_assert_eq!(read_means(&body, &mut room).unwrap(), means.as_slice());
        }

        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut room = [0; CHUNK];
            let _ = Column::read(&bytes);
            let _ = Column::read_one(&bytes, 70);
            let _ = read_means(&bytes, &mut room);
            let _ = read_sample(&bytes, &mut room);
        }
    }
}
