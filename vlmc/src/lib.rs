//! The commands `archipelago` and `vlmc`.

#![forbid(unsafe_code)]

pub mod attach;
pub mod cli;
pub mod config;
pub mod host;
pub mod log;
pub mod supervisor;
pub mod volumes;
