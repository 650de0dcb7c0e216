//! What the commands ask: of the supervisor, or of the hosts themselves where there is none.

mod asking;
mod start;
mod stop;

pub use asking::{Client, Patience};
