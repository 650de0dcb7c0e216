//! Which store this is.
//!
//! # Invariants
//! * **POOLID-1** A namespace that has objects of a store, and no record of which one, is not taken for a new store: its indexes may be in
//!   another number of parts, and then names would be missing.

use std::rc::Rc;

use archipelago_runtime::Memory;
use rustix::io::Errno;

use super::names;
use super::record::{self, BadRecord};
use super::together::together;
use crate::error::RadosdError;
use crate::librados::Pool;
use crate::options::RadosdOptions;

const KIND: [u8; 4] = *b"ALid";
const CONTENT_BYTES: usize = 20;
/// More than a record of any format that we know.
const RECORD_BYTES_MAX: usize = 4096;
/// Where indexes of groups are looked for before a store is made: no node makes more parts.
const PARTS_LOOKED_AT: u32 = 64;
/// More parts would make each listing slow.
const INDEX_PARTS_MAX: u32 = 1024;

/// Fixed when the store is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub uuid: u128,
    pub index_parts: u32,
}

impl Identity {
    /// Reads it, or makes a new store.
    pub(super) async fn find(
        pool: &Rc<Pool>,
        options: &RadosdOptions,
    ) -> Result<Self, RadosdError> {
        let refused = |source| match source {
            Errno::PERM | Errno::ACCESS => RadosdError::Refused {
                pool: options.pool.clone(),
                source,
            },
            source => RadosdError::Failed {
                what: "reading which store this is",
                source,
            },
        };
        loop {
            let landing = pool
                .read(names::IDENTITY, 0, Memory::from(vec![0; RECORD_BYTES_MAX]))
                .await;
            match landing.result {
                Ok(count) => {
                    let bytes = landing.kept.into_bytes().expect("made from bytes above");
                    return Self::decode(&bytes[..count], options);
                }
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(refused(errno)),
            }
            if has_groups(pool).await.map_err(refused)? {
                return Err(RadosdError::NoIdentity {
                    pool: options.pool.clone(),
                    namespace: options.namespace.clone(),
                });
            }
            let fresh = Self {
                uuid: random()?,
                index_parts: options.index_parts.clamp(1, INDEX_PARTS_MAX),
            };
            let making = pool
                .writing()
                .create_exclusive()
                .write_full(&fresh.encode());
            match pool.change(names::IDENTITY, making).await.result {
                Ok(_) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(refused(errno)),
            }
        }
    }

    fn encode(self) -> Vec<u8> {
        let content = [
            &self.uuid.to_le_bytes()[..],
            &self.index_parts.to_le_bytes(),
        ]
        .concat();
        record::seal(KIND, &content)
    }

    fn decode(bytes: &[u8], options: &RadosdOptions) -> Result<Self, RadosdError> {
        let pool = || options.pool.clone();
        let damaged = || RadosdError::Damaged {
            pool: pool(),
            object: names::IDENTITY.to_string_lossy().into_owned(),
        };
        let content = record::open(KIND, bytes).map_err(|bad| match bad {
            BadRecord::Damaged => damaged(),
            BadRecord::Format(found) => RadosdError::Format {
                pool: pool(),
                found,
                known: record::FORMAT,
            },
        })?;
        let content: &[u8; CONTENT_BYTES] = content.try_into().map_err(|_| damaged())?;
        let (uuid, parts) = content.split_at(16);
        let identity = Self {
            uuid: u128::from_le_bytes(uuid.try_into().expect("16 bytes of 20")),
            index_parts: u32::from_le_bytes(parts.try_into().expect("the other 4")),
        };
        match identity.index_parts {
            1..=INDEX_PARTS_MAX => Ok(identity),
            _ => Err(damaged()),
        }
    }
}

/// Is there any part of the index of groups? (POOLID-1)
async fn has_groups(pool: &Rc<Pool>) -> Result<bool, Errno> {
    let looks = (0..PARTS_LOOKED_AT).map(async |part| {
        let looked = pool.look(&names::groups(part), pool.asking().stat());
        match looked.await.result {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    });
    let found: Result<Vec<bool>, Errno> = together(looks).await.into_iter().collect();
    Ok(found?.contains(&true))
}

/// A number that nobody has had.
pub(super) fn random() -> Result<u128, RadosdError> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).map_err(
        |source| RadosdError::Failed {
            what: "asking the kernel for a random number",
            source,
        },
    )?;
    Ok(u128::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_back_and_a_damaged_one_is_an_error_that_names_the_pool() {
        let options = RadosdOptions::new("blocks", "x");
        let identity = Identity {
            uuid: 7 << 100,
            index_parts: 64,
        };
        let read = Identity::decode(&identity.encode(), &options).unwrap();
        assert_eq!(read, identity);
        let without_parts = Identity {
            index_parts: 0,
            ..identity
        };
        for bad in [&without_parts.encode()[..], &identity.encode()[1..], b""] {
            let error = Identity::decode(bad, &options).unwrap_err();
            assert!(error.to_string().contains("blocks"), "{error}");
        }
    }
}
