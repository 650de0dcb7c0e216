//! Message exchange between two processes: every contender does the same jobs.
//!
//! A latency means little alone. Each contender is therefore measured beside the cheapest
//! exchange the machine allows (one shared word and nothing else), in the same run and in
//! turn with all others, so that a busy machine slows all of them alike.
//!
//! To add a contender, implement [`Contender`] in a file of its own and list it in
//! [`contender::contenders`].

mod alone;
mod bare;
mod channel;
mod contender;
mod gate;
#[cfg(feature = "iceoryx2")]
mod iceoryx;
mod peer;
mod pipe;
mod report;
mod runner;
mod samples;
mod shared_word;
mod socket;
mod spin;
mod stream;
mod watchdog;
mod window;
mod xseg;

pub use peer::PeerArguments;
pub use runner::{Options, run, run_peer};

use contender::{Contender, MESSAGE_BYTES, Message, Role, WINDOW, Waiting, contenders};
