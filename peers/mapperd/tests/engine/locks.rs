//! Locks that were asked for by name, while others do what they do with locks.

use std::future::{Future, poll_fn};
use std::pin::pin;

use archipelago_mapperd::engine::{Force, GcMode, GcReport, Mapper, World};
use archipelago_mapperd::map::VolumeId;
use archipelago_store::sim::{block_on, join, yield_now};

use crate::client::create_new;
use crate::gc::{create, family, write};
use crate::world::{SimWorld, beside, crashed_now, killed, mapper_of, objects_of};

const SIZE_BYTES: u64 = 1 << 20;
/// How much later than the other one begins: more than either takes.
const DELAYS: u64 = 160;

async fn after(delay: u64, work: impl Future<Output = ()>) {
    for _ in 0..delay {
        yield_now().await;
    }
    work.await;
}

/// A mapper that begins when another one died that had this volume open: nobody has opened it again.
async fn successor() -> Mapper<SimWorld> {
    let mapper = mapper_of(SimWorld::new(1));
    create(&mapper, "v", None).await;
    write(&mapper, "v", 0, 1).await;
    let mapper = killed(mapper);
    for store in [mapper.base().world.maps(), mapper.base().world.data()] {
        store.set_yields_max(2);
    }
    mapper
}

/// HELD-2: the collector opens volumes for its own sake, and closes them.
#[test]
fn what_is_opened_by_name_while_it_is_collected_stays_open() {
    for delay in 0..DELAYS {
        block_on(async {
            let mapper = successor().await;
            let opens = after(delay, async {
                mapper.open("v", false).await.unwrap();
            });
            let collects = async {
                let report = GcReport::default();
                mapper.gc(GcMode::Collect, &report).await.unwrap();
            };
            join(opens, collects).await;
            let id = mapper.find("v").await.unwrap().head.id;
            assert!(mapper.open_volume(id).is_some(), "after {delay}");
            assert!(mapper.holds_lock(id).await.unwrap(), "after {delay}");
        });
    }
}

/// HELD-1, HELD-3: a close that is about to give the lock back.
#[test]
fn a_lock_that_is_asked_for_while_the_volume_is_closed_is_held() {
    for delay in 0..DELAYS {
        block_on(async {
            let mapper = successor().await;
            mapper.open("v", false).await.unwrap();
            let locks = after(delay, async { mapper.lock("v").await.unwrap() });
            let closes = async { mapper.close("v").await.unwrap() };
            join(locks, closes).await;
            let id = mapper.find("v").await.unwrap().head.id;
            assert!(mapper.holds_lock(id).await.unwrap(), "after {delay}");
        });
    }
}

/// HELD-1: who was answered that it is unlocked finds it unlocked, also after power loss.
#[test]
fn a_lock_that_was_given_back_is_not_held_again_after_power_loss() {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        create_new(&mapper, "v", SIZE_BYTES).await;
        mapper.lock("v").await.unwrap();
        mapper.unlock("v", false).await.unwrap();
        for seed in 0..16 {
            let mapper = crashed_now(&mapper, seed);
            let objects = objects_of(mapper.base().world.maps()).await;
            let is_held = |object: &archipelago_store::ObjectName| object.group() == b"held";
            assert!(!objects.iter().any(is_held), "seed {seed}");
        }
    });
}

/// M7: a lock is forgotten with the head that it was of.
#[test]
fn of_what_was_removed_no_lock_is_left() {
    block_on(async {
        let (mapper, hash) = family().await;
        mapper.lock("c").await.unwrap();
        mapper.rename("s", "renamed").await.unwrap();
        let maps = mapper.base().world.maps();
        assert!(maps.locks().len() > 2);
        for name in ["v", "renamed", "t", "c"] {
            mapper.remove(name).await.unwrap();
        }
        mapper.remove_hash(&hash).await.unwrap();
        mapper.empty_trash(0).await.unwrap();
        assert_eq!(objects_of(maps).await, []);
        assert_eq!(maps.locks(), []);
    });
}

/// M7: whoever died before the lock was forgotten left the line in the trash.
#[test]
fn a_lock_that_outlived_its_head_is_forgotten_with_the_line_in_the_trash() {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        let base = mapper.base();
        let id = base.world.random_id();
        base.put_in_trash(id).await.unwrap();
        base.lock(id, false).await.unwrap();
        mapper.empty_trash(0).await.unwrap();
        assert_eq!(base.trash().await.unwrap(), []);
        assert_eq!(base.world.maps().locks(), []);
    });
}

/// How often it has to be polled: what is waited for at once is waited for once.
async fn polls_of(work: impl Future<Output = ()>) -> u64 {
    let (mut work, mut polls) = (pin!(work), 0);
    poll_fn(|context| {
        polls += 1;
        work.as_mut().poll(context)
    })
    .await;
    polls
}

/// EVICT-1, FENCE-1
#[test]
fn the_locks_of_a_dead_node_are_broken_all_at_once() {
    block_on(async {
        let first = mapper_of(SimWorld::new(1).owned_by("first"));
        let names: Vec<String> = (0..21).map(|number| format!("v{number}")).collect();
        let mut volumes = Vec::new();
        for name in &names {
            create_new(&first, name, SIZE_BYTES).await;
            let volume = first.open(name, false).await.unwrap();
            volumes.push((volume.id, name.as_str()));
        }
        let second = beside(&first, "second");
        second.base().world.maps().set_yields_max(4);
        let unlock = async |volumes: &[(VolumeId, &str)]| {
            let volumes = volumes.iter().copied();
            let broken = second.unlock_all(volumes, Force::IfDead).await;
            assert!(broken.iter().all(Result::is_ok), "{broken:?}");
        };
        let of_one = polls_of(unlock(&volumes[..1])).await;
        let of_twenty = polls_of(unlock(&volumes[1..])).await;
        assert!(of_twenty < 4 * of_one, "{of_twenty} and {of_one}");
        for (id, _) in volumes {
            assert_eq!(second.base().lock_record(id).await, Ok(None));
        }
    });
}
