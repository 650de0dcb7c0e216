//! Why nothing more is written to a volume's journal.

use archipelago_store::StoreError;

use super::error::MapError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub why: String,
    /// The store did not answer in time, and that is all: when it answers again the map can be read anew without anybody's word.
    pub is_late: bool,
}

impl Failure {
    /// One that somebody has to look at.
    pub fn of(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            is_late: false,
        }
    }
}

impl From<&MapError> for Failure {
    fn from(error: &MapError) -> Self {
        let source = match error {
            MapError::Store { source, .. } => Some(source),
            _ => None,
        };
        Self {
            why: error.to_string(),
            is_late: source == Some(&StoreError::Late),
        }
    }
}
