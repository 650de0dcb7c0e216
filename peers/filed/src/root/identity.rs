//! The file that says which store a directory is.
//!
//! # Invariants
//! * **IDENTITY-1** A directory whose identity is missing beside objects, damaged, of another format or another than
//!   expected is not used (F43, F98).

use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::beneath::Directory;
use super::staging::{Publication, Staged, read_small};
use super::temporary::{Temporary, random_u128};
use crate::error::FiledError;

const FILE: &str = "archipelago";
const FORMAT: u64 = 1;
/// Far more than the file ever has.
const BYTES_MAX: usize = 4096;

/// Which store this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub uuid: u128,
}

/// Why it could not be read.
#[derive(Debug, PartialEq, Eq)]
enum Unreadable {
    Damaged(&'static str),
    Format(u64),
}

impl Identity {
    fn text(self) -> String {
        let body = format!(
            "archipelago store\nformat {FORMAT}\nuuid {:032x}\n",
            self.uuid
        );
        let checksum = blake3::hash(body.as_bytes()).to_hex();
        format!("{body}checksum {checksum}\n")
    }

    fn parse(text: &[u8]) -> Result<Self, Unreadable> {
        let damaged = Unreadable::Damaged;
        let text = std::str::from_utf8(text).map_err(|_| damaged("it is no text"))?;
        let mut lines = text.lines();
        if lines.next() != Some("archipelago store") {
            return Err(damaged("it does not begin with `archipelago store`"));
        }
        let format = lines.next().and_then(|line| line.strip_prefix("format "));
        let format = format.and_then(|number| number.parse::<u64>().ok());
        match format.ok_or(damaged("it names no format"))? {
            FORMAT => {}
            other => return Err(Unreadable::Format(other)),
        }
        let uuid = lines.next().and_then(|line| line.strip_prefix("uuid "));
        let uuid = uuid.and_then(|digits| u128::from_str_radix(digits, 16).ok());
        let identity = Self {
            uuid: uuid.ok_or(damaged("it names no uuid"))?,
        };
        if identity.text() != text {
            return Err(damaged("its checksum is wrong"));
        }
        Ok(identity)
    }

    /// The identity that the directory has, if it has one (IDENTITY-1).
    pub fn find(
        top: &Directory,
        path: &Path,
        expected: Option<u128>,
    ) -> Result<Option<Self>, FiledError> {
        let file = path.join(FILE);
        let text = match read(top) {
            Ok(None) => return Ok(None),
            Ok(Some(text)) => text,
            Err(source) => {
                let (call, path) = ("read", file);
                return Err(FiledError::System { call, path, source });
            }
        };
        let identity = Self::parse(&text).map_err(|why| match why {
            Unreadable::Damaged(what) => FiledError::BadIdentity { path: file, what },
            Unreadable::Format(found) => FiledError::Format {
                path: file,
                found,
                known: FORMAT,
            },
        })?;
        match expected {
            Some(expected) if expected != identity.uuid => Err(FiledError::OtherStore {
                path: path.into(),
                found: format!("{:032x}", identity.uuid),
                expected: format!("{expected:032x}"),
            }),
            _ => Ok(Some(identity)),
        }
    }

    /// Gives a new directory its identity, unless another one was quicker.
    pub fn make(
        top: &Directory,
        temporary: &Arc<Temporary>,
        uuid: Option<u128>,
    ) -> Result<(), Errno> {
        let uuid = match uuid {
            Some(uuid) => uuid,
            None => random_u128()?,
        };
        let mut staged = Staged::with(temporary, Self { uuid }.text().as_bytes())?;
        match staged.publish(top, FILE, Publication::Exclusive) {
            Ok(()) | Err(Errno::EXIST) => top.sync(),
            Err(errno) => Err(errno),
        }
    }
}

fn read(top: &Directory) -> Result<Option<Vec<u8>>, Errno> {
    match top.open_file(FILE, OFlags::RDONLY) {
        Ok(fd) => read_small(&fd, BYTES_MAX).map(Some),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn identity_1_a_damaged_identity_is_none() {
        let text = Identity { uuid: 0xfeed }.text();
        assert_eq!(
            Identity::parse(text.as_bytes()),
            Ok(Identity { uuid: 0xfeed })
        );
        for at in 0..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[at] ^= 1;
            assert!(Identity::parse(&damaged).is_err(), "byte {at}"); // IDENTITY-1
            assert!(Identity::parse(&text.as_bytes()[..at]).is_err());
        }
        let newer = text.replace("format 1", "format 2");
        assert_eq!(
            Identity::parse(newer.as_bytes()),
            Err(Unreadable::Format(2))
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_identity_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Identity::parse(&bytes).is_err());
        }
    }
}
