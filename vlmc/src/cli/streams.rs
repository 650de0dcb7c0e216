//! The streams of the process, for both `main`s.

use std::io::IsTerminal;
use std::process::ExitCode;

use super::output::{Output, wants_colour};

/// Runs a command with stdout and stderr of this process; what it returns is the exit code.
pub fn on_streams(run: impl FnOnce(&mut Output<'_>) -> u8) -> ExitCode {
    let stderr = std::io::stderr();
    let is_coloured = wants_colour(stderr.is_terminal(), |name| std::env::var_os(name));
    let mut output = Output {
        stdout: &mut std::io::stdout(),
        stderr: &mut std::io::stderr(),
        is_json: false,
        is_coloured,
    };
    ExitCode::from(run(&mut output))
}
