//! Copies, which share the space where the file system can.
//!
//! # Invariants
//! * **COPY-1** A copy has its name only when it is whole; one that fails leaves nothing, and the object that it was to
//!   replace as it was. (As with any write, what a power loss leaves of it before its scope is synced is not said.)

use std::os::fd::OwnedFd;

use archipelago_store::{ObjectName, Scope, StoreError};
use rustix::fs::{SeekFrom, copy_file_range, fstat, ftruncate, ioctl_ficlone, seek};
use rustix::io::{Errno, pread, pwrite, retry_on_intr};

use super::core::{Engine, error_of};
use super::opening::Missing;
use crate::files::Mode;
use crate::layout::Place;
use crate::root::{Publication, Staged};

/// One step of a copy: long enough for the device, short enough to be given up.
const STEP_BYTES: u64 = 8 << 20;
/// The same through our own memory.
const BOUNCE_BYTES: u64 = 256 << 10;

impl Engine {
    /// The first `len` bytes of `from` become the object `to`. The number of bytes.
    pub async fn copy(
        &self,
        scope: Scope,
        from: &ObjectName,
        to: &ObjectName,
        len: u64,
    ) -> Result<u64, StoreError> {
        if from == to {
            return Err(StoreError::Invalid);
        }
        let source = self.open(from.as_bytes(), Missing::Fails).await?;
        let copied = {
            // What goes past the page cache would not be seen.
            let _inside = source.gate.enter(Mode::Buffered).await;
            let fd = self.descriptor_of(&source).await?;
            self.blocking_with(fd, move |root, fd| {
                let (staged, made) = Staged::begin(root.objects.temporary()).map_err(error_of)?;
                let copied = copy(fd, &made, len).map_err(error_of)?;
                Ok((staged, made, copied))
            })
        }
        .await;
        let (staged, made, copied) = copied.inspect_err(|error| self.note_failure(scope, error))?;
        drop(source);
        self.name_copy(scope, to, staged, made).await?;
        Ok(copied)
    }

    /// COPY-1.
    async fn name_copy(
        &self,
        scope: Scope,
        to: &ObjectName,
        staged: Staged,
        made: OwnedFd,
    ) -> Result<(), StoreError> {
        let _turn = self.turns.at(to).await;
        let (name, place) = (to.clone(), Place::of(to));
        let at = place.clone();
        let published = self.blocking_with(staged, move |root, staged| {
            let replacing = Publication::Replacing;
            let published = root.objects.publish(staged, &at, &name, replacing);
            published.map_err(|errno| root.objects.error(errno))
        });
        let published = published.await;
        // What had the name stays booked: until the copy is durable a power loss may bring it back.
        self.cache.remove(to.as_bytes());
        published.inspect_err(|error| self.note_failure(scope, error))?;
        let copy = self.keep_made(to, &place, made).await;
        self.ledger().wrote(scope, copy.id, copy.file());
        Ok(())
    }
}

/// Copies as far as the source goes; holes stay holes.
fn copy(from: &OwnedFd, to: &OwnedFd, len: u64) -> Result<u64, Errno> {
    let size = u64::try_from(fstat(from)?.st_size).unwrap_or(0);
    let len = len.min(size);
    if len == size && ioctl_ficlone(to, from).is_ok() {
        return Ok(len);
    }
    let mut at = 0;
    while at < len {
        let data = match seek(from, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => break, // nothing but a hole
            Err(Errno::INVAL) => at,   // the file system does not tell
            found => found?.max(at),
        };
        let hole = match seek(from, SeekFrom::Hole(data)) {
            Err(Errno::INVAL) => len,
            found => found?,
        };
        copy_range(from, to, data, hole.min(len))?;
        at = hole;
    }
    ftruncate(to, len)?;
    Ok(len)
}

/// Copies what lies between two offsets.
fn copy_range(from: &OwnedFd, to: &OwnedFd, start: u64, end: u64) -> Result<(), Errno> {
    let mut at = start;
    while at < end {
        let (mut source, mut target) = (at, at);
        let step = (end - at).min(STEP_BYTES) as usize;
        let copied =
            retry_on_intr(|| copy_file_range(from, Some(&mut source), to, Some(&mut target), step));
        match copied {
            Ok(0) => return bounce(from, to, at, end),
            Ok(count) => at += count as u64,
            Err(Errno::XDEV | Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => {
                return bounce(from, to, at, end);
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The same where the kernel cannot do it by itself. A source that got shorter meanwhile is zeros from there on.
fn bounce(from: &OwnedFd, to: &OwnedFd, start: u64, end: u64) -> Result<(), Errno> {
    let mut bytes = vec![0; BOUNCE_BYTES as usize];
    let mut at = start;
    while at < end {
        let step = (end - at).min(BOUNCE_BYTES) as usize;
        let count = retry_on_intr(|| pread(from, &mut bytes[..step], at))?;
        if count == 0 {
            return Ok(());
        }
        let mut written = 0;
        while written < count {
            let rest = &bytes[written..count];
            written += retry_on_intr(|| pwrite(to, rest, at + written as u64))?;
        }
        at += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_copy_through_our_own_memory_is_the_same() {
        let bytes: Vec<u8> = (0..700_000_u32).map(|number| (number / 7) as u8).collect();
        let mut from = tempfile::tempfile().unwrap();
        from.write_all(&bytes).unwrap();
        let from: OwnedFd = from.into();
        let to = tempfile::tempfile().unwrap();
        let fd: OwnedFd = to.try_clone().unwrap().into();
        bounce(&from, &fd, 1000, 650_000).unwrap();
        let mut copied = vec![0; 650_000];
        to.read_exact_at(&mut copied, 0).unwrap();
        assert_eq!(copied[..1000], [0; 1000]);
        assert!(copied[1000..] == bytes[1000..650_000]);
    }

    #[test]
    fn holes_stay_holes() {
        let from = tempfile::tempfile().unwrap();
        from.write_all_at(b"end", 10 << 20).unwrap();
        let to = tempfile::tempfile().unwrap();
        let (source, target): (OwnedFd, OwnedFd) = (from.into(), to.try_clone().unwrap().into());
        assert_eq!(copy(&source, &target, u64::MAX), Ok((10 << 20) + 3));
        let stat = fstat(&to).unwrap();
        assert_eq!(stat.st_size, (10 << 20) + 3);
        assert!(stat.st_blocks * 512 < 1 << 20, "{} blocks", stat.st_blocks);
    }
}
