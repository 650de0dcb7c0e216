//! The engine of the mapper: maps on a store, without ports.

mod beside;
mod content;
mod content_tree;
mod content_turns;
mod create;
mod directory;
mod erase;
mod error;
mod fold;
mod gc;
mod hash;
mod held;
mod layers;
mod load;
mod log;
mod lost;
mod manage;
mod mapper;
mod names;
mod pages;
mod remove;
mod together;
mod trash;
mod tree;
mod volume;
mod world;

pub use create::{CreateOptions, Origin};
pub use error::MapError;
pub use gc::{Mode as GcMode, Orphan as GcOrphan, Report as GcReport};
pub use hash::Progress;
pub use load::{Loaded, View};
pub use lost::Lost;
pub use mapper::{Force, Mapper};
pub use volume::{Granted, Orphan, State, Volume};
pub use world::{Base, ComposerId, NoAnswer, UserId, World};
