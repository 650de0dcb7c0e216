//! Who can reach a socket, and what that means for encryption.
//!
//! # Invariants
//! * **EXPOSURE-1** What other machines can reach is encrypted, unless the server's owner has said that it need not be. A socket of which it
//!   cannot be told who reaches it counts as such.
//! * **EXPOSURE-2** Where clients have to show who they are, everybody has to who does not come by a file of this machine.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{AddressFamily, getsockname};

use super::options::ServerOptions;
use crate::handshake::Security;

/// Why a listener is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    #[error(
        "{address} can be reached by other machines, and there is nothing to encrypt with: listen on a loopback address or a unix socket, \
         give the server a certificate and a key, or shared keys, or allow it to speak to other machines in the clear"
    )]
    Plain { address: SocketAddr },
    #[error(
        "it cannot be told who reaches this socket, and there is nothing to encrypt with: listen on a TCP or a unix socket, or give the \
         server a certificate and a key"
    )]
    Unknown,
}

/// What clients of a socket, listening or connected, get.
pub(super) fn security(socket: &OwnedFd, options: &ServerOptions) -> Result<Security, ListenError> {
    let place = match getsockname(socket.as_fd()) {
        Ok(address) if address.address_family() == AddressFamily::UNIX => Place::File,
        Ok(address) => SocketAddr::try_from(address).map_or(Place::Unknown, Place::Network),
        Err(_) => Place::Unknown,
    };
    let encryption = match &options.tls {
        None => Encryption::None,
        Some(tls) if tls.knows_clients() => Encryption::KnowsClients,
        Some(_) => Encryption::OfServer,
    };
    judge(place, encryption, options.plain_off_host)
}

/// Where a socket is.
#[derive(Clone, Copy, Debug)]
enum Place {
    File,
    Network(SocketAddr),
    Unknown,
}

#[derive(Clone, Copy, Debug)]
enum Encryption {
    None,
    /// The server shows who it is.
    OfServer,
    /// Clients, too.
    KnowsClients,
}

fn judge(
    place: Place,
    encryption: Encryption,
    plain_off_host: bool,
) -> Result<Security, ListenError> {
    let is_local = match place {
        Place::File => true,
        Place::Network(address) => address.ip().to_canonical().is_loopback(),
        Place::Unknown => false,
    };
    match (encryption, place) {
        (Encryption::KnowsClients, Place::Network(_) | Place::Unknown) => Ok(Security::Required), // EXPOSURE-2
        (Encryption::None, _) if is_local || plain_off_host => Ok(Security::None),
        (Encryption::None, Place::Network(address)) => Err(ListenError::Plain { address }),
        (Encryption::None, _) => Err(ListenError::Unknown),
        (_, _) if is_local || plain_off_host => Ok(Security::Offered),
        (_, _) => Ok(Security::Required),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(
        address: &str,
        encryption: Encryption,
        plain_off_host: bool,
    ) -> Result<Security, ListenError> {
        let place = address.parse().map_or(Place::File, Place::Network);
        judge(place, encryption, plain_off_host)
    }

    #[test]
    fn other_machines_are_not_spoken_to_in_the_clear() {
        // EXPOSURE-1
        for address in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:192.0.2.1]:1"] {
            let plain = ListenError::Plain {
                address: address.parse().unwrap(),
            };
            let judged = |encryption, plain| judged(address, encryption, plain);
            assert_eq!(judged(Encryption::None, false), Err(plain));
            assert_eq!(judged(Encryption::OfServer, false), Ok(Security::Required));
            assert_eq!(judged(Encryption::OfServer, true), Ok(Security::Offered));
            assert_eq!(judged(Encryption::None, true), Ok(Security::None));
        }
        for address in [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
            "",
        ] {
            let judged = |encryption| judged(address, encryption, false);
            assert_eq!(judged(Encryption::None), Ok(Security::None));
            assert_eq!(judged(Encryption::OfServer), Ok(Security::Offered));
        }
        let unknown = |encryption| judge(Place::Unknown, encryption, false);
        assert_eq!(unknown(Encryption::None), Err(ListenError::Unknown));
        assert_eq!(unknown(Encryption::OfServer), Ok(Security::Required));
    }

    #[test]
    fn who_has_to_show_who_they_are_cannot_leave_that_out() {
        // EXPOSURE-2
        for address in ["192.0.2.1:1", "127.0.0.1:1", "[::1]:1"] {
            for plain in [false, true] {
                let judged = judged(address, Encryption::KnowsClients, plain);
                assert_eq!(judged, Ok(Security::Required));
            }
        }
        let of_file = judged("", Encryption::KnowsClients, false);
        assert_eq!(of_file, Ok(Security::Offered));
    }
}
