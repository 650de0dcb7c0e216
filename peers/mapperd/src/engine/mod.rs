//! The engine of the mapper: maps on a store, without ports.

mod directory;
mod error;
mod fold;
mod layers;
mod load;
mod log;
mod mapper;
mod names;
mod pages;
mod remove;
mod together;
mod tree;
mod volume;
mod world;

pub use error::MapError;
pub use load::{Loaded, View};
pub use mapper::{CreateOptions, Mapper, Origin};
pub use volume::{Granted, State, Volume};
pub use world::{Base, ComposerId, NoAnswer, World};
