//! The pure formats of maps: what lies on disk, and what it means. No I/O, no clock, no tasks: bytes and values.
//!
//! | type | what it is |
//! |---|---|
//! | [`Source`], [`ContentId`], [`object_name`] | the data object of a block |
//! | [`Merkle`] | the hash of a whole volume's content |
//! | [`Shape`] | how a volume is divided into blocks and sub-blocks, and how high its tree is |
//! | [`BlockMap`] | what one block is made of |
//! | [`Entry`], [`PageRef`], [`TreePage`], [`SplitPage`] | the tree on disk |
//! | [`Head`], [`NameRecord`] | a volume, and its name |
//! | [`journal`] | what changed since the head was written |
//! | [`Overlay`] | the same in memory, over the tree |
//!
//! Whatever is decoded is a value that is right or an error that names the field; docs/map-format.md draws the bytes.

mod access;
mod block_map;
mod boot_id;
mod check;
mod content_id;
mod disk;
mod entry;
mod error;
mod head;
pub mod journal;
mod merkle;
mod name_record;
mod overlay;
mod page;
mod page_ref;
mod shape;
mod source;
mod split_page;
mod stamp;
#[cfg(test)]
mod tests;
mod tree_page;
mod volume_id;

pub use access::{Access, Decoded};
pub use block_map::{BlockMap, Run, Runs, SOURCES_MAX, Split, TooManySources};
pub use boot_id::BootId;
pub use content_id::ContentId;
pub use entry::Entry;
pub use error::{BadField, FormatError};
pub use head::{Head, HeadFlags, NAME_BYTES_MAX, Root, SEGMENTS_MAX, SegmentRef, Version};
pub use merkle::Merkle;
pub use name_record::{NameKind, NameRecord};
pub use overlay::{Overlay, OverlayAnswer, OverlayError, OverlayItem};
pub use page::{EncodedPage, PAGE_BYTES, PageError, PageProblem};
pub use page_ref::PageRef;
pub use shape::{
    BLOCKS_MAX, LEVEL_MAX, PAGE_ENTRIES, SUBS_MAX, Shape, VOLUME_BYTES_MAX, entry_span, page_span,
};
pub use source::{Source, object_name};
pub use split_page::SplitPage;
pub use stamp::{BadStamp, Stamp};
pub use tree_page::TreePage;
pub use volume_id::{BadVolumeId, VolumeId};

/// The format number of pages, heads and names. Another one is another format, and refused (M9, F93).
pub const FORMAT: u16 = 1;
