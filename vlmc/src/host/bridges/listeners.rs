//! The sockets at which the NBD server listens: those that it was lent, and those of the configuration that are not among them.
//!
//! # Invariants
//! * **LENT-1** A socket that was lent is served if it listens, and the socket file is still its own.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use archipelago_nbd::{BindError, bind_tcp, bind_unix};
use rustix::net::sockopt::{socket_acceptconn, socket_type};
use rustix::net::{SocketAddrUnix, SocketType, getsockname};

use crate::config::NbdConfig;

/// All of them.
pub(super) fn listeners(
    config: &NbdConfig,
    mut lent: Vec<OwnedFd>,
) -> Result<Vec<OwnedFd>, BindError> {
    lent.retain(|socket| {
        socket_acceptconn(socket) == Ok(true) && socket_type(socket) == Ok(SocketType::STREAM)
    });
    let is_ours = |socket: &OwnedFd| is_at(socket, &config.socket);
    let mut all = Vec::new();
    match bind_unix(&config.socket) {
        Ok(new) => {
            // Whoever listens in the one that was lent, nobody finds it.
            lent.retain(|socket| !is_ours(socket));
            all.push(new);
        }
        // That is this one.
        Err(BindError::InUse { .. }) if lent.iter().any(is_ours) => {}
        Err(error) => return Err(error),
    }
    if let Some(address) = config.listen
        && !lent
            .iter()
            .any(|socket| address_of(socket) == Some(address))
    {
        all.push(bind_tcp(address)?);
    }
    all.extend(lent);
    Ok(all)
}

fn is_at(socket: &OwnedFd, path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let name = getsockname(socket.as_fd()).ok();
    let name = name.and_then(|name| SocketAddrUnix::try_from(name).ok());
    name.is_some_and(|name| name.path_bytes() == Some(path.as_os_str().as_bytes()))
}

fn address_of(socket: &OwnedFd) -> Option<SocketAddr> {
    let name = getsockname(socket.as_fd()).ok()?;
    SocketAddr::try_from(name).ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::time::Duration;

    use super::*;

    fn config(socket: &Path, listen: Option<SocketAddr>) -> NbdConfig {
        NbdConfig {
            socket: socket.to_owned(),
            listen,
            connections_max: 1,
            requests_max: 1,
            memory_max: 1,
            handshake_timeout: Duration::ZERO,
            stall_timeout: Duration::ZERO,
            list: true,
            tls: None,
            allow_plain: false,
        }
    }

    #[test]
    fn what_was_lent_is_not_made_again() {
        // LENT-1
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("nbd.sock");
        let first = listeners(&config(&path, None), Vec::new()).expect("made");
        assert_eq!(first.len(), 1);
        let tcp = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = tcp.local_addr().expect("bound");
        let other = TcpListener::bind("127.0.0.1:0").expect("bound");
        let lent = first.into_iter().chain([tcp.into(), other.into()]);
        let again = listeners(&config(&path, Some(address)), lent.collect()).expect("taken");
        assert_eq!(again.len(), 3);
        UnixStream::connect(&path).expect("it listens");
    }

    #[test]
    fn a_socket_whose_file_is_gone_is_made_anew_and_one_of_somebody_else_is_not_taken() {
        // LENT-1
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("nbd.sock");
        let first = listeners(&config(&path, None), Vec::new()).expect("made");
        std::fs::remove_file(&path).expect("removed");
        let second = listeners(&config(&path, None), first).expect("made");
        assert_eq!(second.len(), 1);
        UnixStream::connect(&path).expect("it listens");
        let (no_listener, _other) = UnixStream::pair().expect("a pair");
        let elsewhere = UnixListener::bind(directory.path().join("other")).expect("bound");
        let lent = vec![no_listener.into(), elsewhere.into()];
        let refused = listeners(&config(&path, None), lent).expect_err("refused");
        assert!(matches!(refused, BindError::InUse { .. }));
    }
}
