//! Two things at the same time, in the order that hurts.

use std::rc::Rc;
use std::time::Duration;

use archipelago_protocol::{MAP_DISCARD, MAP_GIVE_UP};
use archipelago_runtime::Task;
use archipelago_store::Store;
use xseg::{Errno, OpCode};

use crate::mapper::object_name;
use crate::world::{World, run};

const SIZE: u64 = 4 * 65_536;
const ALL: std::ops::Range<u64> = 0..SIZE;

async fn a_while(world: &World) {
    world.handle.sleep(Duration::from_millis(4)).await;
}

fn write(world: &Rc<World>, offset: u64, bytes: Vec<u8>) -> Task<Result<u64, Errno>> {
    let client = world.client("v");
    world
        .handle
        .spawn(async move { client.write(offset, &bytes).await })
}

/// ZERO-1, CLAIM-1
#[test]
fn a_discard_waits_for_a_write_that_was_begun_and_later_writes_wait_for_it() {
    run(1, SIZE, |world| async move {
        let client = world.client("v");
        client.write(0, &[1; 8192]).await.unwrap();
        world.blocker.hold(true);
        let first = write(&world, 100, vec![2; 100]);
        a_while(&world).await;
        let own = world.client("v");
        let discard = async move { own.plain(OpCode::DISCARD, 0, 8192).await };
        let discard = world.handle.spawn(discard);
        a_while(&world).await;
        let later = write(&world, 4096, vec![3; 100]);
        a_while(&world).await;
        assert_eq!(world.mapper.count_of(MAP_DISCARD), 0);
        assert_eq!(
            world.blocker.count_of(OpCode::WRITE),
            2,
            "the later one waits"
        );
        world.blocker.hold(false);
        assert_eq!(first.await, Ok(100));
        assert_eq!(discard.await, Ok(8192));
        assert_eq!(later.await, Ok(100));
        let mut expected = vec![0; 8192];
        expected[4096..4196].fill(3);
        assert_eq!(client.read(0, 8192).await, Ok(expected));
    });
}

/// CLAIM-1, CWRITE-1: the second one neither asks for the same sub-block nor writes into what the first one copies.
#[test]
fn two_writes_to_one_sub_block_that_must_move_come_one_after_the_other() {
    run(2, SIZE, |world| async move {
        let client = world.client("v");
        client.write(0, &[1; 4096]).await.unwrap();
        world.mapper.snapshot("v", "s", 2).await;
        let grants = world.mapper.count_of(OpCode::MAP_WRITE);
        world.blocker.hold(true);
        let first = write(&world, 0, vec![2; 100]);
        let second = write(&world, 200, vec![3; 100]);
        a_while(&world).await;
        assert_eq!(world.mapper.count_of(OpCode::MAP_WRITE), grants + 1);
        world.blocker.hold(false);
        assert_eq!((first.await, second.await), (Ok(100), Ok(100)));
        assert_eq!(
            world.mapper.count_of(OpCode::MAP_WRITE),
            grants + 1,
            "in place then"
        );
        let mut expected = vec![1; 4096];
        expected[..100].fill(2);
        expected[200..300].fill(3);
        assert_eq!(client.read(0, 4096).await, Ok(expected));
    });
}

/// GRANTED-2, EPOCH-3
#[test]
fn nothing_is_written_by_a_grant_that_was_recalled_before_it_arrived() {
    run(3, SIZE, |world| async move {
        world.mapper.hold_answers(Some(OpCode::MAP_WRITE));
        let begun = write(&world, 0, vec![2; 5000]);
        while world.mapper.with("v", |volume| volume.grants.is_empty()) {
            a_while(&world).await;
        }
        let source = world
            .mapper
            .with("v", |volume| volume.grants.values().next().unwrap().source);
        world.mapper.discard_beside("v", ALL).await;
        world.mapper.hold_answers(None);
        assert_eq!(begun.await, Ok(5000));
        assert_eq!(world.mapper.count_of(MAP_GIVE_UP), 1);
        let object = world.store.stat(&object_name(source, 0)).await;
        assert!(object.is_err(), "nobody wrote to {source:?}");
        let mut expected = vec![2; 8192];
        expected[5000..].fill(0);
        assert_eq!(world.client("v").read(0, 8192).await, Ok(expected));
    });
}

/// COMPOSE-1, EPOCH-1
#[test]
fn a_map_that_was_told_before_a_recall_is_not_believed_after_it() {
    run(4, SIZE, |world| async move {
        let client = world.client("v");
        client.write(0, &[1; 4096]).await.unwrap();
        let all = (0, u64::MAX);
        let forget = archipelago_protocol::RecallKind::Forget;
        world
            .mapper
            .recall("v", forget, all, u32::MAX)
            .await
            .unwrap();
        world.mapper.hold_answers(Some(OpCode::MAP_READ));
        let own = client.clone();
        let read = world.handle.spawn(async move { own.read(0, 4096).await });
        a_while(&world).await;
        world.mapper.discard_beside("v", ALL).await;
        world.mapper.hold_answers(None);
        assert_eq!(read.await, Ok(vec![0; 4096]));
        assert_eq!(client.read(0, 4096).await, Ok(vec![0; 4096]));
    });
}

/// COMPOSE-1
#[test]
fn a_commit_that_was_overtaken_by_a_recall_does_not_enter_the_cache() {
    run(5, SIZE, |world| async move {
        let client = world.client("v");
        assert_eq!(client.read(0, 100).await, Ok(vec![0; 100]));
        world.mapper.hold_answers(Some(OpCode::MAP_COMMIT));
        let begun = write(&world, 0, vec![2; 4096]);
        while world.mapper.count_of(OpCode::MAP_COMMIT) == 0 {
            a_while(&world).await;
        }
        world.mapper.discard_beside("v", ALL).await;
        assert_eq!(
            client.read(0, 100).await,
            Ok(vec![0; 100]),
            "it is cached again"
        );
        world.mapper.hold_answers(None);
        assert_eq!(begun.await, Ok(4096));
        assert_eq!(client.read(0, 100).await, Ok(vec![0; 100]));
    });
}
