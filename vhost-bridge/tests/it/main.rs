//! A device and a front end that plays a guest: over a socket, with memory, kicks and calls.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod booting;
mod bridge;
mod driver;
mod guests;
mod held;
mod hostile;
mod io;
mod lent;
mod segments;
mod serving;
mod surviving;
mod volume;
