//! Volumes as block devices: the NBD server.
//!
//! The protocol is two machines without I/O: [`Handshake`] up to the choice of an export, [`RequestReader`] from there
//! on. Both are fed bytes and answer with decisions.

#![forbid(unsafe_code)]

mod export;
mod handshake;
mod limits;
mod name;
mod transmission;
pub mod wire;

pub use export::{ExportFacts, Extent, Features};
pub use handshake::{
    Agreed, Decision, Handshake, HandshakeError, HandshakeOptions, Listed, MetaContext,
    OpenRefusal, Purpose,
};
pub use name::{EXPORT_NAME_BYTES_MAX, ExportName, NotAName};
pub use transmission::{
    Admission, Command, Refusal, Request, RequestReader, Step, TransmissionError,
};
