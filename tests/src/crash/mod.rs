//! The crash harness: a fleet of workers under load, killed one after the other at any instant, and the proof that
//! nothing was lost, doubled, damaged or leaked.
//!
//! # Invariants
//! * **CRASH-1** Every request of a client that survives is answered exactly once, with the right content and
//!   without an error.
//! * **CRASH-2** When the load pauses, every record and buffer is free or named by a live port, and the segment's own
//!   verification finds nothing; when everybody has left, all are free.
//! * **CRASH-3** No survivor waits for longer than the watchdog's time.

mod aim;
mod books;
mod checkpoint;
mod fleet;
mod post;
mod probe;
mod run;

pub use books::Books;
pub use run::{Options, run};
