//! The composer as a peer: who asks whom for what, and who waits for whom.

mod ask;
mod attach;
mod core;
mod granted;
mod idle;
mod lease;
mod lent;
mod maps;
mod objects;
mod orphans;
mod peer;
mod permits;
mod read;
mod read_window;
mod recall;
mod running;
mod status;
mod together;
mod users;
mod volume;
mod write;
mod zero;

pub use running::{RunningComposer, serve};
