//! What is served: the contract between the server and whatever keeps the bytes.

mod contract;
mod extent;
mod facts;
mod memory;
mod payload;

pub use contract::{Export, Exports, ZeroOptions};
pub use extent::Extent;
pub use facts::{ExportFacts, Features};
pub use memory::{MemExport, MemExports};
pub use payload::Payload;
