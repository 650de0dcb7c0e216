//! Memory that is lent to the other peers of a reactor, beside the buffer in which a payload would travel.
//!
//! A payload travels in a buffer of the segment, which every process sees (W1). Whoever has its bytes in memory of his own has
//! to copy them there, or from there. Where all who handle the request share a reactor they need not: he lends them
//! that memory. The request has its buffer all the same, and by where that lies the loan is found; a peer that does not know of
//! loans, or is another process, uses the buffer.
//!
//! # Invariants
//! * **LOAN-1** What is read is in the lent memory only where that was said ([`Borrowed::land`]); all else is in the buffer. Before a
//!   range is read anew it is said not to be there ([`Borrowed::begin_anew`]); nobody lands anything in a loan that nobody begins anew.
//! * **LOAN-2** A write whose bytes are not in its buffer says so, by [`xseg::flags::LENT`]. Who is given one and finds no loan
//!   refuses it; it is given only to ports that are known to take it ([`Handle::takes_loans`]).
//! * **LOAN-3** A loan is over for the lender when nobody uses its memory any more, the kernel included, and nobody begins to.
//! * **LOAN-4** Of memory that was lost while it was lent nothing is believed: neither that what was read is there, nor that what was
//!   written was the lender's.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use rustix::io::Errno;
use xseg::{Data, PortId};

use crate::core::Core;
use crate::handle::Handle;
use crate::kernel::{LentMemory, Memory};
use crate::local::Gate;
use crate::ranges::Ranges;

/// All loans of a reactor, and the ports that take them.
#[derive(Debug, Default)]
pub(crate) struct Loans {
    /// By where their buffers begin in the segment, however often that is mapped here.
    by_offset: RefCell<BTreeMap<u64, Rc<Terms>>>,
    /// A port that hands payloads on takes what the next one takes.
    takers: RefCell<BTreeMap<PortId, Option<PortId>>>,
}

#[derive(Debug)]
struct Terms {
    memory: LentMemory,
    len: u64,
    is_known: Cell<bool>,
    landed: RefCell<Ranges>,
    inside: Gate,
    is_over: Cell<bool>,
}

/// The lender's end of it. Dropped, nobody begins to use the memory any more.
#[derive(Debug)]
#[must_use = "dropping it ends the loan"]
pub struct Loan {
    core: Rc<Core>,
    at: u64,
    terms: Rc<Terms>,
}

/// A port takes loans for as long as its peer has this.
#[derive(Debug)]
#[must_use = "dropping it takes no more loans"]
pub struct Taking {
    core: Rc<Core>,
    port: PortId,
}

/// Part of a loan, as those find it who have the buffer's data.
#[derive(Clone, Debug)]
pub struct Borrowed {
    terms: Rc<Terms>,
    part: Range<u64>,
}

/// How many ports a payload may be handed on by.
const HOPS_MAX: usize = 4;

impl Loans {
    fn find(&self, data: Data<'_>) -> Option<Borrowed> {
        let loans = self.by_offset.borrow();
        let at = data.range().at();
        let (first, terms) = loans.range(..=at).next_back()?;
        let from = at - first;
        let part = from..from.checked_add(data.len())?;
        (part.end <= terms.len && !terms.is_over.get()).then(|| Borrowed {
            terms: terms.clone(),
            part,
        })
    }

    fn takes(&self, port: PortId) -> bool {
        let takers = self.takers.borrow();
        let mut port = port;
        for _ in 0..HOPS_MAX {
            match takers.get(&port) {
                None => return false,
                Some(None) => return true,
                Some(Some(next)) => port = *next,
            }
        }
        false
    }
}

impl Handle {
    /// Lends memory beside the first bytes of a buffer of ours, as many as there are of the memory. `None`: it does not fit.
    pub fn lend(&self, data: Data<'_>, memory: LentMemory) -> Option<Loan> {
        let (at, len) = (data.range().at(), memory.len() as u64);
        if len > data.len() || len == 0 {
            return None;
        }
        let terms = Rc::new(Terms {
            memory,
            len,
            is_known: Cell::new(false),
            landed: RefCell::default(),
            inside: Gate::new(),
            is_over: Cell::new(false),
        });
        let mut loans = self.core.loans.by_offset.borrow_mut();
        loans.insert(at, terms.clone());
        let core = self.core.clone();
        Some(Loan { core, at, terms })
    }

    /// What is lent beside these data, all of them.
    pub fn lent(&self, data: Data<'_>) -> Option<Borrowed> {
        self.core.loans.find(data)
    }

    /// This port's peer looks for loans, until what is returned is dropped: always, or as far as the one does to which it hands
    /// payloads on.
    pub fn take_loans(&self, port: PortId, hands_on_to: Option<PortId>) -> Taking {
        let mut takers = self.core.loans.takers.borrow_mut();
        takers.insert(port, hands_on_to);
        let core = self.core.clone();
        Taking { core, port }
    }

    /// May a write whose bytes are lent be sent there (LOAN-2)?
    pub fn takes_loans(&self, port: PortId) -> bool {
        self.core.loans.takes(port)
    }
}

impl Loan {
    /// Ends it, when nobody uses the memory any more (LOAN-3). Tells which bytes of what was read are in the buffer; FAULT: the memory was
    /// lost meanwhile, so that nobody knows what was read from it or written to it (LOAN-4).
    pub async fn end(self) -> Result<Vec<Range<u64>>, Errno> {
        self.terms.is_over.set(true);
        self.terms.inside.empty().await;
        match self.terms.memory.lender().is_there() {
            true => Ok(self.terms.landed.borrow().missing(self.terms.len)),
            false => Err(Errno::FAULT),
        }
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        let mut takers = self.core.loans.takers.borrow_mut();
        takers.remove(&self.port);
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.terms.is_over.set(true);
        let mut loans = self.core.loans.by_offset.borrow_mut();
        let is_ours = |terms: &Rc<Terms>| Rc::ptr_eq(terms, &self.terms);
        if loans.get(&self.at).is_some_and(is_ours) {
            loans.remove(&self.at);
        }
    }
}

impl Borrowed {
    /// These bytes are read now, for the first time or once more: whatever was said to have landed is in doubt (LOAN-1).
    pub fn begin_anew(&self) {
        self.terms.is_known.set(true);
        self.terms.landed.borrow_mut().remove(&self.part);
    }

    /// Will whoever asked look for what landed?
    pub fn is_known(&self) -> bool {
        self.terms.is_known.get()
    }

    /// They were read, and are in the lent memory.
    pub fn land(&self) {
        self.terms.landed.borrow_mut().add(self.part.clone());
    }

    /// So many bytes, from byte `from` of it on; `None`: there are not so many.
    pub fn part(&self, from: u64, len: u64) -> Option<Self> {
        let start = self.part.start.checked_add(from)?;
        let part = start..start.checked_add(len)?;
        let terms = self.terms.clone();
        (part.end <= self.part.end).then_some(Self { terms, part })
    }

    fn range(&self) -> Range<usize> {
        self.part.start as usize..self.part.end as usize // of memory: it is no longer than that
    }

    /// Is each piece of it at, and as long as, multiples of that?
    pub fn is_aligned(&self, to: usize) -> bool {
        self.terms.memory.is_aligned(self.range(), to)
    }

    /// For an operation on a file; `None`: it is over.
    pub fn memory(&self) -> Option<Memory> {
        if self.terms.is_over.get() {
            return None;
        }
        let memory = self.terms.memory.clone();
        let inside = [memory.lender().enter()?, self.terms.inside.enter()];
        Some(Memory::of_lent(memory, self.range(), inside))
    }

    /// Copies what is written from byte `from` of it on.
    pub fn read(&self, from: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        let part = self.part(from, bytes.len() as u64).ok_or(Errno::INVAL)?;
        part.open()?.read(part.part.start, bytes).map_err(gone)
    }

    /// Copies all that is written to where the request's bytes would be.
    pub fn read_to(&self, data: Data<'_>) -> Result<(), Errno> {
        let part = self.part(0, data.len()).ok_or(Errno::INVAL)?;
        part.open()?.read_to(part.part.start, data).map_err(gone)
    }

    fn open(&self) -> Result<&dyn crate::kernel::Lender, Errno> {
        match self.terms.is_over.get() {
            true => Err(Errno::CANCELED),
            false => Ok(self.terms.memory.lender()),
        }
    }
}

/// Whatever a lender says, it is about his memory, and never about a store.
fn gone(errno: Errno) -> Errno {
    match errno {
        Errno::CANCELED => Errno::CANCELED,
        _ => Errno::FAULT,
    }
}

#[cfg(test)]
mod tests;
