//! Syncing, as far as it shows without a power loss.

use super::help::{SCOPE, bytes, expect_content, name, put};
use crate::contract::{Scope, Store};
use crate::sim::join;

/// STORE-2, as far as it can be seen.
pub(super) async fn a_sync_covers_whatever_is_there(store: &impl Store) {
    assert_eq!(store.sync(SCOPE).await, Ok(()), "nothing was written");
    assert_eq!(store.sync(Scope(u64::MAX)).await, Ok(()));
    let many: Vec<_> = (0..70).map(|turn| name(format!("s/{turn}"))).collect();
    for (seed, object) in many.iter().enumerate() {
        put(store, object, &bytes(600, seed as u64)).await;
    }
    assert_eq!(store.delete(&many[3]).await, Ok(()));
    let (first, second) = join(store.sync(SCOPE), store.sync(SCOPE)).await;
    assert_eq!((first, second), (Ok(()), Ok(())));
    put(store, &many[0], b"again").await;
    let (synced, written) = join(
        store.sync(SCOPE),
        store.write(Scope(8), &many[1], 0, b"while"),
    )
    .await;
    assert_eq!((synced, written), (Ok(()), Ok(())));
    assert_eq!(store.sync(Scope(8)).await, Ok(()));
    expect_content(store, &many[69], &bytes(600, 69)).await;
}

/// STORE-5, the easy half.
pub(super) async fn healing_what_is_well_changes_nothing(store: &impl Store) {
    put(store, &name("s/1"), b"well").await;
    assert_eq!(store.heal(SCOPE).await, Ok(()));
    assert_eq!(store.sync(SCOPE).await, Ok(()));
    assert_eq!(store.heal(Scope(99)).await, Ok(()));
    expect_content(store, &name("s/1"), b"well").await;
}
