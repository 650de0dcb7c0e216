//! What the tests share: a segment of one's own, processes that can be killed, and checks.

mod checks;
mod methods;
mod random;
mod room;
mod tasks;
mod words;
mod worker;

pub use checks::{
    PATIENCE, assert_all_free, first, next_event, next_reply, next_request, until, variant,
};
pub use methods::{may_have_a_ring, ring_methods, wait_methods};
pub use random::Random;
pub use room::{Room, directory, is_root, small};
pub use words::Words;
pub use worker::{NOBODY, Parent, Worker, WorkerOptions};
