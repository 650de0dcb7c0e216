//! Where objects lie: from names to paths and back. Pure.

mod escape;
mod place;

pub(crate) use escape::{escape, unescape};
pub(crate) use place::{FileName, Folder, Place, Sidecar};
