//! Reading and writing.

use super::help::{SCOPE, bytes, expect_content, expect_missing, name, put};
use crate::contract::Store;
use crate::error::StoreError;
use crate::range::OBJECT_BYTES_LEAST;

pub(super) async fn what_was_written_is_read(store: &impl Store) {
    let (object, data) = (name("v/1/0"), bytes(10_000, 1));
    put(store, &object, &data).await;
    expect_content(store, &object, &data).await;
    let mut part = [0; 777];
    assert_eq!(store.read(&object, 4090, &mut part).await, Ok(777));
    assert_eq!(part, data[4090..4867]);
    assert_eq!(store.stat(&object).await.map(|stat| stat.size), Ok(10_000));
}

pub(super) async fn holes_and_gaps_read_as_zeros(store: &impl Store) {
    let object = name("v/1/holes");
    put(store, &object, b"head").await;
    let written = store.write(SCOPE, &object, 100_000, b"tail").await;
    assert_eq!(written, Ok(()));
    let mut expected = vec![0; 100_004];
    expected[..4].copy_from_slice(b"head");
    expected[100_000..].copy_from_slice(b"tail");
    expect_content(store, &object, &expected).await;
}

pub(super) async fn reads_are_short_only_at_the_end(store: &impl Store) {
    let object = name("v/1/short");
    put(store, &object, &[9; 1000]).await;
    let mut into = [1; 600];
    assert_eq!(store.read(&object, 0, &mut into).await, Ok(600));
    assert_eq!(store.read(&object, 900, &mut into).await, Ok(100));
    assert_eq!(into[..100], [9; 100]);
    assert_eq!(store.read(&object, 1000, &mut into).await, Ok(0));
    assert_eq!(store.read(&object, 1 << 30, &mut into).await, Ok(0));
}

pub(super) async fn empty_writes_create_and_extend_nothing(store: &impl Store) {
    let object = name("v/1/empty");
    let written = store.write(SCOPE, &object, 500, b"").await;
    assert_eq!(written, Ok(()));
    expect_content(store, &object, b"").await;
    let full = name("v/1/empty-full");
    assert_eq!(store.write_full(&full, b"").await, Ok(()));
    expect_content(store, &full, b"").await;
}

pub(super) async fn empty_reads_read_nothing(store: &impl Store) {
    let object = name("v/1/none");
    let read = store.read(&object, 0, &mut []).await;
    assert_eq!(read, Err(StoreError::NotFound));
    put(store, &object, b"x").await;
    assert_eq!(store.read(&object, 0, &mut []).await, Ok(0));
    assert_eq!(store.read(&object, 99, &mut []).await, Ok(0));
}

pub(super) async fn overlapping_writes_leave_the_last_one(store: &impl Store) {
    let object = name("v/1/over");
    let mut expected = vec![0; 9000];
    for (turn, offset) in [0_usize, 511, 512, 4095, 5000, 1, 4096].iter().enumerate() {
        let data = bytes(3000, turn as u64);
        let written = store.write(SCOPE, &object, *offset as u64, &data).await;
        assert_eq!(written, Ok(()));
        expected[*offset..*offset + 3000].copy_from_slice(&data);
    }
    expect_content(store, &object, &expected[..8000]).await;
}

/// As far as every store goes.
pub(super) async fn distant_offsets_work(store: &impl Store) {
    expect_end_at(store, OBJECT_BYTES_LEAST - 7).await;
}

/// Farther than stores go that limit the length of an object.
pub(super) async fn far_offsets_work(store: &impl Store) {
    expect_end_at(store, (1 << 40) - 3).await;
}

async fn expect_end_at(store: &impl Store, far: u64) {
    let object = name("v/1/far");
    assert_eq!(store.write(SCOPE, &object, far, b"far off").await, Ok(()));
    let mut into = [0; 16];
    assert_eq!(store.read(&object, far - 9, &mut into).await, Ok(16));
    assert_eq!(&into, b"\0\0\0\0\0\0\0\0\0far off");
    let stat = store.stat(&object).await.expect("it was written");
    assert_eq!(stat.size, far + 7);
    assert!(stat.allocated < 1 << 20, "a hole takes no space: {stat:?}");
}

pub(super) async fn impossible_ranges_are_refused(store: &impl Store) {
    let object = name("v/1/range");
    put(store, &object, b"intact").await;
    let (mut into, invalid) = ([0; 8], StoreError::Invalid);
    for offset in [u64::MAX, u64::MAX - 7, i64::MAX as u64, 1 << 63] {
        let read = store.read(&object, offset, &mut into).await;
        assert_eq!(read, Err(invalid.clone()));
        let written = store.write(SCOPE, &object, offset, b"12345678").await;
        assert_eq!(written, Err(invalid.clone()));
        let punched = store.punch(SCOPE, &object, offset, u64::MAX).await;
        assert_eq!(punched, Err(invalid.clone()));
    }
    let extended = store.extend(SCOPE, &object, u64::MAX, false).await;
    assert_eq!(extended, Err(invalid));
    expect_content(store, &object, b"intact").await;
}

/// STORE-4.
pub(super) async fn missing_objects_are_not_found(store: &impl Store) {
    let object = name("v/1/missing");
    let mut into = [0; 8];
    let missing = StoreError::NotFound;
    let read = store.read(&object, 0, &mut into).await;
    assert_eq!(read, Err(missing.clone()));
    let punched = store.punch(SCOPE, &object, 0, 10).await;
    assert_eq!(punched, Err(missing.clone()));
    assert_eq!(store.stat(&object).await, Err(missing.clone()));
    assert_eq!(store.hash(&object).await, Err(missing.clone()));
    assert_eq!(store.delete(&object).await, Err(missing));
    expect_missing(store, &object).await;
}

pub(super) async fn large_transfers_arrive_whole(store: &impl Store) {
    let (object, data) = (name("v/1/large"), bytes((5 << 20) + 321, 3));
    let written = store.write(SCOPE, &object, 12_345, &data).await;
    assert_eq!(written, Ok(()));
    let mut expected = vec![0; 12_345];
    expected.extend_from_slice(&data);
    expect_content(store, &object, &expected).await;
    let replaced = store.write_full(&object, &data).await;
    assert_eq!(replaced, Ok(()));
    expect_content(store, &object, &data).await;
}

pub(super) async fn write_full_replaces_the_whole(store: &impl Store) {
    let object = name("head/1/2");
    assert_eq!(store.write_full(&object, &[1; 5000]).await, Ok(()));
    assert_eq!(store.write_full(&object, b"short").await, Ok(()));
    expect_content(store, &object, b"short").await;
    let written = store.write(SCOPE, &object, 3, b"lly").await;
    assert_eq!(written, Ok(()));
    expect_content(store, &object, b"sholly").await;
}

pub(super) async fn extend_lengthens_and_never_shortens(store: &impl Store) {
    let object = name("log/1/2");
    for reserve in [false, true] {
        let extended = store.extend(SCOPE, &object, 9000, reserve).await;
        assert_eq!(extended, Ok(()));
        assert_eq!(store.stat(&object).await.map(|stat| stat.size), Ok(9000));
        assert_eq!(store.extend(SCOPE, &object, 10, reserve).await, Ok(()));
        assert_eq!(store.stat(&object).await.map(|stat| stat.size), Ok(9000));
    }
    expect_content(store, &object, &[0; 9000]).await;
    let written = store.write(SCOPE, &object, 8999, b"ab").await;
    assert_eq!(written, Ok(()));
    assert_eq!(store.extend(SCOPE, &object, 9001, true).await, Ok(()));
    let mut expected = vec![0; 9001];
    expected[8999..].copy_from_slice(b"ab");
    expect_content(store, &object, &expected).await;
}
