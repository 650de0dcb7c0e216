//! Maps of volumes.

#![forbid(unsafe_code)]

pub mod map;
