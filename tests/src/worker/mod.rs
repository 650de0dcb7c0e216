//! The roles that worker processes play, and the loop that they have in common.
//!
//! ```text
//! client --> server a, b                   port 0, 1
//! client --> interposer --> server c       port 4, in between for port 2
//! client --> interposer --> composer --> servers a, b, c (views of the client's buffer)      port 3
//! settler: settles whatever is dead, with no port of its own
//! ```

mod args;
mod client;
mod composer;
mod holders;
mod inspector;
mod interposer;
mod link;
mod member;
mod play;
mod server;
mod settler;
mod sleeper;

pub use args::{KillPoint, Manner, Role, SleepKind, WorkerArgs};
pub use inspector::look;
pub(crate) use link::Link;
pub use play::run;
