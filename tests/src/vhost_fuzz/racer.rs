use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rustix::io::pwrite;

use super::control::{RING_BYTES, RINGS};
use super::memory::Memory;
use crate::rng::Rng;

/// A guest's other processor: it changes descriptors and indices while the device reads them. What comes of it is no seed's.
#[derive(Debug)]
pub struct Racer {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Racer {
    pub fn begin(memory: &Memory, seed: u64) -> anyhow::Result<Self> {
        let file = memory.fd().try_clone_to_owned()?;
        let is_over = Arc::new(AtomicBool::new(false));
        let theirs = is_over.clone();
        let thread = std::thread::spawn(move || race(&file, &theirs, Rng::new(seed)));
        Ok(Self {
            is_over,
            thread: Some(thread),
        })
    }
}

impl Drop for Racer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed); // nothing is published by it
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn race(file: &OwnedFd, is_over: &AtomicBool, mut rng: Rng) {
    let start = Memory::regions()[0].file_offset;
    while !is_over.load(Ordering::Relaxed) {
        let ring = start + RING_BYTES * rng.below(RINGS.into());
        // A descriptor's field, an entry of the available ring, of an indirect table.
        let at = ring + *rng.pick(&[0, 0x1000, 0x3000]) + 4 * rng.below(64);
        let word = [0, 1, 2, 4, 16, 512, 1 << 16, 1 << 30, rng.next_u64() as u32];
        let word: u32 = *rng.pick(&word);
        let _ = pwrite(file, &word.to_le_bytes(), at); // it is memory
        std::thread::yield_now();
    }
}
