//! A historic file in, a file of today out, already read once by our own loader.
//!
//! # Invariants
//! * **CONV-1** What is written is TOML of known settings only, whatever the old file held.
//! * **CONV-2** No setting is lost silently: it is in the new file, or in a comment of it and in the list of what was
//!   dropped.

use super::error::ConvertError;
use super::translate::{Translation, translate};
use super::{ini, python};
use crate::config::{ConfigError, Environment, Problem, load_text};

/// The new file.
#[derive(Debug)]
pub struct Converted {
    pub toml: String,
    /// What has no use any more, with the reason.
    pub dropped: Vec<String>,
    /// What our own loader says against the new file: the old one was wrong, or meant for another machine.
    pub problems: Vec<Problem>,
}

/// Reads either form. `name` stands in the new file's first line, `new_name` in messages about the new file.
pub fn convert(
    name: &str,
    text: &str,
    new_name: &str,
    environment: &Environment,
) -> Result<Converted, ConvertError> {
    let (form, legacy) = if is_ini(text) {
        ("the INI form of 0.4", ini::parse(text)?)
    } else {
        ("the Python form", python::parse(text)?)
    };
    let Translation { lines, dropped } = translate(&legacy);
    let mut toml = format!("# Converted from {}, {form}.\n", name.escape_debug());
    for line in &lines {
        toml.push_str(line);
        toml.push('\n');
    }
    let problems = match load_text(new_name, &toml, environment) {
        Err(ConfigError::Invalid { problems }) => problems,
        Ok(_) | Err(ConfigError::Unreadable { .. }) => Vec::new(),
    };
    Ok(Converted {
        toml,
        dropped,
        problems,
    })
}

/// An INI file begins with a section; no line of Python that we read begins with a bracket.
fn is_ini(text: &str) -> bool {
    text.trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with(['#', ';']))
        .is_some_and(|line| line.starts_with('['))
}
