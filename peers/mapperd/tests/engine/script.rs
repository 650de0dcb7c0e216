//! One history that touches everything, step by step. Each step may be asked again when it failed: it ends the same.

use std::collections::BTreeMap;

use archipelago_mapperd::engine::{CreateOptions, MapError, Mapper, Origin};
use archipelago_mapperd::map::VolumeId;

use crate::client::{GRAIN_BYTES, SECTORS, Sub, read_from, read_sub, shape, write_sub};
use crate::model::Model;
use crate::world::{COMPOSER, SimWorld};

const GRAIN: u64 = GRAIN_BYTES as u64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Create(&'static str, u64),
    /// Sub-blocks from, to, and what they say.
    Write(&'static str, u64, u64, u64),
    Flush(&'static str),
    Snapshot(&'static str, &'static str),
    Clone(&'static str, &'static str),
    /// Sub-blocks from and to.
    Discard(&'static str, u64, u64),
    Checkpoint(&'static str),
    Rename(&'static str, &'static str),
    Resize(&'static str, u64),
    Remove(&'static str),
    EmptyTrash,
    Close,
}

/// All of it.
pub fn script() -> Vec<Step> {
    use Step::*;
    vec![
        Create("v", 50 * GRAIN),
        Write("v", 0, 5, 10),
        Write("v", 15, 19, 11),
        Write("v", 40, 42, 12),
        Flush("v"),
        Snapshot("v", "s"),
        Clone("s", "c"),
        Write("v", 3, 8, 20),
        Write("c", 4, 8, 30),
        Write("c", 16, 18, 31),
        Discard("v", 16, 32),
        Discard("v", 1, 2),
        Checkpoint("v"),
        Write("v", 6, 9, 40),
        Clone("v", "d"),
        Write("v", 0, 2, 50),
        Write("d", 1, 3, 51),
        Snapshot("v", "t"),
        Write("v", 2, 4, 60),
        Rename("v", "w"),
        Rename("s", "r"),
        Resize("w", 41 * GRAIN + 512),
        Write("w", 33, 34, 70),
        Checkpoint("w"),
        Close,
        Write("w", 34, 35, 80),
        Remove("r"),
        EmptyTrash,
        Remove("c"),
        EmptyTrash,
        Remove("t"),
        EmptyTrash,
        Write("w", 5, 7, 90),
        Remove("d"),
        EmptyTrash,
        Close,
    ]
}

fn id(number: u8) -> VolumeId {
    VolumeId::new([number; 16]).unwrap()
}

/// The id of whatever is made under this name.
fn id_for(name: &str) -> VolumeId {
    id(name.as_bytes()[0])
}

fn done_already(outcome: Result<(), MapError>) -> Result<(), MapError> {
    match outcome {
        Err(MapError::NotFound { .. }) => Ok(()),
        other => other,
    }
}

impl Step {
    pub fn writes(&self) -> bool {
        matches!(self, Self::Write(..) | Self::Resize(..))
    }

    pub async fn run(&self, mapper: &Mapper<SimWorld>) -> Result<(), MapError> {
        match *self {
            Self::Create(name, bytes) => {
                let options = CreateOptions {
                    size: Some(bytes),
                    origin: None,
                    shape: shape(),
                };
                mapper.create(name, id_for(name), &options).await
            }
            Self::Clone(from, name) => {
                let options = CreateOptions {
                    size: None,
                    origin: Some(Origin::Any(from.into())),
                    shape: shape(),
                };
                mapper.create(name, id_for(name), &options).await
            }
            Self::Write(name, first, end, value) => {
                let volume = mapper.open(name, false).await?;
                for sub in first..end {
                    write_sub(mapper, &volume, sub, &[value; SECTORS]).await?;
                }
                Ok(())
            }
            Self::Flush(name) => mapper.open(name, false).await?.flush().await,
            Self::Snapshot(name, snapshot) => {
                mapper.snapshot(name, snapshot, id_for(snapshot)).await
            }
            Self::Discard(name, first, end) => {
                let volume = mapper.open(name, false).await?;
                let (offset, length) = (first * GRAIN, (end - first) * GRAIN);
                volume.discard(Some(COMPOSER), offset, length).await?;
                Ok(())
            }
            Self::Checkpoint(name) => mapper.open(name, false).await?.checkpoint(0).await,
            Self::Rename(name, to) => done_already(mapper.rename(name, to).await),
            Self::Resize(name, bytes) => mapper.resize(name, bytes, true).await,
            Self::Remove(name) => done_already(mapper.remove(name).await),
            Self::EmptyTrash => mapper.empty_trash(0).await,
            Self::Close => mapper.close_all().await,
        }
    }

    /// What the volumes say when it is done.
    pub fn apply(&self, models: &mut BTreeMap<String, Model>) {
        let flush = |model: &mut Model| model.before.clear();
        match *self {
            Self::Create(name, bytes) => {
                let model = Model {
                    bytes,
                    ..Model::default()
                };
                models.insert(name.into(), model);
            }
            Self::Snapshot(from, name) | Self::Clone(from, name) => {
                let is_snapshot = matches!(self, Self::Snapshot(..));
                let model = models.get_mut(from).unwrap();
                flush(model);
                let copy = Model {
                    is_snapshot,
                    ..model.clone()
                };
                models.insert(name.into(), copy);
            }
            Self::Write(name, first, end, value) => {
                let model = models.get_mut(name).unwrap();
                (first..end).for_each(|sub| model.set(sub, [value; SECTORS]));
            }
            Self::Discard(name, first, end) => {
                let model = models.get_mut(name).unwrap();
                (first..end).for_each(|sub| model.set(sub, [0; SECTORS]));
            }
            Self::Flush(name) | Self::Checkpoint(name) => flush(models.get_mut(name).unwrap()),
            Self::Rename(name, to) => {
                let model = models.remove(name).unwrap();
                models.insert(to.into(), model);
            }
            Self::Resize(name, bytes) => {
                let model = models.get_mut(name).unwrap();
                for sub in bytes / GRAIN..model.count() {
                    let mut value = model.sub(sub);
                    let sectors = (bytes.saturating_sub(sub * GRAIN) / 512) as usize;
                    value
                        .iter_mut()
                        .skip(sectors)
                        .for_each(|sector| *sector = 0);
                    model.set(sub, value);
                }
                model.bytes = bytes;
                flush(model);
            }
            Self::Remove(name) => {
                models.remove(name);
            }
            Self::EmptyTrash => {}
            Self::Close => models.values_mut().for_each(flush),
        }
    }
}

/// What is found under a name: `None` if nothing is.
pub async fn content_of(
    mapper: &Mapper<SimWorld>,
    name: &str,
    subs: u64,
) -> Result<Option<Vec<Sub>>, MapError> {
    let Some(loaded) = mapper.base().find(name).await? else {
        return Ok(None);
    };
    let mut content = Vec::new();
    let a_block = u64::from(shape().subs());
    if loaded.head.flags.snapshot {
        let view = mapper.base().view(loaded.head.id).await?;
        for sub in 0..subs {
            let (block, in_block) = (sub / a_block, (sub % a_block) as u16);
            let map = view.block(mapper.base(), block).await?;
            content.push(read_from(mapper, map.source_at(in_block), block, in_block).await?);
        }
        return Ok(Some(content));
    }
    let volume = mapper.open(name, false).await?;
    for sub in 0..subs {
        content.push(read_sub(mapper, &volume, sub).await?);
    }
    Ok(Some(content))
}
