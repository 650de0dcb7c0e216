//! What a full store does, for stores whose room can be limited by a test.

use super::help::{SCOPE, bytes, content, expect_content, name, put};
use crate::contract::Store;
use crate::error::StoreError;

/// A store that can be made full.
pub trait Limited: Store {
    /// From now on there is only so much room in all, used room included.
    fn limit_bytes(&self, bytes: u64);
}

/// A full store refuses what needs room and goes on with all else (D5, F21).
pub async fn full_store_keeps_what_it_has(store: &impl Limited) {
    let (object, log, data) = (name("v/1/a"), name("log/1/1"), bytes(8192, 1));
    put(store, &object, &data).await;
    assert_eq!(store.extend(SCOPE, &log, 8192, true).await, Ok(()));
    store.limit_bytes(8192);
    let full = StoreError::NoSpace;
    let refused = store.write(SCOPE, &object, 1 << 20, b"more").await;
    assert_eq!(refused, Err(full.clone()));
    let refused = store.write(SCOPE, &name("v/1/b"), 0, b"new").await;
    assert_eq!(refused, Err(full.clone()));
    let refused = store.create_exclusive(&name("n"), b"new").await;
    assert_eq!(refused, Err(full.clone()));
    assert_eq!(store.write_full(&object, b"new").await, Err(full.clone()));
    let refused = store.extend(SCOPE, &log, 1 << 20, true).await;
    assert_eq!(refused, Err(full.clone()));
    let refused = store.copy(SCOPE, &object, &name("c"), 8192).await;
    assert_eq!(refused, Err(full));
    let missing = content(store, &name("n")).await;
    assert_eq!(missing, Err(StoreError::NotFound));

    let kept = content(store, &object).await.expect("reads go on");
    assert_eq!(kept[..8192], data, "nothing is damaged");
    let over = store.write(SCOPE, &object, 0, &[9; 4096]).await;
    assert_eq!(over, Ok(()), "overwrites go on");
    let reserved = store.write(SCOPE, &log, 100, b"reserved").await;
    assert_eq!(reserved, Ok(()));
    assert_eq!(store.sync(SCOPE).await, Ok(()), "no scope is spoilt");
    assert_eq!(store.delete(&object).await, Ok(()));
    store.limit_bytes(1 << 20);
    put(store, &object, &data).await;
    expect_content(store, &object, &data).await;
}
