//! How the program ends: the one table from errors to exit codes and JSON codes.

use std::io;

use serde_json::json;
use xseg::{Errno, GeometryError, PortError, RequestError, SegmentError, WaitError};

/// What the exit codes mean; `--help` shows this.
pub const MEANINGS: [(u8, &str); 11] = [
    (0, "done"),
    (GENERAL, "something else failed"),
    (
        USAGE,
        "the command line, or a name or number in it, is wrong",
    ),
    (3, "not found"),
    (4, "exists already"),
    (5, "busy, or in use"),
    (6, "out of space, requests or buffers"),
    (7, "timed out"),
    (8, "damaged, or findings remain"),
    (
        9,
        "unavailable: nobody is bound there, or the segment was destroyed",
    ),
    (10, "no permission"),
];

const GENERAL: u8 = 1;
const USAGE: u8 = 2;

/// Errno, exit code, JSON code. What is not here is [`GENERAL`], "failed".
const TABLE: &[(Errno, u8, &str)] = &[
    (Errno::INVAL, USAGE, "invalid"),
    (Errno::NAMETOOLONG, USAGE, "invalid"),
    (Errno::OVERFLOW, USAGE, "invalid"),
    (Errno::NOENT, 3, "not-found"),
    (Errno::NXIO, 3, "not-found"),
    (Errno::EXIST, 4, "exists"),
    (Errno::BUSY, 5, "busy"),
    (Errno::TXTBSY, 5, "busy"),
    (Errno::NOSPC, 6, "no-space"),
    (Errno::DQUOT, 6, "no-space"),
    (Errno::FBIG, 6, "no-space"),
    (Errno::NOMEM, 6, "exhausted"),
    (Errno::AGAIN, 6, "exhausted"),
    (Errno::MFILE, 6, "exhausted"),
    (Errno::NFILE, 6, "exhausted"),
    (Errno::TIMEDOUT, 7, "timeout"),
    (Errno::TIME, 7, "timeout"),
    (Errno::NOEXEC, 8, "no-segment"),
    (Errno::UCLEAN, 8, "damaged"),
    (Errno::BADMSG, 8, "damaged"),
    (Errno::NOTCONN, 9, "unavailable"),
    (Errno::CONNRESET, 9, "unavailable"),
    (Errno::STALE, 9, "destroyed"),
    (Errno::ACCESS, 10, "permission"),
    (Errno::PERM, 10, "permission"),
    (Errno::PROTO, GENERAL, "layout"),
    (Errno::OPNOTSUPP, GENERAL, "unsupported"),
    (Errno::CANCELED, GENERAL, "canceled"),
    (Errno::IO, GENERAL, "io"),
];

/// What the tool itself finds wrong.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error("there is no request {index}: this segment has requests 0 to {last}")]
    NoSuchRequest { index: u32, last: u32 },
    #[error(
        "request {index} is not held by a dead peer of a static port: look at `xseg request {index}`"
    )]
    NotStuck { index: u32 },
    #[error("no answer from port {port} within {seconds} s: {reason}")]
    Timeout {
        port: u32,
        seconds: f64,
        reason: String,
    },
    #[error("port {port} was not empty after {seconds} s: stop its clients, or run this again")]
    Unending { port: u32, seconds: f64 },
    #[error(
        "others still have requests {requests:?} of port {port}, which its own may depend on: recover their ports first (`xseg request N` tells which)"
    )]
    Orphans { port: u32, requests: Vec<u32> },
    #[error("write {target:?}: {done} of {asked} bytes at {offset} were written")]
    Short {
        target: String,
        offset: u64,
        done: u64,
        asked: u64,
    },
    #[error("{what}: {errno}")]
    Answer { what: String, errno: Errno },
    #[error("{failed} of {submitted} requests failed, the first with: {first}")]
    SomeFailed {
        failed: u64,
        submitted: u64,
        first: Errno,
    },
    #[error("findings: {count}")]
    Findings { count: usize },
    #[error("{count} of {total} objects do not hold what was written")]
    Mismatched { count: u64, total: u64 },
}

impl Failure {
    fn errno(&self) -> Errno {
        match self {
            Self::Usage(_) => Errno::INVAL,
            Self::NoSuchRequest { .. } | Self::NotStuck { .. } => Errno::NOENT,
            Self::Timeout { .. } => Errno::TIMEDOUT,
            Self::Unending { .. } | Self::Orphans { .. } => Errno::BUSY,
            Self::Answer { errno, .. } | Self::SomeFailed { first: errno, .. } => *errno,
            Self::Short { .. } => Errno::IO,
            Self::Findings { .. } | Self::Mismatched { .. } => Errno::UCLEAN,
        }
    }
}

/// Says on stderr why the program fails, and gives its exit code.
pub fn report(error: &anyhow::Error, json: bool) -> u8 {
    let Some(errno) = errno_behind(error) else {
        return 0;
    };
    let (exit, code) = classify(errno);
    say(&format!("{error:#}"), code, errno, json);
    exit
}

/// The errno that stands for an error. That nobody reads any more what we print is none: `None`.
fn errno_behind(error: &anyhow::Error) -> Option<Errno> {
    let is_broken_pipe = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    let mut causes = error.chain();
    if causes.any(|cause| cause.downcast_ref().is_some_and(is_broken_pipe)) {
        return None;
    }
    Some(error.chain().find_map(errno_of).unwrap_or(Errno::IO))
}

/// The same for a command line that clap refuses, or answers itself (`--help`).
pub fn report_usage(error: &clap::Error, json: bool) -> u8 {
    if error.use_stderr() && json {
        let text = error.render().to_string();
        let text = text.trim().strip_prefix("error: ").unwrap_or(&text);
        say(text, "usage", Errno::INVAL, json);
    } else {
        let _ = error.print(); // if nobody reads it, nobody misses it
    }
    if error.use_stderr() { USAGE } else { 0 }
}

fn say(message: &str, code: &str, errno: Errno, json: bool) {
    use std::io::Write;
    let mut stderr = io::stderr().lock();
    // If stderr is closed there is no other place for it.
    let _ = if json {
        let error = json!({"code": code, "message": message, "errno": errno.raw_os_error()});
        writeln!(stderr, "{}", json!({ "error": error }))
    } else {
        writeln!(stderr, "xseg: {message}")
    };
}

fn classify(errno: Errno) -> (u8, &'static str) {
    TABLE
        .iter()
        .find(|(listed, ..)| *listed == errno)
        .map_or((GENERAL, "failed"), |(_, exit, code)| (*exit, *code))
}

fn errno_of(cause: &(dyn std::error::Error + 'static)) -> Option<Errno> {
    let segment = cause.downcast_ref().map(SegmentError::errno);
    let port = || cause.downcast_ref().map(PortError::errno);
    let request = || cause.downcast_ref().map(RequestError::errno);
    let failure = || cause.downcast_ref().map(Failure::errno);
    let geometry = || cause.downcast_ref().map(|_: &GeometryError| Errno::INVAL);
    let wait = || {
        cause
            .downcast_ref()
            .map(|error: &WaitError| system(&error.source))
    };
    let io = || cause.downcast_ref().map(system);
    segment
        .or_else(port)
        .or_else(request)
        .or_else(failure)
        .or_else(geometry)
        .or_else(wait)
        .or_else(io)
}

fn system(error: &io::Error) -> Errno {
    error
        .raw_os_error()
        .map_or(Errno::IO, Errno::from_raw_os_error)
}

/// An error number, or the name of one that is in the table.
pub fn parse_errno(text: &str) -> Result<Errno, String> {
    const NAMES: &[(&str, Errno)] = &[
        ("EIO", Errno::IO),
        ("ENOENT", Errno::NOENT),
        ("EEXIST", Errno::EXIST),
        ("EBUSY", Errno::BUSY),
        ("ENOSPC", Errno::NOSPC),
        ("EAGAIN", Errno::AGAIN),
        ("EINVAL", Errno::INVAL),
        ("EACCES", Errno::ACCESS),
        ("EPERM", Errno::PERM),
        ("ETIMEDOUT", Errno::TIMEDOUT),
        ("EUCLEAN", Errno::UCLEAN),
        ("ECANCELED", Errno::CANCELED),
        ("EOPNOTSUPP", Errno::OPNOTSUPP),
    ];
    if let Some((_, errno)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Ok(*errno);
    }
    match text.parse() {
        Ok(number @ 1..4096) => Ok(Errno::from_raw_os_error(number)),
        _ => Err("expected a number from 1 to 4095, or a name such as EIO".into()),
    }
}

/// What `--help` says about the exit codes.
pub fn help() -> String {
    let mut text = String::from("Exit codes:\n");
    for (code, meaning) in MEANINGS {
        text += &format!("  {code:>2}  {meaning}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_of_the_table_has_a_meaning_and_every_errno_one_row() {
        for (index, (errno, exit, code)) in TABLE.iter().enumerate() {
            assert!(MEANINGS.iter().any(|(known, _)| known == exit), "{code}");
            assert!(
                TABLE[index + 1..].iter().all(|(other, ..)| other != errno),
                "{code}"
            );
        }
    }

    #[test]
    fn the_cause_decides_through_any_context() {
        use anyhow::Context;
        let error = Err::<(), _>(PortError::Destroyed)
            .context("while looking")
            .expect_err("it is an error");
        assert_eq!(errno_behind(&error).map(classify), Some((9, "destroyed")));
    }

    #[test]
    fn a_broken_pipe_is_the_end_and_no_failure() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(errno_behind(&error), None);
    }

    #[test]
    fn errors_are_known_by_number_and_by_name() {
        assert_eq!(parse_errno("5"), Ok(Errno::IO));
        assert_eq!(parse_errno("ENOSPC"), Ok(Errno::NOSPC));
        for text in ["0", "-5", "4096", "EWHAT"] {
            assert!(parse_errno(text).is_err(), "{text}");
        }
    }
}
