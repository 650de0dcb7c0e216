//! Volumes that failed, or that a new mapper cannot open: composers write in place meanwhile, and are not forgotten.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use archipelago_mapperd::engine::{MapError, Mapper, World};
use archipelago_mapperd::map::PAGE_BYTES;
use archipelago_protocol::RecallKind;
use archipelago_store::sim::{CallKind, Interleave, block_on, yield_now};
use archipelago_store::{ObjectName, Store, StoreError};
use rustix::io::Errno;

use crate::client::{SECTORS, bytes_of, create_new, read_sub, scope_of, write_sub};
use crate::world::{COMPOSER, SimWorld, beside, crashed_now, killed, mapper_of};

const MIB: u64 = 1 << 20;
const BROKEN: StoreError = StoreError::Io(Errno::IO);

async fn with_disk() -> Mapper<SimWorld> {
    let world = SimWorld::new(1);
    world.serve(&[COMPOSER]);
    let mapper = mapper_of(world);
    create_new(&mapper, "disk", MIB).await;
    mapper
}

async fn write(mapper: &Mapper<SimWorld>, sub: u64, value: u64) -> Result<(), MapError> {
    let volume = mapper.open("disk", false).await.unwrap();
    volume.add_composer(COMPOSER);
    write_sub(mapper, &volume, sub, &[value; SECTORS]).await
}

fn was_closed(mapper: &Mapper<SimWorld>) -> bool {
    let recalls = mapper.base().world.recalls();
    let is_told = |kind| [RecallKind::Close, RecallKind::Drop].contains(&kind);
    recalls
        .iter()
        .any(|(who, recall)| *who == COMPOSER && is_told(recall.kind))
}

/// CLOSE-3, MAPPER-5; F27
#[test]
fn composers_of_a_volume_that_failed_forget_it_and_are_told_so_at_their_next_flush() {
    block_on(async {
        let mapper = with_disk().await;
        write(&mapper, 0, 1).await.unwrap();
        let id = mapper.find("disk").await.unwrap().head.id;
        let maps = mapper.base().world.maps();
        maps.fail_all(CallKind::Write, Some(BROKEN));
        assert!(write(&mapper, 1, 2).await.is_err());
        maps.fail_all(CallKind::Write, None);
        let volume = mapper.open("disk", false).await.unwrap();
        assert!(volume.failure().is_some() && !was_closed(&mapper));
        mapper.close("disk").await.unwrap();
        assert!(was_closed(&mapper), "it would write under the next owner");
        assert!(!mapper.holds_lock(id).await.unwrap());
        // It attaches the volume anew; what it had written may be lost.
        assert!(write(&mapper, 0, 3).await.is_ok());
        let told = mapper.flush(id, COMPOSER, 0).await;
        assert!(matches!(told, Err(MapError::Failed { .. })), "{told:?}");
        mapper.flush(id, COMPOSER, 0).await.unwrap();
        let mapper = crashed_now(&mapper, 3);
        let volume = mapper.open("disk", false).await.unwrap();
        assert_eq!(read_sub(&mapper, &volume, 0).await.unwrap(), [3; SECTORS]);
    });
}

/// REOPEN-1, STORE-7; D3
#[test]
fn a_volume_whose_store_was_late_goes_on_when_that_answers_again() {
    block_on(async {
        let mapper = with_disk().await;
        write(&mapper, 0, 1).await.unwrap();
        let before = mapper.open("disk", false).await.unwrap();
        let (id, maps) = (before.id, mapper.base().world.maps());
        let late = |kind, is_late: bool| maps.fail_all(kind, is_late.then_some(StoreError::Late));
        late(CallKind::Write, true);
        late(CallKind::Heal, true);
        assert!(write(&mapper, 1, 2).await.is_err());
        mapper.look_after_late().await;
        assert!(
            mapper.has_late() && !was_closed(&mapper),
            "something of it may still come"
        );
        assert!(mapper.flush(id, COMPOSER, 0).await.is_err());
        late(CallKind::Write, false);
        mapper.look_after_late().await;
        assert!(
            mapper.has_late() && !was_closed(&mapper),
            "it cannot be told yet"
        );
        maps.settle();
        mapper.look_after_late().await;
        assert!(
            mapper.has_late() && !before.has_ended(),
            "a head may still come"
        );
        late(CallKind::Heal, false);
        mapper.look_after_late().await;
        assert!(!mapper.has_late() && was_closed(&mapper) && before.is_closed());
        assert!(mapper.holds_lock(id).await.unwrap());
        let volume = mapper.open_volume(id).unwrap();
        assert!(volume.with_state(|state| state.is_asked_for), "HELD-2");
        drop(volume);
        // What was answered is there, and durable.
        mapper.flush(id, COMPOSER, 0).await.unwrap();
        write(&mapper, 1, 3).await.unwrap();
        let mapper = crashed_now(&mapper, 3);
        let volume = mapper.open("disk", false).await.unwrap();
        assert_eq!(read_sub(&mapper, &volume, 0).await.unwrap(), [1; SECTORS]);
    });
}

/// REOPEN-2; D3, F27
#[test]
fn what_failed_otherwise_is_not_believed_because_something_was_late() {
    // A sync that fails, and a write that failed before.
    for (kind, is_data) in [
        (CallKind::Sync, true),
        (CallKind::Sync, false),
        (CallKind::Write, true),
    ] {
        block_on(async {
            let mapper = with_disk().await;
            write(&mapper, 0, 1).await.unwrap();
            let volume = mapper.open("disk", false).await.unwrap();
            let (id, scope) = (volume.id, scope_of(&volume));
            let (maps, data) = (mapper.base().world.maps(), mapper.base().world.data());
            maps.fail_all(CallKind::Write, Some(StoreError::Late));
            assert!(write(&mapper, 1, 2).await.is_err());
            maps.fail_all(CallKind::Write, None);
            assert!(volume.failure().unwrap().is_late);
            let failing = if is_data { data } else { maps };
            failing.fail_all(kind, Some(BROKEN));
            let object = ObjectName::new(b"v/1/a").unwrap();
            let _ = data.write(scope, &object, 0, &[1]).await; // it may be the one that fails
            maps.settle();
            mapper.look_after_late().await;
            failing.fail_all(kind, None);
            assert!(!mapper.has_late() && !volume.has_ended(), "{kind:?}");
            assert!(!volume.failure().unwrap().is_late);
            mapper.look_after_late().await;
            assert!(mapper.flush(id, COMPOSER, 0).await.is_err());
            // Somebody's word.
            mapper.close("disk").await.unwrap();
            assert!(mapper.flush(id, COMPOSER, 0).await.is_err(), "MAPPER-5");
            mapper.flush(id, COMPOSER, 0).await.unwrap();
            write(&mapper, 0, 3).await.unwrap();
        });
    }
}

async fn with_late_volume() -> Mapper<SimWorld> {
    let mapper = with_disk().await;
    write(&mapper, 0, 1).await.unwrap();
    let maps = mapper.base().world.maps();
    maps.fail_all(CallKind::Write, Some(StoreError::Late));
    assert!(write(&mapper, 1, 2).await.is_err());
    maps.fail_all(CallKind::Write, None);
    maps.settle();
    mapper
}

/// REOPEN-3
#[test]
fn who_closes_a_volume_while_it_is_opened_anew_finds_it_closed() {
    for seed in 0..200 {
        let mapper = block_on(with_late_volume());
        let id = block_on(mapper.find("disk")).unwrap().head.id;
        let world = &mapper.base().world;
        world.maps().set_yields_max(3);
        world.data().set_yields_max(3);
        let mut both = Interleave::new(seed);
        both.add(mapper.look_after_late());
        both.add(async {
            for _ in 0..seed % 40 {
                yield_now().await;
            }
            mapper.close("disk").await.unwrap();
        });
        both.run();
        assert!(mapper.volumes().is_empty() && !mapper.has_late(), "{seed}");
        assert!(!block_on(mapper.holds_lock(id)).unwrap(), "{seed}");
    }
}

/// HELD-2
#[test]
fn a_volume_that_cannot_be_opened_anew_is_tried_again_and_stays_asked_for() {
    block_on(async {
        let mapper = with_late_volume().await;
        let volume = mapper.open("disk", false).await.unwrap();
        let maps = mapper.base().world.maps();
        maps.fail_all(CallKind::Read, Some(StoreError::Late));
        mapper.look_after_late().await;
        assert!(volume.was_left() && volume.is_closed() && mapper.has_late());
        assert!(mapper.holds_lock(volume.id).await.unwrap());
        maps.fail_all(CallKind::Read, None);
        mapper.look_after_late().await;
        assert!(!mapper.has_late());
        let anew = mapper.open_volume(volume.id).unwrap();
        assert!(anew.with_state(|state| state.is_asked_for));
    });
}

/// REOPEN-3
#[test]
fn nothing_is_opened_anew_when_the_mapper_stops() {
    block_on(async {
        let mapper = with_late_volume().await;
        let id = mapper.find("disk").await.unwrap().head.id;
        mapper.give_up_hashing();
        mapper.look_after_late().await;
        assert!(mapper.has_late());
        mapper.close_all().await.unwrap();
        mapper.look_after_late().await;
        assert!(mapper.volumes().is_empty() && !mapper.holds_lock(id).await.unwrap());
    });
}

/// OWNER-3, MAPPER-3; D2
#[test]
fn a_lock_that_a_dead_mapper_left_is_kept_when_its_volume_cannot_be_opened() {
    block_on(async {
        let mapper = with_disk().await;
        write(&mapper, 0, 1).await.unwrap();
        let volume = mapper.open("disk", false).await.unwrap();
        volume.flush().await.unwrap();
        let (id, scope) = (volume.id, scope_of(&volume));
        let source = volume.block(0).await.unwrap().source_at(0).unwrap();
        drop(volume);
        let mapper = killed(mapper);
        mapper.base().world.serve(&[COMPOSER]);
        mapper
            .base()
            .world
            .maps()
            .fail_all(CallKind::Write, Some(BROKEN));
        mapper.open_left().await.unwrap();
        assert!(mapper.open("disk", false).await.is_err());
        assert!(mapper.holds_lock(id).await.unwrap());
        // The composer goes on as it was told; nobody says that this is durable.
        let object = archipelago_mapperd::map::object_name(source, 0);
        let data = mapper.base().world.data();
        let bytes = bytes_of(&[2; SECTORS]);
        data.write(scope, &object, 0, &bytes).await.unwrap();
        assert!(mapper.flush(id, COMPOSER, 0).await.is_err());
        let maps = mapper.base().world.maps();
        maps.fail_all(CallKind::Write, None);
        mapper.base().believe(id).await.unwrap();
        mapper.flush(id, COMPOSER, 0).await.unwrap();
        let mapper = crashed_now(&mapper, 3);
        let volume = mapper.open("disk", false).await.unwrap();
        assert_eq!(read_sub(&mapper, &volume, 0).await.unwrap(), [2; SECTORS]);
    });
}

/// CLOSE-3: nobody can open it, and its lock is given away by force.
#[test]
fn composers_forget_a_volume_whose_lock_is_broken() {
    block_on(async {
        let mapper = with_disk().await;
        write(&mapper, 0, 1).await.unwrap();
        let id = mapper.find("disk").await.unwrap().head.id;
        let mapper = killed(mapper);
        mapper.base().world.serve(&[COMPOSER]);
        let maps = mapper.base().world.maps();
        maps.fail_all(CallKind::Write, Some(BROKEN));
        assert!(mapper.close("disk").await.is_err());
        mapper.unlock("disk", true).await.unwrap();
        assert!(was_closed(&mapper));
        assert!(!mapper.holds_lock(id).await.unwrap());
    });
}

/// STORE-7, L3: what a predecessor's composers wrote late would land over what the next owner writes.
#[test]
fn a_lock_is_not_given_back_while_something_may_come_in_the_store_of_the_data() {
    block_on(async {
        let mapper = with_disk().await;
        write(&mapper, 0, 1).await.unwrap();
        let id = mapper.find("disk").await.unwrap().head.id;
        mapper.lock("disk").await.unwrap();
        let mapper = killed(mapper);
        mapper.base().world.serve(&[COMPOSER]);
        let data = mapper.base().world.data();
        data.fail_all(CallKind::Heal, Some(StoreError::Late));
        for is_forced in [false, true] {
            let given = mapper.unlock("disk", is_forced).await;
            let is_late = matches!(&given, Err(MapError::Store { source, .. }) if *source == StoreError::Late);
            assert!(is_late && was_closed(&mapper), "{given:?}");
            assert!(mapper.holds_lock(id).await.unwrap());
        }
        // It is held still (HELD-1).
        data.fail_all(CallKind::Heal, None);
        mapper.open("disk", false).await.unwrap();
        mapper.close("disk").await.unwrap();
        assert!(mapper.holds_lock(id).await.unwrap());
        mapper.unlock("disk", false).await.unwrap();
        assert!(!mapper.holds_lock(id).await.unwrap());
    });
}

/// CHECK-3, M3: whoever was killed while it gave pages back begins again.
#[test]
fn pages_that_are_given_back_twice_take_no_other_page_with_them() {
    block_on(async {
        let mapper = with_disk().await;
        create_new(&mapper, "large", 1 << 40).await;
        let volume = mapper.open("large", false).await.unwrap();
        // Leaves far apart, and the pages above them, in one object.
        for leaf in 0..4 {
            let sub = leaf * 16 * 126 * 126;
            let value = [leaf + 1; SECTORS];
            write_sub(&mapper, &volume, sub, &value).await.unwrap();
        }
        volume.checkpoint(0).await.unwrap();
        let base = mapper.base();
        let root = volume.with_state(|state| state.layers.root);
        let pages = base.pages.only_in(root, &[]).await.unwrap();
        assert!(pages.len() > 2, "{pages:?}");
        let (kept, given) = pages.split_last().unwrap();
        let name = format!("page/{}/{:016x}", kept.birth, kept.number);
        let object = ObjectName::new(name.as_bytes()).unwrap();
        let maps = base.world.maps();
        for page in given.iter().chain(given) {
            base.free_pages(&[*page]).await.unwrap();
            let held = maps.data_in(&object, 0..u64::MAX).await;
            assert!(held.unwrap() >= PAGE_BYTES as u64);
        }
        let start = u64::from(kept.index) * PAGE_BYTES as u64;
        let held = maps.data_in(&object, start..start + PAGE_BYTES as u64);
        assert_eq!(held.await, Ok(PAGE_BYTES as u64));
        base.free_pages(&[*kept]).await.unwrap();
        assert_eq!(maps.stat(&object).await, Err(StoreError::NotFound));
    });
}

/// Polls it so often at the most. Tells whether it is done.
async fn poll_for(polls: u64, work: &mut Pin<&mut impl Future<Output = ()>>) -> bool {
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        work.as_mut().poll(context).map(|()| true)
    })
    .await
}

/// A write to the journal is under way when the volume fails by something else, and is closed so.
/// Tells whether the lock was given back before that write was over.
async fn closed_while_it_commits(folds_for: u64, commits_for: u64) -> bool {
    let mapper = with_disk().await;
    for sub in 0..4 {
        write(&mapper, sub, 1).await.unwrap();
    }
    let (maps, data) = (mapper.base().world.maps(), mapper.base().world.data());
    for store in [maps, data] {
        store.set_yields_max(2);
    }
    let volume = mapper.open("disk", false).await.unwrap();
    maps.fail_all(CallKind::CreateExclusive, Some(BROKEN)); // no head is published
    let mut folds = pin!(async {
        volume.checkpoint(0).await.unwrap_err();
    });
    let written = Cell::new(None);
    let mut commits = pin!(async {
        written.set(Some(write_sub(&mapper, &volume, 9, &[9; SECTORS]).await));
    });
    let is_early = poll_for(folds_for, &mut folds).await;
    let is_late = poll_for(commits_for, &mut commits).await;
    if is_early || is_late || !poll_for(1000, &mut folds).await {
        return false; // the one waits for the other, or is over before it
    }
    assert!(volume.failure().is_some());
    maps.fail_all(CallKind::CreateExclusive, None);
    let mut closes = pin!(async { mapper.close("disk").await.unwrap() });
    if !poll_for(1000, &mut closes).await {
        while !poll_for(1, &mut commits).await {}
        closes.await;
        return false; // CLOSE-5: it waits
    }
    let second = beside(&mapper, "second");
    let new = second.open("disk", false).await.unwrap();
    let seen = read_sub(&second, &new, 9).await.unwrap();
    while !poll_for(1, &mut commits).await {}
    let is_answered = matches!(written.take(), Some(Ok(())));
    assert!(
        !is_answered || seen == [9; SECTORS],
        "{folds_for} {commits_for}: it is lost"
    );
    true
}

/// CLOSE-5, D1
#[test]
fn what_is_being_written_to_the_journal_of_a_volume_that_fails_is_waited_for_before_another_node_has_it()
 {
    let mut waited = 0;
    for folds_for in 0..30 {
        for commits_for in 0..12 {
            waited += u32::from(!block_on(closed_while_it_commits(folds_for, commits_for)));
        }
    }
    assert!(waited > 0);
}
