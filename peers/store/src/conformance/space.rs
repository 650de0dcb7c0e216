//! Deleting and punching (STORE-6).

use std::ops::Range;

use super::help::{SCOPE, bytes, expect_content, expect_missing, name, put};
use crate::contract::Store;
use crate::error::StoreError;

pub(super) async fn a_deleted_object_is_gone_once(store: &impl Store) {
    let object = name("v/1/a");
    put(store, &object, b"x").await;
    assert_eq!(store.delete(&object).await, Ok(()));
    expect_missing(store, &object).await;
    assert_eq!(store.delete(&object).await, Err(StoreError::NotFound));
    let listed = store.list(b"v/1", None, 10).await;
    assert_eq!(listed.map(|listing| listing.names), Ok(Vec::new()));
}

pub(super) async fn a_name_can_be_used_again_after_deletion(store: &impl Store) {
    let object = name("v/1/again");
    for turn in 0..5 {
        put(store, &object, &bytes(2000, turn)).await;
        expect_content(store, &object, &bytes(2000, turn)).await;
        assert_eq!(store.delete(&object).await, Ok(()));
        assert_eq!(store.create_exclusive(&object, b"new").await, Ok(()));
        expect_content(store, &object, b"new").await;
        assert_eq!(store.delete(&object).await, Ok(()));
    }
}

pub(super) async fn a_punched_range_is_zero_and_given_back(store: &impl Store) {
    const SIZE: usize = 1 << 20;
    let (object, mut expected) = (name("v/1/punch"), bytes(SIZE, 5));
    put(store, &object, &expected).await;
    assert_eq!(store.sync(SCOPE).await, Ok(()));
    let before = store.stat(&object).await.expect("it was written");
    for (offset, len) in [(100, 50), (4000, 200), (65_536, 300_000), (777, 0)] {
        let punched = store.punch(SCOPE, &object, offset, len).await;
        assert_eq!(punched, Ok(()));
        expected[offset as usize..(offset + len) as usize].fill(0);
        expect_content(store, &object, &expected).await;
    }
    let data_in = async |part: Range<u64>| store.data_in(&object, part).await;
    let left = data_in(0..SIZE as u64).await.expect("it was punched only");
    assert!(
        (SIZE as u64 - 300_000..SIZE as u64 - 280_000).contains(&left),
        "{left}"
    );
    assert_eq!(data_in(65_536 + 4096..365_536 - 4096).await, Ok(0));
    assert_eq!(data_in(600_000..600_100).await, Ok(100));
    assert_eq!(data_in(SIZE as u64 - 10..u64::MAX).await, Ok(10));
    assert_eq!(data_in(u64::MAX - 10..u64::MAX).await, Ok(0));
    let after = store.stat(&object).await.expect("it was punched only");
    assert!(
        after.allocated + 280_000 <= before.allocated,
        "{before:?} {after:?}"
    );
    let punched = store.punch(SCOPE, &object, 0, SIZE as u64).await;
    assert_eq!(punched, Ok(()));
    expect_content(store, &object, &[0; SIZE]).await;
    let emptied = store.stat(&object).await.expect("it was punched only");
    assert!(emptied.allocated < after.allocated, "{after:?} {emptied:?}");
}

pub(super) async fn a_punch_ends_with_the_object(store: &impl Store) {
    let object = name("v/1/punch-end");
    put(store, &object, &[1; 10_000]).await;
    let punched = store.punch(SCOPE, &object, 6000, 1 << 40).await;
    assert_eq!(punched, Ok(()));
    let punched = store.punch(SCOPE, &object, 50_000, 1 << 20).await;
    assert_eq!(punched, Ok(()));
    let mut expected = vec![1; 10_000];
    expected[6000..].fill(0);
    expect_content(store, &object, &expected).await;
    let written = store.write(SCOPE, &object, 9999, b"ab").await;
    assert_eq!(written, Ok(()));
    expected.truncate(9999);
    expected.extend_from_slice(b"ab");
    expect_content(store, &object, &expected).await;
}

pub(super) async fn holes_take_no_space_and_reservations_do(store: &impl Store) {
    const SIZE: u64 = 1 << 20;
    let (thin, thick) = (name("log/thin"), name("log/thick"));
    assert_eq!(store.extend(SCOPE, &thin, SIZE, false).await, Ok(()));
    assert_eq!(store.extend(SCOPE, &thick, SIZE, true).await, Ok(()));
    let allocated = async |of| store.stat(of).await.map(|stat| stat.allocated);
    let thin = allocated(&thin).await.expect("it was made");
    assert!(thin < 65_536, "{thin}");
    let thick = allocated(&thick).await.expect("it was made");
    assert!(thick >= SIZE, "{thick}");
}
