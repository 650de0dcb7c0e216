//! What there is: sizes, hashes, names.

use std::ops::Range;
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

    /// What is no hole in that part. Where the filesystem cannot tell, all is data.
    pub async fn data_in(&self, name: &ObjectName, part: Range<u64>) -> Result<u64, StoreError> {
        let place = Place::of(name);
        self.blocking_with_descriptors(move |root| {
            let fd = root.objects.open(&place, OFlags::RDONLY)?;
            data_in(&fd, &part).map_err(error_of)
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

fn data_in(fd: &OwnedFd, part: &Range<u64>) -> Result<u64, Errno> {
    let size = u64::try_from(fstat(fd)?.st_size).unwrap_or(0);
    let (mut at, end) = (part.start, part.end.min(size));
    let mut data = 0;
    while at < end {
        let start = match seek(fd, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL) => return Ok(data + (end - at)),
            found => found?.min(end),
        };
        // Cut shorter meanwhile: it ends here.
        at = match seek(fd, SeekFrom::Hole(start)) {
            Err(Errno::NXIO) => break,
            found => found?.min(end),
        };
        data += at - start;
    }
    Ok(data)
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
