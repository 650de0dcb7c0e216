//! Collecting in stores that lose things: power loss brings back what was displaced, and a broken filesystem takes names.

use archipelago_mapperd::engine::{GcMode, GcReport, Mapper, Origin, World};
use archipelago_store::sim::{CallKind, block_on};
use archipelago_store::{ObjectName, Store, StoreError};
use rustix::io::Errno;

use crate::client::read_sub;
use crate::gc::{GRAIN, NONE, create, family, gc, name, read, write};
use crate::space::orphans;
use crate::world::{COMPOSER, SimWorld, crashed, mapper_of, objects_of};

async fn collect(mapper: &Mapper<SimWorld>, mode: GcMode) -> Vec<String> {
    let report = GcReport::default();
    mapper.gc(mode, &report).await.unwrap();
    assert_eq!(report.found.get(), 0, "{:?}", report.orphans);
    report.notes.take()
}

fn entry(of: &str) -> ObjectName {
    name(&format!("name/{}", blake3::hash(of.as_bytes()).to_hex()))
}

/// GC-3: content, too, is named by the map that is durable.
#[test]
fn content_that_was_displaced_and_may_come_back_is_not_given_back() {
    for seed in 0..16 {
        block_on(async {
            let (mapper, hash) = family().await;
            create(&mapper, "d", Some(Origin::Hash(hash.clone()))).await;
            for gone in ["v", "c", "s", "t"] {
                mapper.remove(gone).await.unwrap();
            }
            mapper.remove_hash(&hash).await.unwrap();
            mapper.empty_trash(0).await.unwrap();
            mapper.close_all().await.unwrap();
            let volume = mapper.open("d", false).await.unwrap();
            volume
                .discard(Some(COMPOSER), 0, 128 * GRAIN)
                .await
                .unwrap();
            gc(&mapper, GcMode::Collect).await;
            let mapper = crashed(mapper, seed);
            for sub in 0..20 {
                let found = read(&mapper, "d", sub).await;
                assert!([0, sub + 1].contains(&found), "{sub}: {found}");
            }
        });
    }
}

/// GC-3: the journal of a volume that failed, and is closed, says what power loss makes void.
#[test]
fn what_a_volume_displaced_before_it_failed_is_not_judged_by_its_journal() {
    for seed in 0..16 {
        block_on(async {
            let mapper = mapper_of(SimWorld::new(1));
            create(&mapper, "v", None).await;
            for sub in 0..16 {
                write(&mapper, "v", sub, 5).await;
            }
            mapper.close_all().await.unwrap();
            let volume = mapper.open("v", false).await.unwrap();
            volume.discard(Some(COMPOSER), 0, 16 * GRAIN).await.unwrap();
            let maps = mapper.base().world.maps();
            maps.fail_all(CallKind::Sync, Some(StoreError::Io(Errno::IO)));
            volume.flush().await.unwrap_err();
            maps.fail_all(CallKind::Sync, None);
            mapper.close("v").await.unwrap();
            gc(&mapper, GcMode::Collect).await;
            let mapper = crashed(mapper, seed);
            for sub in 0..16 {
                let found = read(&mapper, "v", sub).await;
                assert!([0, 5].contains(&found), "{sub}: {found}");
            }
        });
    }
}

/// GC-6, F35, F43: a head that has its name was never removed.
#[test]
fn what_lost_its_entry_gets_it_again_and_is_not_taken_for_removed() {
    block_on(async {
        let (mapper, hash) = family().await;
        mapper.close_all().await.unwrap();
        let maps = mapper.base().world.maps();
        let entry_of_hash = name(&format!("hash/{hash}"));
        let lost = [entry("v"), entry("s"), entry_of_hash];
        for object in &lost {
            maps.delete(object).await.unwrap();
        }
        let notes = collect(&mapper, GcMode::DryRun).await;
        assert_eq!(notes.len(), 3, "{notes:?}");
        for object in &lost {
            assert!(maps.stat(object).await.is_err(), "{object}");
        }
        let notes = collect(&mapper, GcMode::Collect).await;
        assert_eq!(notes.len(), 3, "{notes:?}");
        assert!(notes.iter().any(|note| note.contains('v')), "{notes:?}");
        mapper.empty_trash(0).await.unwrap();
        assert_eq!(collect(&mapper, GcMode::Collect).await, NONE);
        for (of, sub, value) in [("v", 3, 100), ("v", 4, 5), ("c", 3, 4)] {
            assert_eq!(read(&mapper, of, sub).await, value, "{of}, {sub}");
        }
        create(&mapper, "d", Some(Origin::Hash(hash))).await;
        assert_eq!(read(&mapper, "d", 3).await, 4);
        assert_eq!(
            mapper.base().find("s").await.unwrap().unwrap().head.name,
            "s"
        );
        mapper.close_all().await.unwrap();
        assert_eq!(orphans(&mapper).await, NONE);
    });
}

/// GC-6: two heads may say that they have one name; the one that is found by it keeps it.
#[test]
fn what_lost_its_entry_to_another_waits_until_the_name_is_free() {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        create(&mapper, "v", None).await;
        write(&mapper, "v", 1, 7).await;
        mapper.close_all().await.unwrap();
        let id = mapper.find("v").await.unwrap().head.id;
        let maps = mapper.base().world.maps();
        maps.delete(&entry("v")).await.unwrap();
        create(&mapper, "v", None).await;
        write(&mapper, "v", 1, 8).await;
        for mode in [GcMode::DryRun, GcMode::Collect] {
            let notes = collect(&mapper, mode).await;
            assert!(notes[0].contains(&id.to_string()), "{notes:?}");
            assert!(notes[0].contains("rename"), "{notes:?}");
        }
        mapper.empty_trash(0).await.unwrap();
        assert_eq!(read(&mapper, "v", 1).await, 8);
        mapper.rename("v", "w").await.unwrap();
        assert_eq!(collect(&mapper, GcMode::Collect).await.len(), 1);
        assert_eq!(read(&mapper, "v", 1).await, 7);
        assert_eq!(read(&mapper, "w", 1).await, 8);
    });
}

/// GONE-5: whatever the directory and the trash say of it, it is in use.
#[test]
fn a_volume_that_composers_use_is_not_given_back() {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        create(&mapper, "v", None).await;
        write(&mapper, "v", 1, 7).await;
        let volume = mapper.open("v", false).await.unwrap();
        volume.add_composer(COMPOSER);
        mapper.base().put_in_trash(volume.id).await.unwrap();
        let maps = mapper.base().world.maps();
        maps.delete(&entry("v")).await.unwrap();
        mapper.empty_trash(0).await.unwrap();
        assert!(!volume.has_ended());
        let found = read_sub(&mapper, &volume, 1).await.unwrap();
        assert_eq!(found[0], 7);
        volume.flush().await.unwrap();
    });
}

/// GC-6: what is being made has a line in the trash, and is no damage.
#[test]
fn what_was_cut_off_before_it_had_its_name_is_no_damage() {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        create(&mapper, "v", None).await;
        let id = mapper.find("v").await.unwrap().head.id;
        mapper.base().put_in_trash(id).await.unwrap();
        let maps = mapper.base().world.maps();
        maps.delete(&entry("v")).await.unwrap();
        assert_eq!(collect(&mapper, GcMode::Collect).await, NONE);
        mapper.empty_trash(0).await.unwrap();
        assert_eq!(objects_of(maps).await, []);
    });
}
