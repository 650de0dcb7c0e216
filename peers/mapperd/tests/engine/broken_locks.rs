//! Locks that are taken from owners who live and know nothing of it: the store could not tell.

use archipelago_mapperd::engine::{MapError, World};
use archipelago_mapperd::map::object_name;
use archipelago_store::Store;
use archipelago_store::sim::{SimRandom, block_on};

use crate::client::{SECTORS, Sub, bytes_of, create_new, read_sub, scope_of, snapshot, write_sub};
use crate::world::{SimWorld, beside, mapper_of, node_over};

const SIZE_BYTES: u64 = 1 << 20;

fn value(number: u64) -> Sub {
    [number; SECTORS]
}

/// BREAK-1: what the first owner goes on writing in place neither replaces what the second one wrote nor gets into it.
#[test]
fn who_lost_a_lock_without_knowing_writes_over_nothing_that_the_next_owner_wrote() {
    block_on(async {
        let first = mapper_of(SimWorld::new(1).owned_by("first"));
        create_new(&first, "v", SIZE_BYTES).await;
        let old = first.open("v", false).await.unwrap();
        for sub in 0..4 {
            write_sub(&first, &old, sub, &value(sub + 1)).await.unwrap();
        }
        let second = beside(&first, "second");
        let refused = second.open("v", false).await.map(drop);
        assert!(matches!(refused, Err(MapError::Locked { .. })));
        second.unlock("v", true).await.unwrap();
        let new = second.open("v", false).await.unwrap();
        let before = new.block(0).await.unwrap();
        for source in before.sources() {
            assert!(!new.with_state(|state| state.is_writable(*source))); // BREAK-1
        }
        write_sub(&second, &new, 1, &value(11)).await.unwrap();
        snapshot(&second, "v", "s").await;
        write_sub(&second, &new, 2, &value(12)).await.unwrap();
        // In place, by what it was told before: the store cannot refuse it.
        for sub in 0..4 {
            write_sub(&first, &old, sub, &value(99)).await.unwrap();
        }
        for (sub, expected) in [(1, 11), (2, 12)] {
            let read = read_sub(&second, &new, sub).await.unwrap();
            assert_eq!(read, value(expected), "sub-block {sub}"); // BREAK-1
        }
        let is_writable = |sub: u16| {
            let source = before.source_at(sub);
            source.is_some_and(|source| old.with_state(|state| state.is_writable(source)))
        };
        assert!((0..4).all(is_writable), "the first one wrote in place");
    });
}

/// BREAK-1: the second owner dies at any moment of its first opening, and loses what was not durable.
#[test]
fn the_floor_is_raised_also_when_the_opening_after_the_break_was_cut_off() {
    let mut count = 0;
    for steps in 0.. {
        let is_through = block_on(async {
            let first = mapper_of(SimWorld::new(1).owned_by("first"));
            create_new(&first, "v", SIZE_BYTES).await;
            let old = first.open("v", false).await.unwrap();
            write_sub(&first, &old, 0, &value(1)).await.unwrap();
            old.flush().await.unwrap();
            let broken = old.with_state(|state| state.last_stamp().token());
            let source = old.block(0).await.unwrap().source_at(0).unwrap();
            let second = beside(&first, "second");
            second.unlock("v", true).await.unwrap();
            let maps = second.base().world.maps();
            maps.die_before_call(maps.calls().total() + steps);
            let is_through = second.open("v", false).await.is_ok();
            let random = &mut SimRandom::new(steps);
            let world = &second.base().world;
            let (maps, data) = (world.maps().crash(random), world.data().crash(random));
            let third = node_over(&maps, &data, world.next_id(), "second");
            let new = third.open("v", false).await.unwrap();
            let floor = new.with_state(|state| state.head.floor);
            assert!(floor.token() > broken, "after {steps}: {floor}"); // BREAK-1
            write_sub(&third, &new, 0, &value(2)).await.unwrap();
            let bytes = bytes_of(&value(99));
            let object = object_name(source, 0);
            let late = third.base().world.data();
            late.write(scope_of(&new), &object, 0, &bytes)
                .await
                .unwrap();
            assert_eq!(read_sub(&third, &new, 0).await.unwrap(), value(2));
            is_through
        });
        count += 1;
        if is_through {
            break;
        }
    }
    assert!(count > 5, "{count} moments");
}

/// A lock that was given back in order is no reason to copy anything.
#[test]
fn who_gets_a_lock_that_was_given_back_writes_in_place() {
    block_on(async {
        let first = mapper_of(SimWorld::new(1).owned_by("first"));
        create_new(&first, "v", SIZE_BYTES).await;
        let old = first.open("v", false).await.unwrap();
        write_sub(&first, &old, 0, &value(1)).await.unwrap();
        first.close("v").await.unwrap();
        let second = beside(&first, "second");
        let new = second.open("v", false).await.unwrap();
        let source = new.block(0).await.unwrap().source_at(0).unwrap();
        assert!(new.with_state(|state| state.is_writable(source)));
        second.close("v").await.unwrap();
        // By force, and yet its own.
        second.open("v", false).await.unwrap();
        second.unlock("v", true).await.unwrap();
        let new = first.open("v", false).await.unwrap();
        assert!(new.with_state(|state| state.is_writable(source)));
        assert_eq!(read_sub(&first, &new, 0).await.unwrap(), value(1));
    });
}
