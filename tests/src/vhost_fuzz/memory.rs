//! A guest's memory: a file of two regions, with pages before, between and behind them that are nobody's.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, ensure};
use archipelago_vhost::message::Region;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::io::{pread, pwrite};

const PAGE: u64 = 4096;
pub const REGION_BYTES: u64 = 64 << 10;
/// Where the guest has the second region, and where the front end has all of it.
pub const HIGH: u64 = 1 << 30;
pub const USER: u64 = 1 << 45;
const FIRST_AT: u64 = PAGE;
const SECOND_AT: u64 = FIRST_AT + REGION_BYTES + PAGE;
const FILE_BYTES: u64 = SECOND_AT + REGION_BYTES + PAGE;
const GUARDS: [u64; 3] = [0, FIRST_AT + REGION_BYTES, SECOND_AT + REGION_BYTES];
const GUARD_BYTE: u8 = 0xa5;

#[derive(Debug)]
pub struct Memory {
    file: OwnedFd,
}

impl Memory {
    pub fn new() -> anyhow::Result<Self> {
        let file = memfd_create("guest", MemfdFlags::CLOEXEC).context("a guest's memory")?;
        ftruncate(&file, FILE_BYTES)?;
        for at in GUARDS {
            pwrite(&file, &[GUARD_BYTE; PAGE as usize], at)?;
        }
        Ok(Self { file })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub fn regions() -> Vec<Region> {
        let region = |guest_at, file_offset| Region {
            guest_at,
            len_bytes: REGION_BYTES,
            user_at: USER + guest_at,
            file_offset,
        };
        vec![region(0, FIRST_AT), region(HIGH, SECOND_AT)]
    }

    /// By the guest's addresses; what is nowhere goes nowhere.
    pub fn put(&self, at: u64, bytes: &[u8]) {
        let place = |from: u64, file_at: u64| {
            let offset = at.checked_sub(from)?;
            let end = offset.checked_add(bytes.len() as u64)?;
            (end <= REGION_BYTES).then_some(file_at + offset)
        };
        if let Some(at) = place(0, FIRST_AT).or_else(|| place(HIGH, SECOND_AT)) {
            let _ = pwrite(&self.file, bytes, at); // a file that was shortened takes nothing
        }
    }

    /// Two bytes of the first region.
    pub fn load(&self, at: u64) -> u16 {
        let mut bytes = [0; 2];
        let _ = pread(&self.file, &mut bytes, FIRST_AT + at); // a file that was shortened has nothing
        u16::from_le_bytes(bytes)
    }

    /// Bytes of the second region.
    pub fn get_high(&self, at: u64, len_bytes: usize) -> Vec<u8> {
        let mut bytes = vec![0; len_bytes];
        let _ = pread(&self.file, &mut bytes, SECOND_AT + at - HIGH);
        bytes
    }

    /// Takes the end of it away.
    pub fn shorten(&self, len_bytes: u64) {
        let _ = ftruncate(&self.file, len_bytes); // without seals it does
    }

    /// VFUZZ-3
    pub fn check_guards(&self) -> anyhow::Result<()> {
        for at in GUARDS {
            let mut page = [0; PAGE as usize];
            let count = pread(&self.file, &mut page, at)?;
            let is_whole = page[..count] == [GUARD_BYTE; PAGE as usize][..count];
            ensure!(is_whole, "byte {at} and on of the file were written to");
        }
        Ok(())
    }

    /// As it was when it was new.
    pub fn clear(&self) -> anyhow::Result<()> {
        for at in [FIRST_AT, SECOND_AT] {
            pwrite(&self.file, &[0; REGION_BYTES as usize], at)?;
        }
        Ok(())
    }
}
