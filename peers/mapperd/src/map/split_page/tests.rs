//! Split pages: read back, and nothing else taken for them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::map::tests::any;
use crate::map::{BlockMap, PageProblem};

const CRC_AT: usize = 12;
const INCOMPAT_AT: usize = 24;
const SUBS_AT: usize = 64;
const COUNT_AT: usize = 66;
const RESERVED_AT: usize = 68;
const INDICES_AT: usize = 72;
const TABLE_AT: usize = 1096;

fn shape() -> Shape {
    Shape::new(18, 12).unwrap()
}

/// Sub-blocks 3 to 5 from one source and 9 from another, of 64.
fn page() -> SplitPage {
    let mut map = BlockMap::Zero;
    map.assign(shape(), 3..6, Some(any::source_of(1, 1)))
        .unwrap();
    map.assign(shape(), 9..10, Some(any::source_of(2, 2)))
        .unwrap();
    match map {
        BlockMap::Split(split) => SplitPage { block: 77, split },
        other => panic!("{other:?}"),
    }
}

fn read(bytes: &[u8], reference: &PageRef) -> Result<SplitPage, PageError> {
    SplitPage::decode(bytes, reference, 77, shape(), Access::ReadWrite)
}

/// What is said of the page with some bytes changed and its checksum made right again.
fn forged(change: impl Fn(&mut [u8])) -> Result<SplitPage, PageError> {
    let EncodedPage {
        bytes,
        mut reference,
    } = page().encode(any::volume(1), 7, 9);
    let mut bytes = bytes.to_vec();
    change(&mut bytes);
    reference.crc = check::seal(&mut bytes, CRC_AT);
    let read = read(&bytes, &reference);
    if let Ok(page) = &read {
        let again = page.encode(reference.birth, reference.number, reference.index);
        assert_eq!(again.bytes[28..], bytes[28..], "one encoding");
    }
    read
}

/// MPAGE-1, F32
#[test]
fn every_flipped_bit_and_cut_of_a_split_page_is_found() {
    let EncodedPage { bytes, reference } = page().encode(any::volume(1), 7, 9);
    any::assert_every_damage_is_found(&bytes[..], |bytes| read(bytes, &reference).is_err());
}

/// MPAGE-1, F31
#[test]
fn a_split_page_of_another_block_or_a_tree_page_is_refused() {
    let EncodedPage { bytes, reference } = page().encode(any::volume(1), 7, 9);
    let other = SplitPage::decode(&bytes[..], &reference, 78, shape(), Access::ReadWrite);
    let problem = *other.unwrap_err().problem;
    assert!(
        matches!(problem, PageProblem::Identity { field: "first", .. }),
        "{problem}"
    );
    let tree = crate::map::TreePage::new(0, 0).encode(any::volume(1), 7, 9);
    let problem = *read(&tree.bytes[..], &tree.reference).unwrap_err().problem;
    assert!(
        matches!(problem, PageProblem::Identity { field: "kind", .. }),
        "{problem}"
    );
}

/// MPAGE-2, BLOCK-1
#[test]
fn a_split_page_that_is_not_in_its_one_form_is_refused() {
    let refused = |field: &str, change: &dyn Fn(&mut [u8])| {
        let error = forged(change).unwrap_err().to_string();
        assert!(error.contains(&format!("`{field}`")), "{error}");
    };
    refused("subs", &|bytes| bytes[SUBS_AT] = 63);
    refused("source_count", &|bytes| bytes[COUNT_AT] = 126);
    refused("reserved", &|bytes| bytes[RESERVED_AT] = 1);
    refused("indices", &|bytes| bytes[INDICES_AT + 64] = 1);
    refused("table", &|bytes| bytes[TABLE_AT + 2 * 24] = 1);
    // An index beyond the table, a source that nothing uses, one twice, the wrong order, a single part.
    refused("table", &|bytes| bytes[INDICES_AT] = 3);
    refused("table", &|bytes| bytes[INDICES_AT + 9] = 1);
    refused("table", &|bytes| {
        bytes.copy_within(TABLE_AT..TABLE_AT + 24, TABLE_AT + 24);
    });
    refused("table", &|bytes| bytes[INDICES_AT] = 2);
    refused("table", &|bytes| bytes[INDICES_AT..INDICES_AT + 64].fill(1));
    refused("table", &|bytes| bytes[TABLE_AT..TABLE_AT + 16].fill(0));
    // Zero that is content, content without the page's bit, the bit without content, a source that is both.
    refused("indices", &|bytes| bytes[INDICES_AT] = 0x80);
    refused("incompat", &|bytes| bytes[INDICES_AT + 9] = 0x82);
    refused("incompat", &|bytes| bytes[INCOMPAT_AT] = 1);
    refused("indices", &|bytes| {
        bytes[INCOMPAT_AT] = 1;
        bytes[INDICES_AT + 3] = 0x81;
    });
    forged(|_| ()).unwrap();
    forged(|bytes| {
        bytes[INCOMPAT_AT] = 1;
        bytes[INDICES_AT + 9] = 0x82;
    })
    .unwrap();
}

proptest! {
    #[test]
    fn every_split_page_is_read_back(
        shape in any::shape(),
        steps in vec((0..1024_u16, 1..30_u16, proptest::option::of(any::source())), 1..100),
        block in 0..1_u64 << 47,
        reference in any::page_ref(),
    ) {
        let mut map = BlockMap::Zero;
        for (from, count, source) in steps {
            let from = from % shape.subs();
            map.assign(shape, from..(from + count).min(shape.subs()), source).unwrap();
        }
        let BlockMap::Split(split) = map else { return Ok(()) };
        let page = SplitPage { block, split };
        let encoded = page.encode(reference.birth, reference.number, reference.index);
        let decoded =
            SplitPage::decode(&encoded.bytes[..], &encoded.reference, block, shape, Access::ReadWrite);
        prop_assert_eq!(decoded, Ok(page));
    }

    #[test]
    fn any_bytes_are_a_split_page_or_an_error(
        changes in vec((SUBS_AT..1200_usize, 0..5_u8), 1..8),
        raw: Vec<u8>,
    ) {
        // The outcome is free: `forged` checks that what is read would be written the same.
        let _ = forged(|bytes| {
            for (at, byte) in &changes {
                bytes[*at] = *byte;
            }
        });
        let reference = page().encode(any::volume(1), 7, 9).reference;
        prop_assert!(read(&raw, &reference).is_err());
    }
}
