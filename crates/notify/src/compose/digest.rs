//! Digests: 128 bits of SHA-256, and how they are shown.

use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};

/// 128 bits of a hash.
pub(super) type Digest = [u8; 16];

/// Characters of a digest.
pub(super) const SHOWN: usize = 2 * size_of::<Digest>();

/// What SHA-256 works through at a time.
const BLOCK: usize = 64;
/// Its last block ends in the length, in bits.
const LENGTH: usize = size_of::<u64>();
/// What it begins with (FIPS 180-4, 5.3.3).
const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

pub(super) fn cut(hash: Sha256) -> Digest {
    let mut digest = Digest::default();
    let whole = hash.finalize();
    for (byte, of_hash) in digest.iter_mut().zip(whole) {
        *byte = of_hash;
    }
    digest
}

/// Of each text behind what has just the length of a block, which is worked through once.
pub(super) fn of_texts<'t>(
    before: &[u8; BLOCK],
    texts: impl Iterator<Item = &'t str>,
) -> Vec<Digest> {
    let mut state = START;
    compress256(&mut state, &[*before]);
    texts
        .map(|text| match last_block(text.as_bytes()) {
            Some(block) => of_last(state, &block),
            None => cut(Sha256::new_with_prefix(before).chain_update(text)),
        })
        .collect()
}

/// The block of a text that is the second and last one: most names are that short, and a hasher would copy them and
/// itself.
fn last_block(text: &[u8]) -> Option<[u8; BLOCK]> {
    let mut block = [0; BLOCK];
    let (content, length) = block.split_last_chunk_mut::<LENGTH>()?;
    content.get_mut(..text.len())?.copy_from_slice(text);
    // The text ends with a bit that is set.
    *content.get_mut(text.len())? = 0x80;
    let bits = 8 * (BLOCK + text.len());
    *length = u64::try_from(bits).ok()?.to_be_bytes();
    Some(block)
}

fn of_last(mut state: [u32; 8], block: &[u8; BLOCK]) -> Digest {
    compress256(&mut state, &[*block]);
    let mut digest = Digest::default();
    let (words, _) = digest.as_chunks_mut();
    for (word, of_hash) in words.iter_mut().zip(state) {
        *word = of_hash.to_be_bytes();
    }
    digest
}

/// Two digits for each byte.
const PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < pairs.len() {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Digests in hexadecimal, one after another.
pub(super) fn shown(digests: &[Digest]) -> String {
    let mut text = vec![0; SHOWN * digests.len()];
    let (pairs, _) = text.as_chunks_mut();
    for (pair, byte) in pairs.iter_mut().zip(digests.as_flattened()) {
        *pair = PAIRS[usize::from(*byte)];
    }
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_any_length_has_the_digest_of_both_together() {
        let before = [7; BLOCK];
        let long: String = ('!'..='~').cycle().take(130).collect();
        let texts = || (0..=long.len()).map(|length| &long[..length]);
        let digests = of_texts(&before, texts());
        for (text, digest) in texts().zip(&digests) {
            let whole = Sha256::digest([&before, text.as_bytes()].concat());
            assert_eq!(digest[..], whole[..16], "{} bytes", text.len());
        }
    }

    #[test]
    fn every_byte_is_shown_as_two_digits() {
        for byte in 0..=u8::MAX {
            assert_eq!(shown(&[[byte; 16]]), format!("{byte:02x}").repeat(16));
        }
    }
}
