//! Reading and writing: straight between the segment's buffers, or what is lent beside them, and the files (W1).
//!
//! # Invariants
//! * **TRANSFER-1** What was written is booked before it is answered (LEDGER-1), also if only a part of it was.
//! * **TRANSFER-2** A failed write fails its scope (STORE-5); a full store does not (F21), and neither does memory that was lent and is
//!   gone: nothing is wrong with the store.
//! * **TRANSFER-3** Lent memory is said to have what was read only when all of it was (LOAN-1).

use std::rc::Rc;

use archipelago_runtime::SyncScope;
use archipelago_store::{Scope, StoreError, range_end};
use rustix::io::Errno;
use xseg::{Data, Incoming, Request};

use super::core::{Engine, error_of};
use super::opening::Missing;
use super::place::{DIRECT_ALIGNMENT, Place};
use super::steps::write_in_steps;
use crate::files::{Mode, OpenFile, Using};

/// Where in the object. No object is longer than a file can be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub offset: u64,
    pub len: u64,
}

impl Range {
    /// Where a request says, if its payload is as long.
    pub fn of(request: &Incoming) -> Result<Self, StoreError> {
        let Request { offset, length, .. } = request.request();
        range_end(offset, length)?;
        if length > request.data().map_or(0, |data| data.len()) {
            return Err(StoreError::Invalid);
        }
        Ok(Self {
            offset,
            len: length,
        })
    }
}

/// Which way data go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

fn is_aligned(range: Range, place: &Place<'_>) -> bool {
    (range.offset | range.len | place.address()).is_multiple_of(DIRECT_ALIGNMENT as u64)
}

impl Engine {
    /// Reads into the request's payload. The number of bytes is less than asked for only at the object's end.
    pub async fn read(
        &self,
        request: &Incoming,
        name: &[u8],
        range: Range,
    ) -> Result<u64, StoreError> {
        for is_last in [false, true] {
            let file = self.open(name, Missing::Fails).await?;
            let Some(data) = payload(request, range.len)? else {
                return Ok(0);
            };
            let place = Place::to_read(&self.handle, data);
            let mut done = self.transfer(&file, range, &place, Way::Out).await;
            if place.is_lent() && matches!(done, Err(Errno::FAULT | Errno::CANCELED)) {
                let place = place.in_buffer();
                done = self.transfer(&file, range, &place, Way::Out).await;
            }
            match done {
                Err(Errno::STALE) if !is_last => self.drop_stale(&file), // F40
                done => return done.map_err(error_of),
            }
        }
        Err(StoreError::Io(Errno::STALE))
    }

    /// Writes the request's payload in place.
    pub async fn write(
        &self,
        request: &Incoming,
        scope: Scope,
        name: &[u8],
        range: Range,
    ) -> Result<Using, StoreError> {
        let mut is_last = false;
        if let Some(data) = payload(request, range.len)? {
            Place::to_write(&self.handle, request, data)?; // before an object is made for it
        }
        loop {
            let opened = self.open(name, Missing::IsMade).await;
            let file = opened.inspect_err(|error| self.note_failure(scope, error))?;
            let Some(data) = payload(request, range.len)? else {
                self.ledger().wrote(scope, file.id, file.file());
                return Ok(file);
            };
            let place = Place::to_write(&self.handle, request, data)?;
            let done = self.transfer(&file, range, &place, Way::In).await;
            self.ledger().wrote(scope, file.id, file.file()); // TRANSFER-1
            match done {
                Ok(_) => return Ok(file),
                Err(Errno::STALE) if !is_last => {
                    is_last = true;
                    self.drop_stale(&file); // F40
                }
                Err(Errno::FAULT | Errno::CANCELED) if place.is_lent() => {
                    return Err(StoreError::Invalid); // TRANSFER-2
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

    /// TRANSFER-2.
    pub(super) fn note_failure(&self, scope: Scope, error: &StoreError) {
        if matches!(error, StoreError::Io(_)) {
            self.ledger().fail(scope);
        }
    }

    /// As much as there is to read, or all there is to write.
    async fn transfer(
        &self,
        file: &OpenFile,
        range: Range,
        place: &Place<'_>,
        way: Way,
    ) -> Result<u64, Errno> {
        if let Some(direct) = &file.direct
            && !file.direct_failed.get()
            && is_aligned(range, place)
        {
            let place = &self.past_the_cache(place, way)?;
            let _inside = file.gate.enter(Mode::Direct).await;
            let mut done = self.transfer_direct(direct, range, place, way).await;
            if place.is_lent() && done == Err(Errno::INVAL) {
                // A driver's memory may be cut as this device does not want it.
                let place = &self.through_the_buffer(place, way)?;
                done = self.transfer_direct(direct, range, place, way).await;
            }
            match done {
                Err(Errno::INVAL) => file.direct_failed.set(true),
                done => return done,
            }
        }
        let place = &match self.root.objects.are_direct() {
            true => self.past_the_cache(place, way)?,
            false => place.clone(),
        };
        let _inside = file.gate.enter(Mode::Buffered).await;
        match way {
            Way::Out => {
                let memory = place.memory(&self.station, 0, range.len)?;
                let read = self.handle.read_full_at(&file.plain, range.offset, memory);
                let count = read.await.0? as u64;
                if count == range.len {
                    place.land(); // TRANSFER-3
                }
                Ok(count)
            }
            Way::In => {
                let written = self.write_buffered(&file.plain, range.offset, place);
                written.await.map(|()| range.len)
            }
        }
    }

    /// What is lent is not cut as devices want it, or may change while it is written (W1): then the buffer is as ever.
    fn past_the_cache<'a>(&self, place: &Place<'a>, way: Way) -> Result<Place<'a>, Errno> {
        let may_change = way == Way::Out || self.root.objects.takes_what_changes();
        match place.is_cut_for_devices() && may_change {
            true => Ok(place.clone()),
            false => self.through_the_buffer(place, way),
        }
    }

    fn through_the_buffer<'a>(&self, place: &Place<'a>, way: Way) -> Result<Place<'a>, Errno> {
        match way {
            Way::Out => Ok(place.in_buffer()),
            Way::In => place.bring_into_buffer(),
        }
    }

    /// Into the page cache.
    async fn write_buffered(
        &self,
        fd: &Rc<std::os::fd::OwnedFd>,
        offset: u64,
        place: &Place<'_>,
    ) -> Result<(), Errno> {
        write_in_steps(offset, place.len(), async |step| {
            let memory = place.memory(&self.station, step.start, step.end - step.start)?;
            let written = self.handle.write_all_at(fd, offset + step.start, memory);
            written.await.0
        })
        .await
    }

    /// Past the page cache, in steps that stay aligned. INVAL: the device wants it otherwise.
    async fn transfer_direct(
        &self,
        fd: &Rc<std::os::fd::OwnedFd>,
        range: Range,
        place: &Place<'_>,
        way: Way,
    ) -> Result<u64, Errno> {
        let mut done = 0;
        while done < range.len {
            let memory = place.memory(&self.station, done, range.len - done)?;
            let offset = range.offset + done;
            let (count, _) = match way {
                Way::Out => self.handle.read_at(fd, offset, memory).await,
                Way::In => self.handle.write_at(fd, offset, memory).await,
            };
            let count = count? as u64;
            done += count;
            let is_end = count == 0 || !done.is_multiple_of(DIRECT_ALIGNMENT as u64);
            match way {
                Way::Out if is_end => break,
                // The rest goes through the page cache, by whoever asked (F29).
                Way::In if is_end && done < range.len => return Err(Errno::INVAL),
                _ => {}
            }
        }
        if way == Way::Out && done == range.len {
            place.land(); // TRANSFER-3
        }
        Ok(done)
    }

    /// Writes the request's payload to a file that nobody else knows, and syncs it.
    pub(super) async fn fill(
        &self,
        request: &Incoming,
        fd: &Rc<std::os::fd::OwnedFd>,
        len: u64,
    ) -> Result<(), StoreError> {
        if let Some(data) = payload(request, len)? {
            let written = self.write_buffered(fd, 0, &Place::of(data)).await;
            written.map_err(error_of)?;
        }
        self.handle
            .fsync(fd, SyncScope::All)
            .await
            .map_err(error_of)
    }
}

/// The first `len` bytes of the request's payload; `None` if that is none.
pub(super) fn payload(request: &Incoming, len: u64) -> Result<Option<Data<'_>>, StoreError> {
    if len == 0 {
        return Ok(None);
    }
    let data = request.data().ok_or(StoreError::Invalid)?;
    let part = data.part(0, len).map_err(|_| StoreError::Invalid)?;
    Ok(Some(part))
}
