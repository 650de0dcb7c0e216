//! Why a historic file cannot be read.

/// The line, what is there, and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}: {remedy}")]
pub struct ConvertError {
    pub line: usize,
    pub what: String,
    pub remedy: &'static str,
}

impl ConvertError {
    pub(super) fn new(line: usize, what: impl Into<String>, remedy: &'static str) -> Self {
        Self {
            line,
            what: what.into(),
            remedy,
        }
    }
}
