//! An owner that is stopped at each moment, fenced by its lease, and goes on: nothing that it answered is lost, and nothing that it
//! does late is answered (L3, F49).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use archipelago_mapperd::engine::{MapError, Mapper, Volume, World};
use archipelago_store::Store;
use archipelago_store::sim::block_on;

use crate::client::{SECTORS, create_new, lock_of, read_sub, snapshot, write_sub};
use crate::taken::stopped_for;
use crate::world::{COMPOSER, SimWorld, beside, mapper_of};

const BLOCK_BYTES: u64 = 1 << 16;
const SIZE_BYTES: u64 = 4 * BLOCK_BYTES;
/// One block.
const SUBS: u64 = 16;

/// What clients were told: by sub-block, what was answered last, and what was asked since and not answered.
#[derive(Debug, Default)]
struct Told {
    answered: BTreeMap<u64, u64>,
    unsure: BTreeMap<u64, Vec<u64>>,
    is_over: bool,
    after: u64,
}

impl Told {
    fn may_be(&self, sub: u64, value: u64) -> bool {
        let unsure = self.unsure.get(&sub);
        self.answered.get(&sub) == Some(&value)
            || unsure.is_some_and(|unsure| unsure.contains(&value))
    }
}

/// A composer of this node: it knows the lease before it begins, and answers only by that one (UNDER-1).
struct Node<'a> {
    mapper: &'a Mapper<SimWorld>,
    volume: Rc<Volume<SimWorld>>,
    told: &'a RefCell<Told>,
}

impl Node<'_> {
    async fn write(&self, sub: u64, value: u64) -> Result<(), MapError> {
        let generation = self.mapper.vouch(&self.volume).await?; // VOUCH-1
        self.begin(sub, value);
        write_sub(self.mapper, &self.volume, sub, &[value; SECTORS]).await?;
        self.answer(sub, value, generation);
        Ok(())
    }

    fn begin(&self, sub: u64, value: u64) {
        let mut told = self.told.borrow_mut();
        told.unsure.entry(sub).or_default().push(value);
    }

    fn answer(&self, sub: u64, value: u64, generation: u64) {
        if self.mapper.base().world.is_lease_in_force(generation) {
            let mut told = self.told.borrow_mut();
            told.answered.insert(sub, value);
            told.unsure.remove(&sub);
            told.after += u64::from(told.is_over);
        }
    }

    async fn discard(&self, subs: u64) -> Result<(), MapError> {
        let generation = self.mapper.vouch(&self.volume).await?;
        for sub in 0..subs {
            self.begin(sub, 0);
        }
        let bytes = subs * (BLOCK_BYTES / SUBS);
        self.volume.discard(Some(COMPOSER), 0, bytes).await?;
        for sub in 0..subs {
            self.answer(sub, 0, generation);
        }
        Ok(())
    }

    /// All that an owner does, with what it answers in between.
    async fn work(&self) -> Result<(), MapError> {
        for sub in 0..SUBS {
            self.write(sub, 100 + sub).await?; // in place
        }
        self.volume.flush().await?;
        self.discard(4).await?;
        self.volume.reclaim().await?;
        self.write(1, 201).await?; // to a new place
        self.volume.checkpoint(0).await?;
        let id = self.mapper.base().world.random_id();
        self.mapper.snapshot("v", "s2", id).await?;
        for sub in 0..SUBS / 2 {
            self.write(sub, 300 + sub).await?;
        }
        self.mapper.resize("v", 2 * SIZE_BYTES, false).await?;
        self.write(0, 400).await
    }
}

/// FENCE-1, by steps: marked, then the lease taken away and waited for, then free.
async fn fence(first: &Mapper<SimWorld>, second: &Mapper<SimWorld>, volume: &Volume<SimWorld>) {
    let world = &second.base().world;
    let lock = lock_of(volume);
    if world.maps().mark_lock(&lock, world.owner()).is_ok() {
        first.base().world.end_lease();
        let opened = second.open("v", false).await.map(drop);
        assert!(
            matches!(opened, Err(MapError::Locked { .. })),
            "it is not free yet"
        );
        world
            .maps()
            .unlock(&lock, world.owner(), true)
            .await
            .unwrap();
    }
}

/// The next owner's writes are there, and of the rest what was answered, or may have been done.
async fn is_as_told(
    second: &Mapper<SimWorld>,
    new: &Volume<SimWorld>,
    told: &Told,
    seen: &[u64],
    moment: u64,
) {
    for sub in 0..SUBS {
        let [value, ..] = read_sub(second, new, sub).await.unwrap();
        let is_as_it_should_be = match sub % 2 {
            0 => value == 900 + sub, // BREAK-1
            _ => value == seen[sub as usize] || told.may_be(sub, value),
        };
        assert!(is_as_it_should_be, "{moment}: {sub} is {value}, {told:?}");
    }
}

/// UNDER-1, VOUCH-1, VOUCH-2, BREAK-1, F47, F49
#[test]
fn an_owner_that_was_fenced_while_it_stood_still_answers_nothing_more_and_its_answers_stay() {
    let mut moments = 0;
    for moment in 0.. {
        let was_stopped = block_on(async {
            let first = mapper_of(SimWorld::new(1).owned_by("first"));
            create_new(&first, "v", SIZE_BYTES).await;
            let old = first.open("v", false).await.unwrap();
            let told = RefCell::new(Told::default());
            let node = Node {
                mapper: &first,
                volume: old.clone(),
                told: &told,
            };
            for sub in 0..SUBS {
                node.write(sub, sub + 1).await.unwrap();
            }
            for store in [first.base().world.maps(), first.base().world.data()] {
                store.set_yields_max(2);
            }
            let second = beside(&first, "second");
            let work = async {
                drop(node.work().await); // it is refused at some step
            };
            let mut found = None;
            let meanwhile = async {
                fence(&first, &second, &old).await;
                told.borrow_mut().is_over = true;
                let new = second.open("v", false).await.unwrap();
                let mut seen = Vec::new();
                for sub in 0..SUBS {
                    let [value, ..] = read_sub(&second, &new, sub).await.unwrap();
                    assert!(
                        told.borrow().may_be(sub, value),
                        "{moment}: {sub} is {value}, {told:?}"
                    );
                    seen.push(value);
                }
                // Half of it is the next owner's.
                for sub in (0..SUBS).step_by(2) {
                    write_sub(&second, &new, sub, &[900 + sub; SECTORS])
                        .await
                        .unwrap();
                }
                snapshot(&second, "v", "t").await;
                // The first one finds out as soon as it looks, whether its keeper or itself comes first.
                if moment % 2 == 0 {
                    first.base().world.begin_lease();
                }
                found = Some((new, seen));
            };
            let was_stopped = stopped_for(moment, work, meanwhile).await;
            let (new, seen) = found.unwrap();
            if was_stopped {
                assert_eq!(told.borrow().after, 0, "{moment}: answered late"); // UNDER-1
            }
            is_as_told(&second, &new, &told.take(), &seen, moment).await;
            // The first one knows by now, or learns it before it tells anything.
            first.base().world.begin_lease();
            let vouched = first.vouch(&old).await;
            assert!(vouched.is_err() || !was_stopped, "{moment}: {vouched:?}");
            was_stopped
        });
        moments += 1;
        if !was_stopped {
            break;
        }
    }
    assert!(moments > 80, "{moments} moments");
}

/// VOUCH-1, VOUCH-2: the lease was lost for the sake of another lock. This one is ours, and what was changed is answered.
#[test]
fn who_loses_the_lease_and_not_the_lock_goes_on() {
    block_on(async {
        let first = mapper_of(SimWorld::new(1).owned_by("first"));
        create_new(&first, "v", SIZE_BYTES).await;
        let volume = first.open("v", false).await.unwrap();
        assert_eq!(first.vouch(&volume).await, Ok(1));
        first.base().world.end_lease();
        first.resize("v", 2 * SIZE_BYTES, false).await.unwrap(); // it waits until there is one
        assert_eq!(first.vouch(&volume).await, Ok(2));
        assert!(!volume.has_ended());
        write_sub(&first, &volume, 1, &[7; SECTORS]).await.unwrap();
    });
}

/// VOUCH-2, FENCE-1: what was changed as a whole under a lock that was lost is not answered; and a break that was cut off ends with it.
#[test]
fn a_change_of_a_volume_that_is_being_broken_is_refused_and_its_lock_becomes_free() {
    block_on(async {
        let first = mapper_of(SimWorld::new(1).owned_by("first"));
        create_new(&first, "v", SIZE_BYTES).await;
        let volume = first.open("v", false).await.unwrap();
        let second = beside(&first, "second");
        let (lock, world) = (lock_of(&volume), &second.base().world);
        world.maps().mark_lock(&lock, world.owner()).unwrap();
        first.base().world.end_lease();
        let resized = first.resize("v", 2 * SIZE_BYTES, false).await;
        assert!(
            matches!(resized, Err(MapError::Taken { .. })),
            "{resized:?}"
        ); // VOUCH-2
        assert!(volume.has_ended(), "it is dropped");
        // Nobody comes to free it, but who lost it.
        assert_eq!(world.maps().lock_owner(&lock).await, Ok(None));
        second.open("v", false).await.unwrap();
    });
}
