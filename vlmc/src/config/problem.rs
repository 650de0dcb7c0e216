//! What is wrong with a configuration: where, which key, what, and the way out.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::model::Config;
use super::place::{Origin, Place};

/// One thing to correct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Missing if a default is what cannot be used.
    pub place: Option<Place>,
    /// The dotted name of the setting; empty if the file as such is wrong.
    pub key: String,
    pub what: String,
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: ")?,
            None => write!(f, "defaults: ")?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}: {}", self.what, self.remedy)
    }
}

/// Where a setting is given, if a file gives it.
pub(super) fn place_of(config: &Config, key: &str) -> Option<Place> {
    match config.origins.get(key) {
        Some(Origin::File { place, .. }) => Some(place.clone()),
        _ => None,
    }
}

/// Why there is no configuration to work with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    #[error("cannot read {}: {source}: give a file that is there with --config", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// All problems of all files, in the order of the files.
    #[error("{}", lines(problems))]
    Invalid { problems: Vec<Problem> },
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}
