//! Listening sockets.
//!
//! # Invariants
//! * **LISTEN-1** A socket file is replaced only if it is a socket and nobody listens on it; of two servers that start at once one
//!   is refused.
//! * **LISTEN-2** The socket file never admits more than its owner and group, whatever the umask.
//! * **LISTEN-3** Whoever holds the lock of the directory, which all can take who may read it, keeps us from listening, and from
//!   nothing else: it is not waited for.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FileType, FlockOperation, Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use xseg::Errno;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Owner and group may connect (S9).
const SOCKET_MODE: Mode = Mode::from_raw_mode(0o660);

/// Another server looks at a socket file for a moment; nobody has a reason for more.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(4);

/// Why there is no listening socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    #[error("somebody listens on {path:?} already: stop that server, or choose another path")]
    InUse { path: PathBuf },
    #[error("{path:?} is there and is no socket: move it away, or choose another path")]
    NotASocket { path: PathBuf },
    #[error(
        "{path:?} is no path for a socket: it has a directory and a name, and at most 107 bytes"
    )]
    Path { path: PathBuf },
    #[error(
        "a program holds a lock on the directory {directory:?} and does not let go: `fuser -v` tells which; stop it"
    )]
    Locked { directory: PathBuf },
    #[error("{action} {path:?}")]
    Unix {
        action: &'static str,
        path: PathBuf,
        source: Errno,
    },
    #[error("cannot listen on {address}: is the port taken, and the address this machine's?")]
    Tcp {
        address: SocketAddr,
        source: std::io::Error,
    },
}

/// Listens on a TCP address.
pub fn bind_tcp(address: SocketAddr) -> Result<OwnedFd, BindError> {
    TcpListener::bind(address)
        .map(OwnedFd::from)
        .map_err(|source| BindError::Tcp { address, source })
}

/// Listens on a socket file, mode 0660. One that a dead server left behind is replaced.
pub fn bind_unix(path: &Path) -> Result<OwnedFd, BindError> {
    let failed = |action| {
        let path = path.to_owned();
        move |source| BindError::Unix {
            action,
            path,
            source,
        }
    };
    let bad = || BindError::Path {
        path: path.to_owned(),
    };
    let address = SocketAddrUnix::new(path).map_err(|_| bad())?;
    let (directory, _) = path.parent().zip(path.file_name()).ok_or_else(bad)?;
    let directory = match directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => directory,
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let lock = rustix::fs::open(directory, flags, Mode::empty())
        .map_err(failed("cannot open the directory of"))?;
    // LISTEN-1: whoever else starts here looks at the file after we have begun to listen.
    match lock_directory(&lock) {
        Err(Errno::WOULDBLOCK) => {
            let directory = directory.to_owned();
            return Err(BindError::Locked { directory });
        }
        locked => locked.map_err(failed("cannot lock the directory of"))?,
    }
    remove_stale(path, &address)?;
    let socket = new_socket().map_err(failed("cannot make a socket for"))?;
    // LISTEN-2: the file gets this mode, less the umask, when it appears, and all of it afterwards.
    rustix::fs::fchmod(&socket, SOCKET_MODE).map_err(failed("cannot restrict"))?;
    rustix::net::bind(&socket, &address).map_err(failed("cannot bind"))?;
    rustix::fs::chmod(path, SOCKET_MODE).map_err(failed("cannot set the mode of"))?;
    rustix::net::listen(&socket, BACKLOG).map_err(failed("cannot listen on"))?;
    Ok(socket)
}

/// LISTEN-3
fn lock_directory(directory: &OwnedFd) -> Result<(), Errno> {
    for _ in 1..LOCK_TRIES {
        match rustix::fs::flock(directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
            locked => return locked,
        }
    }
    rustix::fs::flock(directory, FlockOperation::NonBlockingLockExclusive)
}

fn new_socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

fn remove_stale(path: &Path, address: &SocketAddrUnix) -> Result<(), BindError> {
    let failed = |action| {
        let path = path.to_owned();
        move |source| BindError::Unix {
            action,
            path,
            source,
        }
    };
    let stat = match rustix::fs::lstat(path) {
        Err(Errno::NOENT) => return Ok(()),
        other => other.map_err(failed("cannot look at"))?,
    };
    let path = path.to_owned();
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(BindError::NotASocket { path });
    }
    let probe = new_socket().map_err(failed("cannot make a socket for"))?;
    // Not to wait in the queue of a server that is busy or stopped: that one is there.
    rustix::io::ioctl_fionbio(probe.as_fd(), true).map_err(failed("cannot try"))?;
    match rustix::net::connect(&probe, address) {
        Err(Errno::CONNREFUSED) => {
            rustix::fs::unlink(&path).map_err(failed("cannot remove the stale socket"))
        }
        Err(Errno::NOENT) => Ok(()),
        Ok(()) | Err(Errno::AGAIN) => Err(BindError::InUse { path }),
        Err(errno) => Err(failed("cannot find out whether anybody listens on")(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_stale_socket_is_replaced_and_one_in_use_is_not() {
        // LISTEN-1
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nbd.sock");
        let first = bind_unix(&path).unwrap();
        assert!(matches!(bind_unix(&path), Err(BindError::InUse { .. })));
        drop(first);
        assert!(path.exists());
        bind_unix(&path).unwrap();
    }

    #[test]
    fn who_holds_the_directory_does_not_hold_us() {
        // LISTEN-3
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nbd.sock");
        let held = std::fs::File::open(directory.path()).unwrap();
        rustix::fs::flock(&held, FlockOperation::LockShared).unwrap();
        let refused = bind_unix(&path).unwrap_err();
        assert!(matches!(refused, BindError::Locked { .. }), "{refused}");
        let directory = directory.path().display().to_string();
        assert!(refused.to_string().contains(&directory), "{refused}");
        drop(held);
        bind_unix(&path).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_left_alone() {
        // LISTEN-1
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nbd.sock");
        std::fs::write(&path, "precious").unwrap();
        let refused = bind_unix(&path);
        assert!(matches!(refused, Err(BindError::NotASocket { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn the_socket_is_for_owner_and_group() {
        // LISTEN-2
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nbd.sock");
        let _listener = bind_unix(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
    }

    #[test]
    fn a_path_that_cannot_be_is_an_error() {
        let long = Path::new("/tmp").join("x".repeat(200));
        assert!(matches!(bind_unix(&long), Err(BindError::Path { .. })));
        let nowhere = Path::new("/nonexistent-directory/nbd.sock");
        assert!(matches!(bind_unix(nowhere), Err(BindError::Unix { .. })));
    }
}
