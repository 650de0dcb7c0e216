//! What the processes of a node log, how much of it, and where it goes (P3).
//!
//! ```text
//! event --> Levels: is it too much for the role that it belongs to? --> Outlets: the journal, the role's file, or stderr
//! ```
//! Roles that share a process are told apart by the [`archipelago_runtime::Tenant`] that the thread works for at that moment.

mod begin;
mod files;
mod journal;
mod last_words;
mod levels;
mod outlets;

pub use begin::begin;
pub use files::{host_file, host_file_name, open, supervisor_file};
pub use journal::stderr_is_journal;
pub use last_words::last_words;
pub use levels::{Levels, LiveLevels, RoleLevel};
pub use outlets::Outlets;
