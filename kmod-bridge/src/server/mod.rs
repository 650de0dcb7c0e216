//! The server: listeners, connections, requests in flight.

mod accept;
mod bind;
mod connection;
mod greeting;
mod input;
mod options;
mod orphans;
mod outbox;
mod perform;
mod requests;
#[expect(
    clippy::module_inception,
    reason = "the server is what this house is about"
)]
mod server;
mod writes;

pub use bind::{BindError, bind_tcp, bind_unix};
pub use options::{OptionsError, ServerOptions};
pub use server::Server;
