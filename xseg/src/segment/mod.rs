//! Segments: made ([`create`]), joined ([`join`]), destroyed ([`destroy`]), and the handle that all else hangs on.

mod create;
mod destroy;
mod handle;
mod header;
mod join;
mod place;

pub use create::{CreateOptions, HugePages};
pub use handle::Segment;
pub(crate) use handle::{Flight, Shared};
pub use join::JoinOptions;
pub use place::{DEFAULT_DIRECTORY, Place};
