//! Recalls, and volumes that come and go.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use archipelago_protocol::{ATTACH, DETACH, Recall, RecallKind};
use xseg::{Errno, OpCode};

use crate::world::{COMPOSER, World, options, run, run_bare};

const SIZE: u64 = 4 * 65_536;
const ALL: (u64, u64) = (0, u64::MAX);

/// Recalls in a task of its own; the cell says when it was answered.
fn recall_beside(world: &Rc<World>, kind: RecallKind) -> Rc<Cell<bool>> {
    let is_answered = Rc::new(Cell::new(false));
    let (told, world) = (is_answered.clone(), world.clone());
    let handle = world.handle.clone();
    drop(handle.spawn(async move {
        world.mapper.with("v", |volume| volume.epoch += 1);
        world.mapper.recall("v", kind, ALL, u32::MAX).await.unwrap();
        told.set(true);
    }));
    is_answered
}

async fn a_while(world: &World) {
    world.handle.sleep(Duration::from_millis(5)).await;
}

/// RECALL-1
#[test]
fn a_recall_waits_for_io_that_was_begun_before_it_and_for_no_other() {
    for kind in [RecallKind::Forget, RecallKind::Quiesce, RecallKind::Close] {
        run(1, SIZE, |world| async move {
            let client = world.client("v");
            client.write(0, &[1; 8192]).await.unwrap();
            for op in [OpCode::READ, OpCode::WRITE] {
                world.blocker.hold(true);
                let before = world.blocker.count_of(op);
                let io = client.clone();
                let begun = world.handle.spawn(async move {
                    match op {
                        OpCode::READ => io.read(0, 100).await.map(drop),
                        _ => io.write(0, &[1; 100]).await.map(drop),
                    }
                });
                while world.blocker.count_of(op) == before {
                    a_while(&world).await;
                }
                let is_answered = recall_beside(&world, kind);
                a_while(&world).await;
                assert!(!is_answered.get(), "{op}");
                world.blocker.hold(false);
                begun.await.unwrap();
                a_while(&world).await;
                assert!(is_answered.get(), "{op}");
            }
        });
    }
}

/// RECALL-1: P1.
#[test]
fn a_recall_never_waits_for_the_mapper() {
    run(2, SIZE, |world| async move {
        let client = world.client("v");
        client.write(0, &[1; 4096]).await.unwrap();
        world.mapper.hold_grants("v", true);
        let io = client.clone();
        let write = world
            .handle
            .spawn(async move { io.write(60_000, &[2; 9000]).await });
        while world.mapper.count_of(OpCode::MAP_WRITE) < 3 {
            a_while(&world).await;
        }
        for kind in [RecallKind::Forget, RecallKind::Quiesce] {
            let is_answered = recall_beside(&world, kind);
            a_while(&world).await;
            assert!(is_answered.get());
        }
        world.mapper.hold_grants("v", false);
        assert_eq!(write.await, Ok(9000));
        assert_eq!(client.read(60_000, 9000).await, Ok(vec![2; 9000]));
    });
}

/// USERS-1, USERS-2
#[test]
fn a_volume_in_use_is_not_detached_and_another_one_is() {
    run(3, SIZE, |world| async move {
        let client = world.client("v");
        let told = client.ask(OpCode::INFO, 0, (0, 0), None).await;
        assert_eq!(told.args(), [SIZE, 0, 4096, 0]);
        let uses = [1, 2].map(|number| client.open(&world.handle, number));
        client.write(0, &[1; 100]).await.unwrap();
        let detach = || world.mapper.recall("v", RecallKind::Detach, ALL, u32::MAX);
        for (number, one) in [1, 2].into_iter().zip(uses) {
            assert_eq!(detach().await, Err(Errno::BUSY));
            assert_eq!(client.close(number).await, Ok(1));
            assert_eq!(one.await, Ok(0));
            assert_eq!(client.close(number).await, Ok(0), "it is closed already");
        }
        assert_eq!(detach().await, Ok(()));
        let before = world.mapper.count_of(ATTACH);
        assert_eq!(client.read(0, 100).await, Ok(vec![1; 100]));
        assert_eq!(world.mapper.count_of(ATTACH), before + 1);
    });
}

#[test]
fn a_closed_volume_is_attached_anew_whatever_its_epoch_is_then() {
    run(4, SIZE, |world| async move {
        let client = world.client("v");
        client.write(0, &[1; 100]).await.unwrap();
        world.mapper.with("v", |volume| volume.epoch = 50);
        world
            .mapper
            .recall("v", RecallKind::Close, ALL, u32::MAX)
            .await
            .unwrap();
        world.mapper.with("v", |volume| {
            volume.composers.clear();
            volume.epoch = 1;
        });
        assert_eq!(client.read(0, 100).await, Ok(vec![1; 100]));
        // A mapper that forgot us without a word is told again.
        world.mapper.with("v", |volume| volume.composers.clear());
        assert_eq!(client.read(65_536, 100).await, Ok(vec![0; 100]));
        assert_eq!(world.mapper.with("v", |volume| volume.composers.len()), 1);
    });
}

/// F83
#[test]
fn a_volume_that_grew_or_shrank_has_its_new_size_after_the_recall() {
    run(5, SIZE, |world| async move {
        let client = world.client("v");
        assert_eq!(client.write(SIZE, &[1; 100]).await, Err(Errno::INVAL));
        for (size, expected) in [(SIZE + 100, Ok(100)), (SIZE, Err(Errno::INVAL))] {
            world.mapper.with("v", |volume| {
                volume.size = size;
                volume.epoch += 1;
            });
            world
                .mapper
                .recall("v", RecallKind::Forget, ALL, u32::MAX)
                .await
                .unwrap();
            assert_eq!(client.write(SIZE, &[1; 100]).await, expected);
        }
    });
}

#[test]
fn words_of_a_recall_are_checked() {
    run(7, SIZE, |world| async move {
        let mapper = &world.mapper;
        let recall = OpCode::RECALL;
        let bad_kind = mapper
            .recall_raw(recall, COMPOSER, &[1; 16], [1, 77, 0, 1])
            .await;
        assert_eq!(bad_kind, Err(Errno::INVAL));
        let bad_name = mapper
            .recall_raw(recall, COMPOSER, b"v", [1, 0, 0, 1])
            .await;
        assert_eq!(bad_name, Err(Errno::INVAL));
        let all = Recall {
            epoch: 1,
            kind: RecallKind::Forget,
            first_block: u64::MAX,
            blocks: u64::MAX,
        };
        let unknown = mapper
            .recall_raw(recall, COMPOSER, &[9; 16], all.to_args())
            .await;
        assert_eq!(unknown, Ok(0), "there is nothing to forget");
        let cancel = mapper
            .recall_raw(OpCode::CANCEL, COMPOSER, b"", [0; 4])
            .await;
        assert_eq!(cancel, Ok(0));
    });
}

/// W5, ATTACH-3
#[test]
fn a_volume_that_nobody_uses_is_given_back_and_then_nothing_is_left_to_do() {
    run_bare(8, |world| async move {
        world.mapper.add("v", crate::naive::Volume::new(1, SIZE));
        let mut options = options(&world.segment);
        options.idle_after = Duration::from_millis(30);
        let composer = world.composer(COMPOSER, options);
        let client = world.client("v");
        client.write(0, &[1; 100]).await.unwrap();
        let resting = world.handle.tasks() - 1;
        let attached = || world.mapper.with("v", |volume| volume.composers.len());
        assert_eq!(attached(), 1);
        world.handle.sleep(Duration::from_millis(60)).await;
        assert_eq!(attached(), 0);
        assert_eq!(world.handle.tasks(), resting, "the timer is gone");
        let used = client.open(&world.handle, 1);
        assert_eq!(client.read(0, 100).await, Ok(vec![1; 100]));
        let before = world.mapper.count_of(DETACH);
        world.handle.sleep(Duration::from_millis(60)).await;
        assert_eq!(world.mapper.count_of(DETACH), before, "it is in use");
        composer.drain().await;
        assert_eq!(used.await, Err(Errno::SHUTDOWN));
        assert_eq!(attached(), 0);
    });
}

/// ATTACH-1
#[test]
fn a_volume_is_attached_once_whoever_asks_for_it_at_the_same_time() {
    run(9, SIZE, |world| async move {
        world.mapper.moods.set(crate::mapper::Moods {
            delay_us: 3000,
            ..Default::default()
        });
        let client = world.client("v");
        let reads: Vec<_> = (0..20_u64)
            .map(|at| {
                let client = client.clone();
                world
                    .handle
                    .spawn(async move { client.read(at * 100, 100).await })
            })
            .collect();
        for read in reads {
            assert_eq!(read.await, Ok(vec![0; 100]));
        }
        // Once to learn the id, once after the grants of an earlier life were voided (ATTACH-2).
        assert_eq!(world.mapper.count_of(ATTACH), 2);
        assert_eq!(world.mapper.count_of(DETACH), 1);
    });
}

/// USERS-1: whoever takes his leave while a volume is to be given up is waited for, for a moment.
#[test]
fn a_volume_whose_user_is_about_to_leave_is_detached() {
    run(10, SIZE, |world| async move {
        let client = world.client("v");
        let used = client.open(&world.handle, 1);
        client.write(0, &[1; 100]).await.unwrap();
        let own = client.clone();
        let leaves = world.handle.clone();
        drop(world.handle.spawn(async move {
            leaves.sleep(Duration::from_millis(20)).await;
            own.close(1).await.unwrap();
        }));
        let detach = || world.mapper.recall("v", RecallKind::Detach, ALL, u32::MAX);
        assert_eq!(detach().await, Ok(()));
        assert_eq!(used.await, Ok(0));
    });
}

/// USERS-1: a use of what is not looked up yet may be one of this volume.
#[test]
fn a_volume_is_not_detached_before_those_who_open_something_were_heard() {
    run(11, SIZE, |world| async move {
        let client = world.client("v");
        client.write(0, &[1; 100]).await.unwrap();
        world.mapper.add("w", crate::naive::Volume::new(2, SIZE));
        world.mapper.hold_answers(Some(ATTACH));
        let other = world.client("w");
        let used = other.open(&world.handle, 1);
        a_while(&world).await;
        let detach = || world.mapper.recall("v", RecallKind::Detach, ALL, u32::MAX);
        assert_eq!(detach().await, Err(Errno::BUSY));
        world.mapper.hold_answers(None);
        assert_eq!(detach().await, Ok(()));
        assert_eq!(other.close(1).await, Ok(1));
        assert_eq!(used.await, Ok(0));
    });
}

/// USERS-1: looking a name up takes as long as opening a volume does; meanwhile it is not taken for a use of another one.
#[test]
fn a_volume_is_detached_when_what_was_looked_up_for_long_is_another_one() {
    run(13, SIZE, |world| async move {
        let client = world.client("v");
        client.write(0, &[1; 100]).await.unwrap();
        world.mapper.add("w", crate::naive::Volume::new(2, SIZE));
        world.mapper.hold_answers(Some(ATTACH));
        let other = world.client("w");
        let used = other.open(&world.handle, 1);
        a_while(&world).await;
        let own = world.clone();
        let detached = world.handle.spawn(async move {
            let detached = own.mapper.recall("v", RecallKind::Detach, ALL, u32::MAX);
            detached.await
        });
        world.handle.sleep(Duration::from_millis(900)).await;
        world.mapper.hold_answers(None);
        assert_eq!(detached.await, Ok(()));
        assert_eq!(other.close(1).await, Ok(1));
        assert_eq!(used.await, Ok(0));
    });
}

/// USERS-2
#[test]
fn what_does_not_exist_is_not_opened() {
    run(12, SIZE, |world| async move {
        let client = world.client("nothing");
        assert_eq!(client.open(&world.handle, 1).await, Err(Errno::NOENT));
        assert_eq!(client.close(1).await, Ok(0));
    });
}
