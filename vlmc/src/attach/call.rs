//! What the bridge of a node is asked to serve, in the segment: JSON in the buffer of a request, at the bridge's port.

use serde::{Deserialize, Serialize};

use super::record::Kind;

/// To the bridge. What is done already is done again without harm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BridgeCall {
    /// Serve a volume; NBD's export does so by itself.
    Serve(ServeCall),
    /// Serve it no more, and end what is in flight.
    End { volume: String },
    /// Look how large it is now, and tell those who use it.
    Resized { volume: String },
    /// What is there to be served? It need not be served yet.
    Look { volume: String },
    /// What is served?
    Report {},
}

/// What is to be served, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServeCall {
    pub volume: String,
    pub kind: Kind,
    pub is_read_only: bool,
    /// Of the kernel's device.
    pub shape: Option<Shape>,
    /// Of a virtual machine's.
    pub socket: Option<String>,
}

/// A device of the kernel, as its server has to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    pub number: u32,
    pub queues: u16,
    /// Requests in flight, of each queue.
    pub depth: u16,
    pub buffer_bytes: Option<u32>,
    /// The memory of its requests is to be in the server's ring.
    #[serde(default)]
    pub registered: bool,
}

/// The bridge's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeAnswer {
    /// Of the process that serves.
    pub pid: u32,
    /// What was served, served no more, or resized; all there is, for a report.
    pub served: Vec<Served>,
}

/// A volume that is served, but over NBD.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    pub volume: String,
    pub kind: Kind,
    pub size_bytes: u64,
    pub is_read_only: bool,
    /// Front ends that are connected, or 1 for the kernel.
    pub clients: u32,
}
