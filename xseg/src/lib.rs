//! A shared-memory segment in which processes meet through lock-free ports, and which survives the death of any of
//! them at any instruction.
//!
//! * A [`Segment`] is one file, in `/dev/shm` or without a name. It holds ports, requests and buffers.
//! * A [`Port`] is an address with an inbox. Binding one makes its owner the port's present *incarnation*; when
//!   that dies, the next one takes over its inbox and the requests that it had not answered.
//! * A request is written as a [`Draft`], sent to a port, taken there as an [`Incoming`], and comes back as a
//!   [`Reply`]. Its payload lies in a [`Buffer`] and is never copied on the way; parts of it travel as views.
//! * A [`Waiter`] sleeps in one place for all ports of a thread and for its io_uring work.
//!
//! ```
//! use xseg::{BindOptions, CreateOptions, Event, Geometry, OpCode};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let geometry = Geometry::new(4, 2, 64)?.with_buffers(4096, 16)?;
//! let segment = CreateOptions::new(geometry).create_private()?;
//! let server = segment.bind(0, &BindOptions::default())?;
//! let client = segment.bind_dynamic(&BindOptions::default())?;
//!
//! let buffer = client.buffer(5)?;
//! buffer.data().write(0, b"hello")?;
//! let mut draft = client.draft(OpCode::WRITE)?;
//! draft.set_target(b"an-object")?;
//! draft.attach(buffer, 5)?;
//! draft.send(server.id())?;
//!
//! // In another process, or another thread, or here:
//! if let Some(Event::Request(request)) = server.poll() {
//!     assert_eq!(request.target().as_str(), Some("an-object"));
//!     request.answer(5);
//! }
//!
//! let Some(Event::Reply(reply)) = client.poll() else {
//!     panic!("the answer is there");
//! };
//! assert_eq!(reply.result()?, 5);
//! # Ok(())
//! # }
//! ```
//!
//! The contracts are in the module headers, numbered; docs/segment.md draws the layout.
//! `examples/ping.rs` and `examples/interpose.rs` are whole programs.

mod bell;
#[cfg(not(loom))]
mod clock;
#[cfg(not(loom))]
mod delivery;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod gate;
#[cfg(not(loom))]
mod geometry;
#[cfg(not(loom))]
mod inspect;
pub mod kill;
mod lane;
#[cfg(not(loom))]
mod layout;
#[cfg(not(loom))]
mod lease;
#[cfg(all(loom, test))]
mod loom_models;
#[cfg(not(loom))]
mod magazine;
#[cfg(not(loom))]
mod mapping;
mod name;
#[cfg(not(loom))]
mod op;
#[cfg(not(loom))]
mod port;
#[cfg(not(loom))]
mod process;
mod records;
#[cfg(not(loom))]
mod route;
#[cfg(not(loom))]
mod segment;
#[cfg(not(loom))]
mod settle;
#[cfg(not(loom))]
mod stats;
mod sync;
#[cfg(not(loom))]
mod wait;

#[cfg(not(loom))]
mod public {
    pub use crate::clock::monotonic_ns;
    pub use crate::error::{Corruption, PortError, RequestError, SegmentError};
    pub use crate::gate::Gate;
    pub use crate::geometry::{
        BUFFER_BYTES_MAX, BUFFER_BYTES_MIN, BUFFER_CLASSES, BUFFERS_MAX, BufferId, DataRange,
        Geometry, GeometryError, REQUESTS_MAX, SEGMENT_BYTES_MAX, Slot,
    };
    pub use crate::inspect::{Finding, LaneReport, PortReport, RecordReport, SegmentReport};
    pub use crate::layout::{
        ARGS, LABEL_BYTES, LATENCY_BUCKETS, LATENCY_GROUPS, LAYOUT_OLDEST, LAYOUT_VERSION,
        NAME_BYTES_MAX, PATH_MAX, STAMPS,
    };
    pub use crate::lease::{Lease, boot_ns};
    pub use crate::op::{Group, OPERATIONS, OpCode, OpInfo, Redo, flags};
    pub use crate::port::{
        BindOptions, Buffer, Burst, Data, Draft, Event, Expired, Incoming, NameText, NotForwarded,
        Outcome, Port, Refused, Reply, Request, Returning, Takeover, Ticket,
    };
    pub use crate::process::ProcessId;
    pub use crate::segment::{
        CreateOptions, DEFAULT_DIRECTORY, HugePages, JoinOptions, Place, Segment,
    };
    pub use crate::settle::Settled;
    pub use crate::stats::{COUNTER_NAMES, Counter, PortStats};
    pub use crate::wait::{
        BELL_TOKEN, Beside, Completion, WaitError, WaitMethod, Waiter, WaiterOptions,
    };
}
pub use crate::name::{Life, Name, Owner, PORTS_MAX, PortId};
#[cfg(not(loom))]
pub use public::*;
/// What the kernel, and a failed request, says.
pub use rustix::io::Errno;
