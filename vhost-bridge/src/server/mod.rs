//! The device on a reactor: connections, rings, requests in flight.
//!
//! # Invariants
//! * **VHOST-1** One connection at a time, and the next one's I/O begins when the last one's requests are done (S7).
//! * **VHOST-2** Memory is not taken away, and a stopped ring is not answered for, before the requests that use it are done.
//! * **VHOST-3** A ring that makes no sense is left alone, and its front end told by its error descriptor; other rings, other
//!   devices and the process go on (F85).
//! * **VHOST-4** A ring that starts tells its driver once, for what was completed while nobody could be told.
//! * **VHOST-5** What a guest has taken is bounded, whatever its rings hold; no ring waits for ever behind another (F75).
//! * **VHOST-6** A drain leaves in the rings what it has not taken, and answers what it has (P2); what it could not answer in its time
//!   stays in flight for the next server, and no byte of guest memory is touched after the connection's end.
//! * **VHOST-7** A guest whose disk is resized is told, and until it looks it asks for nothing that is not there.
//! * **VHOST-10** As long as the reactor is awake it looks at the rings by itself, and their guests do not kick (WATCH-1); before it sleeps
//!   they are asked to (WATCH-2). No chain waits for a kick that nobody asked for.
//! * **VHOST-9** A ring whose memory is taken away rests, and goes on where it is when memory comes back.
//! * **VHOST-8** No descriptor of a front end makes us wait: memory is as GUEST-3 says, events are eventfds, and whatever else comes
//!   is closed by a thread that may wait, and waits for its own disk's front ends only.

mod accept;
mod carrier;
mod channel;
mod connection;
mod device;
mod elsewhere;
mod error;
mod event;
mod foreign;
mod hold;
mod link;
mod options;
mod ring;
mod running;
#[expect(
    clippy::module_inception,
    reason = "the server is what this house is about"
)]
mod server;
mod shared;
mod signals;
mod turns;

pub use error::ConnectionError;
pub use options::{OptionsError, QUEUES_MAX, ServerOptions};
pub use server::Server;
