//! What the tests share: a segment of one's own, processes that can be killed, and checks.

mod checks;
mod room;
mod tasks;
mod words;
mod worker;

pub use checks::{assert_all_free, first, next_event, next_reply, next_request, until};
pub use room::{Room, is_root, small};
pub use words::Words;
pub use worker::{NOBODY, Parent, Worker, WorkerOptions};
