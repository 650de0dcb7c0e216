//! What is answered, and when, while the lease of the mapper's locks runs out, is lost, and begins anew (L3, F49).

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use archipelago_protocol::{ATTACH, NOT_KEPT, RecallKind};
use archipelago_runtime::Task;
use archipelago_store::{Scope, Store};
use xseg::{Errno, Lease, OpCode, boot_ns};

use crate::mapper::object_name;
use crate::world::{World, run};

const SIZE: u64 = 4 * 65_536;

/// Longer than a test takes.
fn in_force(generation: u64) -> Lease {
    Lease::until(generation, boot_ns() + 3_600_000_000_000)
}

fn run_out(generation: u64) -> Lease {
    Lease::until(generation, 0)
}

async fn a_while(world: &World) {
    world.handle.sleep(Duration::from_millis(30)).await;
}

/// Tells whether it has been answered.
fn begin<T: 'static>(
    world: &World,
    io: impl Future<Output = T> + 'static,
) -> (Task<T>, Rc<Cell<bool>>) {
    let is_answered = Rc::new(Cell::new(false));
    let told = is_answered.clone();
    let task = world.handle.spawn(async move {
        let answer = io.await;
        told.set(true);
        answer
    });
    (task, is_answered)
}

/// The blocker has it, and does nothing yet.
async fn until_asked(world: &World, op: OpCode, before: u64) {
    while world.blocker.count_of(op) == before {
        world.handle.sleep(Duration::from_millis(1)).await;
    }
}

/// What is asked of the volume: each kind of request.
const OPS: [OpCode; 5] = [
    OpCode::READ,
    OpCode::WRITE,
    OpCode::FLUSH,
    OpCode::WRITE_ZEROES,
    OpCode::INFO,
];

/// UNDER-1, F16: a machine that stood still for longer than the term, and whose lock nobody broke, goes on.
#[test]
fn what_was_done_when_the_lease_had_run_out_is_answered_when_it_is_in_force_again() {
    run(1, SIZE, |world| async move {
        world.set_lease(in_force(1));
        let client = world.client("v");
        client.write(0, &[1; 8192]).await.unwrap();
        for op in OPS {
            world.set_lease(run_out(1));
            let io = client.clone();
            let work = async move {
                match op {
                    OpCode::READ => io.read(0, 4096).await.map(|bytes| bytes.len() as u64),
                    OpCode::WRITE => io.write(0, &[2; 4096]).await,
                    op => io.plain(op, 0, 4096).await,
                }
            };
            let (task, is_answered) = begin(&world, work);
            a_while(&world).await;
            assert!(!is_answered.get(), "{op}"); // UNDER-1
            world.set_lease(in_force(1));
            let answer = task.await;
            assert!(answer.is_ok(), "{op}: {answer:?}");
        }
    });
}

/// UNDER-2: the lock of another volume was broken, and the lease lost with it; this one is ours all the time.
#[test]
fn a_write_during_which_the_lease_was_lost_and_not_the_lock_is_answered() {
    run(2, SIZE, |world| async move {
        world.set_lease(in_force(1));
        let client = world.client("v");
        client.write(0, &[1; 4096]).await.unwrap();
        let (io, before) = (client.clone(), world.blocker.count_of(OpCode::WRITE));
        world.blocker.hold(true);
        let (task, is_answered) = begin(&world, async move { io.write(0, &[2; 4096]).await });
        until_asked(&world, OpCode::WRITE, before).await;
        world.set_lease(run_out(1));
        world.blocker.hold(false);
        a_while(&world).await;
        assert!(!is_answered.get()); // UNDER-1
        world.set_lease(in_force(2));
        assert_eq!(task.await, Ok(4096));
        let attached = world.mapper.count_of(ATTACH);
        assert_eq!(client.read(0, 4096).await, Ok(vec![2; 4096]));
        // Once for each lease, and not for each request.
        assert_eq!(world.mapper.count_of(ATTACH), attached);
        world.set_lease(in_force(3));
        for _ in 0..3 {
            client.write(0, &[3; 4096]).await.unwrap();
        }
        assert_eq!(world.mapper.count_of(ATTACH), attached + 1);
    });
}

/// The other one has the volume since, and writes the first sub-block to a place of its own.
async fn other_writes(world: &World, byte: u8, is_kept: bool) {
    let all = (0, u64::MAX);
    if is_kept {
        let closed = world.mapper.recall("v", RecallKind::Close, all, u32::MAX);
        closed.await.unwrap();
    }
    let new = world.mapper.with("v", |volume| {
        let stamp = volume.next_stamp;
        volume.next_stamp += 1;
        let new = (volume.id, stamp);
        volume.blocks.get_mut(&0).unwrap()[0] = Some(new);
        volume.floor = volume.next_stamp - 1; // BREAK-1
        volume.token += 1;
        new
    });
    let object = object_name(new, 0);
    let store = &world.store;
    store
        .extend(Scope(0), &object, 65_536, false)
        .await
        .unwrap();
    store
        .write(Scope(0), &object, 0, &[byte; 4096])
        .await
        .unwrap();
}

/// UNDER-2, F49: whether the mapper lives and tells, or is another one by now.
#[test]
fn a_write_during_which_the_lock_changed_hands_is_refused_and_a_read_is_done_anew() {
    for is_told in [false, true] {
        for op in [OpCode::WRITE, OpCode::READ] {
            run(3, SIZE, |world| async move {
                world.set_lease(in_force(1));
                let client = world.client("v");
                client.write(0, &[1; 8192]).await.unwrap();
                let (io, before) = (client.clone(), world.blocker.count_of(op));
                world.blocker.hold(true);
                let work = async move {
                    match op {
                        OpCode::READ => io.read(0, 4096).await,
                        _ => io.write(0, &[2; 4096]).await.map(|_| Vec::new()),
                    }
                };
                let (task, is_answered) = begin(&world, work);
                until_asked(&world, op, before).await;
                world.set_lease(run_out(1));
                world.blocker.hold(false);
                a_while(&world).await;
                assert!(!is_answered.get()); // UNDER-1
                other_writes(&world, 7, is_told).await;
                world.set_lease(in_force(2));
                let expected = match op {
                    OpCode::READ => Ok(vec![7; 4096]),
                    _ => Err(Errno::IO),
                };
                assert_eq!(task.await, expected, "told: {is_told}"); // UNDER-2
                // What was written late is nowhere.
                assert_eq!(client.read(0, 4096).await, Ok(vec![7; 4096]));
                client.write(0, &[8; 4096]).await.unwrap();
                assert_eq!(client.read(0, 8192).await.unwrap()[..4096], [8; 4096]);
            });
        }
    }
}

/// COMPOSE-1: what the composer knew under an older lock is not used under a newer one, whoever forgot to take it back.
#[test]
fn what_was_known_when_the_lease_was_lost_is_not_believed_before_the_mapper_was_asked() {
    run(4, SIZE, |world| async move {
        world.set_lease(in_force(1));
        let client = world.client("v");
        client.write(0, &[1; 8192]).await.unwrap();
        other_writes(&world, 7, false).await;
        world.set_lease(in_force(2));
        assert_eq!(client.read(0, 4096).await, Ok(vec![7; 4096]));
        client.write(100, &[8; 10]).await.unwrap();
        let read = client.read(0, 4096).await.unwrap();
        assert_eq!(
            (&read[..100], &read[100..110]),
            (&[7; 100][..], &[8; 10][..])
        );
        assert_eq!(client.read(4096, 4096).await, Ok(vec![1; 4096]));
    });
}

/// Somebody else has the lock, and a write waits for it.
async fn write_that_waits(world: &Rc<World>) -> (Task<Result<u64, Errno>>, Rc<Cell<bool>>) {
    world.mapper.with("v", |volume| {
        (volume.epoch, volume.token) = (NOT_KEPT, 0);
    });
    world.mapper.hold_grants("v", true);
    let client = world.client("v");
    client.read(0, 4096).await.unwrap();
    let before = world.mapper.count_of(OpCode::MAP_WRITE);
    let (task, is_answered) = begin(world, async move { client.write(0, &[1; 4096]).await });
    while world.mapper.count_of(OpCode::MAP_WRITE) == before {
        a_while(world).await;
    }
    (task, is_answered)
}

/// UNDER-2: the lock of another volume was broken while this one's was waited for, or after it was ours.
#[test]
fn a_write_that_waited_for_the_lock_is_answered_by_the_token_that_its_wait_ended_with() {
    for (is_before, token, expected) in [
        (true, 9, Ok(4096)),
        (false, 9, Ok(4096)),
        (false, 11, Err(Errno::IO)), // another node had it since
        (false, 0, Err(Errno::IO)),
    ] {
        run(6, SIZE, |world| async move {
            world.set_lease(in_force(1));
            let (task, is_answered) = write_that_waits(&world).await;
            if is_before {
                world.set_lease(in_force(2));
            }
            world.mapper.hold_answers(Some(OpCode::MAP_COMMIT));
            world.mapper.with("v", |volume| {
                (volume.epoch, volume.token) = (7, 9);
            });
            world.mapper.hold_grants("v", false);
            while world.mapper.count_of(OpCode::MAP_COMMIT) == 0 {
                a_while(&world).await;
            }
            world.set_lease(in_force(3));
            world.mapper.with("v", |volume| volume.token = token);
            assert!(!is_answered.get());
            world.mapper.hold_answers(None);
            assert_eq!(task.await, expected, "{is_before} {token}"); // UNDER-2
        });
    }
}

/// COMPOSE-4
#[test]
fn by_which_token_a_volume_was_had_is_said_until_that_is_over() {
    run(7, SIZE, |world| async move {
        world.set_lease(in_force(1));
        let all = (0, u64::MAX);
        let recall = |kind| world.mapper.recall("v", kind, all, u32::MAX);
        let said = || [ATTACH, OpCode::FLUSH].map(|op| world.mapper.had_by(op));
        let client = world.client("v");
        let flush = || client.plain(OpCode::FLUSH, 0, 0);
        flush().await.unwrap();
        assert_eq!(said(), [0, 1]);
        world.set_lease(in_force(2));
        flush().await.unwrap();
        assert_eq!(said(), [1, 1]);
        // It was closed in good order, and is ours again by another token.
        recall(RecallKind::Close).await.unwrap();
        world.mapper.with("v", |volume| volume.token = 3);
        flush().await.unwrap();
        assert_eq!(said(), [0, 3]);
        // It was lost, as long as the mapper says so.
        recall(RecallKind::Drop).await.unwrap();
        world.mapper.with("v", |volume| {
            (volume.token, volume.is_lost) = (0, true);
        });
        for _ in 0..2 {
            flush().await.unwrap();
            assert_eq!(said(), [3, 3]);
        }
        world.mapper.with("v", |volume| volume.is_lost = false);
        world.set_lease(in_force(3));
        flush().await.unwrap();
        assert_eq!(said(), [3, 0]);
    });
}

/// COMPOSE-4: nobody says by which token a write is made before it is made.
#[test]
fn a_volume_that_was_waited_for_is_had_by_the_token_that_the_wait_ended_with() {
    run(8, SIZE, |world| async move {
        world.set_lease(in_force(1));
        let (task, _) = write_that_waits(&world).await;
        world.mapper.with("v", |volume| {
            (volume.epoch, volume.token) = (7, 9);
        });
        world.mapper.hold_grants("v", false);
        assert_eq!(task.await, Ok(4096));
        world.mapper.with("v", |volume| volume.token = 0); // lost before anybody asks
        let client = world.client("v");
        client.plain(OpCode::FLUSH, 0, 0).await.unwrap();
        assert_eq!(world.mapper.had_by(ATTACH), 9);
    });
}

/// A volume that was not ours when it was attached, and was when its lock was free, is asked for once more, and not for ever.
#[test]
fn whose_lock_it_is_is_asked_again_after_the_first_write_that_waited_for_it() {
    run(5, SIZE, |world| async move {
        world.set_lease(in_force(1));
        let epoch = world.mapper.with("v", |volume| {
            let epoch = std::mem::replace(&mut volume.epoch, NOT_KEPT);
            volume.token = 0;
            epoch
        });
        let client = world.client("v");
        client.read(0, 4096).await.unwrap();
        world.mapper.with("v", |volume| volume.epoch = epoch + 5);
        client.write(0, &[1; 4096]).await.unwrap();
        world.mapper.with("v", |volume| volume.token = 9);
        client.write(0, &[2; 4096]).await.unwrap();
        let attached = world.mapper.count_of(ATTACH);
        for byte in 3..9 {
            client.write(0, &[byte; 4096]).await.unwrap();
        }
        assert_eq!(world.mapper.count_of(ATTACH), attached);
        assert_eq!(client.read(0, 4096).await, Ok(vec![8; 4096]));
    });
}
