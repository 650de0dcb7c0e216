//! The commands, a file for each group.

pub mod bench;
pub mod create;
pub mod inspect;
pub mod ops;
pub mod ping;
pub mod read;
pub mod recover;
pub mod report;
pub mod rnd;
pub mod route;
pub mod serve;
pub mod top;
pub mod verify;
pub mod write;
