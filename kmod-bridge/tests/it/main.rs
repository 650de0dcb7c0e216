//! The server as clients see it: ours, which knows no manners, and those that people use.
#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in tests, but not in their helpers"
)]

mod answers;
mod copying;
mod describing;
mod exhaustion;
mod leaving;
mod limits;
mod numbers;
mod shell;
mod support;
mod volumes;
