//! Making objects longer, punching, zeroing and deleting them.
//!
//! # Invariants
//! * **CHANGE-1** No object gets shorter, whatever is written to it meanwhile: whoever changes the length is alone.

use std::os::fd::OwnedFd;

use archipelago_store::{ObjectName, Scope, StoreError};
use rustix::fs::{FallocateFlags, fallocate, fstat, ftruncate};
use rustix::io::{Errno, pwrite, retry_on_intr};

use super::core::{Engine, error_of};
use super::data::Range;
use super::opening::Missing;
use crate::files::Mode;
use crate::layout::Place;

/// A punch beyond the end goes so far, to reach the end of the last block.
const BLOCK_BYTES_MAX: u64 = 64 << 10;
const ZEROS_BYTES: usize = 128 << 10;

impl Engine {
    /// Makes the object `size` long if it is shorter; with `reserve` all of it gets its space.
    pub async fn extend(
        &self,
        scope: Scope,
        name: &ObjectName,
        size: u64,
        reserve: bool,
    ) -> Result<(), StoreError> {
        self.change(scope, name, Missing::IsMade, move |fd| {
            extend(fd, size, reserve)
        })
        .await
    }

    /// Gives the space of a range back, as far as the object goes.
    pub async fn punch(
        &self,
        scope: Scope,
        name: &ObjectName,
        range: Range,
    ) -> Result<(), StoreError> {
        self.change(scope, name, Missing::Fails, move |fd| punch(fd, range))
            .await
    }

    /// The range reads as zeros; the object is made, or made longer, if need be.
    pub async fn zero(
        &self,
        scope: Scope,
        name: &ObjectName,
        range: Range,
    ) -> Result<(), StoreError> {
        self.change(scope, name, Missing::IsMade, move |fd| {
            if range.len > 0 {
                extend(fd, range.offset + range.len, false)?; // checked by the decoder
            }
            punch(fd, range)
        })
        .await
    }

    /// Does `work` alone at the file, on a thread.
    async fn change(
        &self,
        scope: Scope,
        name: &ObjectName,
        missing: Missing,
        work: impl Fn(&OwnedFd) -> Result<(), Errno> + Send + Clone + 'static,
    ) -> Result<(), StoreError> {
        let mut is_last = false;
        loop {
            let file = self.open(name.as_bytes(), missing).await;
            let file = file.inspect_err(|error| self.note_failure(scope, error))?;
            let changed = {
                let _inside = file.gate.enter(Mode::Alone).await; // CHANGE-1
                let fd = self.descriptor_of(&file).await?;
                let work = work.clone();
                self.blocking(move |_| work(&fd)).await
            };
            self.ledger().wrote(scope, file.id, file.file());
            match changed {
                Ok(()) => return Ok(()),
                Err(Errno::STALE) if !is_last => {
                    is_last = true;
                    self.drop_stale(&file); // F40
                }
                Err(errno) => {
                    let error = error_of(errno);
                    if error == StoreError::NoSpace && self.give_reserve().await {
                        continue; // RESERVE-1
                    }
                    self.note_failure(scope, &error);
                    return Err(error);
                }
            }
        }
    }

    pub async fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        let _turn = self.turns.at(name).await;
        let place = Place::of(name);
        let folder = place.folder;
        self.blocking_with_descriptors(move |root| root.objects.delete(&place))
            .await?;
        if let Some(old) = self.cache.remove(name.as_bytes()) {
            self.ledger().forget(old.id);
        }
        self.ledger().deleted(folder);
        Ok(())
    }
}

fn size_of(fd: &OwnedFd) -> Result<u64, Errno> {
    Ok(u64::try_from(fstat(fd)?.st_size).unwrap_or(0))
}

fn extend(fd: &OwnedFd, size: u64, reserve: bool) -> Result<(), Errno> {
    let present = size_of(fd)?;
    if reserve && size > 0 {
        match retry_on_intr(|| fallocate(fd, FallocateFlags::empty(), 0, size)) {
            // All that can be done then is to write what is not there yet.
            Err(Errno::OPNOTSUPP) => return write_zeros(fd, present, size),
            reserved => reserved?,
        }
    }
    if present < size {
        retry_on_intr(|| ftruncate(fd, size))?;
    }
    Ok(())
}

fn punch(fd: &OwnedFd, range: Range) -> Result<(), Errno> {
    let size = size_of(fd)?;
    if range.len == 0 || range.offset >= size {
        return Ok(());
    }
    let end = range.offset + range.len; // checked by the decoder
    let hole_end = end.min(size.next_multiple_of(BLOCK_BYTES_MAX));
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match retry_on_intr(|| fallocate(fd, flags, range.offset, hole_end - range.offset)) {
        // The space is not given back then, but zeros they are.
        Err(Errno::OPNOTSUPP) => write_zeros(fd, range.offset, end.min(size)),
        punched => punched,
    }
}

fn write_zeros(fd: &OwnedFd, start: u64, end: u64) -> Result<(), Errno> {
    let zeros = [0; ZEROS_BYTES];
    let mut at = start;
    while at < end {
        let step = (end - at).min(ZEROS_BYTES as u64) as usize;
        at += retry_on_intr(|| pwrite(fd, &zeros[..step], at))? as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn zeros_are_written_where_holes_cannot_be() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 300_000], 0).unwrap();
        let fd: OwnedFd = file.try_clone().unwrap().into();
        write_zeros(&fd, 100, 290_000).unwrap();
        let mut bytes = vec![1; 300_000];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!((bytes[99], bytes[290_000]), (7, 7));
        assert!(bytes[100..290_000].iter().all(|byte| *byte == 0));
    }
}
