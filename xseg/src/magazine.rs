//! Private stocks of claimed records and buffers: what makes taking one cost nothing in the segment.
//!
//! What is in a magazine stays named in the segment as its owner's, so a settler finds it after the owner's death
//! without knowing of magazines.
//!
//! # Invariants
//! * **MAG-1** An index is in a magazine, in use by its port, or named as somebody else's: never two of these.
//! * **MAG-2** A port that leaves some to others has never more than the rest, in stock and in use: those whom it waits for find
//!   one, however much it wants (P1).

use crate::kill::kill_point;
use crate::name::Name;
use crate::records;
use crate::sync::AtomicU64;

/// A stock is no more than this part of all there are.
const STOCK_SHARE: usize = 32;

/// A stock of indices below some bound, whose owner words this port has made its own.
#[derive(Debug)]
pub(crate) struct Magazine {
    stock: Vec<u32>,
    range: std::ops::Range<u32>,
    /// Where the next search for free words begins.
    search_at: u32,
    refill: usize,
    /// More than this is given back.
    stock_max: usize,
    /// In stock and in use.
    owned: u32,
    /// MAG-2
    owned_max: u32,
}

impl Magazine {
    /// For the indices of `range`; `refill` are claimed at a time, but no more kept than a small part of them all, so
    /// that one port's stock is not another port's want. Ports start their search at different places.
    pub fn new(range: std::ops::Range<u32>, refill: usize, start: u32) -> Self {
        let len = range.len() as u32;
        let share = range.len() / STOCK_SHARE;
        let refill = refill.min(share).max(1);
        let search_at = if len == 0 {
            0
        } else {
            range.start + start % len
        };
        Self {
            stock: Vec::with_capacity(refill * 4),
            stock_max: (refill * 3).min(share),
            range,
            search_at,
            refill,
            owned: 0,
            owned_max: u32::MAX,
        }
    }

    /// Leaves one in `part` to others, and at least one; but has one itself.
    pub fn leave_to_others(&mut self, part: u32) {
        let len = self.range.len() as u32;
        let left = (len / part.max(1)).max(1);
        self.owned_max = len.saturating_sub(left).max(1);
    }

    pub fn owned(&self) -> u32 {
        self.owned
    }

    /// Takes one, claiming more when the stock is out. `None`: all are taken.
    #[inline]
    pub fn take<'a>(&mut self, name: Name, word: impl Fn(u32) -> &'a AtomicU64) -> Option<u32> {
        if let Some(index) = self.stock.pop() {
            return Some(index);
        }
        self.search(name, word);
        self.stock.pop()
    }

    /// One turn around the range at the most.
    fn search<'a>(&mut self, name: Name, word: impl Fn(u32) -> &'a AtomicU64) {
        for _ in 0..self.range.len() {
            if self.owned >= self.owned_max {
                return; // MAG-2
            }
            let index = self.search_at;
            self.search_at += 1;
            if self.search_at >= self.range.end {
                self.search_at = self.range.start;
            }
            if records::take_free(word(index), name) {
                self.stock.push(index);
                self.owned += 1;
                if self.stock.len() >= self.refill {
                    return;
                }
            }
        }
    }

    /// Puts one back; gives two thirds of the stock back to all when it has grown.
    #[inline]
    pub fn put<'a>(&mut self, index: u32, word: impl Fn(u32) -> &'a AtomicU64) {
        self.stock.push(index);
        if self.stock.len() > self.stock_max {
            self.give_back(self.stock.len() - self.stock_max / 3, word);
        }
    }

    /// Gives the whole stock back.
    pub fn empty<'a>(&mut self, word: impl Fn(u32) -> &'a AtomicU64) {
        self.give_back(self.stock.len(), word);
    }

    fn give_back<'a>(&mut self, count: usize, word: impl Fn(u32) -> &'a AtomicU64) {
        for index in self.stock.drain(..count) {
            kill_point!("free.before-slot");
            records::give_back(word(index));
            self.owned = self.owned.saturating_sub(1);
        }
    }
}

#[cfg(test)]
#[path = "magazine/tests.rs"]
mod tests;
