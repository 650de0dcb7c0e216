//! The lane against a queue that anybody can understand, with receivers that die, and against hostile words.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const ME: PortId = PortId::new(0).unwrap();
const RECORDS: u32 = 8;

/// A lane and its records in plain memory.
struct World {
    head: AtomicU64,
    taken: AtomicU64,
    owners: Vec<AtomicU64>,
    links: Vec<AtomicU64>,
}

impl Records for World {
    fn count(&self) -> u32 {
        self.owners.len() as u32
    }
    fn owner(&self, slot: u32) -> &AtomicU64 {
        &self.owners[slot as usize]
    }
    fn next(&self, slot: u32) -> &AtomicU64 {
        &self.links[slot as usize]
    }
}

impl World {
    fn new(head: u64) -> Self {
        let words = || (0..RECORDS).map(|_| AtomicU64::new(0)).collect();
        Self {
            head: AtomicU64::new(head),
            taken: AtomicU64::new(head),
            owners: words(),
            links: words(),
        }
    }

    fn lane(&self) -> Lane<'_> {
        Lane {
            head: &self.head,
            taken: &self.taken,
        }
    }

    fn owner_of(&self, slot: u32) -> Owner {
        Owner::unpack(self.owners[slot as usize].load(Ordering::Relaxed)).unwrap()
    }

    fn collect(&self, backlog: &mut Backlog) -> Result<(), Broken> {
        self.lane().collect(self, backlog)
    }

    fn claim(&self, backlog: &mut Backlog, generation: u32) -> Option<Claimed> {
        let mine = Owner::Held(name(ME, generation));
        self.lane().claim_next(self, backlog, ME, mine)
    }
}

fn name(port: PortId, generation: u32) -> Name {
    Name { port, generation }
}

fn sender(number: u32) -> Name {
    name(PortId::new(number + 1).unwrap(), 1)
}

#[derive(Clone, Debug)]
enum Step {
    /// This sender pushes some free record.
    Push(u32),
    Collect,
    Claim,
    /// The oldest record that is held goes back to all.
    Free,
    /// The receiver dies and its successor starts.
    Die,
    /// It dies between its claim and `taken`.
    DieClaiming,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..3_u32).prop_map(Step::Push),
        2 => Just(Step::Collect),
        4 => Just(Step::Claim),
        3 => Just(Step::Free),
        1 => Just(Step::Die),
        1 => Just(Step::DieClaiming),
    ];
    prop::collection::vec(step, 0..200)
}

/// The lane, and what must be in it.
struct Checked {
    world: World,
    backlog: Backlog,
    generation: u32,
    /// Pushed and not claimed, oldest first.
    waiting: VecDeque<(u32, Name)>,
    held: VecDeque<u32>,
}

impl Checked {
    fn push(&mut self, by: u32) {
        let free = (0..RECORDS).find(|slot| self.world.owner_of(*slot) == Owner::Free);
        let Some(slot) = free else { return };
        let word = &self.world.owners[slot as usize];
        assert!(records::take_free(word, sender(by)));
        records::mark_sent(word, sender(by), ME);
        self.world.lane().push(&self.world, slot);
        self.waiting.push_back((slot, sender(by)));
    }

    /// LANE-4: the oldest, and nothing that was not collected.
    fn claim(&mut self) {
        match self.world.claim(&mut self.backlog, self.generation) {
            None => assert!(self.backlog.is_empty()),
            Some(Claimed::NotOurs { slot }) => panic!("record {slot} is ours"),
            Some(Claimed::Record { slot, by }) => {
                assert_eq!(self.waiting.pop_front(), Some((slot, by)));
                self.held.push_back(slot);
            }
        }
    }

    fn free(&mut self) {
        if let Some(slot) = self.held.pop_front() {
            // Whoever has it next writes its own link.
            self.world.links[slot as usize].store(u64::MAX, Ordering::Relaxed);
            records::give_back(&self.world.owners[slot as usize]);
        }
    }

    /// LANE-2, LANE-3: the next incarnation finds every unclaimed record, and never the claimed one.
    fn die(&mut self, while_claiming: bool) {
        if while_claiming && let Some(entry) = self.backlog.waiting.front() {
            let word = &self.world.owners[entry.slot as usize];
            let mine = Owner::Held(name(ME, self.generation));
            assert!(records::claim_sent(word, ME, mine).is_some());
            self.held
                .extend(self.waiting.pop_front().map(|(slot, _)| slot));
        }
        self.generation += 1;
        let lane = self.world.lane();
        self.backlog = Backlog::resume(lane);
        self.world.collect(&mut self.backlog).unwrap();
        lane.skip_claimed(&self.world, &mut self.backlog, ME);
        let found: Vec<u32> = self.backlog.slots().collect();
        let expected: Vec<u32> = self.waiting.iter().map(|(slot, _)| *slot).collect();
        assert_eq!(found, expected);
    }
}

proptest! {
    /// LANE-1 to LANE-4, from an ordinary start and from just before the count of pushes wraps.
    #[test]
    fn a_lane_is_a_queue_whoever_dies(steps in steps(), wraps in any::<bool>()) {
        let head = if wraps { 0xffff_fffd_0000_0000 } else { 0 };
        let world = World::new(head);
        let mut checked = Checked {
            backlog: Backlog::resume(world.lane()),
            world,
            generation: 1,
            waiting: VecDeque::new(),
            held: VecDeque::new(),
        };
        for step in steps {
            match step {
                Step::Push(by) => checked.push(by),
                Step::Collect => checked.world.collect(&mut checked.backlog).unwrap(),
                Step::Claim => checked.claim(),
                Step::Free => checked.free(),
                Step::Die => checked.die(false),
                Step::DieClaiming => checked.die(true),
            }
        }
        checked.world.collect(&mut checked.backlog).unwrap();
        while !checked.backlog.is_empty() {
            checked.claim();
        }
        prop_assert!(checked.waiting.is_empty());
        prop_assert!(checked.world.lane().is_empty());
    }

    /// LANE-5: whatever the words hold, a walk ends, and everything that is claimed exists and was on its way to us.
    #[test]
    fn a_walk_over_hostile_words_ends(
        head in word(), taken in word(),
        links in prop::collection::vec(word(), RECORDS as usize),
        owners in prop::collection::vec(owner_word(), RECORDS as usize),
    ) {
        let world = World::new(0);
        world.head.store(head, Ordering::Relaxed);
        world.taken.store(taken, Ordering::Relaxed);
        for slot in 0..RECORDS as usize {
            world.links[slot].store(links[slot], Ordering::Relaxed);
            world.owners[slot].store(owners[slot], Ordering::Relaxed);
        }
        let mut backlog = Backlog::resume(world.lane());
        let walked = world.collect(&mut backlog);
        prop_assert!(backlog.slots().count() <= RECORDS as usize);
        prop_assert!(walked.is_ok() || backlog.is_empty());
        let mut claims = 0;
        while let Some(claimed) = world.claim(&mut backlog, 1) {
            if let Claimed::Record { slot, .. } = claimed {
                prop_assert!(slot < RECORDS);
                prop_assert_eq!(owners[slot as usize] >> 60, 2);
                claims += 1;
            }
        }
        prop_assert!(claims <= RECORDS);
        // It works again afterwards: what was there is behind us.
        prop_assert_eq!(world.collect(&mut backlog), Ok(()));
        prop_assert!(backlog.is_empty());
    }
}

/// Words that lead somewhere more often than random ones do.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0..4_u64, 0..u64::from(RECORDS) + 2).prop_map(|(pushes, slot)| pushes << 32 | slot),
    ]
}

fn owner_word() -> impl Strategy<Value = u64> {
    let sent = (0..4_u32, 0..3_u32).prop_map(|(by, to)| {
        let to = PortId::new(to).unwrap();
        let by = sender(by);
        Owner::Sent { by, to }.pack()
    });
    prop_oneof![any::<u64>(), sent]
}

#[test]
fn a_broken_lane_is_cut_off_and_later_pushes_arrive() {
    let world = World::new(0);
    let mut backlog = Backlog::resume(world.lane());
    for slot in 0..3 {
        records::mark_sent(&world.owners[slot as usize], sender(0), ME);
        world.lane().push(&world, slot);
    }
    world.links[1].store(77, Ordering::Relaxed); // leads to a record that does not exist
    let broken = world.collect(&mut backlog).unwrap_err();
    assert_eq!(
        broken,
        Broken {
            field: "lane link",
            value: 77
        }
    );
    assert!(backlog.is_empty());
    assert_eq!(world.collect(&mut backlog), Ok(()), "told once");

    records::mark_sent(&world.owners[5], sender(1), ME);
    world.lane().push(&world, 5);
    world.collect(&mut backlog).unwrap();
    let by = sender(1);
    assert_eq!(
        world.claim(&mut backlog, 1),
        Some(Claimed::Record { slot: 5, by })
    );
    // A successor begins behind the damage.
    let mut next = Backlog::resume(world.lane());
    assert_eq!(world.collect(&mut next), Ok(()));
    assert!(next.is_empty());
}

#[test]
fn a_record_for_another_port_is_passed_over() {
    let world = World::new(0);
    let mut backlog = Backlog::resume(world.lane());
    let stranger = PortId::new(9).unwrap();
    records::mark_sent(&world.owners[0], sender(0), stranger);
    world.lane().push(&world, 0);
    world.collect(&mut backlog).unwrap();
    assert_eq!(
        world.claim(&mut backlog, 1),
        Some(Claimed::NotOurs { slot: 0 })
    );
    let by = sender(0);
    assert_eq!(world.owner_of(0), Owner::Sent { by, to: stranger });
}
