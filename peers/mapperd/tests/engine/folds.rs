//! A head that is folded into what hangs from it, while that goes on, or after that went on: each step of it can be the last, or
//! be overtaken.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use archipelago_mapperd::engine::{
    CreateOptions, GcMode, GcReport, MapError, Mapper, Origin, Volume, World,
};
use archipelago_mapperd::map::VolumeId;
use archipelago_store::sim::{CallKind, block_on};

use crate::client::{GRAIN_BYTES, SECTORS, create_new, read_sub, shape, snapshot, write_sub};
use crate::script::content_of;
use crate::space::leaks;
use crate::world::{SimWorld, crashed_now, killed, killed_now, mapper_of};

pub const SUBS: u64 = 20;
/// Polls for which whoever overtakes has the world alone, unless it waits for the one that is overtaken.
const AHEAD_POLLS: u64 = 2_000;

/// Does `polls` steps of it, and no more. Tells whether there were more.
pub async fn cut_off<T>(polls: u64, work: impl Future<Output = T>) -> bool {
    let mut work = pin!(work);
    let mut left = polls;
    poll_fn(|context| {
        if work.as_mut().poll(context).is_ready() {
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
}

/// Does `polls` steps of the work, then what overtakes it, then the rest. Tells whether there was a rest.
pub async fn overtaken(
    polls: u64,
    work: impl Future<Output = ()>,
    meanwhile: impl Future<Output = ()>,
) -> bool {
    let mut work = pin!(work);
    let was_cut = cut_off(polls, work.as_mut()).await;
    let mut meanwhile = pin!(meanwhile);
    let mut is_worked = !was_cut;
    if cut_off(AHEAD_POLLS, meanwhile.as_mut()).await {
        // It waits for the work.
        let mut is_overtaken = false;
        poll_fn(|context| {
            is_worked = is_worked || work.as_mut().poll(context).is_ready();
            is_overtaken = is_overtaken || meanwhile.as_mut().poll(context).is_ready();
            if is_worked && is_overtaken {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    } else if !is_worked {
        work.await;
    }
    was_cut
}

pub async fn write(
    mapper: &Mapper<SimWorld>,
    name: &str,
    subs: impl Iterator<Item = u64>,
    value: u64,
) {
    let volume = mapper.open(name, false).await.unwrap();
    for sub in subs {
        let value = [value + sub; SECTORS];
        write_sub(mapper, &volume, sub, &value).await.unwrap();
    }
}

/// Named snapshots of the volume above and below the nameless one.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    pub above: bool,
    pub below: bool,
}

pub const SCENES: [Scene; 4] = [
    Scene {
        above: false,
        below: false,
    },
    Scene {
        above: true,
        below: false,
    },
    Scene {
        above: false,
        below: true,
    },
    Scene {
        above: true,
        below: true,
    },
];

/// A volume that was cloned: the nameless snapshot between is in the trash, and may go now that the clone was removed. All
/// name the segment in which the volume writes on.
pub async fn cloned(Scene { above, below }: Scene) -> Mapper<SimWorld> {
    let mapper = mapper_of(SimWorld::new(1));
    create_new(&mapper, "v", SUBS * GRAIN_BYTES as u64).await;
    write(&mapper, "v", 0..SUBS / 2, 100).await;
    if above {
        snapshot(&mapper, "v", "above").await;
        write(&mapper, "v", (0..SUBS / 2).step_by(3), 200).await;
    }
    let options = CreateOptions {
        size: None,
        origin: Some(Origin::Any("v".into())),
        shape: shape(),
    };
    let id = mapper.base().world.random_id();
    mapper.create("clone", id, &options).await.unwrap();
    write(&mapper, "v", (0..SUBS).step_by(2), 300).await;
    if below {
        // Its turn comes before that of the nameless one.
        let id = VolumeId::new([2; 16]).unwrap();
        mapper.snapshot("v", "below", id).await.unwrap();
        write(&mapper, "v", (0..SUBS).step_by(5), 400).await;
    }
    mapper.remove("clone").await.unwrap();
    let volume = mapper.open("v", false).await.unwrap();
    volume.flush().await.unwrap();
    mapper
}

pub fn slow(mapper: &Mapper<SimWorld>) {
    for store in [mapper.base().world.maps(), mapper.base().world.data()] {
        store.set_yields_max(2);
    }
}

pub async fn content(mapper: &Mapper<SimWorld>, volume: &Volume<SimWorld>) -> Vec<u64> {
    let mut all = Vec::new();
    for sub in 0..SUBS {
        all.push(read_sub(mapper, volume, sub).await.unwrap()[0]);
    }
    all
}

pub async fn says(mapper: &Mapper<SimWorld>, name: &str, when: &str) -> Vec<u64> {
    let found = content_of(mapper, name, SUBS).await;
    let found = found.unwrap_or_else(|error| panic!("{name}, {when}: {error}"));
    found.unwrap().iter().map(|sub| sub[0]).collect()
}

/// The trash is emptied, nothing that has a name is changed by it, and `gc` finds whatever else there was.
pub async fn ends_well(mapper: &Mapper<SimWorld>, named: &[(&str, &[u64])], when: &str) {
    mapper.empty_trash(0).await.unwrap();
    assert_eq!(mapper.base().trash().await.unwrap(), [], "{when}");
    for (name, expected) in named {
        assert_eq!(says(mapper, name, when).await, *expected, "{name}, {when}");
    }
    mapper.close_all().await.unwrap();
    let collected = mapper.gc(GcMode::Collect, &GcReport::default()).await;
    collected.unwrap_or_else(|error| panic!("{when}: {error}"));
    mapper.close_all().await.unwrap();
    assert_eq!(leaks(mapper).await, Vec::<String>::new(), "{when}");
    for (name, expected) in named {
        assert_eq!(says(mapper, name, when).await, *expected, "{name}, {when}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Death {
    OfMapper,
    OfPower,
}

/// What happens to the volume after the death and before the trash is emptied.
#[derive(Clone, Copy, Debug)]
enum Then {
    Nothing,
    /// Its journal is folded: segments that nobody names but what is in the trash go.
    Closed,
    /// The same, and everybody else dies once more.
    ClosedAndKilled,
    Snapshot,
    /// Only what it was remains.
    SnapshotAndRemoved,
    /// Only the volume remains.
    SnapshotsRemoved,
}

async fn go_on(mapper: Mapper<SimWorld>, scene: Scene, then: Then) -> Mapper<SimWorld> {
    if matches!(then, Then::Nothing) {
        return mapper;
    }
    mapper.open("v", false).await.unwrap();
    if matches!(then, Then::Snapshot | Then::SnapshotAndRemoved) {
        snapshot(&mapper, "v", "later").await;
    }
    mapper.close("v").await.unwrap();
    match then {
        Then::SnapshotAndRemoved => mapper.remove("v").await.unwrap(),
        Then::SnapshotsRemoved => {
            for (name, is_there) in [("above", scene.above), ("below", scene.below)] {
                if is_there {
                    mapper.remove(name).await.unwrap();
                }
            }
        }
        Then::ClosedAndKilled => return killed(mapper),
        _ => {}
    }
    mapper
}

/// How often the stores were changed.
fn changes(mapper: &Mapper<SimWorld>) -> u64 {
    const LOOKS: [CallKind; 5] = [
        CallKind::Read,
        CallKind::Stat,
        CallKind::List,
        CallKind::Groups,
        CallKind::LockOwner,
    ];
    let world = &mapper.base().world;
    let calls = [world.maps().calls(), world.data().calls()];
    let changes = calls.iter().map(|calls| {
        let looks: u64 = LOOKS.iter().map(|kind| calls.of(*kind)).sum();
        calls.total() - looks
    });
    changes.sum()
}

fn die_at_each_step(death: Death, was_open: bool, scene: Scene, then: Then) {
    let mut tried = 0;
    for moment in 0.. {
        let was_cut = block_on(async {
            let mut mapper = cloned(scene).await;
            let volume = mapper.open("v", false).await.unwrap();
            let now = content(&mapper, &volume).await;
            let mut snapshots = Vec::new();
            for (name, is_there) in [("above", scene.above), ("below", scene.below)] {
                if is_there {
                    snapshots.push((name, says(&mapper, name, "at first").await));
                }
            }
            if !was_open {
                mapper = killed(mapper);
            }
            slow(&mapper);
            let was_cut = cut_off(moment, mapper.empty_trash(0)).await;
            let done = changes(&mapper);
            if was_cut && done == tried {
                return true; // it only looked at something since
            }
            tried = done;
            let next = match death {
                Death::OfMapper => killed_now(&mapper),
                Death::OfPower => crashed_now(&mapper, moment),
            };
            let mapper = go_on(next, scene, then).await;
            let mut named: Vec<(&str, &[u64])> = Vec::new();
            if !matches!(then, Then::SnapshotsRemoved) {
                named.extend(
                    snapshots
                        .iter()
                        .map(|(name, says)| (*name, says.as_slice())),
                );
            }
            if !matches!(then, Then::SnapshotAndRemoved) {
                named.push(("v", &now));
            }
            if matches!(then, Then::Snapshot | Then::SnapshotAndRemoved) {
                named.push(("later", &now));
            }
            let when = format!("{death:?} after step {moment}, {was_open}, {scene:?}, {then:?}");
            ends_well(&mapper, &named, &when).await;
            was_cut
        });
        if !was_cut {
            assert!(moment > 40, "{moment} steps");
            break;
        }
    }
}

/// GONE-2, GONE-4, GONE-7, LOAD-3: what is left of it can be given back, whatever the volume did meanwhile.
#[test]
fn what_a_death_left_of_a_fold_goes_whatever_the_volume_does_then() {
    for then in [
        Then::Nothing,
        Then::Closed,
        Then::ClosedAndKilled,
        Then::Snapshot,
        Then::SnapshotAndRemoved,
        Then::SnapshotsRemoved,
    ] {
        for scene in SCENES {
            die_at_each_step(Death::OfMapper, true, scene, then);
            die_at_each_step(Death::OfMapper, false, scene, then);
        }
    }
}

/// The same, and what was not durable is gone.
#[test]
fn what_lost_power_left_of_a_fold_goes_whatever_the_volume_does_then() {
    for then in [
        Then::Nothing,
        Then::ClosedAndKilled,
        Then::SnapshotAndRemoved,
    ] {
        for scene in SCENES {
            die_at_each_step(Death::OfPower, true, scene, then);
        }
    }
}

/// GONE-8: what the volume had when it was compared, its next snapshot has, whatever the volume did since.
#[test]
fn a_snapshot_that_is_made_while_the_last_one_is_folded_has_all_that_it_shows() {
    for scene in SCENES {
        for moment in 0.. {
            let was_cut = block_on(async {
                let mapper = cloned(scene).await;
                let volume = mapper.open("v", false).await.unwrap();
                let now = content(&mapper, &volume).await;
                slow(&mapper);
                let work = async { mapper.empty_trash(0).await.unwrap() };
                let meanwhile = async {
                    snapshot(&mapper, "v", "later").await;
                    let closed = mapper.close("v").await;
                    assert!(matches!(closed, Ok(()) | Err(MapError::NotOpen { .. })));
                };
                let was_cut = overtaken(moment, work, meanwhile).await;
                mapper.close_all().await.unwrap();
                mapper.empty_trash(0).await.unwrap();
                let when = format!("overtaken at step {moment}, {scene:?}");
                mapper.close_all().await.unwrap();
                assert_eq!(leaks(&mapper).await, Vec::<String>::new(), "{when}");
                ends_well(&mapper, &[("v", &now), ("later", &now)], &when).await;
                was_cut
            });
            if !was_cut {
                assert!(moment > 40, "{moment} steps");
                break;
            }
        }
    }
}
