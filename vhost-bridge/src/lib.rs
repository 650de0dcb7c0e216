//! Volumes as disks of virtual machines: a vhost-user-blk device.
//!
//! Nothing that a guest or its front end writes is trusted: the cores below are pure, and each says what it makes of nonsense
//! (F85).
//!
//! * [`message`]: the protocol's messages, to and from bytes.
//! * [`queue`]: split virtqueues over [`queue::GuestMemory`].
//! * [`request`]: what the guest asks, as [`archipelago_front::Request`]s and parts of its memory.
//! * [`session`]: the protocol as a state machine.
//! * [`inflight`]: what is in flight, where it outlives the process.
//! * [`server`]: the device on a reactor, for one disk.
//! * [`guest`]: the memory itself; all that is `unsafe`.
//!
//! A host serves a volume so:
//!
//! ```no_run
//! # use std::os::fd::OwnedFd;
//! # use std::time::Duration;
//! # use archipelago_front::{DiskName, Disks, OpenRefusal, SegmentDisks, piece_bytes_max};
//! # use archipelago_runtime::Handle;
//! use archipelago_vhost::server::{Server, ServerOptions};
//!
//! # async fn serve(handle: Handle, disks: SegmentDisks, name: DiskName, listener: OwnedFd) -> Result<(), OpenRefusal> {
//! let disk = disks.open(&name).await?; // waits for what a dead bridge had asked of it; `read_only()` if it is mapped so
//! let mut options = ServerOptions {
//!     serial: name.to_string(),
//!     ..ServerOptions::default()
//! };
//! let geometry = handle.station().segment().geometry().clone();
//! options.front.piece_bytes_max = piece_bytes_max(&geometry).unwrap_or(4096);
//! let server = Server::new(&handle, disk, &options).expect("the options are our own");
//! server.listen(listener);
//! // Whenever somebody asks: may it be unmapped?
//! let is_in_use = server.front_ends() > 0;
//! // When the volume has another size:
//! server.resize(2 << 30);
//! // When it is unmapped, or the host ends. A guest that is connected keeps its requests in its rings, for the next server.
//! server.drain(Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```
#![deny(unsafe_code)]

pub mod guest;
pub mod inflight;
pub mod message;
pub mod queue;
pub mod request;
pub mod server;
pub mod session;
