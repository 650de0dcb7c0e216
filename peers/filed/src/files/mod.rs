//! Open files: which there are, who uses them, how.

mod cache;
mod gate;
mod open_file;
mod turns;

pub(crate) use cache::Cache;
pub(crate) use gate::Mode;
pub(crate) use open_file::{FileId, OpenFile, Using};
pub(crate) use turns::Turns;
