//! The harness of the tests that need whole processes: a fleet of workers that meet in one segment, a controller that
//! kills them or damages their segment, and the books that show what became of every request.
//!
//! * [`crash`]: nothing may be lost, doubled, damaged or leaked, whoever is killed, whenever.
//! * [`fuzz`]: whatever stands in the segment's tables, nobody crashes or hangs.
//! * [`vhost_fuzz`]: whatever a virtual machine says to its disk, no other one notices.
//! * [`nbd`]: whatever an NBD client says, the server's machines keep their promises.
//! * [`worker`]: the roles that the processes play in both.

#![forbid(unsafe_code)]

pub mod channel;
pub mod child;
pub mod crash;
pub mod crowd;
pub mod fuzz;
pub mod message;
pub mod nbd;
pub mod rng;
pub mod vhost_fuzz;
pub mod worker;
