//! What the checks share.

use crate::contract::{LockOwner, Scope, Store};
use crate::error::StoreError;
use crate::name::ObjectName;

pub(super) const SCOPE: Scope = Scope(7);

pub(super) fn name(bytes: impl AsRef<[u8]>) -> ObjectName {
    ObjectName::new(bytes.as_ref()).expect("the checks use valid names")
}

pub(super) fn owner(deployment: &str) -> LockOwner {
    LockOwner {
        node: format!("node-of-{deployment}"),
        deployment: deployment.into(),
    }
}

/// Bytes without a pattern that a wrong offset would keep.
pub(super) fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut random = crate::sim::SimRandom::new(seed);
    (0..len).map(|_| random.number() as u8).collect()
}

pub(super) async fn put(store: &impl Store, at: &ObjectName, data: &[u8]) {
    let written = store.write(SCOPE, at, 0, data).await;
    assert_eq!(written, Ok(()), "writing {at}");
}

/// The whole object.
pub(super) async fn content(store: &impl Store, of: &ObjectName) -> Result<Vec<u8>, StoreError> {
    let size = store.stat(of).await?.size;
    let mut data = vec![0x5a; size as usize + 10];
    let count = store.read(of, 0, &mut data).await?;
    data.truncate(count);
    Ok(data)
}

pub(super) async fn expect_content(store: &impl Store, of: &ObjectName, data: &[u8]) {
    let found = content(store, of).await.expect("the object is there");
    assert_eq!(found.len(), data.len(), "the length of {of}");
    let wrong = found.iter().zip(data).position(|(a, b)| a != b);
    assert_eq!(wrong, None, "the first wrong byte of {of}");
}

pub(super) async fn expect_missing(store: &impl Store, of: &ObjectName) {
    assert_eq!(store.stat(of).await, Err(StoreError::NotFound), "{of}");
}
