//! The mapper as a peer.

mod answer;
mod calls;
mod collecting;
mod hashing;
mod letting_go;
mod locking;
mod mapperd;
mod maps;
mod predecessor;
mod still;
mod world;

pub use mapperd::{Options, Running};
pub use world::{Places, PortWorld};
