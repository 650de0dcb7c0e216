//! Memory of our own that is lent: for those who embed the library and want to read and write volumes without a copy.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;

use rustix::io::Errno;
use xseg::Data;

use super::lent::{Lender, LentMemory};
use crate::local::{Gate, GateGuard};

/// What every device takes.
const ALIGNMENT: usize = 4096;

/// Bytes that may be lent while others of this thread have them as well: they are only ever copied. Clones are the same bytes.
#[derive(Clone, Debug)]
pub struct LentBytes {
    block: Rc<Block>,
}

/// Begins at a page.
#[derive(Debug)]
struct Block {
    at: *mut u8,
    len: usize,
    inside: Gate,
    is_back: Cell<bool>,
}

impl Block {
    fn layout(len: usize) -> Layout {
        let layout = Layout::from_size_align(len.max(1), ALIGNMENT);
        layout.expect("nobody has more than half of the address space")
    }

    fn address(&self, from: usize, len: usize) -> *mut u8 {
        let end = from.checked_add(len);
        let is_inside = end.is_some_and(|end| end <= self.len);
        assert!(is_inside, "{len} bytes from {from} of {}", self.len);
        self.at.wrapping_add(from)
    }

    fn read(&self, from: usize, bytes: &mut [u8]) {
        let at = self.address(from, bytes.len());
        // SAFETY: inside of what was allocated, by `address`; nobody has references into it, and `bytes` are somebody else's.
        unsafe { std::ptr::copy_nonoverlapping(at, bytes.as_mut_ptr(), bytes.len()) };
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated by `LentBytes::new` with this layout, and whoever uses it has this value.
        unsafe { dealloc(self.at, Self::layout(self.len)) };
    }
}

impl LentBytes {
    /// So many zeros.
    pub fn new(len: usize) -> Self {
        let layout = Block::layout(len);
        // SAFETY: the layout is not empty.
        let at = unsafe { alloc_zeroed(layout) };
        if at.is_null() {
            handle_alloc_error(layout);
        }
        let inside = Gate::new();
        Self {
            block: Rc::new(Block {
                at,
                len,
                inside,
                is_back: Cell::new(false),
            }),
        }
    }

    /// From now on nobody begins to use them, and whoever is lent them fails.
    pub fn take_back(&self) {
        self.block.is_back.set(true);
    }

    pub fn len(&self) -> usize {
        self.block.len
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// # Panics
    /// If they are not there.
    pub fn read(&self, from: usize, bytes: &mut [u8]) {
        self.block.read(from, bytes);
    }

    /// # Panics
    /// If there is no room for them.
    pub fn write(&self, from: usize, bytes: &[u8]) {
        let at = self.block.address(from, bytes.len());
        // SAFETY: as in `Block::read`, the other way.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len()) };
    }

    /// Lends these ranges, one behind the other.
    ///
    /// # Panics
    /// If they are not there.
    pub fn lend(&self, ranges: &[Range<usize>]) -> LentMemory {
        let place =
            |range: &Range<usize>| (self.block.address(range.start, range.len()), range.len());
        let places: Vec<_> = ranges.iter().map(place).collect();
        let lender = Lending {
            block: self.block.clone(),
            ranges: ranges.into(),
        };
        // SAFETY: `place` has seen that they are inside of the block, which the lender has; nobody has references into it.
        unsafe { LentMemory::new(places.into_iter(), Rc::new(lender)) }
    }
}

#[derive(Debug)]
struct Lending {
    block: Rc<Block>,
    ranges: Box<[Range<usize>]>,
}

impl Lending {
    fn each(&self, from: u64, len: usize, mut work: impl FnMut(usize, Range<usize>)) {
        let (mut skip, mut done) = (from as usize, 0);
        for range in &self.ranges {
            let skipped = skip.min(range.len());
            skip -= skipped;
            let taken = (range.len() - skipped).min(len - done);
            work(range.start + skipped, done..done + taken);
            done += taken;
        }
    }
}

impl Lender for Lending {
    fn enter(&self) -> Option<GateGuard> {
        (!self.block.is_back.get()).then(|| self.block.inside.enter())
    }

    fn is_there(&self) -> bool {
        !self.block.is_back.get()
    }

    fn read(&self, from: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        if self.block.is_back.get() {
            return Err(Errno::IO);
        }
        self.each(from, bytes.len(), |at, range| {
            self.block.read(at, &mut bytes[range]);
        });
        Ok(())
    }

    fn read_to(&self, from: u64, data: Data<'_>) -> Result<(), Errno> {
        let mut bytes = vec![0; data.len() as usize];
        self.read(from, &mut bytes)?;
        data.write(0, &bytes).map_err(|error| error.errno())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_is_read_in_the_order_in_which_it_was_lent() {
        let bytes = LentBytes::new(100);
        bytes.write(10, b"0123456789");
        let memory = bytes.lend(&[15..20, 10..10, 10..13]);
        assert_eq!(memory.len(), 8);
        let mut read = [0; 8];
        memory.lender().read(0, &mut read).unwrap();
        assert_eq!(&read, b"56789012");
        memory.lender().read(4, &mut read[..2]).unwrap();
        assert_eq!(&read[..2], b"90");
        let mut all = vec![1; 100];
        bytes.read(0, &mut all);
        assert_eq!((&all[10..20], all[9], all[20]), (&b"0123456789"[..], 0, 0));
    }

    #[test]
    #[should_panic(expected = "of 100")]
    fn what_is_not_there_is_not_lent() {
        let _ = LentBytes::new(100).lend(&[0..10, 95..101]);
    }
}
