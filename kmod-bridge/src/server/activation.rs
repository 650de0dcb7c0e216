//! Sockets that listen already when the process starts: what systemd's socket units, and others that speak as they do,
//! hand over.
//!
//! ```text
//! LISTEN_PID   for whom they are: for this process, or not for us
//! LISTEN_FDS   how many: descriptors 3, 4, ...
//! ```
//! # Invariants
//! * **ACTIVATION-1** Only what was meant for this process is taken, and only sockets that listen for streams; anything else is an
//!   error that says what was found.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd, RawFd};

use archipelago_runtime::inherited_descriptor;
use rustix::net::SocketType;
use rustix::net::sockopt::{socket_acceptconn, socket_type};
use xseg::Errno;

/// Where they begin.
const FIRST: RawFd = 3;

/// More are a mistake.
const COUNT_MAX: u32 = 64;

/// Why sockets that were to be handed over are not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActivationError {
    #[error(
        "{variable} is {value:?}, which is no number: start this by systemd-socket-activate or a socket unit"
    )]
    NotANumber {
        variable: &'static str,
        value: OsString,
    },
    #[error("LISTEN_FDS is {count}: at most {COUNT_MAX} sockets are taken")]
    TooMany { count: u32 },
    #[error("descriptor {number} of LISTEN_FDS={count} is not open")]
    Closed { number: RawFd, count: u32 },
    #[error(
        "descriptor {number} of LISTEN_FDS is no socket that listens for streams: use ListenStream=, and not Accept=yes"
    )]
    NoListener { number: RawFd },
    #[error("descriptor {number} cannot be taken")]
    Failed { number: RawFd, source: Errno },
}

/// The sockets that were handed to this process; none if it was started in another way. To be called before the process
/// opens anything else.
pub fn activated() -> Result<Vec<OwnedFd>, ActivationError> {
    let (pid, fds) = (
        std::env::var_os("LISTEN_PID"),
        std::env::var_os("LISTEN_FDS"),
    );
    let count = count(pid.as_deref(), fds.as_deref(), std::process::id())?;
    (FIRST..)
        .take(count as usize)
        .map(|number| take(number, count))
        .collect()
}

/// How many there are for the process of this id (ACTIVATION-1).
fn count(pid: Option<&OsStr>, fds: Option<&OsStr>, own_pid: u32) -> Result<u32, ActivationError> {
    let (Some(pid), Some(fds)) = (pid, fds) else {
        return Ok(0);
    };
    if number("LISTEN_PID", pid)? != own_pid {
        return Ok(0);
    }
    match number("LISTEN_FDS", fds)? {
        count if count <= COUNT_MAX => Ok(count),
        count => Err(ActivationError::TooMany { count }),
    }
}

fn number(variable: &'static str, value: &OsStr) -> Result<u32, ActivationError> {
    let number = value.to_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| ActivationError::NotANumber {
        variable,
        value: value.to_owned(),
    })
}

fn take(number: RawFd, count: u32) -> Result<OwnedFd, ActivationError> {
    // Not to find our own under a number that was not open.
    let beyond = FIRST + COUNT_MAX as RawFd;
    let own = match inherited_descriptor(number, beyond) {
        Err(Errno::BADF) => return Err(ActivationError::Closed { number, count }),
        other => other.map_err(|source| ActivationError::Failed { number, source })?,
    };
    let is_listener = socket_acceptconn(own.as_fd()) == Ok(true)
        && socket_type(own.as_fd()) == Ok(SocketType::STREAM);
    match is_listener {
        true => Ok(own),
        false => Err(ActivationError::NoListener { number }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_counted_only_if_they_are_meant_for_this_process() {
        // ACTIVATION-1
        let count = |pid: Option<&str>, fds: Option<&str>| {
            count(pid.map(OsStr::new), fds.map(OsStr::new), 77)
        };
        assert_eq!(count(Some("77"), Some("2")).unwrap(), 2);
        for (pid, fds) in [
            (None, None),
            (None, Some("2")),
            (Some("77"), None),
            (Some("78"), Some("2")),
            (Some("77"), Some("0")),
        ] {
            assert_eq!(count(pid, fds).unwrap(), 0, "{pid:?} {fds:?}");
        }
        for (pid, fds) in [
            ("", "1"),
            ("own", "1"),
            ("77", "-1"),
            ("77", "1 "),
            ("77", "99999999999"),
        ] {
            let refused = count(Some(pid), Some(fds)).unwrap_err();
            assert!(matches!(refused, ActivationError::NotANumber { .. }));
        }
        let many = count(Some("77"), Some("65")).unwrap_err();
        assert!(matches!(many, ActivationError::TooMany { count: 65 }));
    }
}
