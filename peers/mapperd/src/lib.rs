//! Maps of volumes.

#![forbid(unsafe_code)]

pub mod engine;
pub mod map;
mod peer;

pub use peer::{Options, Places, PortWorld, Running};
