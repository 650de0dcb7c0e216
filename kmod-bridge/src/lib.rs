//! Volumes as block devices: the NBD server.
//!
//! * [`Server`] runs on a reactor: it takes connections from listening sockets ([`bind_unix`], [`bind_tcp`]), and serves
//!   what [`Disks`] have.
//! * The protocol is two machines without I/O: [`Handshake`] up to the choice of an export, [`RequestReader`] from there on.
//!   Both are fed bytes and answer with decisions. [`wire`] has the numbers and the headers.
//! * [`kernel`] makes block devices of exports, whose client is the kernel.
//! * A [`Uri`] says where an export is, in the words that clients understand.
//!
//! Payloads are received straight into the buffer in which they travel on, and sent straight from it (W1); a client
//! that goes away, sends nonsense or does not take its answers costs nobody anything but itself (F70 to F78).
//!
//! ```
//! use std::time::Duration;
//!
//! use archipelago_front::{MemDisk, MemDisks};
//! use archipelago_nbd::{Place, Server, ServerOptions, Uri, bind_unix};
//! use archipelago_runtime::{Reactor, ReactorOptions};
//! use xseg::{BindOptions, CreateOptions, Geometry};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let segment = CreateOptions::new(Geometry::new(1, 1, 8)?).create_private()?;
//! let port = segment.bind(0, &BindOptions::default())?;
//! let reactor = Reactor::new(port, &ReactorOptions::default())?;
//!
//! let exports = MemDisks::new();
//! exports.insert("disk".parse()?, MemDisk::new(1 << 30));
//! let server = Server::new(&reactor.handle(), exports, ServerOptions::default())?;
//! # let directory = tempfile::tempdir()?;
//! # let socket = directory.path().join("nbd.sock");
//! server.listen(bind_unix(&socket)?)?;
//!
//! let export = "disk".parse()?;
//! println!("{}", Uri { place: Place::Unix { socket }, export });
//! reactor.block_on(async {
//!     // ... until it is enough; then:
//!     server.drain(Duration::from_secs(10)).await;
//! });
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

#[cfg(doc)]
use archipelago_front::Disks;

mod handshake;
pub mod kernel;
mod limits;
mod server;
mod tls;
mod transmission;
mod uri;
pub mod wire;

pub use handshake::{
    Agreed, ContextKind, Decision, Handshake, HandshakeError, HandshakeOptions, MetaContext,
    Purpose, Security,
};
pub use server::{
    ActivationError, BindError, ListenError, OptionsError, Server, ServerOptions, activated,
    bind_tcp, bind_unix,
};
pub use tls::{Tls, TlsError, TlsFiles};
pub use transmission::{
    Admission, Command, ContextSet, Refusal, Request, RequestReader, Step, TransmissionError,
};
pub use uri::{Place, TCP_PORT, Uri, UriError};
