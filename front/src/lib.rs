//! What every way to attach a volume shares.
//!
//! * A [`Disk`] is a volume that somebody uses; [`Disks`] are what there is to be used. [`SegmentDisks`] are the volumes of a
//!   composer, asked over the segment; [`MemDisks`] are in memory, and a [`FileDisk`] is in a file, for tests.
//! * A [`Payload`] is what is written or was read, in the buffer in which it travels (W1).
//! * A [`Front`] does what a kernel or a guest asks of a disk: it judges, bounds, cuts and answers [`Request`]s; a [`Carrier`]
//!   knows where their bytes are. NBD, whose payloads come in a stream, has its own, of the same parts.
//! * A [`BlockClaim`] keeps a block device of the kernel from being used while it is taken away; [`block_users`] tells who uses one.
//! * A [`Flow`] bounds what one client has in flight; [`Orphans`] are clients that are gone, and whose requests are not.

#![forbid(unsafe_code)]

mod block_claim;
mod block_users;
mod change;
mod disk;
mod extent;
mod facts;
mod file;
mod flow;
mod front;
mod listed;
mod memory;
mod name;
mod orphans;
mod payload;
mod pieces;
mod request;
mod segment;

pub use block_claim::{BlockClaim, ClaimError};
pub use block_users::{BlockUser, block_users};
pub use change::Change;
pub use disk::{Disk, Disks, ZeroOptions};
pub use extent::Extent;
pub use facts::{DiskFacts, Features};
pub use file::FileDisk;
pub use flow::{Admitted, Flow};
pub use front::{Carrier, Front, FrontOptions};
pub use listed::{Listed, OpenRefusal};
pub use memory::{MemDisk, MemDisks};
pub use name::{DISK_NAME_BYTES_MAX, DiskName, NotAName};
pub use orphans::Orphans;
pub use payload::{Bytes, BytesMut, Keeper, Payload, Shape};
pub use pieces::pieces;
pub use request::{Command, Request, SECTOR_BYTES};
pub use segment::{SegmentDisk, SegmentDisks, SegmentPlaces, piece_bytes_max};
