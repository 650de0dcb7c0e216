//! Connections for the kernel: made, and greeted.
//!
//! # Invariants
//! * **DIAL-1** A socket that the kernel gets has no time-out of ours: it would take an idle connection for a dead one.
//! * **DIAL-2** Nobody is waited for longer than was said: not a server that says nothing, nor one that takes nobody.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

use super::error::DialError;
use super::greeting::{ExportFacts, Greeting, GreetingError, Next};
use crate::uri::{Place, Uri};
use crate::wire::transmission_flags;

/// A server that takes nobody at this moment.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// Connections to one export, all in their transmission phase.
#[derive(Debug)]
pub struct Dialed {
    pub facts: ExportFacts,
    pub sockets: Vec<OwnedFd>,
}

/// Makes so many connections to an export, all of them within that time.
pub fn dial(uri: &Uri, connections: u16, within: Duration) -> Result<Dialed, DialError> {
    let deadline = Instant::now() + within;
    let place = shown(&uri.place);
    if matches!(uri.place, Place::Tls { .. }) {
        let source = GreetingError::Tls;
        return Err(DialError::Greeting { place, source });
    }
    let mut dialed: Option<Dialed> = None;
    for _ in 0..connections.max(1) {
        let mut stream = Stream::connect(&uri.place, deadline).map_err(|source| {
            let place = place.clone();
            match is_late(&source) {
                true => DialError::Silent { place, within },
                false => DialError::Connect { place, source },
            }
        })?;
        let facts = greet(&mut stream, uri.export.as_str(), deadline).map_err(|failure| {
            let place = place.clone();
            match failure {
                Failure::Greeting(source) => DialError::Greeting { place, source },
                Failure::Io(error) if is_late(&error) => DialError::Silent { place, within },
                Failure::Io(source) => DialError::Connect { place, source },
            }
        })?;
        let socket = stream.into_socket().map_err(|source| {
            let place = place.clone();
            DialError::Connect { place, source }
        })?;
        let first = dialed.get_or_insert(Dialed {
            facts,
            sockets: Vec::new(),
        });
        if first.facts != facts {
            return Err(DialError::Different { place });
        }
        first.sockets.push(socket);
    }
    let dialed = dialed.expect("there is one connection at least");
    let is_shared = dialed.facts.transmission_flags & transmission_flags::CAN_MULTI_CONN != 0;
    if dialed.sockets.len() > 1 && !is_shared {
        return Err(DialError::NoMultiConnection { place });
    }
    Ok(dialed)
}

/// Why a greeting came to nothing.
enum Failure {
    Greeting(GreetingError),
    Io(io::Error),
}

fn greet(stream: &mut Stream, name: &str, deadline: Instant) -> Result<ExportFacts, Failure> {
    let (mut greeting, mut next) = Greeting::new(name);
    loop {
        match next {
            Next::Done(facts) => return Ok(facts),
            Next::Exchange { send, receive } => {
                stream.give(deadline).map_err(Failure::Io)?;
                stream.write_all(&send).map_err(Failure::Io)?;
                // No more than is wanted: what comes behind the handshake is the kernel's.
                let mut bytes = vec![0; receive];
                stream.fill(&mut bytes, deadline).map_err(Failure::Io)?;
                next = greeting.take(&bytes).map_err(Failure::Greeting)?;
            }
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn shown(place: &Place) -> String {
    match place {
        Place::Unix { socket } => socket.display().to_string(),
        Place::Tcp { host, port } | Place::Tls { host, port } => format!("{host}:{port}"),
    }
}

/// A connection that blocks.
#[derive(Debug)]
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    fn connect(place: &Place, deadline: Instant) -> io::Result<Self> {
        match place {
            Place::Unix { socket } => connect_unix(socket, deadline).map(Self::Unix),
            Place::Tcp { host, port } => {
                let mut last = io::Error::from(io::ErrorKind::NotFound);
                for address in (host.as_str(), *port).to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, left(deadline)) {
                        Ok(stream) => {
                            stream.set_nodelay(true)?;
                            return Ok(Self::Tcp(stream));
                        }
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
            Place::Tls { .. } => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// What blocks is over by then.
    fn give(&self, deadline: Instant) -> io::Result<()> {
        self.set_timeouts(Some(left(deadline)))
    }

    fn set_timeouts(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Unix(stream) => {
                stream.set_read_timeout(timeout)?;
                stream.set_write_timeout(timeout)
            }
            Self::Tcp(stream) => {
                stream.set_read_timeout(timeout)?;
                stream.set_write_timeout(timeout)
            }
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.write_all(bytes),
            Self::Tcp(stream) => stream.write_all(bytes),
        }
    }

    fn fill(&mut self, mut bytes: &mut [u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            self.give(deadline)?;
            let read = match self {
                Self::Unix(stream) => stream.read(bytes),
                Self::Tcp(stream) => stream.read(bytes),
            };
            match read {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => bytes = &mut bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// DIAL-1
    fn into_socket(self) -> io::Result<OwnedFd> {
        self.set_timeouts(None)?;
        Ok(match self {
            Self::Unix(stream) => stream.into(),
            Self::Tcp(stream) => stream.into(),
        })
    }
}

/// DIAL-2: where so many wait for the server that no more may, one that waits here has no time-out.
fn connect_unix(path: &Path, deadline: Instant) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    loop {
        match rustix::net::connect(&socket, &address) {
            Err(Errno::AGAIN) if Instant::now() >= deadline => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(Errno::AGAIN) => std::thread::sleep(TRY_AGAIN.min(left(deadline))),
            Err(Errno::INTR) => {}
            connected => {
                connected?;
                let stream = UnixStream::from(socket);
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
        }
    }
}

/// Never zero, which would be for ever.
fn left(deadline: Instant) -> Duration {
    let left = deadline.saturating_duration_since(Instant::now());
    left.max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn at(socket: &std::path::Path) -> Uri {
        Uri {
            place: Place::Unix {
                socket: socket.to_owned(),
            },
            export: "disk".parse().unwrap(),
        }
    }

    #[test]
    fn a_socket_for_the_kernel_has_no_time_out() {
        // DIAL-1
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let stream = Stream::connect(&at(&path).place, deadline).unwrap();
        stream.give(deadline).unwrap();
        let socket = UnixStream::from(stream.into_socket().unwrap());
        assert_eq!(socket.read_timeout().unwrap(), None);
        assert_eq!(socket.write_timeout().unwrap(), None);
    }

    #[test]
    fn a_server_that_takes_nobody_is_not_waited_for_longer_than_was_said() {
        // DIAL-2
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let soon = || Instant::now() + Duration::from_millis(20);
        let connect = || connect_unix(&path, soon());
        let waiting: Vec<_> = std::iter::from_fn(|| connect().ok()).take(16).collect();
        assert!(
            !waiting.is_empty() && waiting.len() < 16,
            "the queue is full"
        );
        let error = dial(&at(&path), 1, Duration::from_millis(20)).unwrap_err();
        assert!(matches!(error, DialError::Silent { .. }), "{error}");
        let (taken, _) = listener.accept().unwrap();
        drop(taken);
        connect_unix(&path, Instant::now() + Duration::from_secs(60)).unwrap();
    }

    #[test]
    fn an_encrypted_place_is_not_for_the_kernel() {
        let uri = "nbds://localhost/disk".parse().unwrap();
        let error = dial(&uri, 1, Duration::from_secs(60)).unwrap_err();
        assert!(error.to_string().contains("wants TLS"), "{error}");
    }

    #[test]
    fn a_server_that_is_not_there_or_says_nothing_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let error = dial(&at(&path), 1, Duration::from_secs(60)).unwrap_err();
        assert!(matches!(error, DialError::Connect { .. }), "{error}");
        let _listener = UnixListener::bind(&path).unwrap();
        let error = dial(&at(&path), 1, Duration::from_millis(20)).unwrap_err();
        assert!(matches!(error, DialError::Silent { .. }), "{error}");
        assert!(error.to_string().contains("socket"), "{error}");
    }
}
