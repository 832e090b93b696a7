//! Sizes in bytes as people write them: `100MB`, `64MiB`, `512`.

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

/// Suffixes in lower case. `K` alone is decimal and `Ki` binary, as in Kubernetes quantities.
const SUFFIXES: [(&str, u64); 14] = [
    ("", 1),
    ("b", 1),
    ("k", 1_000),
    ("kb", 1_000),
    ("m", 1_000_000),
    ("mb", 1_000_000),
    ("g", 1_000_000_000),
    ("gb", 1_000_000_000),
    ("ki", 1 << 10),
    ("kib", 1 << 10),
    ("mi", 1 << 20),
    ("mib", 1 << 20),
    ("gi", 1 << 30),
    ("gib", 1 << 30),
];

/// More decimals than this cannot change a size of gigabytes by a byte.
const MAX_DECIMALS: usize = 9;

/// Why a text is not a size. The text itself is not repeated: the caller names it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// It does not begin with a number.
    #[error("a number is missing")]
    MissingNumber,
    /// A suffix that is none of ours.
    #[error("unknown suffix, use B, KB, MB, GB, KiB, MiB or GiB")]
    UnknownSuffix,
    /// A size that 64 bits cannot hold.
    #[error("it is too large")]
    TooLarge,
    /// A size of no bytes.
    #[error("it is zero")]
    Zero,
}

impl ByteSize {
    /// The grammar as a regular expression, for the schema.
    pub(crate) const PATTERN: &str = "^[0-9]+(\\.[0-9]*)?\\s*([bB]|[kKmMgG]([bB]|[iI][bB]?)?)?$";

    /// A size of so many bytes, more than none.
    pub fn new(bytes: u64) -> Result<Self, SizeError> {
        if bytes == 0 {
            Err(SizeError::Zero)
        } else {
            Ok(ByteSize(bytes))
        }
    }

    /// The bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl std::str::FromStr for ByteSize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let suffix = suffix.trim_start().to_ascii_lowercase();
        let (_, unit) = SUFFIXES
            .iter()
            .find(|(name, _)| *name == suffix)
            .ok_or(SizeError::UnknownSuffix)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || fraction.contains('.') {
            return Err(SizeError::MissingNumber);
        }
        let whole: u64 = whole.parse().map_err(|_| SizeError::TooLarge)?;
        let bytes = whole
            .checked_mul(*unit)
            .and_then(|bytes| bytes.checked_add(part_of(fraction, *unit)));
        ByteSize::new(bytes.ok_or(SizeError::TooLarge)?)
    }
}

/// `0.fraction` of a unit, in whole bytes.
fn part_of(fraction: &str, unit: u64) -> u64 {
    let digits = &fraction[..fraction.len().min(MAX_DECIMALS)];
    let (mut value, mut scale) = (0u64, 1u64);
    for digit in digits.bytes() {
        value = value * 10 + u64::from(digit - b'0');
        scale *= 10;
    }
    // Both factors are below 2^31, so the product fits.
    value * unit / scale
}

impl std::fmt::Display for ByteSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const NAMES: [(&str, u64); 6] = [
            ("GB", 1_000_000_000),
            ("GiB", 1 << 30),
            ("MB", 1_000_000),
            ("MiB", 1 << 20),
            ("KB", 1_000),
            ("KiB", 1 << 10),
        ];
        match NAMES.iter().find(|(_, unit)| self.0.is_multiple_of(*unit)) {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_decimal_and_binary_suffixes() {
        let table: &[(&str, Result<u64, SizeError>)] = &[
            ("100MB", Ok(100_000_000)),
            ("100mb", Ok(100_000_000)),
            ("100 MB", Ok(100_000_000)),
            ("100MiB", Ok(104_857_600)),
            ("64Mi", Ok(67_108_864)),
            ("1.5GB", Ok(1_500_000_000)),
            ("0.5KiB", Ok(512)),
            ("512", Ok(512)),
            ("512B", Ok(512)),
            ("10k", Ok(10_000)),
            ("", Err(SizeError::MissingNumber)),
            ("MB", Err(SizeError::MissingNumber)),
            (".5MB", Err(SizeError::MissingNumber)),
            ("1.2.3MB", Err(SizeError::MissingNumber)),
            ("-1MB", Err(SizeError::UnknownSuffix)),
            ("1XB", Err(SizeError::UnknownSuffix)),
            ("0MB", Err(SizeError::Zero)),
            ("0.1B", Err(SizeError::Zero)),
            ("99999999999GB", Err(SizeError::TooLarge)),
            ("99999999999999999999999", Err(SizeError::TooLarge)),
        ];
        for (text, expected) in table {
            assert_eq!(
                text.parse::<ByteSize>().map(ByteSize::bytes),
                *expected,
                "{text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(bytes in 1..u64::MAX) {
            let size = ByteSize::new(bytes).unwrap();
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}", near in "[0-9.]{0,25} ?[kmgKMGiIbB]{0,3}") {
            let _ = text.parse::<ByteSize>();
            let _ = near.parse::<ByteSize>();
        }
    }
}
