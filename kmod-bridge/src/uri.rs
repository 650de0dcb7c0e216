//! Where an export is, in one line that every NBD client understands.
//!
//! ```text
//! nbd+unix:///NAME?socket=PATH
//! nbd://HOST:PORT/NAME
//! nbds://HOST:PORT/NAME                encrypted
//! ```
//! What is not plain ASCII text is percent-encoded, byte by byte.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::str::FromStr;

use archipelago_front::{DiskName, NotAName};

/// The port that is registered for NBD.
pub const TCP_PORT: u16 = 10809;

/// An export and where it is served.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Uri {
    pub place: Place,
    pub export: DiskName,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    Unix {
        socket: PathBuf,
    },
    Tcp {
        host: String,
        port: u16,
    },
    /// The same, encrypted.
    Tls {
        host: String,
        port: u16,
    },
}

/// Why a text is no NBD URI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    #[error("an NBD URI begins with nbd://, nbds:// or nbd+unix://")]
    Scheme,
    #[error("a nbd+unix URI names its socket: ?socket=PATH")]
    NoSocket,
    #[error("a nbd URI names its host")]
    NoHost,
    #[error("a nbd+unix URI has no host before the name: three slashes, then the name")]
    Host,
    #[error("{port:?} is no TCP port")]
    Port { port: String },
    #[error("{text:?} is not percent-encoded: % is followed by two hexadecimal digits")]
    Encoding { text: String },
    #[error(transparent)]
    Name(#[from] NotAName),
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.export.as_str().as_bytes();
        match &self.place {
            Place::Unix { socket } => {
                f.write_str("nbd+unix:///")?;
                encode(f, name, b"")?;
                f.write_str("?socket=")?;
                encode(f, socket.as_os_str().as_bytes(), b"/")
            }
            Place::Tcp { host, port } | Place::Tls { host, port } => {
                f.write_str(match self.place {
                    Place::Tls { .. } => "nbds://",
                    _ => "nbd://",
                })?;
                // An address with colons is told from the port by brackets.
                if host.contains(':') {
                    write!(f, "[{host}]:{port}/")?;
                } else {
                    encode(f, host.as_bytes(), b"")?;
                    write!(f, ":{port}/")?;
                }
                encode(f, name, b"")
            }
        }
    }
}

impl FromStr for Uri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        if let Some(rest) = text.strip_prefix("nbd+unix://") {
            return parse_unix(rest);
        }
        if let Some(rest) = text.strip_prefix("nbds://") {
            return parse_tcp(rest, |host, port| Place::Tls { host, port });
        }
        let rest = text.strip_prefix("nbd://").ok_or(UriError::Scheme)?;
        parse_tcp(rest, |host, port| Place::Tcp { host, port })
    }
}

fn parse_unix(rest: &str) -> Result<Uri, UriError> {
    let path = rest.strip_prefix('/').ok_or(UriError::Host)?;
    let (name, query) = path.split_once('?').ok_or(UriError::NoSocket)?;
    let socket = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("socket="))
        .filter(|socket| !socket.is_empty())
        .ok_or(UriError::NoSocket)?;
    Ok(Uri {
        place: Place::Unix {
            socket: OsString::from_vec(decode(socket)?).into(),
        },
        export: DiskName::parse(&decode(name)?)?,
    })
}

fn parse_tcp(rest: &str, place: impl FnOnce(String, u16) -> Place) -> Result<Uri, UriError> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (name, _) = path.split_once('?').unwrap_or((path, ""));
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']').ok_or(UriError::NoHost)?;
            (host, after.strip_prefix(':'))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err(UriError::NoHost);
    }
    let port = port.map_or(Ok(TCP_PORT), |port| {
        port.parse().map_err(|_| UriError::Port {
            port: port.to_owned(),
        })
    })?;
    let host = String::from_utf8(decode(host)?).map_err(|_| UriError::NoHost)?;
    Ok(Uri {
        place: place(host, port),
        export: DiskName::parse(&decode(name)?)?,
    })
}

fn encode(f: &mut fmt::Formatter<'_>, bytes: &[u8], plain: &[u8]) -> fmt::Result {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || plain.contains(&byte) {
            write!(f, "{}", char::from(byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

fn decode(text: &str) -> Result<Vec<u8>, UriError> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        match (digit(bytes.next()), digit(bytes.next())) {
            (Some(high), Some(low)) => decoded.push((high << 4 | low) as u8),
            _ => {
                let text = text.to_owned();
                return Err(UriError::Encoding { text });
            }
        }
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unix(name: &str, socket: &str) -> Uri {
        Uri {
            place: Place::Unix {
                socket: socket.into(),
            },
            export: name.parse().unwrap(),
        }
    }

    fn tcp(host: &str, name: &str) -> Uri {
        Uri {
            place: Place::Tcp {
                host: host.to_owned(),
                port: 10810,
            },
            export: name.parse().unwrap(),
        }
    }

    fn tls(uri: Uri) -> Uri {
        let Place::Tcp { host, port } = uri.place else {
            return uri;
        };
        let place = Place::Tls { host, port };
        Uri { place, ..uri }
    }

    #[test]
    fn uris_are_what_clients_expect() {
        let plain = unix("vol-1", "/run/archipelago/nbd.sock").to_string();
        assert_eq!(plain, "nbd+unix:///vol-1?socket=/run/archipelago/nbd.sock");
        let strange = unix("a b@c?&#%", "/tmp/a b&c").to_string();
        assert_eq!(
            strange,
            "nbd+unix:///a%20b%40c%3F%26%23%25?socket=/tmp/a%20b%26c"
        );
        assert_eq!(tcp("storage", "v").to_string(), "nbd://storage:10810/v");
        assert_eq!(tcp("::1", "").to_string(), "nbd://[::1]:10810/");
        let encrypted = tls(tcp("storage", "v")).to_string();
        assert_eq!(encrypted, "nbds://storage:10810/v");
    }

    #[test]
    fn what_is_no_uri_is_told_why() {
        let error = |text: &str| text.parse::<Uri>().unwrap_err();
        assert_eq!(error("http://host/v"), UriError::Scheme);
        assert_eq!(error("nbd+unix:///v"), UriError::NoSocket);
        assert_eq!(error("nbd+unix:///v?socket="), UriError::NoSocket);
        assert_eq!(error("nbd+unix://v?socket=/s"), UriError::Host);
        assert_eq!(error("nbd://:1/v"), UriError::NoHost);
        assert!(matches!(error("nbd://h:x/v"), UriError::Port { .. }));
        assert!(matches!(error("nbd://h/%4"), UriError::Encoding { .. }));
        assert!(matches!(error("nbd://h/%2Fetc"), UriError::Name(_)));
    }

    #[test]
    fn a_port_that_is_not_named_is_the_registered_one() {
        let uri: Uri = "nbd://host".parse().unwrap();
        assert_eq!(uri.to_string(), "nbd://host:10809/");
    }

    proptest! {
        #[test]
        fn every_name_and_path_comes_back(name in "[^/\\p{C}]{0,60}", socket in "/[^\\x00]{0,60}") {
            prop_assume!(DiskName::parse(name.as_bytes()).is_ok());
            let encrypted = tls(tcp("fe80::1", &name));
            for uri in [unix(&name, &socket), tcp("fe80::1", &name), tcp("host", &name), encrypted] {
                prop_assert_eq!(uri.to_string().parse::<Uri>(), Ok(uri));
            }
        }
    }
}
