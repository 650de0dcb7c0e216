//! The behaviour of the runtime as peers see it: one module a subject, one sentence a test. Whatever touches the
//! kernel is tested with io_uring, with io_uring and a helper thread, and without io_uring.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends with the first thing that is not as it should be"
)]

mod calls;
mod ending;
mod files;
mod serving;
mod streams;
mod support;
mod tasks;
mod tenants;
mod threads;
mod timing;
mod watching;
