//! The device on a reactor: connections, rings, requests in flight.
//!
//! # Invariants
//! * **VHOST-1** One connection at a time, and the next one's I/O begins when the last one's requests are done (S7).
//! * **VHOST-2** Memory is not taken away, and a stopped ring is not answered for, before the requests that use it are done.
//! * **VHOST-3** A ring that makes no sense is left alone, and its front end told by its error descriptor; other rings, other
//!   devices and the process go on (F85).
//! * **VHOST-4** A ring that starts tells its driver once, for what was completed while nobody could be told.

mod carrier;
mod connection;
mod device;
mod error;
mod link;
mod options;
mod ring;
mod running;
#[expect(
    clippy::module_inception,
    reason = "the server is what this house is about"
)]
mod server;
mod signals;

pub use error::ConnectionError;
pub use options::ServerOptions;
pub use server::Server;
