//! The fuzzer of the vhost-user device: a front end and a guest that make sense up to a point, beside one that makes sense.
//!
//! A case is a connection: messages, rings, chains and descriptors as they should be, each part of them wrong now and then. Its
//! choices are a seed's.
//!
//! # Invariants
//! * **VFUZZ-1** The process neither ends nor stands still, and each connection ends when its socket does, with nothing in flight (F85).
//! * **VFUZZ-2** A guest beside it has all that it writes and reads done, all the time (F85).
//! * **VFUZZ-3** Memory that was not shared is not written: what lies between the regions of a file stays as it was (QUEUE-3).
//! * **VFUZZ-4** A guest that makes sense is served at the same socket afterwards, and no descriptor is left behind (F85).

mod books;
mod case;
mod chains;
mod control;
mod disk;
mod guest;
mod memory;
mod racer;
mod run;
mod socket;

pub use books::Books;
pub use run::{Options, run};
