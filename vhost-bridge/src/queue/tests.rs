//! QUEUE-1 to QUEUE-5: rings of guests that are honest, careless and hostile (F85).

use proptest::prelude::*;

use super::model::{Driver, INDIRECT, NEXT, VecMemory, WRITE, descriptor};
use super::*;

const MEMORY_BYTES: usize = 0x1_0000;
const SIZE: u16 = 8;
const DATA: u64 = 0x9000;
const ALL: QueueFeatures = QueueFeatures {
    indirect: true,
    event_index: true,
};

fn part(at: u64, len_bytes: u32) -> Part {
    Part { at, len_bytes }
}

fn ring(features: QueueFeatures) -> (VecMemory, Driver, SplitQueue) {
    let memory = VecMemory::new(MEMORY_BYTES);
    let driver = Driver::new(&memory, SIZE);
    let queue = SplitQueue::new(&memory, driver.layout, features, 0).unwrap();
    (memory, driver, queue)
}

/// What comes of a ring whose descriptors are these, and whose head is the first.
fn popped(descriptors: &[[u8; 16]]) -> Result<Option<Chain>, QueueError> {
    let (memory, mut driver, mut queue) = ring(ALL);
    for (index, bytes) in descriptors.iter().enumerate() {
        driver.describe(&memory, index as u16, *bytes);
    }
    driver.offer(&memory, 0);
    queue.pop(&memory)
}

#[test]
fn chains_come_in_order_and_go_back() {
    let (memory, mut driver, mut queue) = ring(QueueFeatures::default());
    for round in 0..40u32 {
        let parts = [(part(DATA, 16), false), (part(DATA + 512, 1), true)];
        driver.chain(&memory, 2, &parts);
        driver.chain(&memory, 5, &parts[1..]);
        driver.offer(&memory, 2);
        driver.offer(&memory, 5);
        let first = queue.pop(&memory).unwrap().unwrap();
        let second = queue.pop(&memory).unwrap().unwrap();
        assert_eq!(queue.pop(&memory), Ok(None));
        assert_eq!(first.readable, [part(DATA, 16)]);
        assert_eq!(first.writable, [part(DATA + 512, 1)]);
        assert_eq!(second.head, 5);
        assert_eq!(queue.push(&memory, 5, round), Ok(true));
        assert_eq!(queue.push(&memory, 2, 1), Ok(true));
        assert_eq!(driver.reap(&memory), Some((5, round)));
        assert_eq!(driver.reap(&memory), Some((2, 1)));
        assert_eq!(driver.reap(&memory), None);
    }
}

#[test]
fn indices_go_round_after_65535() {
    let memory = VecMemory::new(MEMORY_BYTES);
    let mut driver = Driver::new(&memory, SIZE);
    (driver.available, driver.used) = (u16::MAX, u16::MAX);
    memory.store_u16(0x5002, u16::MAX).unwrap();
    driver.publish(&memory, u16::MAX);
    let mut queue = SplitQueue::new(&memory, driver.layout, ALL, u16::MAX).unwrap();
    for _ in 0..3 {
        driver.chain(&memory, 0, &[(part(DATA, 1), true)]);
        driver.offer(&memory, 0);
        assert!(queue.pop(&memory).unwrap().is_some());
        queue.push(&memory, 0, 1).unwrap();
        assert_eq!(driver.reap(&memory), Some((0, 1)));
    }
    assert_eq!(queue.next_available(), 2);
    assert_eq!(queue.next_used(), 2);
}

#[test]
fn an_indirect_table_is_walked_like_the_ring_s_own() {
    let (memory, mut driver, mut queue) = ring(ALL);
    let table = DATA + 0x100;
    driver.describe(&memory, 0, descriptor(DATA, 16, NEXT, 1));
    driver.describe(&memory, 1, descriptor(table, 32, INDIRECT, 0));
    memory
        .write(table, &descriptor(DATA + 16, 512, NEXT, 1))
        .unwrap();
    memory
        .write(table + 16, &descriptor(DATA + 1024, 1, WRITE, 0))
        .unwrap();
    driver.offer(&memory, 0);
    let chain = queue.pop(&memory).unwrap().unwrap();
    assert_eq!(chain.readable, [part(DATA, 16), part(DATA + 16, 512)]);
    assert_eq!(chain.writable, [part(DATA + 1024, 1)]);
}

#[test]
fn hostile_chains_are_errors_of_their_ring() {
    // QUEUE-1, QUEUE-3, F85
    let looped = [descriptor(DATA, 1, NEXT, 1), descriptor(DATA, 1, NEXT, 0)];
    assert_eq!(popped(&looped), Err(QueueError::Loop { head: 0 }));
    let itself = [descriptor(DATA, 1, NEXT, 0)];
    assert_eq!(popped(&itself), Err(QueueError::Loop { head: 0 }));
    let beyond = [descriptor(DATA, 1, NEXT, SIZE)];
    assert_eq!(
        popped(&beyond),
        Err(QueueError::DescriptorOutside { index: 8, count: 8 })
    );
    for (at, len_bytes) in [
        (MEMORY_BYTES as u64, 1),
        (MEMORY_BYTES as u64 - 1, 2),
        (u64::MAX, 1),
        (u64::MAX - 3, u32::MAX),
    ] {
        let outside = popped(&[descriptor(at, len_bytes, 0, 0)]);
        assert!(matches!(outside, Err(QueueError::Memory(_))), "{at:#x}");
    }
    let empty = [descriptor(DATA, 0, 0, 0)];
    assert_eq!(popped(&empty), Err(QueueError::Empty { head: 0 }));
    let backwards = [
        descriptor(DATA, 1, NEXT | WRITE, 1),
        descriptor(DATA, 1, 0, 0),
    ];
    assert_eq!(
        popped(&backwards),
        Err(QueueError::WritableFirst { head: 0 })
    );
}

#[test]
fn hostile_indirect_tables_are_errors_of_their_ring() {
    // QUEUE-1, F85
    for len_bytes in [0, 8, 17, 16 * 1025, u32::MAX] {
        let table = popped(&[descriptor(DATA, len_bytes, INDIRECT, 0)]);
        assert!(
            matches!(table, Err(QueueError::IndirectLength { .. })),
            "{len_bytes}"
        );
    }
    let with_next = popped(&[descriptor(DATA, 16, INDIRECT | NEXT, 1)]);
    assert_eq!(with_next, Err(QueueError::IndirectWithNext));
    let outside = popped(&[descriptor(u64::MAX - 15, 16, INDIRECT, 0)]);
    assert!(matches!(outside, Err(QueueError::Memory(_))));

    // Address 0 is the ring's own table: a table that is its own entry.
    let nested = popped(&[descriptor(0, 16, INDIRECT, 0)]);
    assert_eq!(nested, Err(QueueError::IndirectNested));

    let (memory, mut driver, _) = ring(ALL);
    let features = QueueFeatures::default();
    let mut queue = SplitQueue::new(&memory, driver.layout, features, 0).unwrap();
    driver.describe(&memory, 0, descriptor(DATA, 16, INDIRECT, 0));
    driver.offer(&memory, 0);
    assert_eq!(queue.pop(&memory), Err(QueueError::IndirectNotNegotiated));
}

#[test]
fn an_index_that_jumps_and_heads_that_are_not_free_are_refused() {
    // QUEUE-1, QUEUE-2, F85
    let (memory, mut driver, mut queue) = ring(ALL);
    driver.publish(&memory, SIZE + 1);
    assert!(matches!(
        queue.pop(&memory),
        Err(QueueError::AvailableJumped { .. })
    ));
    driver.offer(&memory, SIZE);
    assert!(matches!(
        queue.pop(&memory),
        Err(QueueError::HeadOutside { head: SIZE, .. })
    ));

    let (memory, mut driver, mut queue) = ring(ALL);
    driver.chain(&memory, 3, &[(part(DATA, 1), true)]);
    driver.offer(&memory, 3);
    driver.offer(&memory, 3);
    assert!(queue.pop(&memory).unwrap().is_some());
    assert_eq!(queue.pop(&memory), Err(QueueError::HeadTaken { head: 3 }));
    let not_taken = queue.push(&memory, 4, 0);
    assert_eq!(not_taken, Err(QueueError::HeadNotTaken { head: 4 }));
}

#[test]
fn rings_of_odd_sizes_and_at_odd_places_are_refused() {
    let memory = VecMemory::new(MEMORY_BYTES);
    for size in [0, 3, 1000, 2048, 1 << 16, u32::MAX] {
        let refused = Layout::new(&memory, size, [0, 0x4000, 0x5000]);
        assert!(matches!(refused, Err(QueueError::Size { .. })), "{size}");
    }
    for places in [
        [8, 0x4000, 0x5000],
        [0, 0x4001, 0x5000],
        [0, 0x4000, 0x5002],
    ] {
        let refused = Layout::new(&memory, 8, places);
        assert!(matches!(refused, Err(QueueError::Alignment { .. })));
    }
    for places in [
        [0xfff0, 0x4000, 0x5000],
        [0, u64::MAX - 1, 0x5000],
        [0, 0x4000, 0xfffc],
    ] {
        let refused = Layout::new(&memory, 8, places);
        assert!(matches!(refused, Err(QueueError::Memory(_))));
    }
}

#[test]
fn a_driver_is_told_when_it_wants_to_be() {
    // QUEUE-4
    let (memory, mut driver, mut queue) = ring(ALL);
    let used_event = driver.layout.used_event_at();
    let available_event = driver.layout.available_event_at();
    for head in 0..3 {
        driver.chain(&memory, head, &[(part(DATA, 1), true)]);
        driver.offer(&memory, head);
    }
    memory.store_u16(used_event, 1).unwrap();
    for _ in 0..3 {
        queue.pop(&memory).unwrap();
    }
    assert_eq!(queue.push(&memory, 0, 1), Ok(false));
    assert_eq!(queue.push(&memory, 1, 1), Ok(true));
    assert_eq!(queue.push(&memory, 2, 1), Ok(false));
    assert_eq!(queue.listen(&memory), Ok(false));
    assert_eq!(memory.load_u16(available_event), Ok(3));
    driver.offer(&memory, 0);
    assert_eq!(queue.listen(&memory), Ok(true));

    let (memory, mut driver, mut queue) = ring(QueueFeatures::default());
    driver.chain(&memory, 0, &[(part(DATA, 1), true)]);
    driver.offer(&memory, 0);
    queue.pop(&memory).unwrap();
    memory.store_u16(0x4000, 1).unwrap();
    assert_eq!(queue.push(&memory, 0, 1), Ok(false));
}

#[test]
fn a_ring_does_not_go_on_before_what_was_answered() {
    // QUEUE-5
    for first in [0, 3, u16::MAX - 1] {
        let (memory, driver, _) = ring(ALL);
        let used = first.wrapping_add(2);
        memory
            .store_u16(driver.layout.used_index_at(), used)
            .unwrap();
        let at = |base| {
            let queue = SplitQueue::new(&memory, driver.layout, ALL, base);
            queue.unwrap().next_available()
        };
        assert_eq!(at(first), used, "noted before the last two were answered");
        assert_eq!(at(used), used);
        let ahead = used.wrapping_add(1);
        assert_eq!(
            at(ahead),
            ahead,
            "one that was never answered is not asked for again"
        );
        assert_eq!(at(used.wrapping_sub(SIZE)), used);
        let before = used.wrapping_sub(SIZE + 1);
        assert_eq!(at(before), before, "it is no index of this ring's");
    }
}

proptest! {
    #[test]
    fn no_ring_makes_it_panic_or_walk_for_ever(
        table in prop::collection::vec(
            (0u64..0x1_0010, prop_oneof![Just(16u32), Just(32), 0u32..0x200], 0u16..8, 0u16..10),
            SIZE as usize,
        ),
        entries in prop::collection::vec(0u16..10, SIZE as usize),
        index in 0u16..12,
    ) {
        // QUEUE-1, QUEUE-3
        let (memory, driver, mut queue) = ring(ALL);
        for (number, (at, len_bytes, flags, next)) in table.into_iter().enumerate() {
            driver.describe(&memory, number as u16, descriptor(at, len_bytes, flags, next));
        }
        for (number, head) in entries.into_iter().enumerate() {
            memory.write(0x4004 + 2 * number as u64, &head.to_le_bytes()).unwrap();
        }
        driver.publish(&memory, index);
        let mut count = 0;
        while let Ok(Some(chain)) = queue.pop(&memory) {
            count += 1;
            prop_assert!(count <= SIZE);
            for part in chain.readable.iter().chain(&chain.writable) {
                prop_assert!(memory.check(part.at, part.len_bytes.into()).is_ok());
                prop_assert!(part.len_bytes > 0);
            }
            queue.push(&memory, chain.head, 1).unwrap();
        }
    }
}
