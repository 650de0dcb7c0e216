//! What a command says when it is done: once for people, once for scripts.

use serde_json::Value;

/// Both forms, and the exit code.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// One object.
    pub json: Value,
    /// Lines; may be empty.
    pub text: String,
    /// Not 0 for what is done but bad news, such as the status of a node that does not run.
    pub exit_code: u8,
}

impl Answer {
    pub fn new(json: Value, text: impl Into<String>) -> Self {
        Self {
            json,
            text: text.into(),
            exit_code: 0,
        }
    }
}
