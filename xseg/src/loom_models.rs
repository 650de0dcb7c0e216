//! Loom models of the lock-free code: one claim each. Run by `cargo xtask loom`, and with `--mutants` once for
//! each named ordering weakened to `Relaxed`, when one of the models here must fail (SYNC-1).

use std::sync::OnceLock;

use loom::sync::Arc;
use loom::thread;

use crate::bell::{Armed, Bell};
use crate::lane::{Backlog, Claimed, Lane};
use crate::name::{Name, Owner, PortId};
use crate::records::{self, Records};
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Every name that `ord!` and the fences carry. A name that is missing here makes the models panic.
const ORDERINGS: &[&str] = &[
    "claim.take",
    "claim.give-back",
    "claim.sent",
    "claim.unpublished",
    "lane.push",
    "lane.collect",
    "bell.arm",
    "bell.must-ring",
    "orphan.last-look",
    "leave.last-look",
    "push.last-look",
];

pub(crate) fn is_weakened(name: &str) -> bool {
    static WEAKENED: OnceLock<Option<String>> = OnceLock::new();
    assert!(ORDERINGS.contains(&name), "{name} is not in ORDERINGS");
    let weakened = WEAKENED.get_or_init(|| std::env::var("XSEG_WEAKEN").ok());
    weakened.as_deref() == Some(name)
}

mod orderings {
    #[test]
    fn list() {
        if std::env::var_os("XSEG_LIST_ORDERINGS").is_some() {
            for name in super::ORDERINGS {
                println!("ordering: {name}");
            }
        }
    }
}

fn name(port: u32, generation: u32) -> Name {
    Name {
        port: PortId::new(port).unwrap(),
        generation,
    }
}

/// A segment in a vector: one inbox lane, some records, one payload word for each record.
struct World {
    head: AtomicU64,
    taken: AtomicU64,
    bell: AtomicU32,
    owners: Vec<AtomicU64>,
    links: Vec<AtomicU64>,
    payloads: Vec<AtomicU64>,
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
    fn new(records: usize) -> Arc<Self> {
        let words = || (0..records).map(|_| AtomicU64::new(0)).collect::<Vec<_>>();
        Arc::new(Self {
            head: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            bell: AtomicU32::new(0),
            owners: words(),
            links: words(),
            payloads: words(),
        })
    }

    fn lane(&self) -> Lane<'_> {
        Lane {
            head: &self.head,
            taken: &self.taken,
        }
    }

    fn fill(&self, slot: u32, payload: u64) {
        self.payloads[slot as usize].store(payload, Ordering::Relaxed);
    }

    fn payload(&self, slot: u32) -> u64 {
        self.payloads[slot as usize].load(Ordering::Relaxed)
    }

    /// A sender's whole way: fill, name the destination, push.
    fn send(&self, slot: u32, by: Name, payload: u64) {
        self.fill(slot, payload);
        records::mark_sent(self.owner(slot), by, ME.port);
        self.lane().push(self, slot);
    }

    /// The receiver takes all there is; each record's payload must be its slot's.
    fn receive(&self, backlog: &mut Backlog) -> Vec<u32> {
        let mut got = Vec::new();
        self.lane().collect(self, backlog).unwrap();
        while let Some(claimed) = self
            .lane()
            .claim_next(self, backlog, ME.port, Owner::Held(ME))
        {
            let Claimed::Record { slot, .. } = claimed else {
                panic!("a stranger in the lane: {claimed:?}");
            };
            assert_eq!(
                self.payload(slot),
                u64::from(slot) + 100,
                "a half-written record"
            );
            got.push(slot);
        }
        got
    }
}

const ME: Name = Name {
    port: match PortId::new(0) {
        Some(port) => port,
        None => panic!(),
    },
    generation: 1,
};

/// LANE-1, LANE-4: two senders and a receiver at once; nothing lost, doubled, half-written or reordered.
#[test]
fn loom_lane_delivers_each_record_once_and_whole() {
    loom::model(|| {
        let world = World::new(3);
        let two = world.clone();
        let sender = thread::spawn(move || {
            two.send(0, name(1, 1), 100);
            two.send(1, name(1, 1), 101);
        });
        let one = world.clone();
        let other = thread::spawn(move || one.send(2, name(2, 1), 102));
        let mut backlog = Backlog::default();
        let mut got = world.receive(&mut backlog);
        sender.join().unwrap();
        other.join().unwrap();
        got.extend(world.receive(&mut backlog));
        let of_first: Vec<u32> = got.iter().copied().filter(|slot| *slot < 2).collect();
        assert_eq!(of_first, [0, 1], "order of one sender");
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2]);
    });
}

/// A record comes back to its sender by the same lane, is freed, and goes to somebody else: a reader that holds
/// on to an old head never takes the reused record for the old one.
#[test]
fn loom_lane_survives_reuse_of_its_newest_record() {
    loom::model(|| {
        let world = World::new(1);
        let sender = {
            let world = world.clone();
            thread::spawn(move || {
                world.send(0, name(1, 1), 100);
                // The receiver frees it; sent again it is a new push although the slot is the same.
                while world.owner(0).load(Ordering::Acquire) != Owner::FREE {
                    thread::yield_now();
                }
                assert!(records::take_free(world.owner(0), name(1, 1)));
                world.send(0, name(1, 1), 100);
            })
        };
        let mut backlog = Backlog::default();
        let mut got = 0;
        while got < 2 {
            for slot in world.receive(&mut backlog) {
                records::give_back(world.owner(slot));
                got += 1;
            }
            thread::yield_now();
        }
        sender.join().unwrap();
    });
}

/// BELL-1: a receiver that arms, looks and sleeps is always woken by a push. The futex is modelled by its
/// contract: it sleeps only while the word has the armed value, and a wake-up after that reaches it.
#[test]
fn loom_bell_loses_no_wake_up() {
    loom::model(|| {
        let world = World::new(1);
        let wakes = Arc::new(AtomicU32::new(0));
        let sender = {
            let (world, wakes) = (world.clone(), wakes.clone());
            thread::spawn(move || {
                world.send(0, name(1, 1), 100);
                if Bell(&world.bell).must_ring() {
                    wakes.fetch_add(1, Ordering::SeqCst);
                }
            })
        };
        let mut backlog = Backlog::default();
        let bell = Bell(&world.bell);
        let Armed(word) = bell.arm();
        let saw_work = world.lane().has_news(&backlog);
        sender.join().unwrap();
        if !saw_work {
            let woken = wakes.load(Ordering::SeqCst) > 0;
            let word_changed = world.bell.load(Ordering::SeqCst) != word;
            assert!(woken && word_changed, "asleep for ever beside a full inbox");
        }
        bell.disarm();
        assert_eq!(world.receive(&mut backlog), [0]);
    });
}

/// BELL-2, BELL-3: a sender killed between push and ring in a silent segment. The settler's ring, or the next
/// sender's, wakes the receiver, which then finds both records.
#[test]
fn loom_bell_of_a_sender_killed_before_its_ring_is_rung_by_the_settler() {
    loom::model(|| {
        let world = World::new(1);
        let victim = {
            let world = world.clone();
            thread::spawn(move || world.send(0, name(1, 1), 100)) // dies here: no ring
        };
        let mut backlog = Backlog::default();
        let bell = Bell(&world.bell);
        let Armed(word) = bell.arm();
        let saw_work = world.lane().has_news(&backlog);
        victim.join().unwrap();
        bell.ring(); // the settler's first act, after the death
        if !saw_work {
            assert_ne!(world.bell.load(Ordering::SeqCst), word);
        }
        assert_eq!(world.receive(&mut backlog), [0]);
    });
}

/// S1: two claimers race for one free record; one gets it, and sees all that the last owner did.
#[test]
fn loom_claim_has_one_winner_who_sees_the_last_owners_end() {
    loom::model(|| {
        let world = World::new(1);
        assert!(records::take_free(world.owner(0), name(9, 1)));
        let last = {
            let world = world.clone();
            thread::spawn(move || {
                world.fill(0, 1);
                world.fill(0, 0);
                records::give_back(world.owner(0));
            })
        };
        let racer = |port| {
            let world = world.clone();
            thread::spawn(move || {
                let won = records::take_free(world.owner(0), name(port, 1));
                if won {
                    assert_eq!(world.payload(0), 0, "the last owner was not done");
                    world.fill(0, u64::from(port));
                }
                won
            })
        };
        let (one, two) = (racer(1), racer(2));
        let wins = usize::from(one.join().unwrap()) + usize::from(two.join().unwrap());
        last.join().unwrap();
        assert!(wins <= 1);
    });
}

/// S2: a sender died after it named the destination and before it pushed. The destination and a second settler
/// race; one claims, and sees the finished record.
#[test]
fn loom_unpublished_record_is_settled_once_and_whole() {
    loom::model(|| {
        let world = World::new(1);
        let dead = name(1, 1);
        let victim = {
            let world = world.clone();
            thread::spawn(move || {
                world.fill(0, 100);
                records::mark_sent(world.owner(0), dead, ME.port); // dies here
            })
        };
        let settler = {
            let world = world.clone();
            thread::spawn(move || settle_one(&world, dead))
        };
        let mine = settle_one(&world, dead);
        let theirs = settler.join().unwrap();
        victim.join().unwrap();
        assert!(!(mine && theirs));
    });
}

fn settle_one(world: &World, dead: Name) -> bool {
    let claimed = records::claim_unpublished(world.owner(0), dead, ME.port, Owner::Held(ME));
    if claimed {
        assert_eq!(world.payload(0), 100, "a half-written record");
    }
    claimed
}

/// S6: the receiver dies at any step of its taking; its successor, starting from `taken`, finds each record
/// exactly once: unclaimed in the lane, or held by the dead name.
#[test]
fn loom_successor_finds_every_record_of_a_dead_receiver_once() {
    for claims_before_death in 0..=2 {
        loom::model(move || {
            let world = World::new(3);
            let sender = {
                let world = world.clone();
                thread::spawn(move || {
                    for slot in 0..3 {
                        world.send(slot, name(1, 1), u64::from(slot) + 100);
                    }
                })
            };
            let victim = {
                let world = world.clone();
                thread::spawn(move || {
                    let mut backlog = Backlog::default();
                    world.lane().collect(&*world, &mut backlog).unwrap();
                    for _ in 0..claims_before_death {
                        world
                            .lane()
                            .claim_next(&*world, &mut backlog, ME.port, Owner::Held(ME));
                    }
                })
            };
            victim.join().unwrap();
            let held: Vec<u32> = (0..3)
                .filter(|slot| world.owner(*slot).load(Ordering::Relaxed) == Owner::Held(ME).pack())
                .collect();
            let mut backlog = Backlog::resume(world.lane());
            let mut got = world.receive(&mut backlog);
            sender.join().unwrap();
            got.extend(world.receive(&mut backlog));
            got.extend(held);
            got.sort_unstable();
            assert_eq!(got, [0, 1, 2]);
        });
    }
}

/// Two views of one orphaned buffer end at the same time: at least one of the two sees that it was the last
/// (and the exact compare-exchange lets only one of them free the buffer).
#[test]
fn loom_last_orphan_on_a_buffer_notices_that_it_is_the_last() {
    loom::model(|| {
        let world = World::new(2);
        for slot in 0..2 {
            assert!(records::take_free(world.owner(slot), name(1, 1)));
        }
        let end = |mine: u32, other: u32| {
            let world = world.clone();
            move || {
                records::give_back(world.owner(mine));
                crate::sync::full_fence("orphan.last-look");
                world.owner(other).load(Ordering::Relaxed) == Owner::FREE
            }
        };
        let first = thread::spawn(end(0, 1));
        let second_is_last = end(1, 0)();
        assert!(first.join().unwrap() || second_is_last, "the buffer leaks");
    });
}

/// LEAVE-2: a port is given back while an answer is pushed to it. The sender's last look sees the port gone and gets
/// its lock, or whoever has the lock sees the answer after giving it back.
#[test]
fn loom_nothing_is_left_in_the_inbox_of_a_port_that_was_given_back() {
    const BOUND: u32 = 2;
    const FREE: u32 = 4;
    loom::model(|| {
        let world = World::new(1);
        world.bell.store(BOUND, Ordering::Relaxed); // stands for the life word
        let lock = Arc::new(AtomicU32::new(1)); // the leaver's
        let sender = {
            let (world, lock) = (world.clone(), lock.clone());
            thread::spawn(move || {
                world.send(0, name(1, 1), 100);
                crate::sync::fence_after_rmw("push.last-look");
                world.bell.load(Ordering::Relaxed) == FREE && try_lock(&lock)
            })
        };
        world.bell.store(FREE, Ordering::Release);
        lock.store(0, Ordering::Release);
        crate::sync::full_fence("leave.last-look");
        let leaver_sweeps = world.lane().has_news(&Backlog::default()) && try_lock(&lock);
        let sender_sweeps = sender.join().unwrap();
        assert!(
            leaver_sweeps || sender_sweeps,
            "an answer lies in a dead letter box"
        );
    });
}

/// As the gate's.
fn try_lock(lock: &AtomicU32) -> bool {
    lock.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
        .is_ok()
}
