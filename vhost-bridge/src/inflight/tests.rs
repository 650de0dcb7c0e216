//! INFLIGHT-1 to INFLIGHT-4: a process that dies between any two writes loses no request, and answers none twice.

use std::cell::Cell;

use proptest::prelude::*;

use super::*;
use crate::queue::model::{Driver, VecMemory};
use crate::queue::{GuestMemory, MemoryFault, Part, QueueFeatures, SplitQueue};

const SIZE: u16 = 8;
const REGION_AT: usize = 0xa000;

/// Memory of a process that dies after so many writes: the later ones do not happen.
struct Mortal<'a> {
    memory: &'a VecMemory,
    writes_left: &'a Cell<u32>,
    base: u64,
}

impl Mortal<'_> {
    fn lives(&self) -> bool {
        let left = self.writes_left.get();
        self.writes_left.set(left.saturating_sub(1));
        left > 0
    }
}

impl GuestMemory for Mortal<'_> {
    fn check(&self, at: u64, len_bytes: u64) -> Result<(), MemoryFault> {
        self.memory.check(self.base + at, len_bytes)
    }
    fn read(&self, at: u64, bytes: &mut [u8]) -> Result<(), MemoryFault> {
        self.memory.read(self.base + at, bytes)
    }
    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), MemoryFault> {
        match self.lives() {
            true => self.memory.write(self.base + at, bytes),
            false => Ok(()),
        }
    }
    fn load_u16(&self, at: u64) -> Result<u16, MemoryFault> {
        self.memory.load_u16(self.base + at)
    }
    fn store_u16(&self, at: u64, value: u16) -> Result<(), MemoryFault> {
        match self.lives() {
            true => self.memory.store_u16(self.base + at, value),
            false => Ok(()),
        }
    }
}

/// Takes all that is offered, ends what it is told to, and dies after so many writes.
fn life(memory: &VecMemory, driver: &Driver, writes: u32, end: &[u16]) -> Vec<u16> {
    let writes_left = Cell::new(writes);
    let mortal = |base| Mortal {
        memory,
        writes_left: &writes_left,
        base,
    };
    let (ram, region) = (mortal(0), mortal(REGION_AT as u64));
    let features = QueueFeatures::default();
    let mut queue = SplitQueue::new(&ram, driver.layout, features, 0).unwrap();
    let used = queue.next_used();
    let (mut inflight, recovered) =
        Inflight::open(&region, (0, SIZE), &driver.layout, used).unwrap();
    queue.go_on_at(recovered.next_available);
    for head in &recovered.heads {
        queue.take(&ram, *head).unwrap();
    }
    while let Some(chain) = queue.pop(&ram).unwrap() {
        inflight.begin(&region, chain.head).unwrap();
    }
    for head in end {
        inflight.ending(&region, *head).unwrap();
        queue.push(&ram, *head, 1).unwrap();
        let used = queue.next_used();
        inflight.ended(&region, *head, used).unwrap();
    }
    recovered.heads
}

fn offered(heads: &[u16]) -> (VecMemory, Driver) {
    let memory = VecMemory::new(0x1_0000);
    let mut driver = Driver::new(&memory, SIZE);
    for head in heads {
        let part = Part {
            at: 0x9000,
            len_bytes: 1,
        };
        driver.chain(&memory, *head, &[(part, true)]);
        driver.offer(&memory, *head);
    }
    (memory, driver)
}

#[test]
fn what_was_taken_is_done_again_in_its_order() {
    // INFLIGHT-2
    let order = [5, 0, 7, 3, 1];
    let (memory, driver) = offered(&order);
    assert_eq!(life(&memory, &driver, 1000, &[7]), Vec::<u16>::new());
    assert_eq!(life(&memory, &driver, 1000, &[1]), [5, 0, 3, 1]);
    assert_eq!(life(&memory, &driver, 1000, &[5, 0, 3]), [5, 0, 3]);
    assert_eq!(life(&memory, &driver, 1000, &[]), Vec::<u16>::new());
}

#[test]
fn wherever_it_dies_each_request_is_answered_once() {
    // INFLIGHT-1
    let order = [2, 6, 4];
    for writes in 0..40 {
        let (memory, mut driver) = offered(&order);
        life(&memory, &driver, writes, &[6, 2]);
        let mut answered = Vec::new();
        while let Some((head, _)) = driver.reap(&memory) {
            answered.push(head as u16);
        }
        let left: Vec<u16> = order
            .into_iter()
            .filter(|head| !answered.contains(head))
            .collect();
        life(&memory, &driver, u32::MAX, &left);
        while let Some((head, _)) = driver.reap(&memory) {
            answered.push(head as u16);
        }
        answered.sort_unstable();
        assert_eq!(answered, [2, 4, 6], "death after {writes} writes");
    }
}

#[test]
fn a_region_that_makes_no_sense_is_refused() {
    // INFLIGHT-3, F85
    let (memory, driver) = offered(&[1]);
    life(&memory, &driver, 1000, &[]);
    let writes_left = Cell::new(u32::MAX);
    let region = Mortal {
        memory: &memory,
        writes_left: &writes_left,
        base: REGION_AT as u64,
    };
    let open = |used| Inflight::open(&region, (0, SIZE), &driver.layout, used);
    assert!(matches!(
        open(100),
        Err(InflightError::Behind { behind: 100, .. })
    ));
    region.store_u16(12, 99).unwrap();
    assert!(matches!(open(1), Err(InflightError::Head { head: 99, .. })));
    region.store_u16(8, 7).unwrap();
    assert!(matches!(
        open(0),
        Err(InflightError::Version { version: 7 })
    ));
    let far = Inflight::open(&region, (1000, SIZE), &driver.layout, 0);
    assert!(matches!(far, Err(InflightError::Memory(_))));
    let small = Inflight::open(&region, (0, 4), &driver.layout, 0);
    assert!(matches!(small, Err(InflightError::Size { found: 4, .. })));
}

#[test]
fn what_was_stopped_is_not_done_again() {
    // INFLIGHT-4
    let (memory, driver) = offered(&[3, 1]);
    life(&memory, &driver, 1000, &[]);
    let writes_left = Cell::new(u32::MAX);
    let region = Mortal {
        memory: &memory,
        writes_left: &writes_left,
        base: REGION_AT as u64,
    };
    let open = || Inflight::open(&region, (0, SIZE), &driver.layout, 0).unwrap();
    let (inflight, recovered) = open();
    assert_eq!(recovered.heads, [3, 1]);
    inflight.forget(&region).unwrap();
    assert_eq!(open().1.heads, Vec::<u16>::new());
}

#[test]
fn a_driver_that_begins_anew_with_nothing_in_flight_is_welcome() {
    let (memory, driver) = offered(&[1, 2]);
    life(&memory, &driver, 1000, &[1, 2]);
    memory.write(0, &[0; 0x6000]).unwrap();
    assert_eq!(life(&memory, &driver, 1000, &[]), Vec::<u16>::new());
}

proptest! {
    #[test]
    fn no_region_makes_it_panic(
        bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 192),
        used in any::<u16>(),
        is_versioned: bool,
    ) {
        let (memory, driver) = offered(&[]);
        memory.write(0, &bytes).unwrap();
        if is_versioned {
            memory.write(8, &[1, 0, SIZE as u8, 0]).unwrap();
        }
        if let Ok((_, recovered)) = Inflight::open(&memory, (0, SIZE), &driver.layout, used) {
            let mut heads = recovered.heads.clone();
            heads.sort_unstable();
            heads.dedup();
            prop_assert_eq!(heads.len(), recovered.heads.len());
            prop_assert!(heads.iter().all(|head| *head < SIZE));
        }
    }
}
