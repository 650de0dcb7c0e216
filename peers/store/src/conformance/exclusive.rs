//! Exclusive creation.

use super::help::{bytes, content, expect_content, name, put};
use crate::contract::Store;
use crate::error::StoreError;
use crate::sim::join;

/// STORE-3.
pub(super) async fn an_object_is_created_once(store: &impl Store) {
    let object = name("head/1/1.1");
    assert_eq!(store.create_exclusive(&object, b"first").await, Ok(()));
    let again = store.create_exclusive(&object, b"second").await;
    assert_eq!(again, Err(StoreError::Exists));
    expect_content(store, &object, b"first").await;
    let same = store.create_exclusive(&object, b"first").await;
    assert_eq!(same, Err(StoreError::Exists), "equal content is no excuse");
    let written = name("head/1/written");
    put(store, &written, b"by a write").await;
    let created = store.create_exclusive(&written, b"").await;
    assert_eq!(created, Err(StoreError::Exists));
    expect_content(store, &written, b"by a write").await;
}

/// STORE-3.
pub(super) async fn of_two_creators_one_wins(store: &impl Store) {
    for turn in 0..20 {
        let object = name(format!("race/{turn}"));
        let (one, other) = (bytes(3000, turn), bytes(9000, turn + 100));
        let (first, second) = join(
            store.create_exclusive(&object, &one),
            store.create_exclusive(&object, &other),
        )
        .await;
        let found = content(store, &object).await.expect("one of them won");
        match (first, second) {
            (Ok(()), Err(StoreError::Exists)) => assert!(found == one, "{object}"),
            (Err(StoreError::Exists), Ok(())) => assert!(found == other, "{object}"),
            both => panic!("two exclusive creators of {object} got {both:?}"),
        }
    }
}
