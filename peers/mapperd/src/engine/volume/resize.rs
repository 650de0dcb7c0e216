//! Resizing. What is cut off is gone: grown again, it is zero.

use archipelago_store::Store;

use super::volume::Volume;
use crate::engine::error::MapError;
use crate::engine::names;
use crate::engine::world::World;
use crate::map::journal::Record;
use crate::map::{VOLUME_BYTES_MAX, object_name};

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
            self.zero_rest_of_sub(bytes).await?;
            let grain = self.shape.grain_bytes();
            let from = bytes.div_ceil(grain) * grain;
            if from < before {
                self.discard_in_change(None, from, before - from).await?;
            }
        }
        self.append([Record::Size { bytes }]).await?;
        self.flush().await?;
        drop(held);
        Ok(())
    }

    /// Bytes behind `end` in its sub-block become zero: in a new place, for others may share the old one.
    async fn zero_rest_of_sub(&self, end: u64) -> Result<(), MapError> {
        let grain = self.shape.grain_bytes();
        let (block, sub) = self.shape.locate(end);
        let kept = usize::try_from(end % grain).expect("a grain is at most 64 KiB");
        let Some(old) = self
            .block(block)
            .await?
            .source_at(sub)
            .filter(|_| kept != 0)
        else {
            return Ok(());
        };
        let mut bytes = vec![0; usize::try_from(grain).expect("a grain is at most 64 KiB")];
        let at = u64::from(sub) * grain;
        let from = object_name(old, block);
        let read = self.base.data().read(&from, at, &mut bytes[..kept]).await;
        let read = read.map_err(MapError::store("read", &from))?;
        if read < kept {
            return Err(MapError::Corrupt {
                object: from,
                why: format!("it ends {read} bytes into a sub-block that the map names"),
            });
        }
        let source = self.own_stamp().await?;
        let to = object_name(source, block);
        let scope = names::scope(self.id);
        let data = self.base.data();
        let extended = data
            .extend(scope, &to, self.shape.object_bytes(), false)
            .await;
        extended.map_err(MapError::store("make", &to))?;
        let written = data.write(scope, &to, at, &bytes).await;
        written.map_err(MapError::store("write", &to))?;
        self.append([Record::Assign {
            block,
            from: sub,
            count: 1,
            source: Some(source),
        }])
        .await?;
        let displaced = super::state::Displaced { block, source: old };
        self.state.borrow_mut().displaced.insert(displaced);
        Ok(())
    }
}
