//! Making objects longer, punching, zeroing and deleting them.
//!
//! # Invariants
//! * **LENGTH-1** No object gets shorter, whatever is written to it meanwhile: its length is changed only if it is at the version whose
//!   length was seen.

use archipelago_store::{ObjectName, Scope, StoreError};
use rustix::io::Errno;

use super::core::{Engine, store_error};
use super::data::Range;
use super::names;

impl Engine {
    /// Makes the object `size` long if it is shorter; with `reserve` a full pool does not keep anybody from writing to it: it
    /// counts as long as it is.
    pub async fn extend(
        &self,
        scope: Scope,
        name: &ObjectName,
        size: u64,
        reserve: bool,
    ) -> Result<(), StoreError> {
        let object = names::object(name.as_bytes())?;
        loop {
            let asking = self.pool.asking().stat().attributes();
            let mut landing = self.pool.look(&object, asking).await;
            let changed = match landing.result {
                Err(Errno::NOENT) => {
                    let making = self.pool.writing().create_exclusive().truncate(size);
                    let making = match reserve {
                        true => making.set_attribute(names::RESERVED, &size.to_le_bytes()),
                        false => making,
                    };
                    self.make_object(name, &object, making).await
                }
                Err(errno) => Err(errno),
                Ok(_) => {
                    let reserved = reserved(landing.kept.take_attribute(names::RESERVED));
                    let is_long = landing.kept.size() >= size;
                    if is_long && (!reserve || reserved >= size) {
                        return Ok(());
                    }
                    let mut changing = self.pool.writing().assert_version(landing.version); // LENGTH-1
                    if !is_long {
                        changing = changing.truncate(size);
                    }
                    if reserve {
                        let reserved = reserved.max(size).to_le_bytes();
                        changing = changing.set_attribute(names::RESERVED, &reserved);
                    }
                    self.pool.change(&object, changing).await.result.map(drop)
                }
            };
            match changed {
                // Somebody was there before us: once more with what is there now.
                Err(Errno::EXIST | Errno::RANGE | Errno::OVERFLOW | Errno::NOENT) => {}
                done => return self.note(scope, done.map_err(store_error)),
            }
        }
    }

    /// Gives the space of a range back, as far as the object goes.
    pub async fn punch(
        &self,
        scope: Scope,
        name: &ObjectName,
        range: Range,
    ) -> Result<(), StoreError> {
        let object = names::object(name.as_bytes())?;
        loop {
            let landing = self.pool.look(&object, self.pool.asking().stat()).await;
            landing.result.map_err(store_error)?;
            let size = landing.kept.size();
            let end = (range.offset + range.len).min(size); // checked by the decoder
            if range.offset >= end {
                return Ok(());
            }
            // OSDs take zeroing up to the end for cutting off: then the length is restored in the same operation (LENGTH-1).
            let zeroing = if end == size {
                let zeroing = self.pool.writing().assert_version(landing.version);
                zeroing
                    .zero(range.offset, end - range.offset)
                    .truncate(size)
            } else {
                let zeroing = self.pool.writing().assert_exists();
                zeroing.zero(range.offset, end - range.offset)
            };
            match self.pool.change(&object, zeroing).await.result {
                Err(Errno::RANGE | Errno::OVERFLOW) => {}
                zeroed => return self.note(scope, zeroed.map(drop).map_err(store_error)),
            }
        }
    }

    /// The range reads as zeros; the object is made, or made longer, if need be.
    pub async fn zero(
        &self,
        scope: Scope,
        name: &ObjectName,
        range: Range,
    ) -> Result<(), StoreError> {
        let end = match range.len {
            0 => 0,
            len => range.offset + len, // checked by the decoder
        };
        self.extend(scope, name, end, false).await?;
        self.punch(scope, name, range).await
    }

    /// The name goes also if the object was gone: then somebody died in between (INDEX-1).
    pub async fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        let object = names::object(name.as_bytes())?;
        let _turn = self.turns.at(name.as_bytes()).await; // NAMETURN-1
        let removing = self.pool.writing().remove();
        let removed = match self.pool.change(&object, removing).await.result {
            Ok(_) => Ok(()),
            Err(Errno::NOENT) => Err(StoreError::NotFound),
            Err(errno) => return Err(store_error(errno)),
        };
        self.index.remove(name).await?;
        removed
    }
}

/// What the attribute says; one that says nothing sensible says nothing.
pub(super) fn reserved(attribute: Option<Vec<u8>>) -> u64 {
    let bytes = attribute.and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_le_bytes)
}
