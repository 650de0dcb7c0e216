//! Volumes whose lock somebody else has: reads do without it, writes wait for it (L2).

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use archipelago_protocol::{NOT_KEPT, RecallKind};
use archipelago_store::{Scope, Store};
use xseg::OpCode;

use crate::mapper::object_name;
use crate::world::{World, run};

const SIZE: u64 = 4 * 65_536;

/// From now on somebody else has the lock.
async fn lose_lock(world: &World) {
    let all = (0, u64::MAX);
    let closed = world.mapper.recall("v", RecallKind::Close, all, u32::MAX);
    closed.await.unwrap();
    world.mapper.with("v", |volume| {
        volume.composers.clear();
        (volume.epoch, volume.floor) = (NOT_KEPT, u64::MAX);
    });
    world.mapper.hold_grants("v", true);
}

/// The lock is ours again, and nothing that is there may be written in place.
fn get_lock(world: &World) {
    world.mapper.with("v", |volume| {
        (volume.epoch, volume.floor) = (77, volume.next_stamp - 1);
    });
    world.mapper.hold_grants("v", false);
}

/// The other one moves the first sub-block to a new object, and gives the old place back.
async fn move_first_sub(world: &World, byte: u8, is_deleted: bool) {
    let (old, new) = world.mapper.with("v", |volume| {
        let stamp = volume.next_stamp;
        volume.next_stamp += 1;
        let new = (volume.id, stamp);
        let old = volume.blocks.get_mut(&0).unwrap()[0].replace(new);
        (old.unwrap(), new)
    });
    let (old, new) = (object_name(old, 0), object_name(new, 0));
    let store = &world.store;
    store.extend(Scope(0), &new, 65_536, false).await.unwrap();
    store.write(Scope(0), &new, 0, &[byte; 4096]).await.unwrap();
    if is_deleted {
        store.delete(&old).await.unwrap();
    } else {
        store.punch(Scope(0), &old, 0, 4096).await.unwrap();
    }
}

async fn a_while(world: &World) {
    world.handle.sleep(Duration::from_millis(5)).await;
}

/// COMPOSE-3
#[test]
fn what_another_one_changes_is_read_without_a_word_from_him() {
    run(1, SIZE, |world| async move {
        let client = world.client("v");
        client.write(0, &[1; 4096]).await.unwrap();
        client.write(65_536, &[2; 4096]).await.unwrap();
        lose_lock(&world).await;
        for (byte, is_deleted) in [(3, false), (4, true), (5, true)] {
            move_first_sub(&world, byte, is_deleted).await;
            for _ in 0..2 {
                let asked = world.mapper.count_of(OpCode::MAP_READ);
                let mut expected = vec![byte; 100];
                assert_eq!(client.read(0, 100).await, Ok(expected.clone()));
                assert!(world.mapper.count_of(OpCode::MAP_READ) > asked);
                expected.fill(2);
                assert_eq!(client.read(65_536, 100).await, Ok(expected));
            }
        }
    });
}

/// COMPOSE-3: what is read from a place that was given back meanwhile does not count, be it zeros or nothing. Nor does it if it has
/// landed in lent memory, and what is read anew does not (LOAN-1).
#[test]
fn a_read_during_which_its_object_was_given_back_looks_again() {
    let ways = [(false, false), (true, false), (false, true), (true, true)];
    for (seed, (is_deleted, lends)) in (2..).zip(ways) {
        run(seed, SIZE, |world| async move {
            let client = world.client("v");
            client.write(0, &[1; 8192]).await.unwrap();
            assert!(client.may_lend());
            lose_lock(&world).await;
            for byte in 10..if lends { 40 } else { 14 } {
                world.blocker.hold(true);
                let before = world.blocker.count_of(OpCode::READ);
                let io = client.clone();
                let read = world.handle.spawn(async move {
                    match lends {
                        true => io.read_lent(4000, 200).await,
                        false => io.read(4000, 200).await,
                    }
                });
                while world.blocker.count_of(OpCode::READ) == before {
                    a_while(&world).await;
                }
                if is_deleted && byte == 10 {
                    // What the rest of the block is in goes as well, when it was copied.
                    move_rest(&world).await;
                }
                move_first_sub(&world, byte, is_deleted && byte > 10).await;
                world.blocker.hold(false);
                let expected = [vec![byte; 96], vec![1; 104]].concat();
                assert_eq!(read.await, Ok(expected));
            }
        });
    }
}

/// The second sub-block is moved to an object of its own.
async fn move_rest(world: &World) {
    let new = world.mapper.with("v", |volume| {
        let stamp = volume.next_stamp;
        volume.next_stamp += 1;
        let new = (volume.id, stamp);
        volume.blocks.get_mut(&0).unwrap()[1] = Some(new);
        new
    });
    let (store, new) = (&world.store, object_name(new, 0));
    store.extend(Scope(0), &new, 65_536, false).await.unwrap();
    let written = store.write(Scope(0), &new, 4096, &[1; 4096]);
    written.await.unwrap();
}

#[test]
fn writes_wait_for_the_lock_and_then_what_is_told_is_kept_again() {
    run(3, SIZE, |world: Rc<World>| async move {
        let client = world.client("v");
        client.write(0, &[1; 4096]).await.unwrap();
        lose_lock(&world).await;
        let io = client.clone();
        let is_written = Rc::new(Cell::new(false));
        let told = is_written.clone();
        let write = world.handle.spawn(async move {
            let written = io.write(50, &[9; 50]).await;
            told.set(true);
            written
        });
        a_while(&world).await;
        assert!(!is_written.get());
        assert_eq!(client.read(0, 100).await, Ok(vec![1; 100]));
        get_lock(&world);
        assert_eq!(write.await, Ok(50));
        let expected = [vec![1; 50], vec![9; 50]].concat();
        assert_eq!(client.read(0, 100).await, Ok(expected.clone()));
        let asked = world.mapper.count_of(OpCode::MAP_READ);
        assert_eq!(client.read(0, 100).await, Ok(expected));
        assert_eq!(world.mapper.count_of(OpCode::MAP_READ), asked);
    });
}
