//! A set of node positions, one bit a node: conditions of thousands of nodes are combined a word at a time.

/// A fixed-size set of positions `0..len`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    /// The empty set over `len` positions.
    pub fn none(len: usize) -> Self {
        Self {
            words: vec![0; len.div_ceil(64)],
            len,
        }
    }

    /// The full set over `len` positions.
    pub fn all(len: usize) -> Self {
        Self::from_fn(len, |_| true)
    }

    /// The positions for which `test` is true.
    pub fn from_fn(len: usize, mut test: impl FnMut(usize) -> bool) -> Self {
        let mut words = Vec::with_capacity(len.div_ceil(64));
        let mut start = 0;
        while start < len {
            let end = (start + 64).min(len);
            let mut word = 0_u64;
            for position in start..end {
                word |= u64::from(test(position)) << (position - start);
            }
            words.push(word);
            start = end;
        }
        Self { words, len }
    }

    /// The positions that are not in the set.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let mut all = Self::all(self.len);
        all.drop_all(self);
        all
    }

    /// Number of positions the set ranges over.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no position is in the set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Number of positions in the set.
    pub fn count(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Whether `position` is in the set.
    pub fn has(&self, position: usize) -> bool {
        self.words
            .get(position / 64)
            .is_some_and(|word| word >> (position % 64) & 1 == 1)
    }

    /// Adds `position`; ignored if out of range.
    pub fn add(&mut self, position: usize) {
        if position < self.len {
            self.words[position / 64] |= 1 << (position % 64);
        }
    }

    /// Takes `position` out.
    pub fn remove(&mut self, position: usize) {
        if let Some(word) = self.words.get_mut(position / 64) {
            *word &= !(1 << (position % 64));
        }
    }

    /// Keeps what is also in `other`.
    pub fn keep(&mut self, other: &Self) {
        for (word, others) in self.words.iter_mut().zip(&other.words) {
            *word &= others;
        }
    }

    /// Adds everything in `other`.
    pub fn join(&mut self, other: &Self) {
        for (word, others) in self.words.iter_mut().zip(&other.words) {
            *word |= others;
        }
    }

    /// Takes out everything in `other`.
    pub fn drop_all(&mut self, other: &Self) {
        for (word, others) in self.words.iter_mut().zip(&other.words) {
            *word &= !others;
        }
    }

    /// The positions in the set, in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words
            .iter()
            .enumerate()
            .flat_map(|(index, word)| Ones(*word).map(move |bit| index * 64 + bit))
    }
}

/// The positions of the ones in a word.
struct Ones(u64);

impl Iterator for Ones {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        (self.0 != 0).then(|| {
            let bit = self.0.trailing_zeros() as usize;
            self.0 &= self.0 - 1;
            bit
        })
    }
}
