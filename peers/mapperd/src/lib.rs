//! Maps of volumes.

#![forbid(unsafe_code)]

pub mod engine;
pub mod map;
