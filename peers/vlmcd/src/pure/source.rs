//! What names a data object: as the protocol says it.

pub use archipelago_protocol::ObjectSource as Source;
