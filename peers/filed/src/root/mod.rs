//! The directory of a store: everything that goes by path. Calls here block, and can be made on any thread.

mod beneath;
mod device;
mod folders;
mod identity;
mod listing;
mod open;
mod reserve;
mod staging;
mod temporary;

pub(crate) use beneath::{Directory, InodeId};
pub(crate) use open::Root;
pub(crate) use reserve::Reserve;
pub(crate) use staging::{Publication, Staged, read_small, write_all};
pub(crate) use temporary::Temporary;
