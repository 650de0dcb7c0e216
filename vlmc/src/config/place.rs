//! Where a setting was written.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub file: Arc<PathBuf>,
    /// From 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// No file says it; the text is why the value is what it is.
    Default(&'static str),
    /// `overridden` are places of earlier files that say something else.
    File {
        place: Place,
        overridden: Vec<Place>,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default(why) => write!(f, "default: {why}"),
            Self::File { place, overridden } => {
                write!(f, "{place}")?;
                for (index, place) in overridden.iter().enumerate() {
                    let word = if index == 0 { ", overrides" } else { " and" };
                    write!(f, "{word} {place}")?;
                }
                Ok(())
            }
        }
    }
}

/// The line of a byte of a text, from 1.
pub fn line_at(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}
