//! Stores that lack something, or have no room.

use archipelago_store::Store;
use xseg::{Errno, OpCode};

use crate::client::Client;
use crate::mapper::object_name;
use crate::world::{World, run};

const SIZE: u64 = 4 * 65_536;

fn no_grants_are_left(world: &World) {
    world
        .mapper
        .with("v", |volume| assert!(volume.grants.is_empty()));
}

async fn cut(world: &World, block: u64, bytes: usize) {
    let source = world.mapper.with("v", |volume| volume.block(block)[0]);
    let name = object_name(source.expect("it is mapped"), block);
    world
        .store
        .write_full(&name, &vec![1; bytes])
        .await
        .unwrap();
}

async fn lose(world: &World, block: u64) {
    let source = world.mapper.with("v", |volume| volume.block(block)[0]);
    let name = object_name(source.expect("it is mapped"), block);
    world.store.delete(&name).await.unwrap();
}

async fn filled(world: &World) -> Client {
    let client = world.client("v");
    client.write(0, &vec![1; SIZE as usize]).await.unwrap();
    client
}

/// READ-1, F25, F28, F37
#[test]
fn a_short_or_missing_object_is_an_error_for_its_range_alone() {
    run(1, SIZE, |world| async move {
        let client = filled(&world).await;
        cut(&world, 1, 10_000).await;
        lose(&world, 2).await;
        assert_eq!(client.read(0, SIZE).await, Err(Errno::IO));
        assert_eq!(client.read(65_536 + 9_000, 1_001).await, Err(Errno::IO));
        assert_eq!(client.read(65_536 + 9_000, 1_000).await, Ok(vec![1; 1_000]));
        assert_eq!(client.read(2 * 65_536, 1).await, Err(Errno::IO));
        assert_eq!(client.read(0, 65_536).await, Ok(vec![1; 65_536]));
        assert_eq!(client.read(3 * 65_536, 65_536).await, Ok(vec![1; 65_536]));
        assert!(
            world.mapper.count_of(OpCode::MAP_READ) > 4,
            "the map was asked anew"
        );
    });
}

/// READ-1
#[test]
fn an_object_that_is_gone_because_the_map_moved_on_is_looked_up_anew() {
    run(2, SIZE, |world| async move {
        let client = filled(&world).await;
        lose(&world, 2).await;
        world
            .mapper
            .with("v", |volume| volume.assign(2, 0..16, None));
        assert_eq!(client.read(2 * 65_536, 10).await, Ok(vec![0; 10]));
    });
}

/// F23, F37
#[test]
fn what_cannot_be_copied_up_fails_the_write_and_changes_nothing() {
    run(3, SIZE, |world| async move {
        let client = filled(&world).await;
        world.mapper.snapshot("v", "s", 2).await;
        lose(&world, 1).await;
        let before = world.mapper.with("v", |volume| volume.block(1));
        assert_eq!(client.write(65_536 + 100, &[2; 10]).await, Err(Errno::IO));
        assert_eq!(world.mapper.with("v", |volume| volume.block(1)), before);
        no_grants_are_left(&world);
        assert_eq!(
            client.write(65_536, &[2; 4096]).await,
            Ok(4096),
            "nothing to copy"
        );
        assert_eq!(client.read(65_536, 4096).await, Ok(vec![2; 4096]));
    });
}

/// F21
#[test]
fn a_full_store_refuses_new_places_and_nothing_else() {
    run(4, SIZE, |world| async move {
        let client = world.client("v");
        client.write(0, &[1; 8192]).await.unwrap();
        world.store.set_capacity_bytes(world.store.used_bytes());
        assert_eq!(client.write(65_000, &[2; 5000]).await, Err(Errno::NOSPC));
        no_grants_are_left(&world);
        assert_eq!(client.write(100, &[3; 100]).await, Ok(100), "in place");
        let mut expected = vec![1; 8192];
        expected[100..200].fill(3);
        assert_eq!(client.read(0, 8192).await, Ok(expected));
        assert_eq!(client.read(65_536, 4096).await, Ok(vec![0; 4096]));
        assert_eq!(client.plain(OpCode::DISCARD, 0, 4096).await, Ok(4096));
        world.store.set_capacity_bytes(1 << 30);
        assert_eq!(client.write(65_000, &[2; 5000]).await, Ok(5000));
        assert_eq!(client.read(65_000, 5000).await, Ok(vec![2; 5000]));
    });
}

/// F22, F26
#[test]
fn a_failed_write_leaves_the_map_as_it_was() {
    run(5, SIZE, |world| async move {
        let client = world.client("v");
        client.write(0, &[1; 4096]).await.unwrap();
        for (said, told) in [(Errno::IO, Errno::IO), (Errno::DQUOT, Errno::NOSPC)] {
            world.blocker.failing.set(Some((OpCode::WRITE, said)));
            assert_eq!(client.write(65_536, &[2; 100]).await, Err(told));
            assert_eq!(client.write(0, &[2; 100]).await, Err(told));
            no_grants_are_left(&world);
        }
        world.blocker.failing.set(None);
        assert_eq!(client.read(65_536, 100).await, Ok(vec![0; 100]));
        world.blocker.failing.set(Some((OpCode::READ, Errno::IO)));
        assert_eq!(client.read(0, 100).await, Err(Errno::IO));
    });
}

/// PIECE-3: stale bytes of a place that was given up are never seen.
#[test]
fn a_new_place_is_written_whole_sub_blocks_at_a_time() {
    run(6, SIZE, |world| async move {
        let client = world.client("v");
        client.write(0, &[1; 10]).await.unwrap();
        let source = world.mapper.with("v", |volume| volume.block(0)[0]).unwrap();
        let object = object_name(source, 0);
        let scope = archipelago_store::Scope(0);
        world
            .store
            .write(scope, &object, 4096, &[0xff; 40_000])
            .await
            .unwrap();
        client.write(5000, &[2; 5000]).await.unwrap();
        let mut expected = vec![0; 65_536];
        expected[..10].fill(1);
        expected[5000..10_000].fill(2);
        assert_eq!(client.read(0, 65_536).await, Ok(expected));
    });
}
