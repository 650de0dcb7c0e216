//! Resizing. What is cut off is gone: grown again, it is zero.

use archipelago_store::{ObjectName, Store};

use super::state::Displaced;
use super::volume::Volume;
use crate::engine::error::MapError;
use crate::engine::names;
use crate::engine::world::World;
use crate::map::journal::Record;
use crate::map::{SOURCES_MAX, VOLUME_BYTES_MAX, object_name};

impl<W: World> Volume<W> {
    pub async fn resize(&self, bytes: u64) -> Result<(), MapError> {
        if bytes == 0 || bytes > VOLUME_BYTES_MAX {
            return Err(MapError::Invalid {
                what: "the size",
                why: format!("{bytes} bytes; 1 to 2^63 are possible"),
            });
        }
        let _change = self.change.lock().await;
        self.check_open()?;
        let before = self.size_bytes();
        let held = self.take_back().await?;
        self.commits_ended().await;
        if bytes < before {
            let grain = self.shape.grain_bytes();
            let from = bytes.div_ceil(grain) * grain;
            if from < before {
                self.discard_in_change(None, from, before - from).await?;
            }
            self.zero_rest_of_sub(bytes).await?;
        }
        self.append([Record::Size { bytes }]).await?;
        self.flush().await?;
        drop(held);
        Ok(())
    }

    /// Bytes behind `end` in its sub-block become zero: in a new place, for others may share the old one.
    async fn zero_rest_of_sub(&self, end: u64) -> Result<(), MapError> {
        let grain = self.shape.grain_bytes();
        let (block, last) = self.shape.locate(end);
        let kept = usize::try_from(end % grain).expect("a grain is at most 64 KiB");
        let map = self.block(block).await?;
        if kept == 0 || map.source_at(last).is_none() {
            return Ok(());
        }
        // One source more, or one for all of them.
        let subs = if map.sources().len() < SOURCES_MAX {
            last..last + 1
        } else {
            0..last + 1
        };
        let to = self.own_stamp().await?;
        let object = object_name(to, block);
        let scope = names::scope(self.id);
        let bytes = self.shape.object_bytes();
        let extended = self.base.data().extend(scope, &object, bytes, false).await;
        extended.map_err(MapError::store("make", &object))?;
        for sub in subs.clone() {
            let Some(from) = map.source_at(sub) else {
                continue;
            };
            let len = if sub == last { kept } else { bytes_of(grain) };
            self.copy_sub(&object_name(from, block), &object, sub, len)
                .await?;
        }
        let sources = map.sources().iter().copied();
        let displaced = sources.map(|source| Displaced { block, source });
        self.state.borrow_mut().displaced.extend(displaced);
        self.append([Record::Assign {
            block,
            from: subs.start,
            count: subs.end - subs.start,
            source: Some(to),
        }])
        .await
    }

    /// Copies the beginning of a sub-block; the rest becomes zero.
    async fn copy_sub(
        &self,
        from: &ObjectName,
        to: &ObjectName,
        sub: u16,
        len: usize,
    ) -> Result<(), MapError> {
        let grain = self.shape.grain_bytes();
        let at = u64::from(sub) * grain;
        let mut bytes = vec![0; bytes_of(grain)];
        let read = self.base.data().read(from, at, &mut bytes[..len]).await;
        let read = read.map_err(MapError::store("read", from))?;
        if read < len {
            return Err(MapError::Corrupt {
                object: from.clone(),
                why: format!("it ends {read} bytes into a sub-block that the map names"),
            });
        }
        let scope = names::scope(self.id);
        let written = self.base.data().write(scope, to, at, &bytes).await;
        written.map_err(MapError::store("write", to))
    }
}

fn bytes_of(grain: u64) -> usize {
    usize::try_from(grain).expect("a grain is at most 64 KiB")
}
