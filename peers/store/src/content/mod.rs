//! What the stores in memory are made of.

mod blob;
mod locks;

pub(crate) use blob::{Blob, SECTOR_BYTES, sectors_of};
pub(crate) use locks::LockTable;
