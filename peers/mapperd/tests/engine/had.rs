//! A mapper that dies with writes that were answered and not flushed, and whose lock is broken before the next one begins: that one
//! knows nothing of it, and learns it from the composers (L3, F49).

use archipelago_mapperd::engine::{MapError, Mapper, World};
use archipelago_protocol::RecallKind;
use archipelago_store::StoreError;
use archipelago_store::sim::{CallKind, block_on};
use rustix::io::Errno;

use crate::client::{SECTORS, create_new, read_sub, write_sub};
use crate::taken::stopped_for;
use crate::world::{COMPOSER, SimWorld, beside, crashed_now, mapper_of, node_over};

const SIZE_BYTES: u64 = 1 << 20;
const SUBS: u64 = 8;

/// What became of the volume while there was no mapper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    Held,
    /// Another node had it, and has closed it.
    Free,
}

/// The node's next mapper, and by which token the last one had the volume.
async fn after_death(meanwhile: Meanwhile) -> (Mapper<SimWorld>, u64) {
    let first = mapper_of(SimWorld::new(1).owned_by("first"));
    create_new(&first, "v", SIZE_BYTES).await;
    let volume = first.open("v", false).await.unwrap();
    write_sub(&first, &volume, 0, &[1; SECTORS]).await.unwrap();
    let token = volume.token();
    if meanwhile != Meanwhile::Nothing {
        let second = beside(&first, "second");
        second.unlock("v", true).await.unwrap();
        let new = second.open("v", false).await.unwrap();
        write_sub(&second, &new, 1, &[2; SECTORS]).await.unwrap();
        if meanwhile == Meanwhile::Free {
            second.close("v").await.unwrap();
        }
    }
    (next_mapper(&first), token)
}

fn next_mapper(dead: &Mapper<SimWorld>) -> Mapper<SimWorld> {
    let world = &dead.base().world;
    let next = node_over(world.maps(), world.data(), world.next_id(), "first");
    next.base().world.serve(&[COMPOSER]);
    next.base().world.set_used(1, true);
    next
}

/// LOST-3, LOST-1: until the client has left, or somebody says that it may go on.
#[test]
fn who_wrote_before_the_mapper_died_is_refused_if_another_node_had_the_volume_since() {
    for (meanwhile, is_opened) in [
        (Meanwhile::Held, false),
        (Meanwhile::Free, false),
        (Meanwhile::Free, true),
    ] {
        block_on(async {
            let (mapper, token) = after_death(meanwhile).await;
            let id = mapper.find("v").await.unwrap().head.id;
            for _ in 0..2 {
                let flushed = mapper.flush(id, COMPOSER, token).await;
                assert!(
                    matches!(flushed, Err(MapError::Taken { .. })),
                    "{flushed:?}"
                );
            }
            let opened = mapper.open_id(id, true).await.map(drop);
            assert!(matches!(opened, Err(MapError::Taken { .. })), "LOST-1");
            assert!(!mapper.holds_lock(id).await.unwrap(), "LOST-2");
            assert_eq!(mapper.lost().len(), 1);
            if is_opened {
                mapper.open("v", false).await.unwrap();
            } else {
                mapper.base().world.set_used(1, false);
            }
            // It was said once: whoever says it again does not know yet that this is over.
            mapper.flush(id, COMPOSER, token).await.unwrap();
            assert_eq!(mapper.lost().len(), 0);
        });
    }
}

/// LOST-3: nobody is refused without a reason.
#[test]
fn who_wrote_before_the_mapper_died_goes_on_if_nobody_had_the_volume_since() {
    block_on(async {
        let (mapper, token) = after_death(Meanwhile::Nothing).await;
        let id = mapper.find("v").await.unwrap().head.id;
        mapper.hear_had(id, token).await.unwrap();
        mapper.flush(id, COMPOSER, token).await.unwrap();
        let volume = mapper.open_volume(id).unwrap();
        write_sub(&mapper, &volume, 1, &[3; SECTORS]).await.unwrap();
        // Closed in good order, which a composer may hear later than what it was told before.
        mapper.close("v").await.unwrap();
        let second = beside(&mapper, "second");
        second.open("v", false).await.unwrap();
        mapper.flush(id, COMPOSER, token).await.unwrap();
        // Who had nothing loses nothing.
        let (mapper, _) = after_death(Meanwhile::Held).await;
        let id = mapper.find("v").await.unwrap().head.id;
        mapper.flush(id, COMPOSER, 0).await.unwrap();
        assert_eq!(mapper.lost().len(), 0);
    });
}

/// LOST-3: what cannot be looked at now is not taken for something.
#[test]
fn a_flush_fails_as_long_as_nobody_can_tell_whose_the_lock_is() {
    block_on(async {
        let (mapper, token) = after_death(Meanwhile::Held).await;
        let id = mapper.find("v").await.unwrap().head.id;
        let maps = mapper.base().world.maps();
        maps.fail_all(CallKind::LockOwner, Some(StoreError::Io(Errno::IO)));
        let flushed = mapper.flush(id, COMPOSER, token).await;
        assert!(
            matches!(flushed, Err(MapError::Store { .. })),
            "{flushed:?}"
        );
        maps.fail_all(CallKind::LockOwner, None);
        let flushed = mapper.flush(id, COMPOSER, token).await;
        assert!(
            matches!(flushed, Err(MapError::Taken { .. })),
            "{flushed:?}"
        );
    });
}

fn kinds(mapper: &Mapper<SimWorld>) -> Vec<RecallKind> {
    let recalls = mapper.base().world.recalls().into_iter();
    let kinds = recalls.map(|(_, recall)| recall.kind);
    kinds.filter(|kind| *kind != RecallKind::Forget).collect()
}

/// MAPPER-5, CLOSE-4, F27: the mapper that was to tell it dies as well.
#[test]
fn that_a_failed_volume_was_closed_is_told_by_the_next_mapper() {
    block_on(async {
        let first = mapper_of(SimWorld::new(1).owned_by("first"));
        create_new(&first, "v", SIZE_BYTES).await;
        let volume = first.open("v", false).await.unwrap();
        volume.add_composer(COMPOSER);
        write_sub(&first, &volume, 0, &[1; SECTORS]).await.unwrap();
        let data = first.base().world.data();
        data.fail_all(CallKind::Sync, Some(StoreError::Io(Errno::IO)));
        volume.flush().await.unwrap_err();
        data.fail_all(CallKind::Sync, None);
        first.close("v").await.unwrap();
        assert_eq!(kinds(&first), [RecallKind::Drop], "CLOSE-4");
        let next = next_mapper(&first);
        let flushed = next.flush(volume.id, COMPOSER, volume.token()).await;
        assert!(
            matches!(flushed, Err(MapError::Taken { .. })),
            "{flushed:?}"
        );
    });
}

/// CLOSE-4: power is lost at each moment from when composers were told on.
#[test]
fn composers_are_told_that_a_volume_is_closed_when_all_of_it_is_durable() {
    let mut told = 0;
    for moment in 0.. {
        let was_stopped = block_on(async {
            let mapper = mapper_of(SimWorld::new(1).owned_by("first"));
            create_new(&mapper, "v", SIZE_BYTES).await;
            let volume = mapper.open("v", false).await.unwrap();
            volume.add_composer(COMPOSER);
            for value in 1..3 {
                for sub in 0..SUBS {
                    let value = [10 * value + sub; SECTORS]; // in place, the second time
                    write_sub(&mapper, &volume, sub, &value).await.unwrap();
                }
            }
            for store in [mapper.base().world.maps(), mapper.base().world.data()] {
                store.set_yields_max(2);
            }
            let mut crashed = Vec::new();
            let meanwhile = async {
                if kinds(&mapper) == [RecallKind::Close] {
                    crashed.extend((0..4).map(|seed| crashed_now(&mapper, seed)));
                }
            };
            let work = async { mapper.close("v").await.unwrap() };
            let was_stopped = stopped_for(moment, work, meanwhile).await;
            for next in crashed {
                told += 1;
                let next = node_over(
                    next.base().world.maps(),
                    next.base().world.data(),
                    next.base().world.next_id(),
                    "first",
                );
                let volume = next.open("v", false).await.unwrap();
                for sub in 0..SUBS {
                    let read = read_sub(&next, &volume, sub).await.unwrap();
                    assert_eq!(read, [20 + sub; SECTORS], "{moment}: {sub}");
                }
            }
            was_stopped
        });
        if !was_stopped {
            break;
        }
    }
    assert!(told > 20, "told {told} times");
}
