//! Names of volumes and snapshots: one validator for every way in (M1, F95).
//!
//! A name is 1 to 255 bytes of printable UTF-8. Refused are `/` (names stand in paths and groups of objects), `@` (it
//! separates a volume from its snapshot), control characters (they break lines and terminals), and characters that
//! are invisible or turn the direction of text (two names must not look the same by them).
//!
//! # Invariants
//! * **VOLNAME-1** A [`VolumeName`] holds only what the rules above allow; printed in a line it stays one line.

use std::fmt;
use std::str::FromStr;

pub const NAME_BYTES_MAX: usize = 255;

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    #[error("the name is empty: give 1 to {NAME_BYTES_MAX} bytes of printable text")]
    Empty,
    #[error("the name is {bytes} bytes long: at most {NAME_BYTES_MAX} are allowed")]
    TooLong { bytes: usize },
    #[error("the name {name} contains '/': use another separator, such as '-' or '.'")]
    Slash { name: String },
    #[error(
        "the name {name} contains '@', which stands between a volume and its snapshot: leave it out"
    )]
    At { name: String },
    #[error(
        "the name {name} contains the character {code_point}, which cannot be printed: leave it out"
    )]
    Unprintable { name: String, code_point: String },
    #[error("the name {name} is one of a directory's own: use another")]
    Dots { name: String },
    #[error("the name {name} begins or ends with a space: leave it out")]
    OuterSpace { name: String },
    #[error("the name {name} has more than one '@': VOLUME@SNAPSHOT has one")]
    ManyAts { name: String },
}

/// A checked name of a volume or a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeName(String);

impl VolumeName {
    pub fn new(text: &str) -> Result<Self, NameError> {
        let name = || format!("\"{}\"", text.escape_debug());
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong { bytes: text.len() });
        }
        if text == "." || text == ".." {
            return Err(NameError::Dots { name: name() });
        }
        for letter in text.chars() {
            match letter {
                '/' => return Err(NameError::Slash { name: name() }),
                '@' => return Err(NameError::At { name: name() }),
                _ if is_unprintable(letter) => {
                    return Err(NameError::Unprintable {
                        name: name(),
                        code_point: format!("U+{:04X}", u32::from(letter)),
                    });
                }
                _ => {}
            }
        }
        if text.trim() != text {
            return Err(NameError::OuterSpace { name: name() });
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VolumeName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl fmt::Display for VolumeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A volume, or a snapshot, or a snapshot that must be of the volume named before the `@`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeRef {
    /// What stands before the `@`; without one there is nothing.
    pub volume: Option<VolumeName>,
    /// The name itself: snapshots live in the volumes' namespace.
    pub name: VolumeName,
}

impl FromStr for VolumeRef {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let Some((volume, snapshot)) = text.split_once('@') else {
            let name = VolumeName::new(text)?;
            return Ok(Self { volume: None, name });
        };
        if snapshot.contains('@') {
            return Err(NameError::ManyAts {
                name: format!("\"{}\"", text.escape_debug()),
            });
        }
        Ok(Self {
            volume: Some(VolumeName::new(volume)?),
            name: VolumeName::new(snapshot)?,
        })
    }
}

impl From<VolumeName> for VolumeRef {
    fn from(name: VolumeName) -> Self {
        Self { volume: None, name }
    }
}

impl fmt::Display for VolumeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.volume {
            Some(volume) => write!(f, "{volume}@{}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

/// Controls, separators of lines, and what has no width or changes the direction of its neighbours.
fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
        // Private use, and the two code points at the end of each plane: nobody knows how they look.
        || matches!(letter, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
        || u32::from(letter) & 0xfffe == 0xfffe
        || matches!(letter, '\u{fdd0}'..='\u{fdef}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_pass_short_ones_and_the_longest_too() {
        for text in [
            "a",
            "db-01.data",
            "with space",
            "\u{e9}t\u{e9}",
            "archip_x_lock",
            "...",
        ] {
            assert_eq!(
                VolumeName::new(text).map(|n| n.to_string()),
                Ok(text.into())
            );
        }
        assert!(VolumeName::new(&"x".repeat(255)).is_ok());
        // 128 letters of two bytes each: bytes count, not letters.
        let long = "\u{e9}".repeat(128);
        assert_eq!(
            VolumeName::new(&long),
            Err(NameError::TooLong { bytes: 256 })
        );
    }

    /// VOLNAME-1, F95
    #[test]
    fn what_could_deceive_or_escape_is_refused_and_shown_escaped() {
        let refused = [
            "",
            "a/b",
            "../etc",
            "..",
            ".",
            "a@b",
            "a\0b",
            "a\nb",
            "a\u{202e}b",
            "a\u{200b}b",
            "\u{feff}a",
            " a",
            "a ",
            "a\u{7f}",
            "a\u{e001}",
            "a\u{ffff}",
        ];
        for text in refused {
            let error = VolumeName::new(text).expect_err(text).to_string();
            assert!(!error.contains(['\n', '\0', '\u{202e}']), "{error:?}");
        }
    }

    #[test]
    fn a_snapshot_may_be_named_with_its_volume() {
        let reference: VolumeRef = "vm@monday".parse().expect("a snapshot");
        assert_eq!(reference.volume, Some(VolumeName::new("vm").unwrap()));
        assert_eq!(reference.name.as_str(), "monday");
        assert_eq!(reference.to_string(), "vm@monday");
        assert_eq!("monday".parse::<VolumeRef>().unwrap().volume, None);
        for text in ["@", "a@", "@b", "a@b@c", "a/b@c"] {
            assert!(text.parse::<VolumeRef>().is_err(), "{text}");
        }
    }

    proptest! {
        /// VOLNAME-1
        #[test]
        fn a_name_is_one_printable_line(text in any::<String>()) {
            if let Ok(name) = VolumeName::new(&text) {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!((1..=NAME_BYTES_MAX).contains(&text.len()));
                prop_assert!(!text.chars().any(|c| c.is_control() || c == '/' || c == '@'));
                prop_assert_eq!(text.lines().count(), 1);
                prop_assert_eq!(text.parse::<VolumeRef>().unwrap().to_string(), text);
            }
        }
    }
}
