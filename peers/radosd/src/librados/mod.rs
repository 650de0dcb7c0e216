//! librados: the only module with `unsafe`.
//!
//! The library is opened when the first role needs it, so that nothing of this project needs it to be built or to start. What is
//! declared here is what librados.h says (version 14 and later). Safe code outside hands over names, bytes and memory; whatever librados
//! keeps the address of belongs to the operation until its callback has been.
//!
//! # Invariants
//! * **LIBRADOS-1** What an operation reads from or writes to is kept until its completion's callback was called, also when
//!   nobody waits for it any more.
//! * **LIBRADOS-2** Of each operation that librados took the callback is called once, on a thread of its own; of one that
//!   it did not take, never.
//! * **LIBRADOS-3** A pool is given back after its last operation, a connection after its last pool.
#![allow(
    unsafe_code,
    reason = "librados takes addresses; every block says why they are good"
)]

mod cluster;
mod flight;
mod late;
mod library;
mod place;
mod pool;
mod read_operation;
mod refusal;
mod symbols;
#[cfg(test)]
mod tests;
mod watch;
mod write_operation;

pub(crate) use cluster::Cluster;
pub(crate) use pool::Pool;
pub(crate) use watch::{News, Watch};
pub(crate) use write_operation::WriteOperation;
