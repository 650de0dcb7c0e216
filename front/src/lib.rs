//! What every way to attach a volume shares.
//!
//! * A [`Disk`] is a volume that somebody uses; [`Disks`] are what there is to be used. [`SegmentDisks`] are the volumes of a
//!   composer, asked over the segment; [`MemDisks`] are in memory, for tests.
//! * A [`Payload`] is what is written or was read, in the buffer in which it travels (W1).
//! * A [`Front`] does what a kernel or a guest asks of a disk: it judges, bounds, cuts and answers [`Request`]s; a [`Carrier`]
//!   knows where their bytes are. NBD, whose payloads come in a stream, has its own, of the same parts.
//! * A [`Flow`] bounds what one client has in flight.

#![forbid(unsafe_code)]

mod disk;
mod extent;
mod facts;
mod flow;
mod front;
mod listed;
mod memory;
mod name;
mod payload;
mod pieces;
mod request;
mod segment;

pub use disk::{Disk, Disks, ZeroOptions};
pub use extent::Extent;
pub use facts::{DiskFacts, Features};
pub use flow::{Admitted, Flow};
pub use front::{Carrier, Front, FrontOptions};
pub use listed::{Listed, OpenRefusal};
pub use memory::{MemDisk, MemDisks};
pub use name::{DISK_NAME_BYTES_MAX, DiskName, NotAName};
pub use payload::{Keeper, Payload, Shape};
pub use pieces::pieces;
pub use request::{Command, Request, SECTOR_BYTES};
pub use segment::{SegmentDisk, SegmentDisks, SegmentPlaces, piece_bytes_max};
