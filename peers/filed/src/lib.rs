//! Objects as files.

#![forbid(unsafe_code)]

mod error;
mod files;
mod layout;
mod locks;
mod options;
mod root;
mod sync;

pub use error::FiledError;
pub use options::{FiledOptions, SyncMethod};
