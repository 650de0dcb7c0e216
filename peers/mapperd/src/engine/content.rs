//! Objects that are named by what they hold.
//!
//! # Invariants
//! * **SEAL-1** An object of content is believed only if it is longer than a block. It gets longer when all of its bytes are
//!   durable, so one that is sealed is whole, whoever died when.
//! * **SEAL-2** What is not sealed is written in place, with the bytes that its name says and no others: whoever makes
//!   the same content at the same time, or did and died, wrote the same.
//! * **SEAL-3** What is written is hashed on its way: bytes that do not make the object's name are never sealed.

use archipelago_store::{ObjectName, Scope, Store, StoreError};

use super::error::MapError;
use super::world::{Base, World};
use crate::map::{BlockMap, ContentId, Shape, Source, object_name};

/// What is read at once.
const PIECE_BYTES: u64 = 256 << 10;

/// A block, as some map says that it is made.
#[derive(Clone, Debug)]
pub struct Block {
    pub shape: Shape,
    pub index: u64,
    pub map: BlockMap,
}

/// What became of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub content: ContentId,
    /// It was written just now: it is to be sealed.
    pub is_new: bool,
}

/// BLAKE3 of bytes without those zeros that nothing else follows.
#[derive(Debug, Default)]
struct Trimmed {
    hasher: blake3::Hasher,
    zeros: u64,
}

impl Trimmed {
    fn update(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else {
            self.zeros += bytes.len() as u64;
            return;
        };
        while self.zeros > 0 {
            let count = self.zeros.min(ZEROS.len() as u64);
            self.hasher.update(&ZEROS[..count as usize]);
            self.zeros -= count;
        }
        self.hasher.update(&bytes[..=last]);
        self.zeros = (bytes.len() - last - 1) as u64;
    }

    fn finish(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }
}

static ZEROS: [u8; 4096] = [0; 4096];

/// The length of an object that is whole (SEAL-1).
fn sealed_bytes(shape: Shape) -> u64 {
    shape.object_bytes() + 1
}

impl<W: World> Base<W> {
    /// The object of what the block holds, made if it is not there. `None`: it holds zeros.
    pub async fn content_of(&self, block: &Block, scope: Scope) -> Result<Option<Found>, MapError> {
        let hash = match &block.map {
            BlockMap::Zero => return Ok(None),
            // It has its name, and a head that names it.
            BlockMap::Object(Source::Content(content)) => {
                return Ok(Some(Found {
                    content: *content,
                    is_new: false,
                }));
            }
            BlockMap::Object(source) => {
                let object = object_name(*source, block.index);
                let hash = self.data().hash(&object).await;
                hash.map_err(|error| unread(object, *source, error))?
            }
            BlockMap::Split(_) => self.read_block(block, async |_, _| Ok(())).await?,
        };
        if hash == *blake3::hash(&[]).as_bytes() {
            return Ok(None);
        }
        let content = ContentId::of(block.shape.object_bits(), &hash);
        let is_new = !self.is_sealed(content, block.shape).await?;
        if is_new {
            self.write_content(block, content, scope).await?;
        }
        Ok(Some(Found { content, is_new }))
    }

    async fn is_sealed(&self, content: ContentId, shape: Shape) -> Result<bool, MapError> {
        let object = object_name(Source::Content(content), 0);
        match self.data().stat(&object).await {
            Ok(stat) => Ok(stat.size >= sealed_bytes(shape)),
            Err(StoreError::NotFound) => Ok(false),
            Err(error) => Err(MapError::store("look at", &object)(error)),
        }
    }

    /// SEAL-2
    async fn write_content(
        &self,
        block: &Block,
        content: ContentId,
        scope: Scope,
    ) -> Result<(), MapError> {
        let object = object_name(Source::Content(content), 0);
        let bytes = block.shape.object_bytes();
        let made = self.data().extend(scope, &object, bytes, false).await;
        made.map_err(MapError::store("make", &object))?;
        let hash = self
            .read_block(block, async |at, piece| {
                if piece.iter().all(|byte| *byte == 0) {
                    return Ok(());
                }
                let written = self.data().write(scope, &object, at, piece).await;
                written.map_err(MapError::store("write", &object))
            })
            .await?;
        // SEAL-3
        if ContentId::of(block.shape.object_bits(), &hash) == content {
            return Ok(());
        }
        Err(MapError::Corrupt {
            object,
            why: format!("block {} says something else each time", block.index),
        })
    }

    /// What was written under this scope is durable when this returns, and counts (SEAL-1).
    pub async fn seal(
        &self,
        contents: impl IntoIterator<Item = ContentId>,
        shape: Shape,
        scope: Scope,
    ) -> Result<(), MapError> {
        let synced = self.data().sync(scope).await;
        synced.map_err(|source| MapError::Store {
            action: "sync",
            object: "new content".into(),
            source,
        })?;
        for content in contents {
            let object = object_name(Source::Content(content), 0);
            let length = sealed_bytes(shape);
            let sealed = self.data().extend(scope, &object, length, false).await;
            sealed.map_err(MapError::store("end", &object))?;
        }
        Ok(())
    }

    /// Shows all that is mapped of a block to `each`, in order, and hashes it.
    async fn read_block(
        &self,
        block: &Block,
        each: impl AsyncFn(u64, &[u8]) -> Result<(), MapError>,
    ) -> Result<[u8; 32], MapError> {
        let grain = block.shape.grain_bytes();
        let mut trimmed = Trimmed::default();
        for (subs, source) in block.map.runs(0..block.shape.subs()) {
            let (mut at, end) = (u64::from(subs.start) * grain, u64::from(subs.end) * grain);
            let Some(source) = source else {
                trimmed.zeros += end - at;
                continue;
            };
            let object = object_name(source, block.index);
            while at < end {
                let len = (end - at).min(PIECE_BYTES);
                let mut piece = vec![0; usize::try_from(len).expect("256 KiB at most")];
                let read = self.data().read(&object, at, &mut piece).await;
                let read = read.map_err(|error| unread(object.clone(), source, error))?;
                if (read as u64) < len {
                    return Err(MapError::Corrupt {
                        object,
                        why: format!(
                            "it ends at byte {}, and the map names more",
                            at + read as u64
                        ),
                    });
                }
                trimmed.update(&piece);
                each(at, &piece).await?;
                at += len;
            }
        }
        Ok(trimmed.finish())
    }
}

fn unread(object: ObjectName, source: Source, error: StoreError) -> MapError {
    match (error, source) {
        (StoreError::NotFound, Source::Born { birth, .. }) => MapError::Missing {
            object,
            volume: birth,
        },
        (StoreError::NotFound, Source::Content(_)) => MapError::Corrupt {
            object,
            why: "it is missing".into(),
        },
        (error, _) => MapError::store("read", &object)(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_at_the_end_are_not_hashed_however_they_come() {
        let mut bytes = vec![0; 20_000];
        (bytes[3], bytes[9_000]) = (1, 2);
        let expected = *blake3::hash(&bytes[..=9_000]).as_bytes();
        for piece in [1, 7, 4096, 5000, 20_000] {
            let mut trimmed = Trimmed::default();
            bytes.chunks(piece).for_each(|piece| trimmed.update(piece));
            assert_eq!(trimmed.finish(), expected, "{piece}");
        }
        assert_eq!(Trimmed::default().finish(), *blake3::hash(&[]).as_bytes());
    }
}
