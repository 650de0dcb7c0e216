//! A fold that meets something else: a snapshot that is asked for once more, what was cut off before it, another node that collects,
//! removes, or goes on in its place.

use archipelago_mapperd::engine::{
    CreateOptions, Force, GcMode, GcReport, MapError, Mapper, Origin, World,
};
use archipelago_mapperd::map::VolumeId;
use archipelago_store::sim::block_on;
use archipelago_store::{Store, StoreError};
use rustix::io::Errno;

use crate::client::{GRAIN_BYTES, create_new, shape, snapshot};
use crate::folds::{SCENES, SUBS, Scene, cloned, cut_off, ends_well, overtaken, says, slow, write};
use crate::script::content_of;
use crate::space::leaks;
use crate::world::{SimWorld, beside, killed, killed_now, mapper_of};

const BOTH: Scene = Scene {
    above: true,
    below: true,
};

async fn written() -> Mapper<SimWorld> {
    let mapper = mapper_of(SimWorld::new(1));
    create_new(&mapper, "v", SUBS * GRAIN_BYTES as u64).await;
    write(&mapper, "v", 0..SUBS / 2, 100).await;
    mapper
}

/// GONE-10: a snapshot that was taken, and has no name yet when we die, is the trash's: asked for again, it is whole, or refused.
#[test]
fn a_snapshot_that_is_asked_for_again_after_a_part_of_it_went_is_not_made_of_the_rest() {
    let id = VolumeId::new([2; 16]).unwrap();
    let at_first = |sub| if sub < SUBS / 2 { 100 + sub } else { 0 };
    let first: Vec<u64> = (0..SUBS).map(at_first).collect();
    let mut named = 0;
    // Cut off from the end: that is where it is taken.
    let steps = block_on(async {
        let mapper = written().await;
        slow(&mapper);
        let mut steps = 0;
        let mut work = std::pin::pin!(mapper.snapshot("v", "s", id));
        while cut_off(0, work.as_mut()).await {
            steps += 1;
        }
        steps
    });
    for back in (1..40).step_by(3) {
        let mut tried = 0;
        for moment in 0.. {
            let was_cut = block_on(async {
                let mapper = written().await;
                slow(&mapper);
                cut_off(steps - back, mapper.snapshot("v", "s", id)).await;
                let mapper = killed_now(&mapper);
                write(&mapper, "v", (0..SUBS).step_by(2), 300).await;
                let volume = mapper.open("v", false).await.unwrap();
                volume.flush().await.unwrap();
                slow(&mapper);
                let was_cut = cut_off(moment, mapper.empty_trash(0)).await;
                let done = mapper.base().world.maps().calls().total()
                    + mapper.base().world.data().calls().total();
                if was_cut && done == tried {
                    return true;
                }
                tried = done;
                let mapper = killed_now(&mapper);
                let made = mapper.snapshot("v", "s", id).await;
                let when = format!("{back} before the end, emptied for {moment}: {made:?}");
                let v = says_of(&mapper, "v").await;
                if let Err(error) = made {
                    assert!(matches!(error, MapError::Busy { .. }), "{when}: {error}");
                    ends_well(&mapper, &[("v", &v)], &when).await;
                    return was_cut;
                }
                named += 1;
                let says = says(&mapper, "s", &when).await;
                assert!(says == first || says == v, "{when}: {says:?}");
                ends_well(&mapper, &[("v", &v), ("s", &says)], &when).await;
                was_cut
            });
            if !was_cut {
                break;
            }
        }
    }
    assert!(named > 0);
}

async fn says_of(mapper: &Mapper<SimWorld>, name: &str) -> Vec<u64> {
    let found = content_of(mapper, name, SUBS).await.unwrap().unwrap();
    found.iter().map(|sub| sub[0]).collect()
}

/// MAKING-5: whatever of making something was cut off once, what is removed then is given back without `gc`.
#[test]
fn what_was_cut_off_while_it_was_made_leaves_nothing_in_the_way_of_its_parent() {
    for is_clone in [false, true] {
        for moment in 0.. {
            let was_cut = block_on(async {
                let mapper = written().await;
                snapshot(&mapper, "v", "s").await;
                write(&mapper, "v", (0..SUBS).step_by(3), 200).await;
                let volume = mapper.open("v", false).await.unwrap();
                volume.flush().await.unwrap();
                slow(&mapper);
                let id = mapper.base().world.random_id();
                let options = CreateOptions {
                    size: None,
                    origin: Some(Origin::Snapshot("s".into())),
                    shape: shape(),
                };
                let work = async {
                    if is_clone {
                        mapper.create("made", id, &options).await.unwrap();
                    } else {
                        mapper.snapshot("v", "made", id).await.unwrap();
                    }
                };
                let was_cut = cut_off(moment, work).await;
                let mapper = killed_now(&mapper);
                for name in ["v", "made", "s"] {
                    mapper.empty_trash(0).await.unwrap();
                    match mapper.remove(name).await {
                        Ok(()) => {}
                        Err(MapError::NotFound { .. }) if name == "made" => {}
                        Err(error) => panic!("{name}, {moment}: {error}"),
                    }
                }
                mapper.empty_trash(0).await.unwrap();
                let when = format!("{is_clone}, {moment}");
                assert_eq!(mapper.base().trash().await.unwrap(), [], "{when}");
                let mut left = leaks(&mapper).await;
                left.retain(|leak| !leak.starts_with("name/"));
                assert_eq!(left, Vec::<String>::new(), "{when}");
                was_cut
            });
            if !was_cut {
                break;
            }
        }
    }
}

/// An edge that is nobody's by the look of it on another node, while a child is on its way to another parent, is not (GONE-2).
#[test]
fn gc_on_another_node_leaves_the_edges_of_what_is_on_its_way_up() {
    for moment in 0.. {
        let was_cut = block_on(async {
            let first = cloned(BOTH).await;
            first.close("v").await.unwrap();
            let (v, below) = (says_of(&first, "v").await, says_of(&first, "below").await);
            first.close_all().await.unwrap();
            let second = beside(&first, "second");
            slow(&first);
            let work = async { first.empty_trash(0).await.unwrap() };
            let meanwhile = async {
                drop(second.gc(GcMode::Collect, &GcReport::default()).await);
                second.close_all().await.unwrap();
            };
            let was_cut = overtaken(moment, work, meanwhile).await;
            let when = format!("collected after {moment}");
            first.close_all().await.unwrap();
            first.remove("above").await.unwrap();
            ends_well(&first, &[("v", &v), ("below", &below)], &when).await;
            was_cut
        });
        if !was_cut {
            break;
        }
    }
}

/// GONE-9: the snapshot into which something is folded is removed, or renamed, here, and another node empties the trash.
#[test]
fn what_is_folded_into_is_not_folded_elsewhere_at_that_moment() {
    for is_removed in [true, false] {
        for moment in 0.. {
            let was_cut = block_on(async {
                let first = cloned(BOTH).await;
                first.close("v").await.unwrap();
                let (v, above) = (says_of(&first, "v").await, says_of(&first, "above").await);
                first.close_all().await.unwrap();
                let second = beside(&first, "second");
                slow(&first);
                let work = async { first.empty_trash(0).await.unwrap() };
                let meanwhile = async {
                    if is_removed {
                        first.remove("below").await.unwrap();
                    } else {
                        first.rename("below", "other").await.unwrap();
                        match second.remove("other").await {
                            Ok(()) | Err(MapError::Locked { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                    second.empty_trash(0).await.unwrap();
                };
                let was_cut = overtaken(moment, work, meanwhile).await;
                let when = format!("{is_removed}, overtaken after {moment}");
                drop(first.remove("other").await);
                first.close_all().await.unwrap();
                second.close_all().await.unwrap();
                first.empty_trash(0).await.unwrap();
                assert_eq!(leaks(&first).await, Vec::<String>::new(), "{when}");
                ends_well(&first, &[("v", &v), ("above", &above)], &when).await;
                was_cut
            });
            if !was_cut {
                break;
            }
        }
    }
}

/// GONE-7, LOAD-3: a snapshot of which a segment is gone is nothing that stops `gc`.
#[test]
fn gc_goes_on_over_what_a_death_left_of_a_fold() {
    for scene in [SCENES[0], BOTH] {
        for moment in 0.. {
            let was_cut = block_on(async {
                let mapper = cloned(scene).await;
                let v = says_of(&mapper, "v").await;
                slow(&mapper);
                let was_cut = cut_off(moment, mapper.empty_trash(0)).await;
                let mapper = killed_now(&mapper);
                mapper.open("v", false).await.unwrap();
                mapper.close("v").await.unwrap();
                let mapper = killed(mapper);
                let when = format!("{scene:?}, {moment}");
                let collected = mapper.gc(GcMode::Collect, &GcReport::default()).await;
                collected.unwrap_or_else(|error| panic!("{when}: {error}"));
                ends_well(&mapper, &[("v", &v)], &when).await;
                was_cut
            });
            if !was_cut {
                break;
            }
        }
    }
}

pub async fn break_all(by: &Mapper<SimWorld>) {
    for group in by.base().world.maps().groups().await.unwrap() {
        if let Some(id) = group.strip_prefix(b"head/") {
            let id: VolumeId = std::str::from_utf8(id).unwrap().parse().unwrap();
            match by.unlock_id(id, "it", Force::Anyway).await {
                Ok(()) | Err(MapError::NotLocked { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// TAKEN-1, GONE-9: who was stopped in the middle of a fold, and whose locks are broken, takes nothing away that others have since.
#[test]
fn who_was_stopped_in_a_fold_takes_nothing_away_that_the_next_one_has() {
    for scene in SCENES {
        for was_open in [true, false] {
            for is_emptied in [true, false] {
                for moment in (0..).step_by(7) {
                    let was_cut = block_on(async {
                        let first = cloned(scene).await;
                        if !was_open {
                            first.close("v").await.unwrap();
                        }
                        let second = beside(&first, "second");
                        slow(&first);
                        let work = async { drop(first.empty_trash(0).await) };
                        let mut seen = Vec::new();
                        let meanwhile = async {
                            break_all(&second).await;
                            if is_emptied {
                                second.empty_trash(0).await.unwrap();
                            }
                            write(&second, "v", (0..SUBS).step_by(7), 500).await;
                            snapshot(&second, "v", "later").await;
                            write(&second, "v", (0..SUBS).step_by(4), 600).await;
                            second
                                .open("v", false)
                                .await
                                .unwrap()
                                .checkpoint(0)
                                .await
                                .unwrap();
                            for name in ["v", "later", "above", "below"] {
                                let is_there = match name {
                                    "above" => scene.above,
                                    "below" => scene.below,
                                    _ => true,
                                };
                                if is_there {
                                    seen.push((name, says_of(&second, name).await));
                                }
                            }
                        };
                        let was_cut = crate::taken::stopped_for(moment, work, meanwhile).await;
                        let when =
                            format!("{scene:?}, {was_open}, {is_emptied}, stopped after {moment}");
                        break_all(&second).await;
                        let seen: Vec<(&str, &[u64])> = seen
                            .iter()
                            .map(|(name, says)| (*name, says.as_slice()))
                            .collect();
                        second.close_all().await.unwrap();
                        ends_well(&second, &seen, &when).await;
                        was_cut
                    });
                    if !was_cut {
                        break;
                    }
                }
            }
        }
    }
}

/// GONE-2: every call of a fold fails once, or does and is not answered.
#[test]
fn a_fold_of_which_a_call_fails_is_ended_by_the_next_one() {
    for scene in [SCENES[0], BOTH] {
        for of_data in [false, true] {
            for answer_lost in [false, true] {
                for call in 0.. {
                    let is_more = block_on(async {
                        let mapper = cloned(scene).await;
                        let v = says_of(&mapper, "v").await;
                        let world = &mapper.base().world;
                        let store = if of_data { world.data() } else { world.maps() };
                        let before = store.calls().total();
                        let broken = StoreError::Io(Errno::IO);
                        if answer_lost {
                            store.lose_answer(before + call, broken);
                        } else {
                            store.fail_call(before + call, broken);
                        }
                        drop(mapper.empty_trash(0).await);
                        let is_more = store.calls().total() > before + call;
                        store.settle();
                        let when = format!("{scene:?}, {of_data}, {answer_lost}, call {call}");
                        match mapper.close("v").await {
                            Ok(()) | Err(MapError::NotOpen { .. }) => {}
                            Err(_) => drop(mapper.close("v").await),
                        }
                        snapshot(&mapper, "v", "later").await;
                        mapper.close("v").await.unwrap();
                        ends_well(&mapper, &[("v", &v), ("later", &v)], &when).await;
                        is_more
                    });
                    if !is_more {
                        break;
                    }
                }
            }
        }
    }
}
