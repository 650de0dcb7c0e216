//! Tree pages: read back, and nothing else taken for them.

use proptest::prelude::*;

use super::*;
use crate::map::check;
use crate::map::tests::any;

/// Where the header has its fields: docs/map-format.md, held against the code elsewhere.
const CRC_AT: usize = 12;
const RO_COMPAT_AT: usize = 20;
const INCOMPAT_AT: usize = 24;
const RESERVED_AT: usize = 30;

fn leaf() -> TreePage {
    let mut page = TreePage::new(0, 252);
    page.set(0, Entry::Object(any::source_of(1, 5)));
    let reference = PageRef {
        birth: any::volume(2),
        number: 3,
        index: 4,
        crc: 5,
    };
    page.set(125, Entry::Split(reference));
    page
}

fn read(bytes: &[u8], reference: &PageRef) -> Result<TreePage, PageProblem> {
    read_with(bytes, reference, Access::ReadWrite)
}

fn read_with(bytes: &[u8], reference: &PageRef, access: Access) -> Result<TreePage, PageProblem> {
    TreePage::decode(bytes, reference, 0, 252, access).map_err(|error| {
        assert_eq!(error.page, *reference);
        *error.problem
    })
}

/// The page with some bytes changed and its checksum made right again, and a reference to it.
fn forged(change: impl Fn(&mut [u8])) -> (Vec<u8>, PageRef) {
    let EncodedPage {
        bytes,
        mut reference,
    } = leaf().encode(any::volume(1), 7, 9);
    let mut bytes = bytes.to_vec();
    change(&mut bytes);
    reference.crc = check::seal(&mut bytes, CRC_AT);
    (bytes, reference)
}

/// MPAGE-1, F32
#[test]
fn every_flipped_bit_and_cut_of_a_page_is_found() {
    let EncodedPage { bytes, reference } = leaf().encode(any::volume(1), 7, 9);
    assert_eq!(read(&bytes[..], &reference), Ok(leaf()));
    any::assert_every_damage_is_found(&bytes[..], |bytes| read(bytes, &reference).is_err());
}

/// MPAGE-1, F30: what lies there is a good page of another time.
#[test]
fn a_lost_write_is_found_by_the_checksum_of_the_reference() {
    let old = leaf().encode(any::volume(1), 7, 9);
    let mut page = leaf();
    page.set(3, Entry::Object(any::source_of(1, 6)));
    let new = page.encode(any::volume(1), 7, 9);
    let found = old.reference.crc;
    assert_eq!(
        read(&old.bytes[..], &new.reference),
        Err(PageProblem::Lost { found })
    );
    assert!(matches!(
        read(&[0; 4096], &new.reference),
        Err(PageProblem::Format(FormatError::Magic { found: 0, .. }))
    ));
}

/// MPAGE-1, F31: a good page that belongs elsewhere.
#[test]
fn a_misdirected_write_is_found_by_what_the_page_says_it_is() {
    let elsewhere = |page: &TreePage, birth, number, index| {
        let EncodedPage { bytes, reference } = page.encode(any::volume(birth), number, index);
        let expected = PageRef {
            birth: any::volume(1),
            number: 7,
            index: 9,
            ..reference
        };
        match read(&bytes[..], &expected) {
            Err(PageProblem::Identity { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(elsewhere(&leaf(), 2, 7, 9), "birth");
    assert_eq!(elsewhere(&leaf(), 1, 8, 9), "number");
    assert_eq!(elsewhere(&leaf(), 1, 7, 10), "index");
    assert_eq!(elsewhere(&TreePage::new(1, 0), 1, 7, 9), "level");
    assert_eq!(elsewhere(&TreePage::new(0, 126), 1, 7, 9), "first");
    let (bytes, reference) = forged(|bytes| bytes[10] = 2);
    let error = read(&bytes, &reference).unwrap_err().to_string();
    assert!(error.contains("`kind` is 0x2"), "{error}");
}

/// FEATURE-1
#[test]
fn features_of_a_later_build_refuse_a_page_or_ask_for_a_volume_that_is_read_only() {
    // The bit that this build knows, where nothing is content.
    let (bytes, reference) = forged(|bytes| bytes[INCOMPAT_AT] = 1);
    let refused = read_with(&bytes, &reference, Access::ReadOnly);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("`incompat`"), "{refused}");
    let (bytes, reference) = forged(|bytes| bytes[INCOMPAT_AT] = 2);
    let refused = read_with(&bytes, &reference, Access::ReadOnly);
    assert!(matches!(
        refused,
        Err(PageProblem::Format(FormatError::Incompatible {
            bits: 2,
            ..
        }))
    ));
    let (bytes, reference) = forged(|bytes| bytes[RO_COMPAT_AT + 1] = 1);
    assert_eq!(read_with(&bytes, &reference, Access::ReadOnly), Ok(leaf()));
    let refused = read(&bytes, &reference);
    assert!(matches!(
        refused,
        Err(PageProblem::Format(FormatError::ReadOnly { bits: 256, .. }))
    ));
    let (bytes, reference) = forged(|bytes| bytes[8] = 2);
    let refused = read(&bytes, &reference);
    assert!(matches!(
        refused,
        Err(PageProblem::Format(FormatError::Format { found: 2, .. }))
    ));
}

/// MPAGE-2
#[test]
fn what_is_reserved_must_be_zero() {
    let (bytes, reference) = forged(|bytes| bytes[RESERVED_AT] = 1);
    let error = read(&bytes, &reference).unwrap_err().to_string();
    assert!(error.contains("reserved"), "{error}");
}

#[test]
fn a_leaf_has_no_children_and_an_inner_page_no_objects() {
    let (bytes, reference) = forged(|bytes| bytes[64 + 32] = 3);
    let refused = read(&bytes, &reference);
    assert!(
        matches!(refused, Err(PageProblem::Entry { slot: 1, .. })),
        "{refused:?}"
    );
    let (mut bytes, reference) = forged(|bytes| bytes[64 + 125 * 32] = 3);
    let refused = read(&bytes, &reference).unwrap_err().to_string();
    assert!(
        refused.contains("entry 125") && refused.contains("in a leaf"),
        "{refused}"
    );
    // The same bytes as a page of level 1 have an object where only children may be.
    bytes[11] = 1;
    bytes[56..64].fill(0);
    let crc = check::seal(&mut bytes, CRC_AT);
    let reference = PageRef { crc, ..reference };
    let refused = TreePage::decode(&bytes, &reference, 1, 0, Access::ReadWrite).unwrap_err();
    assert!(
        matches!(*refused.problem, PageProblem::Entry { slot: 0, .. }),
        "{refused}"
    );
}

#[test]
fn a_slot_is_found_by_its_block() {
    let page = TreePage::new(2, 126 * 126 * 126);
    assert_eq!(page.slot_of(0), None);
    assert_eq!(page.slot_of(page.first()), Some(0));
    assert_eq!(page.slot_of(page.first() + 126 * 126 - 1), Some(0));
    assert_eq!(page.slot_of(2 * page.first() - 1), Some(125));
    assert_eq!(page.slot_of(2 * page.first()), None);
    assert_eq!(page.slot_of(u64::MAX), None);
    for slot in [0, 77, 125] {
        let blocks = page.blocks_of(slot);
        assert_eq!(blocks.end - blocks.start, 126 * 126);
        assert_eq!(page.slot_of(blocks.start), Some(slot));
        assert_eq!(page.slot_of(blocks.end - 1), Some(slot));
    }
    assert!(page.is_zero() && !leaf().is_zero());
}

proptest! {
    #[test]
    fn every_tree_page_is_read_back(
        level in 0..=LEVEL_MAX,
        place in 0..100_u64,
        entries in proptest::collection::vec((0..PAGE_ENTRIES, any::entry()), 0..40),
        reference in any::page_ref(),
    ) {
        let mut page = TreePage::new(level, place * page_span(level));
        for (slot, entry) in entries {
            if fits(level, &entry) {
                page.set(slot, entry);
            }
        }
        let PageRef { birth, number, index, .. } = reference;
        let encoded = page.encode(birth, number, index);
        let first = page.first();
        let decoded =
            TreePage::decode(&encoded.bytes[..], &encoded.reference, level, first, Access::ReadWrite);
        prop_assert_eq!(decoded, Ok(page));
    }

    #[test]
    fn any_bytes_are_a_page_or_an_error(
        changes in proptest::collection::vec((8..4096_usize, any::<u8>()), 1..8),
        raw: Vec<u8>,
    ) {
        let (bytes, reference) = forged(|bytes| {
            for (at, byte) in &changes {
                bytes[*at] = *byte;
            }
        });
        if let Ok(page) = read(&bytes, &reference) {
            let again = page.encode(reference.birth, reference.number, reference.index);
            // Compat bits are not kept: all else is.
            prop_assert_eq!(&again.bytes[28..], &bytes[28..]);
        }
        prop_assert!(read(&raw, &reference).is_err());
    }
}
