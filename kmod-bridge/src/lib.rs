//! Volumes as block devices: the NBD server.
//!
//! The protocol is two machines without I/O: [`Handshake`] up to the choice of an export, [`RequestReader`] from there
//! on. Both are fed bytes and answer with decisions.

#![forbid(unsafe_code)]

mod export;
mod handshake;
mod limits;
mod name;
mod segment;
mod server;
mod transmission;
mod uri;
pub mod wire;

pub use export::{
    Export, ExportFacts, Exports, Extent, Features, MemExport, MemExports, Payload, ZeroOptions,
};
pub use handshake::{
    Agreed, Decision, Handshake, HandshakeError, HandshakeOptions, Listed, MetaContext,
    OpenRefusal, Purpose,
};
pub use name::{EXPORT_NAME_BYTES_MAX, ExportName, NotAName};
pub use segment::{SegmentExport, SegmentExports, SegmentPlaces, piece_bytes_max};
pub use server::{BindError, OptionsError, Server, ServerOptions, bind_tcp, bind_unix};
pub use transmission::{
    Admission, Command, Refusal, Request, RequestReader, Step, TransmissionError,
};
pub use uri::{Place, TCP_PORT, Uri, UriError};
