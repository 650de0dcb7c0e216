//! Programs that do one thing and end.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::error::ClusterError;

/// Runs it to its end; what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String, ClusterError> {
    finish(command, b"")
}

/// The same with something to read.
pub(crate) fn finish(command: &mut Command, input: &[u8]) -> Result<String, ClusterError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let start = |source| ClusterError::Start {
        program: program.clone(),
        source,
    };
    // What the environment says of other clusters is not about this one.
    for name in ["CEPH_ARGS", "CEPH_CONF", "CEPH_KEYRING"] {
        command.env_remove(name);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(start)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read it says itself what is wrong.
        let _ = stdin.write_all(input);
    }
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().map_err(start)?;
    let text = String::from_utf8_lossy(&stdout).into_owned();
    if status.success() {
        return Ok(text);
    }
    Err(ClusterError::Failed {
        command: format!("{command:?}"),
        output: format!("{text}{}", String::from_utf8_lossy(&stderr)),
    })
}
