//! The header page: written once by the creator, read once by each joiner, from a copy.
//!
//! # Invariants
//! * **HEADER-1** A joiner reads the page once and decides on that copy; nothing it decided on is read again.

use std::mem::offset_of;
use std::path::Path;

use crate::error::SegmentError;
use crate::geometry::{BUFFER_CLASSES, Geometry};
use crate::layout::{self, Header, LAYOUT_OLDEST, LAYOUT_VERSION, MAGIC};
use crate::sync::Ordering;

pub(super) const HEADER_BYTES: usize = size_of::<Header>();

/// Fills in a header. The magic comes last: a file without it is no segment.
pub(super) fn write(
    header: &Header,
    geometry: &Geometry,
    identity: [u64; 2],
    created_unix_ns: u64,
) {
    // Relaxed throughout: the file gets its name only after this function has returned.
    let relaxed = Ordering::Relaxed;
    header.layout_oldest.store(LAYOUT_VERSION, relaxed);
    header.layout_newest.store(LAYOUT_VERSION, relaxed);
    header.size_bytes.store(geometry.size_bytes(), relaxed);
    for (word, value) in header.identity.iter().zip(identity) {
        word.store(value, relaxed);
    }
    header.created_unix_ns.store(created_unix_ns, relaxed);
    header.ports.store(geometry.ports(), relaxed);
    header.static_ports.store(geometry.static_ports(), relaxed);
    header.requests.store(geometry.requests(), relaxed);
    for (word, count) in header.buffer_counts.iter().zip(geometry.buffer_counts()) {
        word.store(count, relaxed);
    }
    header.state.store(layout::STATE_IN_USE, relaxed);
    header.magic.store(MAGIC, relaxed);
}

/// What a header said, checked.
pub(super) struct Checked {
    pub geometry: Geometry,
    pub identity: [u64; 2],
}

/// Checks the bytes of a header against the length of its file.
pub(super) fn check(
    page: &[u8; HEADER_BYTES],
    file_bytes: u64,
    path: &Path,
) -> Result<Checked, SegmentError> {
    let path = || path.to_path_buf();
    let magic = u64_at(page, offset_of!(Header, magic));
    if magic != MAGIC {
        return Err(SegmentError::BadMagic {
            path: path(),
            found: magic,
        });
    }
    let oldest = u32_at(page, offset_of!(Header, layout_oldest));
    let newest = u32_at(page, offset_of!(Header, layout_newest));
    if oldest > LAYOUT_VERSION || newest < LAYOUT_OLDEST || oldest > newest {
        return Err(SegmentError::LayoutVersion {
            path: path(),
            oldest,
            newest,
            ours_oldest: LAYOUT_OLDEST,
            ours_newest: LAYOUT_VERSION,
        });
    }
    let mut counts = [0; BUFFER_CLASSES];
    for (class, count) in counts.iter_mut().enumerate() {
        *count = u32_at(page, offset_of!(Header, buffer_counts) + class * 4);
    }
    let geometry = Geometry::from_numbers(
        u32_at(page, offset_of!(Header, ports)),
        u32_at(page, offset_of!(Header, static_ports)),
        u32_at(page, offset_of!(Header, requests)),
        counts,
    )
    .map_err(|source| SegmentError::BadGeometry {
        path: path(),
        source,
    })?;
    let stored = u64_at(page, offset_of!(Header, size_bytes));
    if stored != geometry.size_bytes() {
        return Err(SegmentError::SizeMismatch {
            path: path(),
            stored,
            derived: geometry.size_bytes(),
        });
    }
    if file_bytes < geometry.size_bytes() {
        return Err(SegmentError::TooShort {
            path: path(),
            found: file_bytes,
            needed: geometry.size_bytes(),
        });
    }
    if u32_at(page, offset_of!(Header, state)) == layout::STATE_DESTROYED {
        return Err(SegmentError::Destroyed { path: path() });
    }
    let identity_at = offset_of!(Header, identity);
    Ok(Checked {
        geometry,
        identity: [u64_at(page, identity_at), u64_at(page, identity_at + 8)],
    })
}

fn u64_at(page: &[u8; HEADER_BYTES], at: usize) -> u64 {
    let bytes = page[at..at + 8].try_into().expect("eight bytes");
    u64::from_ne_bytes(bytes)
}

fn u32_at(page: &[u8; HEADER_BYTES], at: usize) -> u32 {
    let bytes = page[at..at + 4].try_into().expect("four bytes");
    u32::from_ne_bytes(bytes)
}
