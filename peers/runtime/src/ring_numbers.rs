//! Numbers in the ring's table of buffers, for drivers that register memory of theirs there.
//!
//! The table is made when the first number is wanted, and is empty: a driver fills a place of it, and takes the memory out again. What is
//! there is used by operations on files, as [`crate::LentMemory::registered`].

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use crate::core::Core;
use crate::handle::Handle;

/// The kernel allows no longer table.
const NUMBERS_MAX: u16 = 1 << 14;

/// Who has which, in their order.
#[derive(Debug, Default)]
pub(crate) struct NumberTable {
    /// `None`: it was not made, or the kernel has no such table.
    taken: RefCell<Option<Vec<Range<u16>>>>,
}

/// Numbers that belong to one user, until this is dropped.
#[derive(Debug)]
pub struct RingNumbers {
    core: Rc<Core>,
    range: Range<u16>,
}

impl Handle {
    /// So many numbers of the ring's; `None`: there are not so many left, or there is no such table.
    pub fn ring_numbers(&self, count: u16) -> Option<RingNumbers> {
        let core = self.core.clone();
        let mut taken = core.numbers.taken.borrow_mut();
        if taken.is_none() {
            let mut waiter = core.waiter.borrow_mut();
            let ring = waiter.as_mut()?.ring()?;
            let made = ring.submitter().register_buffers_sparse(NUMBERS_MAX.into());
            tracing::debug!(?made, "a table for memory of drivers");
            made.ok()?;
            *taken = Some(Vec::new());
        }
        let range = take(taken.as_mut()?, count)?;
        drop(taken);
        Some(RingNumbers { core, range })
    }
}

impl RingNumbers {
    /// The number at a place among them.
    pub fn get(&self, at: u16) -> Option<u16> {
        let number = self.range.start.checked_add(at)?;
        self.range.contains(&number).then_some(number)
    }
}

impl Drop for RingNumbers {
    fn drop(&mut self) {
        if let Some(taken) = self.core.numbers.taken.borrow_mut().as_mut() {
            taken.retain(|range| *range != self.range);
        }
    }
}

/// The first gap that is long enough.
fn take(taken: &mut Vec<Range<u16>>, count: u16) -> Option<Range<u16>> {
    let mut start = 0;
    let mut at = 0;
    while let Some(next) = taken.get(at) {
        if next.start - start >= count {
            break;
        }
        start = next.end;
        at += 1;
    }
    let end = start.checked_add(count)?;
    if end > NUMBERS_MAX || count == 0 {
        return None;
    }
    taken.insert(at, start..end);
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_once_and_again_when_they_were_given_back() {
        let mut taken = Vec::new();
        assert_eq!(take(&mut taken, 100), Some(0..100));
        assert_eq!(take(&mut taken, 50), Some(100..150));
        assert_eq!(take(&mut taken, NUMBERS_MAX), None);
        assert_eq!(take(&mut taken, 0), None);
        taken.retain(|range| range.start != 0);
        assert_eq!(take(&mut taken, 101), Some(150..251));
        assert_eq!(take(&mut taken, 60), Some(0..60));
        assert_eq!(take(&mut taken, 40), Some(60..100));
        let left = NUMBERS_MAX - 251;
        assert_eq!(take(&mut taken, left), Some(251..NUMBERS_MAX));
        assert_eq!(take(&mut taken, 1), None);
        let sorted = taken.is_sorted_by(|one, next| one.end <= next.start);
        assert!(sorted, "{taken:?}");
    }
}
