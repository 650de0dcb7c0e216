//! Guest memory that others in this process read and write by the kernel (W1).

use std::rc::Rc;

use archipelago_runtime::local::GateGuard;
use archipelago_runtime::{Lender, LentMemory};
use rustix::io::Errno;
use xseg::Data;

use super::ram::Ram;

/// Keeps the memory mapped for as long as it is lent.
#[derive(Debug)]
struct Lending {
    ram: Rc<Ram>,
    ranges: Vec<(u64, u64)>,
    lender: Rc<dyn Lender>,
}

impl Lender for Lending {
    fn enter(&self) -> Option<GateGuard> {
        self.lender.enter().filter(|_| self.is_there())
    }

    /// A page that was missing is one of ours since then, which the kernel takes for the guest's (GUEST-4).
    fn is_there(&self) -> bool {
        let ranges = self.ranges.iter();
        ranges
            .clone()
            .all(|(at, len_bytes)| self.ram.is_there(*at, *len_bytes))
    }

    fn read(&self, from: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        self.lender.read(from, bytes)
    }

    fn read_to(&self, from: u64, data: Data<'_>) -> Result<(), Errno> {
        self.lender.read_to(from, data)
    }
}

impl Ram {
    /// These ranges, one behind the other; `None`: not all of them are there. What goes away while it is lent the kernel refuses
    /// to touch (GUEST-4).
    pub fn lend(
        self: &Rc<Self>,
        ranges: impl Iterator<Item = (u64, u64)>,
        lender: Rc<dyn Lender>,
    ) -> Option<LentMemory> {
        let (mut places, ranges) = (Vec::new(), Vec::from_iter(ranges));
        for (at, len_bytes) in &ranges {
            self.places(*at, *len_bytes, &mut places).ok()?;
        }
        let lending = Lending {
            ram: self.clone(),
            ranges,
            lender,
        };
        // SAFETY: the places were checked to be inside of regions, which are mapped to be read and written for as long as the
        // memory's table lives (GUEST-2), which `lending` keeps; nobody has references into them (GUEST-1).
        Some(unsafe { LentMemory::new(places.into_iter(), Rc::new(lending)) })
    }
}
