//! Volumes as exports: a composer is asked over the segment.

mod answer;
mod export;
mod exports;
mod sizes;
mod using;

pub use export::SegmentExport;
pub use exports::{SegmentExports, SegmentPlaces};
pub use sizes::piece_bytes_max;
