//! Volumes as disks: a composer is asked over the segment.

mod answer;
mod disk;
mod disks;
mod predecessor;
mod sizes;
mod using;

pub use disk::SegmentDisk;
pub use disks::{SegmentDisks, SegmentPlaces};
pub use sizes::piece_bytes_max;
