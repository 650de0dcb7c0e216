//! Collecting what nobody names: all of it, and nothing else, whatever goes on meanwhile.

use std::collections::BTreeSet;

use archipelago_mapperd::engine::{
    CreateOptions, GcMode, GcReport, MapError, Mapper, Origin, Progress, World,
};
use archipelago_mapperd::map::{VolumeId, object_name};
use archipelago_store::sim::{block_on, join, yield_now};
use archipelago_store::{ObjectName, Scope, Store};
use rustix::io::Errno;

use crate::client::{GRAIN_BYTES, SECTORS, read_sub, shape, snapshot, write_sub};
use crate::space::orphans;
use crate::world::{COMPOSER, SimWorld, crashed, killed, mapper_of, objects_of};

pub const GRAIN: u64 = GRAIN_BYTES as u64;
pub const NONE: Vec<String> = Vec::new();

pub async fn create(mapper: &Mapper<SimWorld>, name: &str, origin: Option<Origin>) {
    let options = CreateOptions {
        size: Some(128 * GRAIN),
        origin,
        shape: shape(),
    };
    let id = mapper.base().world.random_id();
    mapper.create(name, id, &options).await.unwrap();
}

pub async fn write(mapper: &Mapper<SimWorld>, name: &str, sub: u64, value: u64) {
    let value = [value; SECTORS];
    // Nobody is attached, so the collector may close it at any moment; and it may hold the block.
    loop {
        let volume = mapper.open(name, false).await.unwrap();
        match write_sub(mapper, &volume, sub, &value).await {
            Err(MapError::NotOpen { .. } | MapError::Stale) => {}
            written => return written.unwrap(),
        }
    }
}

pub async fn read(mapper: &Mapper<SimWorld>, name: &str, sub: u64) -> u64 {
    let volume = mapper.open(name, false).await.unwrap();
    read_sub(mapper, &volume, sub).await.unwrap()[0]
}

pub async fn gc(mapper: &Mapper<SimWorld>, mode: GcMode) -> BTreeSet<String> {
    let report = GcReport::default();
    mapper.gc(mode, &report).await.unwrap();
    assert_eq!(*report.notes.borrow(), NONE);
    let orphans = report.orphans.borrow();
    assert_eq!(orphans.len() as u64, report.found.get());
    orphans.iter().map(|orphan| orphan.object.clone()).collect()
}

pub async fn all_objects(mapper: &Mapper<SimWorld>) -> BTreeSet<String> {
    let mut all = objects_of(mapper.base().world.data()).await;
    all.extend(objects_of(mapper.base().world.maps()).await);
    all.iter().map(ToString::to_string).collect()
}

/// A volume with two snapshots and a clone, all of which have something of their own, and a hash.
pub async fn family() -> (Mapper<SimWorld>, String) {
    let mapper = mapper_of(SimWorld::new(1));
    create(&mapper, "v", None).await;
    for sub in 0..20 {
        write(&mapper, "v", sub, sub + 1).await;
    }
    snapshot(&mapper, "v", "s").await;
    create(&mapper, "c", Some(Origin::Any("s".into()))).await;
    write(&mapper, "v", 3, 100).await;
    write(&mapper, "c", 4, 200).await;
    snapshot(&mapper, "v", "t").await;
    write(&mapper, "v", 5, 300).await;
    let hash = mapper.hash("s", &Progress::default()).await.unwrap();
    (mapper, hash)
}

async fn check_family(mapper: &Mapper<SimWorld>) {
    for (name, sub, value) in [
        ("v", 3, 100),
        ("v", 4, 5),
        ("v", 5, 300),
        ("v", 19, 20),
        ("c", 3, 4),
        ("c", 4, 200),
        ("c", 5, 6),
    ] {
        assert_eq!(read(mapper, name, sub).await, value, "{name}, {sub}");
    }
}

pub fn name(text: &str) -> ObjectName {
    ObjectName::new(text.as_bytes()).unwrap()
}

/// GC-1
#[test]
fn one_of_each_kind_that_nobody_names_is_found_and_given_back_and_nothing_else() {
    block_on(async {
        let (mapper, _) = family().await;
        mapper.close_all().await.unwrap();
        assert_eq!(orphans(&mapper).await, NONE);
        assert_eq!(gc(&mapper, GcMode::Collect).await, BTreeSet::new());
        let id = mapper.find("v").await.unwrap().head.id;
        let gone = "cd".repeat(16);
        let (maps, data) = (mapper.base().world.maps(), mapper.base().world.data());
        let zeros = "0".repeat(16);
        let planted = [
            (data, format!("{gone}/0000010000000001/{zeros}")),
            (data, format!("{id}/0000000000000000/{zeros}")),
            (data, format!("content/abc/{}", "abc".repeat(16))),
            (maps, format!("page/{gone}/{zeros}")),
            (maps, format!("page/{id}/{zeros}")),
            (maps, format!("log/{gone}/{zeros}.{zeros}")),
            (maps, format!("log/{id}/{zeros}.{zeros}")),
            (maps, format!("edge/{gone}/{id}")),
            (maps, format!("edge/{id}/{gone}")),
            (maps, format!("draft/{gone}/{id}")),
            (maps, format!("trash/{}", "ce".repeat(16))),
            (maps, format!("held/{}", "cf".repeat(16))),
        ];
        let before = all_objects(&mapper).await;
        for (store, object) in &planted {
            let object = name(object);
            let written = store.write(Scope(9), &object, 0, &[7; 8192]);
            written.await.unwrap();
        }
        let planted: BTreeSet<String> = planted.into_iter().map(|(_, object)| object).collect();
        assert!(planted.is_disjoint(&before));
        let with_them = all_objects(&mapper).await;
        assert_eq!(gc(&mapper, GcMode::DryRun).await, planted);
        assert_eq!(all_objects(&mapper).await, with_them);
        assert_eq!(gc(&mapper, GcMode::Collect).await, planted);
        assert_eq!(all_objects(&mapper).await, before);
        check_family(&mapper).await;
    });
}

/// GC-5: content goes with the last head that names it, and only then.
#[test]
fn content_is_given_back_when_no_head_reaches_it_any_more() {
    block_on(async {
        let (mapper, hash) = family().await;
        create(&mapper, "d", Some(Origin::Hash(hash.clone()))).await;
        write(&mapper, "d", 0, 7).await;
        for gone in ["v", "c", "s", "t"] {
            mapper.remove(gone).await.unwrap();
        }
        mapper.remove_hash(&hash).await.unwrap();
        mapper.empty_trash(0).await.unwrap();
        gc(&mapper, GcMode::Collect).await;
        for (sub, value) in [(0, 7), (1, 2), (19, 20), (20, 0)] {
            assert_eq!(read(&mapper, "d", sub).await, value, "{sub}");
        }
        mapper.remove("d").await.unwrap();
        mapper.empty_trash(0).await.unwrap();
        let found = gc(&mapper, GcMode::Collect).await;
        assert!(!found.is_empty());
        assert!(
            found.iter().all(|object| object.starts_with("content/")),
            "{found:#?}"
        );
        assert_eq!(objects_of(mapper.base().world.data()).await, []);
    });
}

/// GC-1: what is granted, and what somebody writes at this moment, is not judged.
#[test]
fn an_object_that_is_about_to_be_named_is_left_alone() {
    block_on(async {
        let (mapper, _) = family().await;
        let volume = mapper.open("v", false).await.unwrap();
        let granted = volume.grant(COMPOSER, 6, 0..1).await.unwrap();
        let object = object_name(granted.source, 6);
        let data = mapper.base().world.data();
        let bytes = [9; GRAIN_BYTES];
        data.write(Scope(1), &object, 0, &bytes).await.unwrap();
        assert_eq!(gc(&mapper, GcMode::Collect).await, BTreeSet::new());
        volume.commit(COMPOSER, granted.number).await.unwrap();
        let mut found = [0; GRAIN_BYTES];
        data.read(&object, 0, &mut found).await.unwrap();
        assert_eq!(found, bytes);
        check_family(&mapper).await;
    });
}

/// A grant that died with its mapper is nobody's from then on (F3).
#[test]
fn a_grant_that_died_with_its_mapper_is_given_back_while_its_volume_is_open() {
    block_on(async {
        let (mapper, _) = family().await;
        let volume = mapper.open("v", false).await.unwrap();
        let granted = volume.grant(COMPOSER, 6, 0..1).await.unwrap();
        let object = object_name(granted.source, 6);
        let data = mapper.base().world.data();
        data.write(Scope(1), &object, 0, &[9; 512]).await.unwrap();
        let mapper = killed(mapper);
        let volume = mapper.open("v", false).await.unwrap();
        write(&mapper, "v", 100, 1).await;
        assert_eq!(
            gc(&mapper, GcMode::Collect).await,
            BTreeSet::from([object.to_string()])
        );
        assert!(!volume.has_ended());
        check_family(&mapper).await;
    });
}

/// GC-3: the map that is durable names it still.
#[test]
fn what_was_displaced_and_may_come_back_is_not_judged() {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        create(&mapper, "v", None).await;
        for sub in 0..16 {
            write(&mapper, "v", sub, 5).await;
        }
        mapper.close_all().await.unwrap();
        let volume = mapper.open("v", false).await.unwrap();
        volume.discard(Some(COMPOSER), 0, 16 * GRAIN).await.unwrap();
        assert_eq!(gc(&mapper, GcMode::Collect).await, BTreeSet::new());
        let mapper = crashed(mapper, 3);
        for sub in 0..16 {
            assert!([0, 5].contains(&read(&mapper, "v", sub).await), "{sub}");
        }
    });
}

/// GC-2, GC-4: snapshots, overwriting, checkpoints, removals and hashing go on while it looks.
#[test]
fn whatever_is_done_meanwhile_nothing_is_lost_and_nothing_is_left() {
    for yields in 1..6 {
        block_on(async {
            let (mapper, _) = family().await;
            for store in [mapper.base().world.maps(), mapper.base().world.data()] {
                store.set_yields_max(yields);
            }
            let collecting = async {
                for _ in 0..6 {
                    gc_with_notes(&mapper).await;
                }
            };
            let working = async {
                for round in 0..8 {
                    let kept = format!("kept {round}");
                    snapshot(&mapper, "v", &kept).await;
                    for sub in 20..30 {
                        write(&mapper, "v", sub + round, 1000 * round + sub).await;
                    }
                    let volume = mapper.open("v", false).await.unwrap();
                    volume.reclaim().await.unwrap();
                    volume.checkpoint(0).await.unwrap();
                    create(
                        &mapper,
                        &format!("clone {round}"),
                        Some(Origin::Snapshot(kept.clone())),
                    )
                    .await;
                    write(&mapper, &format!("clone {round}"), 0, round).await;
                    mapper.hash(&kept, &Progress::default()).await.unwrap();
                    if round % 2 == 0 {
                        mapper.remove(&kept).await.unwrap();
                        mapper.empty_trash(0).await.unwrap();
                    }
                    create(&mapper, &format!("new {round}"), None).await;
                    write(&mapper, &format!("new {round}"), 9, round + 1).await;
                    yield_now().await;
                }
            };
            join(collecting, working).await;
            check_family(&mapper).await;
            for round in 0..8 {
                let clone = format!("clone {round}");
                assert_eq!(read(&mapper, &format!("new {round}"), 9).await, round + 1);
                assert_eq!(read(&mapper, &clone, 0).await, round);
                assert_eq!(read(&mapper, &clone, 19).await, 20);
                if round > 0 {
                    let last = 1000 * (round - 1) + 29;
                    assert_eq!(read(&mapper, &clone, 28 + round).await, last, "{clone}");
                }
            }
            mapper.close_all().await.unwrap();
            gc_with_notes(&mapper).await;
            assert_eq!(orphans(&mapper).await, NONE);
        });
    }
}

async fn gc_with_notes(mapper: &Mapper<SimWorld>) {
    let report = GcReport::default();
    mapper.gc(GcMode::Collect, &report).await.unwrap();
}

/// GC-4: a page that cannot be read may name anything.
#[test]
fn with_a_map_that_cannot_be_read_nothing_is_given_back() {
    block_on(async {
        let (mapper, _) = family().await;
        mapper.close_all().await.unwrap();
        let mapper = killed(mapper);
        let maps = mapper.base().world.maps();
        for page in objects_of(maps).await {
            if page.as_bytes().starts_with(b"page/") {
                maps.delete(&page).await.unwrap();
                break;
            }
        }
        let before = all_objects(&mapper).await;
        let error = mapper
            .gc(GcMode::Collect, &GcReport::default())
            .await
            .unwrap_err();
        assert_eq!(error.errno(), Errno::IO, "{error}");
        assert_eq!(all_objects(&mapper).await, before);
    });
}

/// GC-3: what another node has open cannot be judged here.
#[test]
fn a_volume_that_is_open_elsewhere_stops_the_collection() {
    block_on(async {
        let (mapper, _) = family().await;
        let world = &mapper.base().world;
        let (maps, data) = (world.maps().as_ref().clone(), world.data().as_ref().clone());
        let other = mapper_of(SimWorld::over(maps, data, 1, 1000).owned_by("elsewhere"));
        let report = GcReport::default();
        let error = other.gc(GcMode::Collect, &report).await.unwrap_err();
        assert!(matches!(error, MapError::Locked { .. }), "{error}");
        assert_eq!(report.found.get(), 0);
    });
}

/// CTURN-1: on two nodes, too.
#[test]
fn content_is_not_judged_while_another_node_makes_some() {
    block_on(async {
        let (mapper, _) = family().await;
        mapper.close_all().await.unwrap();
        let maps = mapper.base().world.maps();
        let id: VolumeId = "ab".repeat(16).parse().unwrap();
        let stray = format!("content/abc/{}", "abc".repeat(16));
        let data = mapper.base().world.data();
        data.write(Scope(1), &name(&stray), 0, &[1]).await.unwrap();
        let line = name(&format!("making/{id}"));
        maps.create_exclusive(&line, b"somebody else")
            .await
            .unwrap();
        let report = GcReport::default();
        mapper.gc(GcMode::Collect, &report).await.unwrap();
        assert!(report.notes.borrow()[0].contains("somebody else"));
        assert_eq!(report.found.get(), 0);
        maps.delete(&line).await.unwrap();
        let line = name(&format!("collecting/{id}"));
        maps.create_exclusive(&line, b"somebody else")
            .await
            .unwrap();
        let refused = mapper.hash("t", &Progress::default()).await.unwrap_err();
        assert!(refused.to_string().contains("somebody else"), "{refused}");
        maps.delete(&line).await.unwrap();
        assert_eq!(gc(&mapper, GcMode::Collect).await, BTreeSet::from([stray]));
    });
}
