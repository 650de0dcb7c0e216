//! The manager of the machine's services, systemd as a rule: told when all hosts run, and when they are to stop.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;

/// By which the manager says where it listens.
const VARIABLE: &str = "NOTIFY_SOCKET";
/// By which it says what sockets a process has from it.
const OF_SOCKETS: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// The sockets are taken already, and handed on in another way.
pub fn hide_sockets(command: &mut Command) {
    for variable in OF_SOCKETS {
        command.env_remove(variable);
    }
}

/// What the manager says to us is for nobody else.
pub fn hide(command: &mut Command) {
    command.env_remove(VARIABLE);
    hide_sockets(command);
}

/// Nobody, if none started us.
#[derive(Debug)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
    is_ready: bool,
}

impl ServiceManager {
    pub fn of_process() -> Self {
        Self::at(std::env::var_os(VARIABLE).as_deref())
    }

    /// A path, or `@` and an abstract name.
    fn at(address: Option<&OsStr>) -> Self {
        let connect = |address: &OsStr| {
            let target = match address.as_bytes() {
                [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
                _ => SocketAddr::from_pathname(address)?,
            };
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&target)?;
            socket.set_nonblocking(true)?;
            std::io::Result::Ok(socket)
        };
        let socket = address.and_then(|address| {
            connect(address)
                .inspect_err(
                    |error| tracing::warn!(?address, %error, "the service manager is not told"),
                )
                .ok()
        });
        Self {
            socket,
            is_ready: false,
        }
    }

    /// All hosts run; told once.
    pub fn ready(&mut self) {
        if !self.is_ready {
            self.is_ready = true;
            self.tell("READY=1\nSTATUS=all hosts run");
        }
    }

    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=the hosts stop");
    }

    /// One that does not listen misses it.
    fn tell(&self, words: &str) {
        if let Some(socket) = &self.socket {
            let told = socket.send(words.as_bytes());
            tracing::debug!(words, ?told, "the service manager");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_is_told_once_that_all_is_ready() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let listener = UnixDatagram::bind(&path).expect("bound");
        listener.set_nonblocking(true).expect("set");
        let mut manager = ServiceManager::at(Some(path.as_os_str()));
        manager.ready();
        manager.ready();
        manager.stopping();
        let next = || {
            let mut words = [0; 64];
            let length = listener.recv(&mut words).ok()?;
            String::from_utf8(words[..length].to_vec()).ok()
        };
        assert_eq!(next().as_deref(), Some("READY=1\nSTATUS=all hosts run"));
        assert!(next().is_some_and(|words| words.starts_with("STOPPING=1")));
        assert_eq!(next(), None);
    }

    #[test]
    fn without_a_manager_or_with_one_that_is_gone_nothing_happens() {
        ServiceManager::at(None).ready();
        ServiceManager::at(Some(OsStr::new("/none/at/all"))).ready();
        ServiceManager::at(Some(OsStr::new("@archipelago-nobody"))).stopping();
    }
}
