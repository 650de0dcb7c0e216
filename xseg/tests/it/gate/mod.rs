//! The drain gate: a dead process's I/O goes on, and until it has ended nobody touches what it may write or read.

mod device;
mod draining;
mod proof;

pub use draining::hold_port_2_with_a_child;
pub use proof::put_io_in_flight;
