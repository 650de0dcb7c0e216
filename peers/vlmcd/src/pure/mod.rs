//! The decisions of a composer, without I/O: each is tested against a naive model.

mod block_map;
mod cache;
mod claims;
mod difference;
mod epochs;
mod pieces;
mod shape;
mod source;
mod underway;

pub use block_map::BlockMap;
pub use cache::BlockCache;
pub use claims::{ClaimId, ClaimMode, Claims};
pub use difference::differences;
pub use epochs::{Assigned, Epochs, QuestionId};
pub use pieces::{Fill, Pad, Piece, WritePart, fill, pieces, write_parts};
pub use shape::Shape;
pub use source::Source;
pub use underway::Underway;
