//! Names of exports, as clients ask for them.
//!
//! # Invariants
//! * **EXPORT-1** What is no export name is an unknown export, and is never handed on: no `/`, no control character, no
//!   bytes that are not UTF-8, no more than 511 bytes, neither `.` nor `..` (F79).

/// The longest name that an export can have: `VOLUME@SNAPSHOT`, each of 255 bytes (M1).
pub const DISK_NAME_BYTES_MAX: usize = 255 + 1 + 255;

/// The name of an export. The empty one means the default export.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskName(String);

/// Why these bytes name no export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAName {
    #[error("an export name has at most {DISK_NAME_BYTES_MAX} bytes, not {len_bytes}")]
    TooLong { len_bytes: usize },
    #[error("an export name is UTF-8")]
    NotUtf8,
    #[error("an export name has no {character:?}")]
    Forbidden { character: char },
    #[error("an export name is not made of dots")]
    Dots,
}

impl DiskName {
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAName> {
        if bytes.len() > DISK_NAME_BYTES_MAX {
            let len_bytes = bytes.len();
            return Err(NotAName::TooLong { len_bytes });
        }
        let name = std::str::from_utf8(bytes).map_err(|_| NotAName::NotUtf8)?;
        if let Some(character) = name.chars().find(|&c| c.is_control() || c == '/') {
            return Err(NotAName::Forbidden { character });
        }
        if name == "." || name == ".." {
            return Err(NotAName::Dots);
        }
        Ok(Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for DiskName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for DiskName {
    type Err = NotAName;

    fn from_str(name: &str) -> Result<Self, NotAName> {
        Self::parse(name.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_a_path_or_break_a_line_is_no_name() {
        // EXPORT-1, F79
        let newline = "line\nbreak".as_bytes();
        for bytes in [b"../etc".as_slice(), b"..", b".", b"a/b", b"a\0b", newline] {
            assert!(DiskName::parse(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(DiskName::parse(b"\xff\xfe"), Err(NotAName::NotUtf8));
        assert_eq!(
            DiskName::parse(&[b'a'; 4096]),
            Err(NotAName::TooLong { len_bytes: 4096 })
        );
    }

    #[test]
    fn ordinary_names_and_the_empty_one_are_names() {
        for name in [
            "",
            "volume",
            "volume@snapshot",
            "two words",
            "\u{3b1}\u{3c1}",
        ] {
            let parsed: DiskName = name.parse().unwrap();
            assert_eq!(parsed.as_str(), name);
        }
    }
}
