//! An owner that is stopped at some moment, whose lock is broken meanwhile by a store that cannot tell that it lives, and that then
//! goes on (F16, F49): what it takes away late is nobody's, and its clients are told.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use archipelago_mapperd::engine::{GcMode, GcReport, MapError, Mapper, Volume, World};
use archipelago_store::StoreError;
use archipelago_store::sim::{CallKind, block_on};
use rustix::io::Errno;

use crate::client::{SECTORS, create_new, read_sub, snapshot, write_sub};
use crate::world::{COMPOSER, SimWorld, beside, mapper_of, node_over};

const BLOCK_BYTES: u64 = 1 << 16;
const SIZE_BYTES: u64 = 4 * BLOCK_BYTES;
/// Two blocks.
const SUBS: u64 = 32;

/// Does one thing up to a moment, then all of another one, then the rest of the first. Tells whether it was stopped at all.
pub async fn stopped_for(
    polls: u64,
    work: impl Future<Output = ()>,
    meanwhile: impl Future<Output = ()>,
) -> bool {
    let mut work = pin!(work);
    let mut left = polls;
    let is_done = poll_fn(|context| {
        if work.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    meanwhile.await;
    if !is_done {
        work.await;
    }
    !is_done
}

async fn filled(node: &str) -> (Mapper<SimWorld>, Rc<Volume<SimWorld>>) {
    let mapper = mapper_of(SimWorld::new(1).owned_by(node));
    create_new(&mapper, "v", SIZE_BYTES).await;
    let volume = mapper.open("v", false).await.unwrap();
    for sub in 0..SUBS {
        write_sub(&mapper, &volume, sub, &[sub + 1; SECTORS])
            .await
            .unwrap();
    }
    snapshot(&mapper, "v", "s").await;
    for sub in 0..SUBS / 4 {
        write_sub(&mapper, &volume, sub, &[sub + 101; SECTORS])
            .await
            .unwrap();
    }
    for store in [mapper.base().world.maps(), mapper.base().world.data()] {
        store.set_yields_max(2);
    }
    (mapper, volume)
}

async fn content(mapper: &Mapper<SimWorld>, volume: &Volume<SimWorld>) -> Vec<u64> {
    let mut all = Vec::new();
    for sub in 0..SUBS {
        all.push(read_sub(mapper, volume, sub).await.unwrap()[0]);
    }
    all
}

async fn broken_by(second: &Mapper<SimWorld>) -> Rc<Volume<SimWorld>> {
    match second.unlock("v", true).await {
        Ok(()) | Err(MapError::NotLocked { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    second.open("v", false).await.unwrap()
}

/// What the next owner, and whoever comes after it, sees does not change any more.
async fn is_whole(
    second: &Mapper<SimWorld>,
    new: &Volume<SimWorld>,
    mut seen: Vec<u64>,
    moment: u64,
) {
    assert_eq!(content(second, new).await, seen, "after {moment}"); // TAKEN-1
    write_sub(second, new, 1, &[77; SECTORS]).await.unwrap();
    seen[1] = 77;
    snapshot(second, "v", "t").await;
    second
        .close("v")
        .await
        .unwrap_or_else(|error| panic!("after {moment}: {error}"));
    let report = GcReport::default();
    second.gc(GcMode::Collect, &report).await.unwrap();
    let third = beside(second, "third");
    let volume = third.open("v", false).await.unwrap();
    assert_eq!(content(&third, &volume).await, seen, "after {moment}");
}

/// TAKEN-1, TAKEN-2: everything that gives something back.
#[test]
fn an_owner_that_was_stopped_takes_nothing_away_that_the_next_one_has() {
    let mut moments = 0;
    for moment in 0.. {
        let was_stopped = block_on(async {
            let (first, old) = filled("first").await;
            let second = beside(&first, "second");
            let work = async {
                let result: Result<(), MapError> = async {
                    old.discard(Some(COMPOSER), 0, BLOCK_BYTES).await?;
                    old.reclaim().await?;
                    old.checkpoint(0).await?;
                    let id = first.base().world.random_id();
                    first.snapshot("v", "s2", id).await?;
                    old.discard(Some(COMPOSER), BLOCK_BYTES, BLOCK_BYTES / 2)
                        .await?;
                    old.reclaim().await?;
                    old.checkpoint(0).await?;
                    first.gc(GcMode::Collect, &GcReport::default()).await?;
                    first.close("v").await
                }
                .await;
                drop(result); // it may be refused at any step
            };
            let mut found = None;
            let meanwhile = async {
                let new = broken_by(&second).await;
                let seen = content(&second, &new).await;
                found = Some((new, seen));
            };
            let was_stopped = stopped_for(moment, work, meanwhile).await;
            let (new, seen) = found.unwrap();
            is_whole(&second, &new, seen, moment).await;
            was_stopped
        });
        moments += 1;
        if !was_stopped {
            break;
        }
    }
    assert!(moments > 100, "{moments} moments");
}

/// TAKEN-1: whoever opens a volume cleans up after its predecessor.
#[test]
fn who_was_stopped_while_it_opened_a_volume_takes_nothing_away() {
    let mut moments = 0;
    for moment in 0.. {
        let was_stopped = block_on(async {
            let (dead, _) = filled("first").await;
            let world = &dead.base().world;
            let (maps, data) = (world.maps().survive(), world.data().survive());
            for store in [&maps, &data] {
                store.set_yields_max(2);
            }
            let first = node_over(&maps, &data, world.next_id(), "first");
            let second = beside(&first, "second");
            let work = async {
                drop(first.open("v", false).await);
            };
            let mut found = None;
            let meanwhile = async {
                let new = broken_by(&second).await;
                for sub in 0..4 {
                    let value = [sub + 201; SECTORS];
                    write_sub(&second, &new, sub, &value).await.unwrap();
                }
                new.checkpoint(0).await.unwrap();
                write_sub(&second, &new, 4, &[205; SECTORS]).await.unwrap();
                let seen = content(&second, &new).await;
                found = Some((new, seen));
            };
            let was_stopped = stopped_for(moment, work, meanwhile).await;
            let (new, seen) = found.unwrap();
            is_whole(&second, &new, seen, moment).await;
            was_stopped
        });
        moments += 1;
        if !was_stopped {
            break;
        }
    }
    assert!(moments > 15, "{moments} moments");
}

/// LOST-1, LOST-2, F49
#[test]
fn clients_of_a_volume_that_was_taken_are_refused_until_they_have_left() {
    block_on(async {
        let (first, old) = filled("first").await;
        let id = old.id;
        old.add_composer(COMPOSER);
        first.base().world.set_used(1, true);
        let second = beside(&first, "second");
        broken_by(&second).await;
        first.look_after_locks().await;
        assert!(first.open_volume(id).is_none(), "it is dropped");
        let recalls = first.base().world.recalls();
        assert!(!recalls.is_empty(), "composers forget it");
        let late = write_sub(&first, &old, 9, &[99; SECTORS]).await;
        assert!(late.is_err(), "{late:?}"); // TAKEN-2
        first.base().world.set_used(2, true); // somebody who knows
        for is_free in [false, true] {
            if is_free {
                second.close("v").await.unwrap();
            }
            let opened = first.open_id(id, true).await.map(drop); // LOST-1
            assert!(matches!(opened, Err(MapError::Taken { .. })), "{opened:?}");
            let flushed = first.flush(id, COMPOSER, 0).await;
            assert!(matches!(flushed, Err(MapError::Taken { .. })));
            let error = flushed.unwrap_err().to_string();
            assert!(error.contains("deployment on second"), "{error}");
        }
        assert!(!first.holds_lock(id).await.unwrap(), "LOST-2");
        assert_eq!(first.lost().len(), 1);
        first.base().world.set_used(1, false);
        assert_eq!(first.lost().len(), 0);
        let again = first.open_id(id, true).await.unwrap();
        write_sub(&first, &again, 9, &[100; SECTORS]).await.unwrap();
        first.flush(id, COMPOSER, 0).await.unwrap();
        // LOST-1: or somebody says that they may go on.
        broken_by(&second).await;
        first.look_after_locks().await;
        second.close("v").await.unwrap();
        first.open_id(id, true).await.unwrap_err();
        first.open("v", false).await.unwrap();
        first.open_id(id, true).await.unwrap();
        assert_eq!(first.lost().len(), 0);
    });
}

/// What cannot be seen now is looked at the next time, and a lock that nobody took is ours.
#[test]
fn a_store_in_trouble_takes_nothing_from_anybody() {
    block_on(async {
        let (first, old) = filled("first").await;
        let maps = first.base().world.maps();
        maps.fail_all(CallKind::LockOwner, Some(StoreError::Io(Errno::IO)));
        first.look_after_locks().await;
        maps.fail_all(CallKind::LockOwner, None);
        first.look_after_locks().await;
        assert!(first.open_volume(old.id).is_some());
        write_sub(&first, &old, 9, &[99; SECTORS]).await.unwrap();
        first.close("v").await.unwrap();
        first.look_after_locks().await;
    });
}
