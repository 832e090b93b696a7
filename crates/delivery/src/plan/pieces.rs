//! What is planned with: whole stretches where that is enough, else alert by alert.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use super::Stretch;

/// A node under a rule, by number; where nothing else waits for the nodes of a stretch, all of them together.
pub(super) type Subject = usize;

/// Alerts of a stretch that are one subject's.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) subject: Subject,
    pub(super) stretch: &'a Stretch<'a>,
    /// How many alerts of the stretch come before it.
    from: usize,
    len: usize,
}

impl Piece<'_> {
    /// Ids of the alerts, in order.
    pub(super) fn ids(&self) -> impl Iterator<Item = i64> + use<> {
        self.stretch.ids().skip(self.from).take(self.len)
    }
}

/// The stretches in pieces. No subject is of two rules, so that a rule with one stretch need not know its nodes.
pub(super) fn pieces<'a>(stretches: &'a [Stretch<'a>]) -> Vec<Piece<'a>> {
    let mut stretches_of: HashMap<&str, usize, FxBuildHasher> = HashMap::default();
    for stretch in stretches {
        *stretches_of.entry(&stretch.topic.rule).or_default() += 1;
    }
    let mut subjects: HashMap<(&str, &str), Subject, FxBuildHasher> = HashMap::default();
    let mut pieces: Vec<Piece<'a>> = Vec::with_capacity(stretches.len());
    for stretch in stretches {
        let rule = stretch.topic.rule.as_str();
        if stretches_of[rule] == 1 {
            pieces.push(Piece {
                subject: pieces.len(),
                stretch,
                from: 0,
                len: stretch.len,
            });
            continue;
        }
        pieces.reserve(stretch.len);
        subjects.reserve(stretch.len);
        for (from, node) in stretch.names().enumerate() {
            // Names are compared once. The number of its first piece is no other subject's.
            let subject = *subjects.entry((rule, node)).or_insert(pieces.len());
            pieces.push(Piece {
                subject,
                stretch,
                from,
                len: 1,
            });
        }
    }
    pieces
}

/// How many alerts the pieces are of.
pub(super) fn count(pieces: &[Piece<'_>]) -> usize {
    pieces.iter().map(|piece| piece.len).sum()
}

/// The pieces in chunks of this many alerts, the last of which may be smaller.
pub(super) fn chunks<'a>(pieces: &[Piece<'a>], size: usize) -> Vec<Vec<Piece<'a>>> {
    let mut chunks: Vec<Vec<Piece<'a>>> = Vec::new();
    let mut chunk = Vec::new();
    let mut room = size;
    for piece in pieces {
        let mut rest = *piece;
        while rest.len > 0 {
            let len = rest.len.min(room);
            chunk.push(Piece { len, ..rest });
            rest.from += len;
            rest.len -= len;
            room -= len;
            if room == 0 {
                chunks.push(std::mem::take(&mut chunk));
                room = size;
            }
        }
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}
