//! Why a command was not done: for people, for scripts, for the shell.

use std::fmt;

use archipelago_protocol::{CallError, ErrorCode};
use rustix::io::Errno;
use serde_json::{Value, json};

use super::volumes::Attachment;

/// What failed, on what, and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReport {
    pub code: ErrorCode,
    pub message: String,
    /// May be empty.
    pub remedy: String,
}

impl ErrorReport {
    pub fn new(code: ErrorCode, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            remedy: remedy.into(),
        }
    }

    /// From what a peer answered: its text if it sent one that can be understood, else what its errno means.
    pub fn from_answer(errno: Errno, error: Option<CallError>) -> Self {
        let code = ErrorCode::from_errno(errno);
        match error {
            Some(error) => Self {
                code: ErrorCode::from_name(&error.code).unwrap_or(code),
                message: error.message,
                remedy: error.remedy,
            },
            None => Self::new(code, code.about(), ""),
        }
    }

    /// What must not happen to a volume while it is attached.
    pub fn mapped(attachment: &Attachment) -> Self {
        let (volume, address) = (&attachment.volume, attachment.address());
        Self::new(
            ErrorCode::Busy,
            format!("{volume} is mapped as {address}"),
            format!("`vlmc unmap '{address}'` unmaps it"),
        )
    }

    /// `{"error": {"code": ..., "message": ..., "remedy": ...}}`
    pub fn to_json(&self) -> Value {
        json!({
            "error": {
                "code": self.code.name(),
                "message": self.message,
                "remedy": self.remedy,
            }
        })
    }
}

impl fmt::Display for ErrorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if !self.remedy.is_empty() {
            write!(f, ": {}", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for ErrorReport {}
