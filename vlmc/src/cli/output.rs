//! Where answers and errors go.
//!
//! # Invariants
//! * **OUT-1** With `--json` each command writes one JSON object to stdout and nothing else there, errors included.
//! * **OUT-2** What comes from others (names, messages) cannot move the cursor or colour the terminal.

use std::io::{self, Write};

use serde_json::Value;

use super::answer::Answer;
use super::error_report::ErrorReport;

const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// The two streams, and how to write to them.
pub struct Output<'a> {
    pub stdout: &'a mut dyn Write,
    pub stderr: &'a mut dyn Write,
    pub is_json: bool,
    /// Colours on stderr.
    pub is_coloured: bool,
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("is_json", &self.is_json)
            .field("is_coloured", &self.is_coloured)
            .finish_non_exhaustive()
    }
}

impl Output<'_> {
    /// Writes what came out, and says with which code to exit.
    pub fn finish(&mut self, result: Result<Answer, ErrorReport>) -> u8 {
        let (written, exit_code) = match result {
            Ok(answer) if self.is_json => (self.json(&answer.json), answer.exit_code),
            Ok(answer) => (self.text(&answer.text), answer.exit_code),
            Err(report) if self.is_json => (self.json(&report.to_json()), report.code.exit_code()),
            Err(report) => (self.error(&report), report.code.exit_code()),
        };
        match written {
            Ok(()) => exit_code,
            // The reader has seen enough (`vlmc list | head -1`).
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit_code,
            // Nobody is left to tell, but the code can.
            Err(_) => exit_code.max(1),
        }
    }

    fn json(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.stdout, "{value}")?;
        self.stdout.flush()
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        if !text.is_empty() {
            let newline = if text.ends_with('\n') { "" } else { "\n" };
            write!(self.stdout, "{}{newline}", harmless(text))?;
        }
        self.stdout.flush()
    }

    fn error(&mut self, report: &ErrorReport) -> io::Result<()> {
        let (on, off) = if self.is_coloured {
            (RED, PLAIN)
        } else {
            ("", "")
        };
        writeln!(self.stderr, "{on}error{off}: {}", harmless(&report.message))?;
        if !report.remedy.is_empty() {
            writeln!(self.stderr, "  try: {}", harmless(&report.remedy))?;
        }
        self.stderr.flush()
    }
}

/// Control characters but the end of a line become visible.
fn harmless(text: &str) -> String {
    let is_harmful = |c: char| c.is_control() && c != '\n';
    if !text.contains(is_harmful) {
        return text.to_owned();
    }
    let show = |c: char| {
        if is_harmful(c) {
            c.escape_unicode().to_string()
        } else {
            c.to_string()
        }
    };
    text.chars().map(show).collect()
}

/// Colours are for terminals whose user did not object (<https://no-color.org>).
pub fn wants_colour(
    is_terminal: bool,
    variable: impl Fn(&str) -> Option<std::ffi::OsString>,
) -> bool {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    if is_set("NO_COLOR") {
        return false;
    }
    let is_dumb = variable("TERM").is_none_or(|term| term == "dumb");
    (is_terminal && !is_dumb)
        || variable("CLICOLOR_FORCE").is_some_and(|v| !v.is_empty() && v != "0")
}
