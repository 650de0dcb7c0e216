//! The corruption fuzzer: workers use a segment while another process writes nonsense into its tables.
//!
//! # Invariants
//! * **FUZZ-1** No worker ends by itself, by panic, signal or otherwise, whatever stands in the tables.
//! * **FUZZ-2** No worker hangs: its loop keeps turning, with or without progress.

mod books;
mod flip;
mod flipper;
mod round;
mod run;
mod tables;

pub use books::Books;
pub(crate) use flipper::run as run_flipper;
pub use run::{Options, run};
