//! What there is: sizes, hashes, names.

use std::os::fd::{AsFd, OwnedFd};

use archipelago_store::{Listing, ObjectName, ObjectStat, StoreError};
use rustix::fs::{OFlags, SeekFrom, fstat, seek};
use rustix::io::{Errno, pread, retry_on_intr};

use super::core::{Engine, error_of};
use crate::layout::Place;

/// What st_blocks counts.
const BLOCK_BYTES: u64 = 512;
const HASH_STEP_BYTES: usize = 256 << 10;

impl Engine {
    pub async fn stat(&self, name: &ObjectName) -> Result<ObjectStat, StoreError> {
        if let Some(file) = self.cache.find(name.as_bytes()) {
            match stat_of(&file.plain) {
                Err(StoreError::Io(Errno::STALE)) => self.drop_stale(&file), // F40
                found => return found,
            }
        }
        let place = Place::of(name);
        self.blocking_with_descriptors(move |root| {
            stat_of(root.objects.open(&place, OFlags::PATH)?)
        })
        .await
    }

    /// BLAKE3 of the content without its trailing zeros.
    pub async fn hash(&self, name: &ObjectName) -> Result<[u8; 32], StoreError> {
        let place = Place::of(name);
        self.blocking_with_descriptors(move |root| {
            let fd = root.objects.open(&place, OFlags::RDONLY)?;
            hash(&fd).map_err(error_of)
        })
        .await
    }

    pub async fn list(
        &self,
        group: Vec<u8>,
        after: Option<ObjectName>,
        max: u64,
    ) -> Result<Listing, StoreError> {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        self.blocking_with_descriptors(move |root| root.objects.list(&group, after.as_ref(), max))
            .await
    }

    pub async fn groups(&self, after: Option<Vec<u8>>) -> Result<Vec<Vec<u8>>, StoreError> {
        self.blocking_with_descriptors(move |root| root.objects.groups(after.as_deref()))
            .await
    }
}

fn stat_of(fd: impl AsFd) -> Result<ObjectStat, StoreError> {
    let stat = fstat(fd).map_err(error_of)?;
    Ok(ObjectStat {
        size: u64::try_from(stat.st_size).unwrap_or(0),
        allocated: u64::try_from(stat.st_blocks).unwrap_or(0) * BLOCK_BYTES,
    })
}

/// Zeros count only when something follows them, so they are kept as a number until then. Holes are not read.
fn hash(fd: &OwnedFd) -> Result<[u8; 32], Errno> {
    let mut hasher = blake3::Hasher::new();
    let mut bytes = vec![0; HASH_STEP_BYTES];
    let (mut hashed, mut at) = (0, 0);
    loop {
        at = match seek(fd, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL) => at,
            found => found?,
        };
        let count = retry_on_intr(|| pread(fd, &mut bytes, at))?;
        if count == 0 {
            break;
        }
        if let Some(last) = bytes[..count].iter().rposition(|byte| *byte != 0) {
            hash_zeros(&mut hasher, at - hashed);
            hasher.update(&bytes[..=last]);
            hashed = at + last as u64 + 1;
        }
        at += count as u64;
    }
    Ok(hasher.finalize().into())
}

fn hash_zeros(hasher: &mut blake3::Hasher, mut count: u64) {
    const ZEROS: [u8; 4096] = [0; 4096];
    while count > 0 {
        let step = count.min(ZEROS.len() as u64);
        hasher.update(&ZEROS[..step as usize]);
        count -= step;
    }
}
