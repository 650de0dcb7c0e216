//! The server as clients see it: ours, which knows no manners, and those that people use.
#![allow(
    clippy::unwrap_used,
    reason = "clippy allows it in tests, but not in their helpers"
)]
#![cfg_attr(
    not(feature = "tls"),
    allow(
        dead_code,
        unused_imports,
        reason = "what only encrypted connections need"
    )
)]

mod activation;
mod answers;
mod copying;
mod deadlines;
mod describing;
mod exhaustion;
mod guests;
mod leaks;
mod leaving;
mod limits;
mod newest;
mod numbers;
mod psk;
mod shell;
mod support;
mod table;
#[cfg(feature = "tls")]
mod tls;
mod volumes;
