//! Sizes as people write them: `10` (MiB, as ever), `10G`, `10 GiB`.
//!
//! Units are powers of 1024. `GB` and its like are refused rather than guessed at: half of the world means 1000.
//!
//! # Invariants
//! * **SIZE-1** What a size prints is read as the same size.
//! * **SIZE-2** Any text gives a size or an error that says what is wrong with it; nothing is rounded.

use std::fmt;
use std::str::FromStr;

/// What devices are made of: a volume ends at a whole sector.
pub const SECTOR_BYTES: u64 = 512;

/// Offsets are signed in the kernel.
pub const VOLUME_BYTES_MAX: u64 = i64::MAX as u64 / SECTOR_BYTES * SECTOR_BYTES;

const MIB: u64 = 1 << 20;

/// Units by their letter, with the power of two that each stands for.
const UNITS: [(char, u32); 6] = [
    ('K', 10),
    ('M', 20),
    ('G', 30),
    ('T', 40),
    ('P', 50),
    ('E', 60),
];

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SizeError {
    #[error("a size is missing: give a number of MiB, or one with a unit, such as 10G")]
    Empty,
    #[error("size {text:?} is negative: give a number of MiB, or one with a unit, such as 10G")]
    Negative { text: String },
    #[error("size {text:?} has a fraction: give a whole number of a smaller unit, such as 1536M")]
    Fraction { text: String },
    #[error("size {text:?} is not a number: give a number of MiB, or one with a unit, such as 10G")]
    NotANumber { text: String },
    #[error("size {text:?} has the unknown unit {unit:?}: use K, M, G, T, P or E, or KiB to EiB")]
    UnknownUnit { text: String, unit: String },
    #[error(
        "size {text:?}: {unit} may mean 1000 or 1024: write {letter} or {letter}iB (powers of 1024)"
    )]
    DecimalUnit {
        text: String,
        unit: String,
        letter: char,
    },
    #[error("size {text:?} is beyond what a volume can have, 8 EiB less one sector")]
    TooLarge { text: String },
    #[error("size 0: a volume has at least one sector; give a number of MiB, or one with a unit")]
    Zero,
    #[error("size of {bytes} bytes is not a multiple of 512: round it up to a whole sector")]
    NotSectors { bytes: u64 },
}

/// Reads a number of bytes; 0 is one too. A bare number counts MiB.
pub fn parse_bytes(text: &str) -> Result<u64, SizeError> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(SizeError::Empty);
    }
    let given = || trimmed.to_owned();
    let unsigned = trimmed.strip_prefix('+').unwrap_or(trimmed);
    let digits_end = unsigned
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(unsigned.len());
    let (digits, rest) = unsigned.split_at(digits_end);
    if trimmed.starts_with('-') {
        return Err(SizeError::Negative { text: given() });
    }
    if rest.starts_with(['.', ',']) {
        return Err(SizeError::Fraction { text: given() });
    }
    if digits.is_empty() {
        return Err(SizeError::NotANumber { text: given() });
    }
    let factor = factor(trimmed, rest.trim_start())?;
    // Digits only: what fails is too long a number.
    let count: u64 = digits
        .parse()
        .map_err(|_| SizeError::TooLarge { text: given() })?;
    count
        .checked_mul(factor)
        .ok_or(SizeError::TooLarge { text: given() })
}

fn factor(text: &str, unit: &str) -> Result<u64, SizeError> {
    let unknown = || SizeError::UnknownUnit {
        text: text.to_owned(),
        unit: unit.to_owned(),
    };
    let mut letters = unit.chars();
    let Some(first) = letters.next() else {
        return Ok(MIB);
    };
    let rest = letters.as_str();
    if first.eq_ignore_ascii_case(&'B') && rest.is_empty() {
        return Ok(1);
    }
    let (letter, shift) = UNITS
        .into_iter()
        .find(|(letter, _)| letter.eq_ignore_ascii_case(&first))
        .ok_or_else(unknown)?;
    match rest.to_ascii_lowercase().as_str() {
        "" | "i" | "ib" => Ok(1 << shift),
        "b" => Err(SizeError::DecimalUnit {
            text: text.to_owned(),
            unit: unit.to_owned(),
            letter,
        }),
        _ => Err(unknown()),
    }
}

/// Prints bytes in the largest unit that divides them: `10 GiB`, `1536 MiB`, `512 B`.
pub fn format_bytes(bytes: u64) -> String {
    let unit = UNITS
        .into_iter()
        .rev()
        .find(|(_, shift)| bytes != 0 && bytes.trailing_zeros() >= *shift);
    match unit {
        Some((letter, shift)) => format!("{} {letter}iB", bytes >> shift),
        None => format!("{bytes} B"),
    }
}

/// The size of a volume: at least one sector, whole sectors, at most what the kernel can address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeSize(u64);

impl VolumeSize {
    pub fn from_bytes(bytes: u64) -> Result<Self, SizeError> {
        if bytes == 0 {
            return Err(SizeError::Zero);
        }
        if !bytes.is_multiple_of(SECTOR_BYTES) {
            return Err(SizeError::NotSectors { bytes });
        }
        if bytes > VOLUME_BYTES_MAX {
            return Err(SizeError::TooLarge {
                text: bytes.to_string(),
            });
        }
        Ok(Self(bytes))
    }

    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for VolumeSize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        match Self::from_bytes(parse_bytes(text)?) {
            Err(SizeError::TooLarge { .. }) => Err(SizeError::TooLarge { text: text.into() }),
            other => other,
        }
    }
}

impl fmt::Display for VolumeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: &str) -> String {
        text.parse::<VolumeSize>()
            .expect_err("not a size")
            .to_string()
    }

    #[test]
    fn a_bare_number_counts_mib_and_units_are_powers_of_1024() {
        let bytes = |text: &str| text.parse::<VolumeSize>().map(VolumeSize::bytes);
        assert_eq!(bytes("1"), Ok(1 << 20));
        assert_eq!(bytes("12K"), Ok(12 << 10));
        for text in ["2G", "2g", "2GiB", "2 GiB", " 2gib ", "2Gi", "+2G", "2048"] {
            assert_eq!(bytes(text), Ok(2 << 30), "{text}");
        }
        assert_eq!(bytes("1P"), Ok(1 << 50));
        assert_eq!(bytes("512B"), Ok(512));
    }

    #[test]
    fn each_kind_of_wrong_size_has_its_own_message() {
        let messages = [
            error(""),
            error("-5G"),
            error("1.5G"),
            error("ten"),
            error("12Q"),
            error("12GB"),
            error("16E"),
            error("0"),
            error("513B"),
        ];
        assert!(messages[1].contains("negative"));
        assert!(messages[2].contains("fraction"));
        assert!(messages[4].contains("unknown unit \"Q\""));
        assert!(messages[5].contains("1000 or 1024"));
        assert!(messages[6].contains("8 EiB"));
        assert!(messages[7].contains("at least one sector"));
        assert!(messages[8].contains("multiple of 512"));
        let mut kinds: Vec<&str> = messages.iter().map(String::as_str).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), messages.len());
    }

    #[test]
    fn numbers_of_any_length_overflow_into_an_error() {
        for text in [
            "99999999999999999999999",
            "18446744073709551615",
            "8E",
            "17592186044416",
        ] {
            assert!(error(text).contains("beyond"), "{text}");
        }
        assert!("8796093022207".parse::<VolumeSize>().is_ok());
    }

    proptest! {
        /// SIZE-1
        #[test]
        fn what_is_printed_is_read_again(bytes in any::<u64>(), shift in 0u32..64) {
            let bytes = bytes >> shift << (shift % 50);
            prop_assert_eq!(parse_bytes(&format_bytes(bytes)), Ok(bytes));
        }

        /// SIZE-2
        #[test]
        fn any_text_gives_a_size_or_a_message(text in "\\PC{0,12}|[-+0-9.,KMGTPEQBib ]{0,12}") {
            match text.parse::<VolumeSize>() {
                Ok(size) => prop_assert!(size.bytes() >= SECTOR_BYTES),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }
}
