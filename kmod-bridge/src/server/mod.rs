//! The server: listeners, connections, requests in flight.

mod accept;
mod activation;
mod bind;
mod budget;
mod connection;
mod exposure;
mod greeting;
mod hall;
mod held;
mod input;
mod link;
mod options;
mod outbox;
mod perform;
mod reads;
mod requests;
#[expect(
    clippy::module_inception,
    reason = "the server is what this house is about"
)]
mod server;
mod status;
mod writes;

pub use activation::{ActivationError, activated};
pub use bind::{BindError, bind_tcp, bind_unix};
pub use exposure::ListenError;
pub use options::{OptionsError, ServerOptions};
pub use server::Server;
