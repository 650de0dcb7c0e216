//! Snapshots that are cut off while they are made, and what becomes of what they name.

use archipelago_mapperd::engine::{MapError, Mapper, World};
use archipelago_mapperd::map::journal::Record;
use archipelago_mapperd::map::{VolumeId, object_name};
use archipelago_store::sim::block_on;
use archipelago_store::{Store, StoreError};

use crate::client::{GRAIN_BYTES, SECTORS, bytes_of, create_new, read_sub, scope_of, write_sub};
use crate::gc::name;
use crate::space::close_and_find_no_leaks;
use crate::world::{COMPOSER, SimWorld, mapper_of, objects_of};

const SIZE_BYTES: u64 = 64 * GRAIN_BYTES as u64;

/// Leaves a volume whose journal is at its end, in a store that has room for heads and not for another segment.
async fn with_a_full_journal(mapper: &Mapper<SimWorld>) {
    create_new(mapper, "v", SIZE_BYTES).await;
    let volume = mapper.open("v", false).await.unwrap();
    for sub in 0..3 {
        let written = write_sub(mapper, &volume, sub, &[sub + 1; SECTORS]).await;
        written.unwrap();
    }
    let maps = mapper.base().world.maps();
    let mut used = 0;
    for object in objects_of(maps).await {
        used += maps.stat(&object).await.unwrap().allocated;
    }
    maps.set_capacity_bytes(used + (128 << 10));
    // The last ones are as small as records are.
    for bytes in [1000, 1] {
        let record = || Record::Operation {
            id: 1,
            answer: vec![7; bytes],
        };
        while let recorded = volume.record(record()).await
            && !is_full(&recorded)
        {
            recorded.unwrap();
        }
    }
}

fn is_full<T>(outcome: &Result<T, MapError>) -> bool {
    let source = &StoreError::NoSpace;
    matches!(outcome, Err(MapError::Store { source: found, .. }) if found == source)
}

/// DRAFT-1, GRANT-3: the volume writes on to what a snapshot names that it never took.
#[test]
fn what_is_granted_is_not_given_back_with_a_snapshot_that_was_cut_off() {
    give_back_while_granted(true);
}

/// GONE-6: nobody knows any more that it was cut off.
#[test]
fn what_is_granted_is_not_given_back_with_what_hangs_beside() {
    give_back_while_granted(false);
}

fn give_back_while_granted(is_known_as_draft: bool) {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        with_a_full_journal(&mapper).await;
        let id: VolumeId = mapper.base().world.random_id();
        let snapshot = mapper.snapshot("v", "s", id).await;
        assert!(is_full(&snapshot), "{snapshot:?}");
        assert!(mapper.base().load(id).await.unwrap().is_some());
        let volume = mapper.open("v", false).await.unwrap();
        assert_eq!(volume.parent(), None);
        let world = &mapper.base().world;
        world.maps().set_capacity_bytes(1 << 30);
        if !is_known_as_draft {
            let draft = format!("draft/{}/{id}", volume.id);
            world.maps().delete(&name(&draft)).await.unwrap();
        }
        let granted = volume.grant(COMPOSER, 0, 4..5).await.unwrap();
        assert!(!granted.is_fresh, "it is the object that has the others");
        let object = object_name(granted.source, 0);
        let (at, bytes) = (4 * GRAIN_BYTES as u64, bytes_of(&[9; SECTORS]));
        let written = world.data().write(scope_of(&volume), &object, at, &bytes);
        written.await.unwrap();
        mapper.empty_trash(0).await.unwrap();
        assert_eq!(mapper.base().trash().await.unwrap(), []);
        assert_eq!(world.maps().locks(), [name(&format!("lock/{}", volume.id))]);
        volume.commit(COMPOSER, granted.number).await.unwrap();
        for (sub, value) in [(0, 1), (1, 2), (2, 3), (3, 0), (4, 9)] {
            let found = read_sub(&mapper, &volume, sub).await.unwrap();
            assert_eq!(found, [value; SECTORS], "{sub}");
        }
        close_and_find_no_leaks(&mapper).await;
    });
}
