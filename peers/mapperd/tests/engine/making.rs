//! Two nodes: one makes something, the other one tidies up, at every moment of it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use archipelago_mapperd::engine::{
    CreateOptions, GcMode, GcReport, MapError, Mapper, Origin, World,
};
use archipelago_mapperd::map::VolumeId;
use archipelago_store::sim::block_on;

use crate::client::{SECTORS, create_new, read_sub, shape, snapshot, write_sub};
use crate::fold_races::break_all;
use crate::script::content_of;
use crate::space::leaks;
use crate::taken::stopped_for;
use crate::world::{SimWorld, beside, killed, mapper_of, objects_of};

const SIZE_BYTES: u64 = 4 << 16;

async fn with_snapshot() -> Mapper<SimWorld> {
    with_snapshot_in(SimWorld::new(1).owned_by("first")).await
}

async fn with_snapshot_in(world: SimWorld) -> Mapper<SimWorld> {
    let mapper = mapper_of(world);
    create_new(&mapper, "v", SIZE_BYTES).await;
    let volume = mapper.open("v", false).await.unwrap();
    write_sub(&mapper, &volume, 0, &[7; SECTORS]).await.unwrap();
    snapshot(&mapper, "v", "s").await;
    for store in [mapper.base().world.maps(), mapper.base().world.data()] {
        store.set_yields_max(2);
    }
    mapper
}

/// Gives back whatever there is to be given back.
async fn tidied(mapper: &Mapper<SimWorld>) {
    mapper.empty_trash(0).await.unwrap();
    collected(mapper).await;
}

async fn collected(mapper: &Mapper<SimWorld>) {
    let report = GcReport::default();
    match mapper.gc(GcMode::Collect, &report).await {
        Ok(()) | Err(MapError::Locked { .. }) => {} // the other one has the volume
        Err(error) => panic!("{error}"),
    }
}

/// MAKING-1: what was answered is there, and has what it began with, also when its origin is gone.
#[test]
fn what_one_node_makes_another_one_does_not_give_back() {
    for kind in KINDS {
        let mut moment = 0;
        while block_on(made_while_another_one_tidies(kind, moment)) {
            moment += 1;
        }
        assert!(moment > 10, "{moment} moments");
    }
}

async fn made_while_another_one_tidies(kind: Kind, moment: u64) -> bool {
    let first = with_snapshot().await;
    let second = beside(&first, "second");
    let id = first.base().world.random_id();
    let mut made = Ok(());
    let making = async { made = make(&first, kind, id).await };
    let was_stopped = stopped_for(moment, making, tidied(&second)).await;
    match made {
        Ok(()) => {}
        // It was refused, and nothing of it is left.
        Err(MapError::Locked { .. }) => {
            tidied(&first).await;
            assert!(first.base().find("made").await.unwrap().is_none());
            return was_stopped;
        }
        Err(error) => panic!("after {moment}: {error}"),
    }
    first.close("v").await.unwrap();
    for gone in ["s", "v"] {
        first.remove(gone).await.unwrap();
        tidied(&first).await;
    }
    let name = if kind == Kind::Snapshot {
        let id = first.base().world.random_id();
        let options = cloned_from("made");
        first.create("clone", id, &options).await.unwrap();
        "clone"
    } else {
        "made"
    };
    let volume = first.open(name, false).await.unwrap();
    let found = read_sub(&first, &volume, 0).await.unwrap();
    assert_eq!(found, [7; SECTORS], "after {moment}");
    was_stopped
}

fn cloned_from(name: &str) -> CreateOptions {
    CreateOptions {
        size: None,
        origin: Some(Origin::Any(name.into())),
        shape: shape(),
    }
}

/// Makes one of each kind.
async fn make(mapper: &Mapper<SimWorld>, kind: Kind, id: VolumeId) -> Result<(), MapError> {
    match kind {
        Kind::Clone => mapper.create("made", id, &cloned_from("s")).await,
        Kind::CloneOfVolume => mapper.create("made", id, &cloned_from("v")).await,
        Kind::Snapshot => mapper.snapshot("v", "made", id).await,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Clone,
    CloneOfVolume,
    Snapshot,
}

const KINDS: [Kind; 3] = [Kind::Clone, Kind::CloneOfVolume, Kind::Snapshot];

/// Does both, the second from some moment of the first on. Tells whether the first was at work then.
async fn joined_after(
    polls: u64,
    first: impl Future<Output = ()>,
    second: impl Future<Output = ()>,
) -> bool {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut left, mut is_done, mut is_second_done, mut overlap) = (polls, false, false, false);
    poll_fn(|context| {
        is_done = is_done || first.as_mut().poll(context).is_ready();
        if left > 0 && !is_done {
            left -= 1;
        } else {
            overlap |= !is_done;
            is_second_done = is_second_done || second.as_mut().poll(context).is_ready();
        }
        context.waker().wake_by_ref();
        if is_done && is_second_done {
            return Poll::Ready(overlap);
        }
        Poll::Pending
    })
    .await
}

/// MAKING-2, MAKING-3: who opens a volume that has just got its name has its lock, and the next owner another token.
#[test]
fn what_is_opened_while_it_is_made_keeps_its_lock() {
    let (mut moment, mut opened) = (0, 0);
    loop {
        let (overlap, was_opened) = block_on(opened_while_made(moment));
        opened += u32::from(overlap && was_opened);
        moment += 1;
        if !overlap {
            break;
        }
    }
    assert!(opened > 0, "{moment} moments");
}

async fn opened_while_made(moment: u64) -> (bool, bool) {
    let first = with_snapshot().await;
    let id = first.base().world.random_id();
    let mut volume = None;
    let making = async { make(&first, Kind::Clone, id).await.unwrap() };
    let opening = async { volume = first.open("made", false).await.ok() };
    let overlap = joined_after(moment, making, opening).await;
    let Some(volume) = volume else {
        return (overlap, false);
    };
    let record = first.base().lock_record(id).await.unwrap().unwrap();
    assert!(record.is_of(first.base().world.owner()), "after {moment}");
    volume.check_lock().await.unwrap();
    write_sub(&first, &volume, 1, &[9; SECTORS]).await.unwrap();
    volume.flush().await.unwrap();
    first.close("made").await.unwrap();
    let second = beside(&first, "second");
    let volume = second.open("made", false).await.unwrap();
    let next = second.base().lock_record(id).await.unwrap().unwrap();
    assert!(next.token > record.token, "after {moment}");
    let found = read_sub(&second, &volume, 1).await.unwrap();
    assert_eq!(found, [9; SECTORS], "after {moment}");
    (overlap, true)
}

/// MAKING-4: what was answered has what it began with, though its origin is removed by another node; what is refused is gone.
#[test]
fn a_clone_whose_origin_goes_meanwhile_is_whole_or_refused() {
    let (mut moment, mut refused) = (0, 0);
    loop {
        let (was_stopped, was_refused) = block_on(cloned_while_the_origin_goes(moment));
        refused += u32::from(was_refused);
        moment += 1;
        if !was_stopped {
            break;
        }
    }
    assert!(refused > 0, "{moment} moments");
}

async fn cloned_while_the_origin_goes(moment: u64) -> (bool, bool) {
    let first = with_snapshot().await;
    first.close("v").await.unwrap();
    let second = beside(&first, "second");
    let id = first.base().world.random_id();
    let mut made = Ok(());
    let making = async { made = make(&first, Kind::Clone, id).await };
    let going = async {
        second.remove("s").await.unwrap();
        tidied(&second).await;
    };
    let was_stopped = stopped_for(moment, making, going).await;
    match made {
        Ok(()) => {
            second.remove("v").await.unwrap();
            tidied(&second).await;
            let volume = first.open("made", false).await.unwrap();
            let found = read_sub(&first, &volume, 0).await.unwrap();
            assert_eq!(found, [7; SECTORS], "after {moment}");
            (was_stopped, false)
        }
        Err(MapError::NotFound { name }) => {
            assert_eq!(name, "s");
            tidied(&second).await;
            assert!(first.base().find("made").await.unwrap().is_none());
            assert!(first.base().load(id).await.unwrap().is_none());
            assert_eq!(first.base().trash().await.unwrap(), [], "after {moment}");
            (was_stopped, true)
        }
        Err(error) => panic!("after {moment}: {error}"),
    }
}

/// Who makes something dies at every moment: when it is made in the end, nobody has its lock.
#[test]
fn a_death_while_something_is_made_leaves_no_lock() {
    for kind in KINDS {
        for is_asked_again in [true, false] {
            let mut moment = 0;
            while block_on(made_by_who_dies(kind, is_asked_again, moment)) {
                moment += 1;
            }
            assert!(moment > 10, "{moment} moments");
        }
    }
}

async fn made_by_who_dies(kind: Kind, is_asked_again: bool, moment: u64) -> bool {
    let world = SimWorld::new(1);
    let first = with_snapshot_in(world).await;
    let id = first.base().world.random_id();
    let was_stopped = {
        let making = async { make(&first, kind, id).await.unwrap() };
        let mut making = pin!(making);
        let mut left = moment;
        poll_fn(|context| {
            if making.as_mut().poll(context).is_ready() {
                return Poll::Ready(false);
            }
            if left == 0 {
                return Poll::Ready(true);
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    };
    let next = killed(first);
    if is_asked_again {
        make(&next, kind, id).await.unwrap();
    } else {
        next.open_left().await.unwrap();
    }
    tidied(&next).await;
    if let Some(volume) = next.open_volume(id) {
        next.close_volume(&volume).await.unwrap();
    }
    for object in objects_of(next.base().maps()).await {
        let text = std::str::from_utf8(object.as_bytes()).unwrap();
        let Some(("head", id)) = text
            .rsplit_once('/')
            .and_then(|(head, _)| head.split_once('/'))
        else {
            continue;
        };
        let id = id.parse().unwrap();
        let is_open = next.open_volume(id).is_some();
        let is_left = next.base().load(id).await.unwrap().unwrap().head.name == "v";
        let is_locked = next.holds_lock(id).await.unwrap();
        assert!(is_open || is_left || !is_locked, "{kind:?} after {moment}");
    }
    was_stopped
}

/// MAKING-1, MAKING-5: another node collects what nobody names while something is made, and whoever makes it dies some moments later: what
/// it began is found by its line in the trash.
#[test]
fn what_was_begun_is_given_back_though_another_node_collected_meanwhile() {
    for kind in KINDS {
        for more in [0, 3, 12, 40] {
            let mut moment = 0;
            while block_on(begun_while_another_one_collects(kind, moment, more)) {
                moment += 1;
            }
            assert!(moment > 10, "{moment} moments");
        }
    }
}

async fn begun_while_another_one_collects(kind: Kind, moment: u64, more: u64) -> bool {
    let first = with_snapshot_in(SimWorld::new(1)).await;
    first.close("v").await.unwrap();
    let second = beside(&first, "second");
    let id = first.base().world.random_id();
    let when = format!("{kind:?}, {moment} and {more}");
    let was_stopped = {
        let making = async { drop(make(&first, kind, id).await) };
        let mut making = pin!(making);
        let was_stopped = !is_done_within(moment, making.as_mut()).await;
        collected(&second).await;
        if was_stopped {
            is_done_within(more, making.as_mut()).await;
        }
        was_stopped
    };
    let next = killed(first);
    next.open_left().await.unwrap();
    next.close_all().await.unwrap();
    tidied(&next).await;
    assert_eq!(leaks(&next).await, Vec::<String>::new(), "{when}");
    for id in next.base().trash().await.unwrap() {
        // The nameless snapshot, while two hang from it.
        let left = next.base().load(id).await.unwrap();
        assert!(
            left.is_some_and(|left| left.head.flags.nameless),
            "{when}: {id}"
        );
    }
    for name in ["v", "made"] {
        let found = content_of(&next, name, 1).await;
        let found = found.unwrap_or_else(|error| panic!("{when}: {name}: {error}"));
        let is_right = found.map_or(name == "made", |subs| subs[0][0] == 7);
        assert!(is_right, "{when}: {name}");
    }
    was_stopped
}

/// Has it go on so often.
async fn is_done_within(polls: u64, mut work: Pin<&mut impl Future<Output = ()>>) -> bool {
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        context.waker().wake_by_ref();
        work.as_mut().poll(context).map(|()| true)
    })
    .await
}

/// Another node has the lock for the moment in which it looks at the line: it is made all the same, and listed.
#[test]
fn what_another_node_looks_at_is_made_all_the_same() {
    let mut moment = 0;
    while block_on(made_while_the_line_is_looked_at(moment)) {
        moment += 1;
    }
    assert!(moment > 3, "{moment} moments");
}

async fn made_while_the_line_is_looked_at(moment: u64) -> bool {
    let first = with_snapshot().await;
    let second = beside(&first, "second");
    let id = first.base().world.random_id();
    first.base().put_in_trash(id).await.unwrap();
    let making = async { make(&first, Kind::Clone, id).await.unwrap() };
    let emptying = async { second.empty_trash(0).await.unwrap() };
    let overlap = joined_after(moment, emptying, making).await;
    let volume = first.open("made", false).await.unwrap();
    let found = read_sub(&first, &volume, 0).await.unwrap();
    assert_eq!(found, [7; SECTORS], "after {moment}");
    overlap
}

/// MAKING-1, MAKING-4, MAKING-5: whoever makes something loses all locks at some moment, and what was begun is given back elsewhere. What has
/// the name in the end is whole.
#[test]
fn what_is_made_by_who_has_lost_all_locks_is_whole_or_nothing() {
    for kind in KINDS {
        for is_origin_removed in [false, true] {
            let mut moment = 0;
            while block_on(made_without_locks(kind, is_origin_removed, moment)) {
                moment += 1;
            }
            assert!(moment > 10, "{moment} moments");
        }
    }
}

async fn made_without_locks(kind: Kind, is_origin_removed: bool, moment: u64) -> bool {
    let first = with_snapshot().await;
    let second = beside(&first, "second");
    let id = first.base().world.random_id();
    let mut made = Ok(());
    let making = async { made = make(&first, kind, id).await };
    let going = async {
        break_all(&second).await;
        let volume = second.open("v", false).await.unwrap();
        write_sub(&second, &volume, 0, &[8; SECTORS]).await.unwrap();
        volume.checkpoint(0).await.unwrap();
        if is_origin_removed {
            second.remove("s").await.unwrap();
        }
        second.close("v").await.unwrap();
        tidied(&second).await;
    };
    let was_stopped = stopped_for(moment, making, going).await;
    let when = format!("{kind:?}, {is_origin_removed}, after {moment}: {made:?}");
    drop(first);
    break_all(&second).await;
    tidied(&second).await;
    second.close_all().await.unwrap();
    tidied(&second).await;
    assert_eq!(leaks(&second).await, Vec::<String>::new(), "{when}");
    let found = content_of(&second, "made", 1).await;
    let found = found.unwrap_or_else(|error| panic!("{when}: {error}"));
    let trash = second.base().trash().await.unwrap();
    match found {
        Some(subs) => assert!([7, 8].contains(&subs[0][0]), "{when}: {subs:?}"),
        None => assert!(made.is_err() && trash.is_empty(), "{when}: {trash:?}"),
    }
    was_stopped
}
