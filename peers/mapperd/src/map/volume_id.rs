//! The random number that is a volume for life (M1).

use super::error::{BadField, FormatError};

/// A volume's id: never changes, never names another volume. Not zero, which stands for "none" on disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeId([u8; 16]);

/// Text that is no id of a volume.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is no id of a volume: write 32 hexadecimal digits, lower case, not all zero",
    text.escape_debug()
)]
pub struct BadVolumeId {
    text: String,
}

impl VolumeId {
    /// The id with these bytes; none if all are zero.
    pub fn new(bytes: [u8; 16]) -> Option<Self> {
        (bytes != [0; 16]).then_some(Self(bytes))
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id in a field that must have one.
    pub(super) fn decode(
        bytes: [u8; 16],
        record: &'static str,
        field: &'static str,
    ) -> Result<Self, FormatError> {
        let bad = BadField {
            record,
            field,
            value: 0,
            want: "the id of a volume is not zero",
        };
        Self::new(bytes).ok_or(FormatError::Field(bad))
    }

    /// As it stands on disk where there may be none.
    pub(super) fn encode_option(id: Option<Self>) -> [u8; 16] {
        id.map_or([0; 16], |id| id.0)
    }
}

impl std::str::FromStr for VolumeId {
    type Err = BadVolumeId;

    fn from_str(text: &str) -> Result<Self, BadVolumeId> {
        let bad = || BadVolumeId {
            text: text.chars().take(64).collect(),
        };
        // Upper case is refused: one id has one text, and names of objects are made of it.
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(digit) {
            return Err(bad());
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| bad())?;
        Self::new(number.to_be_bytes()).ok_or_else(bad)
    }
}

impl std::fmt::Display for VolumeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl std::fmt::Debug for VolumeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_32_lower_case_digits_and_not_zero() {
        let text = "000102030405060708090a0b0c0d0eff";
        let id: VolumeId = text.parse().unwrap();
        assert_eq!(id.as_bytes()[15], 0xff);
        assert_eq!(id.as_bytes()[1], 1);
        assert_eq!(id.to_string(), text);
        let long = "1".repeat(33);
        let not_ascii = "\u{e9}".repeat(16);
        for bad in [
            "",
            &text[1..],
            &long,
            &"0".repeat(32),
            &text.to_uppercase(),
            &not_ascii,
        ] {
            assert!(bad.parse::<VolumeId>().is_err(), "{bad}");
        }
        assert!(("+".to_owned() + &text[1..]).parse::<VolumeId>().is_err());
        assert_eq!(VolumeId::new([0; 16]), None);
    }
}
