//! Columns of numbers, packed: for each block of 64 the smallest one, and of the others what is above it in as few
//! bits as the largest needs.
//!
//! Readings have two decimals here and lie close together, so a percentage takes 14 bits and a difference of two takes
//! ten. Nothing is lost but further decimals, and a metric with large numbers is only longer.

/// Stands for a value that is not known; no code of a number.
pub(crate) const UNKNOWN: i64 = i64::MIN;

/// The largest amount that a value can have, so that no difference overflows.
const LARGEST: i64 = 1 << 53;
const BLOCK: usize = 64;
/// Some values of the block are unknown: they have the code 0, and the others begin at 1.
const GAPS: u8 = 0x80;
/// All values of the block are unknown.
const NOTHING: u8 = 0xff;
/// Of a code, with the bits before it in its byte, so that one load of 64 bits has it.
const WIDEST: u32 = 56;

/// What was read was not written by [`pack`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Hundredths of a reading; not a number is unknown, and so is infinity.
pub(crate) fn hundredths(value: f64) -> i64 {
    if !value.is_finite() {
        return UNKNOWN;
    }
    let scaled = (value * 100.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "finite, and what is too large for the type saturates and is bounded below"
    )]
    let whole = scaled as i64;
    whole.clamp(-LARGEST, LARGEST)
}

/// The reading behind hundredths; not a number if it is unknown.
#[expect(
    clippy::cast_precision_loss,
    reason = "the largest amount is one that the type holds exactly"
)]
pub(crate) fn reading(hundredths: i64) -> f64 {
    if hundredths == UNKNOWN {
        f64::NAN
    } else {
        hundredths as f64 / 100.0
    }
}

/// Appends the values; how many there are is not written.
pub(crate) fn pack(values: &[i64], out: &mut Vec<u8>) {
    for block in values.chunks(BLOCK) {
        pack_block(block, out);
    }
}

fn pack_block(block: &[i64], out: &mut Vec<u8>) {
    let (mut least, mut most, mut known) = (i64::MAX, i64::MIN, 0);
    for value in block.iter().filter(|value| **value != UNKNOWN) {
        least = least.min(*value);
        most = most.max(*value);
        known += 1;
    }
    if known == 0 {
        out.push(NOTHING);
        return;
    }
    let gaps = known < block.len();
    let first = u64::from(gaps);
    let width = 64 - (most.abs_diff(least) + first).leading_zeros();
    let [flags, ..] = width.to_le_bytes();
    out.push(if gaps { flags | GAPS } else { flags });
    put_varint(zigzag(least), out);
    // Narrow codes leave in fours; a wide one has no room beside that many bits.
    let step = if width <= 32 { 4 } else { 1 };
    let (mut bits, mut filled) = (0_u64, 0);
    for value in block {
        let code = if *value == UNKNOWN {
            0
        } else {
            value.abs_diff(least) + first
        };
        bits |= code << filled;
        filled += width;
        while filled >= 8 * step {
            out.extend_from_slice(&bits.to_le_bytes()[..step as usize]);
            bits >>= 8 * step;
            filled -= 8 * step;
        }
    }
    out.extend_from_slice(&bits.to_le_bytes()[..filled.div_ceil(8) as usize]);
}

/// Takes as many values as there is room for off the front of `bytes`.
pub(crate) fn unpack(bytes: &mut &[u8], values: &mut [i64]) -> Result<(), Malformed> {
    for block in values.chunks_mut(BLOCK) {
        unpack_block(bytes, block)?;
    }
    Ok(())
}

/// As [`unpack`] for `count` values, but only the one at `position` is wanted; [`UNKNOWN`] if there are not as many.
pub(crate) fn pick(bytes: &mut &[u8], count: usize, position: usize) -> Result<i64, Malformed> {
    let mut found = UNKNOWN;
    for first in (0..count).step_by(BLOCK) {
        let length = BLOCK.min(count - first);
        if (first..first + length).contains(&position) {
            let mut block = [0; BLOCK];
            unpack_block(bytes, &mut block[..length])?;
            found = block[position - first];
        } else if let Some((width, _)) = header(bytes)? {
            take_varint(bytes)?;
            take(bytes, self::length(length, width))?;
        }
    }
    Ok(found)
}

fn unpack_block(bytes: &mut &[u8], block: &mut [i64]) -> Result<(), Malformed> {
    let Some((width, gaps)) = header(bytes)? else {
        block.fill(UNKNOWN);
        return Ok(());
    };
    let least = unzigzag(take_varint(bytes)?);
    let codes = take(bytes, length(block.len(), width))?;
    // Longer than any block, so that the last code can be loaded like the others.
    let mut padded = [0; BLOCK * 7 + 8];
    padded[..codes.len()].copy_from_slice(codes);
    let mask = (1_u64 << width) - 1;
    let first = i64::from(gaps);
    let mut bit = 0;
    for value in block {
        let mut word = [0; 8];
        word.copy_from_slice(&padded[bit / 8..bit / 8 + 8]);
        let code = (u64::from_le_bytes(word) >> (bit % 8)) & mask;
        bit += width;
        *value = if gaps && code == 0 {
            UNKNOWN
        } else {
            least.wrapping_add(code.cast_signed() - first)
        };
    }
    Ok(())
}

/// Width and whether there are gaps; `None` if nothing is known.
fn header(bytes: &mut &[u8]) -> Result<Option<(usize, bool)>, Malformed> {
    let flags = take(bytes, 1)?[0];
    if flags == NOTHING {
        return Ok(None);
    }
    let width = u32::from(flags & !GAPS);
    if width > WIDEST {
        return Err(Malformed);
    }
    Ok(Some((width as usize, flags & GAPS != 0)))
}

/// Bytes of the codes of a block.
fn length(values: usize, width: usize) -> usize {
    (values * width).div_ceil(8)
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], Malformed> {
    let (taken, rest) = bytes.split_at_checked(count).ok_or(Malformed)?;
    *bytes = rest;
    Ok(taken)
}

pub(crate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let [byte, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(byte & 0x7f);
            return;
        }
        out.push(byte | 0x80);
    }
}

pub(crate) fn take_varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(values: &[i64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        pack(values, &mut bytes);
        bytes
    }

    fn value() -> impl Strategy<Value = i64> {
        prop_oneof![
            6 => 0..10_000_i64,
            2 => Just(UNKNOWN),
            1 => -LARGEST..=LARGEST,
        ]
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(values in proptest::collection::vec(value(), 0..300)) {
            let bytes = packed(&values);
            let mut rest = bytes.as_slice();
            let mut found = vec![7; values.len()];
            prop_assert_eq!(unpack(&mut rest, &mut found), Ok(()));
            for (position, value) in values.iter().enumerate() {
                let mut rest = bytes.as_slice();
                prop_assert_eq!(pick(&mut rest, values.len(), position), Ok(*value));
                prop_assert!(rest.is_empty());
            }
            prop_assert_eq!(pick(&mut bytes.as_slice(), values.len(), values.len()), Ok(UNKNOWN));
            prop_assert_eq!(found, values);
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), count in 0..300_usize) {
            let mut found = vec![0; count];
            let whole = unpack(&mut bytes.as_slice(), &mut found).is_ok();
            prop_assert_eq!(pick(&mut bytes.as_slice(), count, count / 2).is_ok(), whole);
        }
    }

    #[test]
    fn percentages_take_two_bytes_at_most() {
        let mut seed = 1_u64;
        let values: Vec<i64> = (0..256)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                i64::try_from(seed >> 40).unwrap() % 10_000
            })
            .collect();
        let bytes = packed(&values).len();
        assert!(bytes <= 256 * 14 / 8 + 4 * 4, "{bytes}");
        assert_eq!(packed(&[UNKNOWN; 256]).len(), 4);
        assert_eq!(packed(&[5; 64]).len(), 2);
    }

    #[test]
    fn numbers_that_are_none_are_unknown() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(hundredths(value), UNKNOWN);
        }
        let cases = [
            (0.0, 0),
            (-0.001, 0),
            (99.994, 9_999),
            (99.995, 10_000),
            (-3.25, -325),
            (1e300, LARGEST),
            (-1e300, -LARGEST),
        ];
        for (value, expected) in cases {
            assert_eq!(hundredths(value), expected, "{value}");
        }
        assert!(reading(UNKNOWN).is_nan());
        assert_eq!(reading(325).to_bits(), 3.25_f64.to_bits());
    }
}
