//! Volumes as disks of virtual machines: a vhost-user-blk device.
//!
//! Nothing that a guest or its front end writes is trusted: the cores below are pure, and each says what it makes of nonsense
//! (F85).
//!
//! * [`message`]: the protocol's messages, to and from bytes.
//! * [`queue`]: split virtqueues over [`queue::GuestMemory`].
//! * [`request`]: what the guest asks, as [`archipelago_front::Request`]s and parts of its memory.
//! * [`session`]: the protocol as a state machine.
//! * [`inflight`]: what is in flight, where it outlives the process.
//! * [`server`]: the device on a reactor, for one disk.
//! * [`guest`]: the memory itself; all that is `unsafe`.
#![deny(unsafe_code)]

pub mod guest;
pub mod inflight;
pub mod message;
pub mod queue;
pub mod request;
pub mod server;
pub mod session;
