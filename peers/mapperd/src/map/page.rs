//! What tree pages and split pages have in common: 4096 bytes behind a header that says which page it is.
//!
//! # Invariants
//! * **MPAGE-1** A page is handed out only if its bytes are those that were written (its checksum), it is the page that
//!   is referred to (birth, number, index and the reference's checksum), and it is about the blocks that the tree has at
//!   that place (kind, level, first block). So lost, misdirected and flipped writes are all found (F30, F31, F32).
//! * **MPAGE-2** A page has one encoding: what is reserved or unused is zero.

use zerocopy::FromBytes;

use super::access::{Access, incompat_bits};
use super::check::{self, Envelope};
use super::disk::RawPageHeader;
use super::error::FormatError;
use super::{FORMAT, PageRef, VolumeId};

/// Bytes of a page.
pub const PAGE_BYTES: usize = 4096;

/// "ARCHPAGE", as it stands on disk.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"ARCHPAGE");
pub(super) const KIND_TREE: u8 = 1;
pub(super) const KIND_SPLIT: u8 = 2;

const CRC_AT: usize = std::mem::offset_of!(RawPageHeader, crc);
pub(super) const RECORD: &str = "map page";

/// A page as it is to be written, and what refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedPage {
    pub bytes: Box<[u8; PAGE_BYTES]>,
    pub reference: PageRef,
}

/// A page that must not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("page {page}: {problem}")]
pub struct PageError {
    /// The page that was asked for.
    pub page: PageRef,
    /// Boxed: outcomes of reading pages travel far, and are nearly always good.
    #[source]
    pub problem: Box<PageProblem>,
}

impl PageError {
    pub(super) fn new(page: PageRef, problem: PageProblem) -> Self {
        let problem = Box::new(problem);
        Self { page, problem }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageProblem {
    #[error("{0}")]
    Format(#[from] FormatError),
    #[error(
        "its `{field}` is {found:#x} where {expected:#x} belongs: another page was written there"
    )]
    Identity {
        field: &'static str,
        found: u128,
        expected: u128,
    },
    #[error(
        "it is whole, but its checksum is {found:08x}: the write of the page that is meant was lost"
    )]
    Lost { found: u32 },
    #[error("entry {slot}: {problem}")]
    Entry { slot: usize, problem: FormatError },
}

/// What a page is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub kind: u8,
    pub level: u8,
    pub first: u64,
}

/// The header of a page, still without its checksum.
pub(super) fn header(
    place: Place,
    has_content: bool,
    birth: VolumeId,
    number: u64,
    index: u16,
) -> RawPageHeader {
    RawPageHeader {
        magic: MAGIC.into(),
        format: FORMAT.into(),
        kind: place.kind,
        level: place.level,
        crc: 0.into(),
        compat: 0.into(),
        ro_compat: 0.into(),
        incompat: incompat_bits(has_content).into(),
        index: index.into(),
        reserved: 0.into(),
        birth: *birth.as_bytes(),
        number: number.into(),
        first: place.first.into(),
    }
}

/// Puts the checksum into the page, and into the reference to it.
pub(super) fn seal(
    mut bytes: Box<[u8; PAGE_BYTES]>,
    birth: VolumeId,
    number: u64,
    index: u16,
) -> EncodedPage {
    let crc = check::seal(&mut bytes[..], CRC_AT);
    let reference = PageRef {
        birth,
        number,
        index,
        crc,
    };
    EncodedPage { bytes, reference }
}

/// Checks all but what is behind the header (MPAGE-1). Gives the incompat bits, which are known ones.
pub(super) fn check(
    bytes: &[u8],
    reference: &PageRef,
    place: Place,
    access: Access,
) -> Result<u32, PageProblem> {
    if bytes.len() != PAGE_BYTES {
        return Err(check::length(RECORD, bytes, PAGE_BYTES).into());
    }
    let (header, _) = RawPageHeader::read_from_prefix(bytes).expect("a page is longer");
    check::magic(RECORD, header.magic.get(), MAGIC)?;
    check::format(RECORD, header.format.get())?;
    let crc = Envelope {
        record: RECORD,
        crc_at: CRC_AT,
    }
    .check(bytes)?;
    let bits = header.ro_compat.get();
    let allowed = Access::from_features(RECORD, bits, header.incompat.get())?;
    // Bits of pages are a part of the head's. A volume that is open for writing has no such page.
    if access == Access::ReadWrite && allowed == Access::ReadOnly {
        return Err(FormatError::ReadOnly {
            record: RECORD,
            bits,
        }
        .into());
    }
    let id = |bytes: &[u8; 16]| u128::from_be_bytes(*bytes);
    let fields = [
        ("birth", id(&header.birth), id(reference.birth.as_bytes())),
        (
            "number",
            header.number.get().into(),
            reference.number.into(),
        ),
        ("index", header.index.get().into(), reference.index.into()),
        ("kind", header.kind.into(), place.kind.into()),
        ("level", header.level.into(), place.level.into()),
        ("first", header.first.get().into(), place.first.into()),
    ];
    for (field, found, expected) in fields {
        if found != expected {
            return Err(PageProblem::Identity {
                field,
                found,
                expected,
            });
        }
    }
    check::zero(RECORD, "reserved", header.reserved.get().into())?;
    if crc != reference.crc {
        return Err(PageProblem::Lost { found: crc });
    }
    Ok(header.incompat.get())
}
