//! The commands `archipelago` and `vlmc`.

#![forbid(unsafe_code)]

pub mod config;
