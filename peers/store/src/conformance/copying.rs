//! Copies.

use super::help::{SCOPE, bytes, expect_content, expect_missing, name, put};
use crate::contract::Store;
use crate::error::StoreError;

pub(super) async fn a_copy_is_equal_and_separate(store: &impl Store) {
    let (from, to, data) = (name("v/1/a"), name("w/1/a"), bytes(70_000, 1));
    put(store, &from, &data).await;
    let copied = store.copy(SCOPE, &from, &to, 70_000).await;
    assert_eq!(copied, Ok(70_000));
    expect_content(store, &to, &data).await;
    let written = store.write(SCOPE, &to, 0, b"changed").await;
    assert_eq!(written, Ok(()));
    expect_content(store, &from, &data).await;
    let written = store.write(SCOPE, &from, 0, &[0; 70_000]).await;
    assert_eq!(written, Ok(()));
    let mut expected = data;
    expected[..7].copy_from_slice(b"changed");
    expect_content(store, &to, &expected).await;
}

pub(super) async fn a_missing_source_creates_nothing(store: &impl Store) {
    let (from, to) = (name("v/1/missing"), name("w/1/a"));
    let copied = store.copy(SCOPE, &from, &to, 100).await;
    assert_eq!(copied, Err(StoreError::NotFound));
    expect_missing(store, &to).await;
    put(store, &to, b"kept").await;
    let copied = store.copy(SCOPE, &from, &to, 100).await;
    assert_eq!(copied, Err(StoreError::NotFound));
    expect_content(store, &to, b"kept").await;
}

pub(super) async fn a_copy_ends_where_its_source_ends(store: &impl Store) {
    let (from, to, data) = (name("v/1/a"), name("w/1/a"), bytes(5000, 1));
    put(store, &from, &data).await;
    assert_eq!(store.copy(SCOPE, &from, &to, 1 << 40).await, Ok(5000));
    expect_content(store, &to, &data).await;
    for len in [0, 1, 511, 4096, 4999] {
        assert_eq!(store.copy(SCOPE, &from, &to, len).await, Ok(len));
        expect_content(store, &to, &data[..len as usize]).await;
    }
}

pub(super) async fn a_copy_replaces_a_longer_object(store: &impl Store) {
    let (from, to) = (name("v/1/a"), name("w/1/a"));
    put(store, &to, &bytes(20_000, 9)).await;
    put(store, &from, b"short").await;
    assert_eq!(store.copy(SCOPE, &from, &to, 100).await, Ok(5));
    expect_content(store, &to, b"short").await;
}

pub(super) async fn an_object_is_not_copied_onto_itself(store: &impl Store) {
    let (object, data) = (name("v/1/a"), bytes(3000, 4));
    put(store, &object, &data).await;
    let copied = store.copy(SCOPE, &object, &object, 10).await;
    assert_eq!(copied, Err(StoreError::Invalid));
    expect_content(store, &object, &data).await;
}

pub(super) async fn a_copy_of_holes_is_zeros(store: &impl Store) {
    let (from, to) = (name("v/1/a"), name("w/1/a"));
    let written = store.write(SCOPE, &from, 1 << 20, b"end").await;
    assert_eq!(written, Ok(()));
    let extended = store.extend(SCOPE, &from, 3 << 20, false).await;
    assert_eq!(extended, Ok(()));
    assert_eq!(store.copy(SCOPE, &from, &to, 3 << 20).await, Ok(3 << 20));
    let mut expected = vec![0; 3 << 20];
    expected[1 << 20..(1 << 20) + 3].copy_from_slice(b"end");
    expect_content(store, &to, &expected).await;
}
