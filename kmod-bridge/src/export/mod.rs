//! What is served: the contract between the server and whatever keeps the bytes.

mod extent;
mod facts;

pub use extent::Extent;
pub use facts::{ExportFacts, Features};
