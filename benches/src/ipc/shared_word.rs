//! One word of memory shared by two processes, alone in its page.

use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;

use anyhow::{Context, Result};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

const MAPPING_BYTES: usize = 4096;

/// A mapping of the shared word, which starts at zero.
#[derive(Debug)]
pub struct SharedWord {
    word: NonNull<AtomicU32>,
}

impl SharedWord {
    /// A new word, and the memory file by which another process can map it.
    pub fn create() -> Result<(Self, OwnedFd)> {
        let memory = memfd_create("archipelago-bench-word", MemfdFlags::CLOEXEC)?;
        ftruncate(&memory, MAPPING_BYTES as u64)?;
        Ok((Self::map(&memory)?, memory))
    }

    /// The word in `memory`, as another process has created it.
    pub fn map(memory: impl AsFd) -> Result<Self> {
        // SAFETY: the kernel chooses an address where nothing of ours lies, and the memory
        // file is as long as the mapping and is never shortened.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                MAPPING_BYTES,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                memory,
                0,
            )
        }
        .context("cannot map the shared word")?;
        let word = NonNull::new(start.cast()).context("the shared word lies at address zero")?;
        Ok(Self { word })
    }
}

impl Deref for SharedWord {
    type Target = AtomicU32;

    fn deref(&self) -> &AtomicU32 {
        // SAFETY: the page stays mapped as long as `self`, its start is aligned for any
        // word, all bits are valid, and every process only ever uses it as this atomic.
        unsafe { self.word.as_ref() }
    }
}

impl Drop for SharedWord {
    fn drop(&mut self) {
        // SAFETY: `map` mapped exactly this range, and no reference outlives `self`.
        let unmapped = unsafe { munmap(self.word.as_ptr().cast(), MAPPING_BYTES) };
        debug_assert!(unmapped.is_ok(), "a whole mapping can always be unmapped");
    }
}
