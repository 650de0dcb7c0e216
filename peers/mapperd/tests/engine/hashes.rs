//! Content that is named by its hash: what it is, what it costs, and that nothing of it goes while somebody names it.

use std::collections::BTreeSet;

use archipelago_mapperd::engine::{
    CreateOptions, GcMode, GcReport, MapError, Mapper, Origin, Progress, World,
};
use archipelago_mapperd::map::{ContentId, Source, object_name};
use archipelago_store::sim::{block_on, join, yield_now};
use archipelago_store::{Scope, Store};
use rustix::io::Errno;

use crate::client::{GRAIN_BYTES, SECTORS, read_sub, shape, write_sub};
use crate::space::{close_and_find_no_leaks, leaks, orphans};
use crate::world::{COMPOSER, SimWorld, killed, mapper_of, objects_of};

const GRAIN: u64 = GRAIN_BYTES as u64;

async fn create(mapper: &Mapper<SimWorld>, name: &str, subs: Option<u64>, origin: Option<Origin>) {
    let options = CreateOptions {
        size: subs.map(|subs| subs * GRAIN),
        origin,
        shape: shape(),
    };
    let id = mapper.base().world.random_id();
    mapper.create(name, id, &options).await.unwrap();
}

async fn clone_hash(mapper: &Mapper<SimWorld>, hash: &str, name: &str, subs: Option<u64>) {
    create(mapper, name, subs, Some(Origin::Hash(hash.into()))).await;
}

/// Makes a volume with these values in these sub-blocks, and a snapshot of it.
async fn volume_and_snapshot(
    mapper: &Mapper<SimWorld>,
    (name, snapshot): (&str, &str),
    subs: u64,
    values: &[(u64, u64)],
) {
    create(mapper, name, Some(subs), None).await;
    for (sub, value) in values {
        write(mapper, name, *sub, *value).await;
    }
    let id = mapper.base().world.random_id();
    mapper.snapshot(name, snapshot, id).await.unwrap();
}

async fn write(mapper: &Mapper<SimWorld>, name: &str, sub: u64, value: u64) {
    let volume = mapper.open(name, false).await.unwrap();
    let value = [value; SECTORS];
    write_sub(mapper, &volume, sub, &value).await.unwrap();
}

async fn read(mapper: &Mapper<SimWorld>, name: &str, sub: u64) -> u64 {
    let volume = mapper.open(name, false).await.unwrap();
    read_sub(mapper, &volume, sub).await.unwrap()[0]
}

async fn hash(mapper: &Mapper<SimWorld>, snapshot: &str) -> Result<String, MapError> {
    mapper.hash(snapshot, &Progress::default()).await
}

async fn contents(mapper: &Mapper<SimWorld>) -> BTreeSet<String> {
    let all = objects_of(mapper.base().world.data()).await;
    let names = all.iter().map(ToString::to_string);
    names.filter(|name| name.starts_with("content/")).collect()
}

async fn all_objects(mapper: &Mapper<SimWorld>) -> BTreeSet<String> {
    let mut all = objects_of(mapper.base().world.data()).await;
    all.extend(objects_of(mapper.base().world.maps()).await);
    all.iter().map(ToString::to_string).collect()
}

/// HASH-2, MERKLE-1
#[test]
fn equal_contents_have_one_hash_and_are_stored_once() {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        // Block 0 from two snapshots' objects, block 1 whole, block 3 zeros that were written.
        volume_and_snapshot(&mapper, ("v", "r"), 64, &[(0, 1), (1, 9)]).await;
        for (sub, value) in (16..32).map(|sub| (sub, sub)).chain([(1, 2), (48, 0)]) {
            write(&mapper, "v", sub, value).await;
        }
        let id = mapper.base().world.random_id();
        mapper.snapshot("v", "s", id).await.unwrap();
        let values: Vec<_> = (16..32).rev().map(|sub| (sub, sub)).collect();
        let values = [values.as_slice(), &[(1, 2), (0, 1), (40, 7)]].concat();
        create(&mapper, "w", Some(64), None).await;
        for (sub, value) in values {
            write(&mapper, "w", sub, value).await;
        }
        let volume = mapper.open("w", false).await.unwrap();
        volume
            .discard(Some(COMPOSER), 40 * GRAIN, GRAIN)
            .await
            .unwrap();
        let id = mapper.base().world.random_id();
        mapper.snapshot("w", "t", id).await.unwrap();
        volume_and_snapshot(&mapper, ("x", "u"), 65, &[(0, 1), (1, 2)]).await;
        let of_s = hash(&mapper, "s").await.unwrap();
        assert_eq!(of_s.len(), 64);
        assert_eq!(contents(&mapper).await.len(), 2);
        let before = all_objects(&mapper).await;
        assert_eq!(hash(&mapper, "t").await.unwrap(), of_s);
        assert_eq!(hash(&mapper, "s").await.unwrap(), of_s);
        assert_eq!(all_objects(&mapper).await, before);
        let of_u = hash(&mapper, "u").await.unwrap();
        assert_ne!(of_u, of_s);
        assert_ne!(hash(&mapper, "r").await.unwrap(), of_s);
        assert_eq!(
            contents(&mapper).await.len(),
            3,
            "the first block of s and u is one"
        );
        let entries = mapper.base().entries().await.unwrap();
        assert_eq!(entries.len(), 7, "content is no volume: {entries:?}");
        close_and_find_no_leaks(&mapper).await;
    });
}

/// SPACE-5: overwritten, discarded, removed and folded away, content stays; and what is written goes elsewhere.
#[test]
fn nothing_that_a_clone_of_content_does_touches_the_content() {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        volume_and_snapshot(&mapper, ("v", "s"), 64, &[(0, 1), (5, 2), (60, 3)]).await;
        let name = hash(&mapper, "s").await.unwrap();
        mapper.remove("v").await.unwrap();
        mapper.remove("s").await.unwrap();
        mapper.empty_trash(0).await.unwrap();
        let content = contents(&mapper).await;
        clone_hash(&mapper, &name, "c", Some(128)).await;
        clone_hash(&mapper, &name, "d", None).await;
        for (sub, value) in [(0, 1), (5, 2), (60, 3), (61, 0), (64, 0), (127, 0)] {
            assert_eq!(read(&mapper, "c", sub).await, value, "{sub}");
        }
        write(&mapper, "c", 0, 10).await;
        write(&mapper, "c", 100, 11).await;
        let volume = mapper.open("c", false).await.unwrap();
        volume
            .discard(Some(COMPOSER), 32 * GRAIN, 64 * GRAIN)
            .await
            .unwrap();
        volume.reclaim().await.unwrap();
        volume.checkpoint(0).await.unwrap();
        let id = mapper.base().world.random_id();
        mapper.snapshot("c", "e", id).await.unwrap();
        assert_eq!(read(&mapper, "c", 0).await, 10);
        assert_eq!(read(&mapper, "c", 5).await, 2);
        assert_eq!(read(&mapper, "c", 60).await, 0);
        assert_eq!(read(&mapper, "d", 0).await, 1);
        assert_eq!(read(&mapper, "d", 60).await, 3);
        // Without its name it stays as long as two hang from it, then it is folded into the one that is left.
        mapper.remove_hash(&name).await.unwrap();
        assert!(matches!(
            mapper.find_hash(&name).await,
            Err(MapError::NoContent { .. })
        ));
        mapper.empty_trash(0).await.unwrap();
        mapper.remove("d").await.unwrap();
        mapper.empty_trash(0).await.unwrap();
        assert_eq!(read(&mapper, "c", 5).await, 2);
        close_and_find_no_leaks(&mapper).await;
        for gone in ["c", "e"] {
            mapper.remove(gone).await.unwrap();
        }
        mapper.empty_trash(0).await.unwrap();
        assert_eq!(contents(&mapper).await, content, "only `gc` frees it");
        close_and_find_no_leaks(&mapper).await;
    });
}

/// What became of content is hashed without being read: its name says what it holds.
#[test]
fn a_snapshot_of_a_clone_of_content_has_the_hash_of_that_content() {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        volume_and_snapshot(&mapper, ("v", "s"), 64, &[(0, 1), (20, 2)]).await;
        let name = hash(&mapper, "s").await.unwrap();
        clone_hash(&mapper, &name, "c", None).await;
        let id = mapper.base().world.random_id();
        mapper.snapshot("c", "t", id).await.unwrap();
        let before = contents(&mapper).await;
        assert_eq!(hash(&mapper, "t").await.unwrap(), name);
        // A split block of content and of something else.
        write(&mapper, "c", 1, 3).await;
        let id = mapper.base().world.random_id();
        mapper.snapshot("c", "u", id).await.unwrap();
        let other = hash(&mapper, "u").await.unwrap();
        assert_ne!(other, name);
        assert_eq!(contents(&mapper).await.len(), before.len() + 1);
        let mapper = killed(mapper);
        clone_hash(&mapper, &other, "d", None).await;
        for (sub, value) in [(0, 1), (1, 3), (20, 2)] {
            assert_eq!(read(&mapper, "d", sub).await, value, "{sub}");
        }
    });
}

#[test]
fn what_cannot_be_hashed_or_cloned_is_refused_with_the_way_out() {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        volume_and_snapshot(&mapper, ("v", "s"), 64, &[(0, 1)]).await;
        let refused = hash(&mapper, "v").await.unwrap_err();
        assert_eq!(refused.errno(), Errno::INVAL);
        assert!(refused.to_string().contains("vlmc snapshot v"), "{refused}");
        assert_eq!(hash(&mapper, "w").await.unwrap_err().errno(), Errno::NOENT);
        let hash = hash(&mapper, "s").await.unwrap();
        for (size, origin, errno) in [
            (Some(GRAIN), hash.clone(), Errno::INVAL),
            (None, "0".repeat(64), Errno::NOENT),
        ] {
            let options = CreateOptions {
                size,
                origin: Some(Origin::Hash(origin)),
                shape: shape(),
            };
            let id = mapper.base().world.random_id();
            let refused = mapper.create("c", id, &options).await.unwrap_err();
            assert_eq!(refused.errno(), errno, "{refused}");
        }
        let refused = mapper.remove_hash(&"1".repeat(64)).await.unwrap_err();
        assert_eq!(refused.errno(), Errno::NOENT);
        mapper.give_up_hashing();
        let refused = mapper.hash("s", &Progress::default()).await.unwrap_err();
        assert_eq!(refused, MapError::Stopping);
        mapper.empty_trash(0).await.unwrap();
        close_and_find_no_leaks(&mapper).await;
    });
}

/// HASH-3: other calls go on meanwhile, but for those that would take away what is read.
#[test]
fn a_snapshot_that_is_being_hashed_cannot_be_removed_and_everything_else_goes_on() {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        let values: Vec<_> = (0..400).map(|block| (block * 16, block + 1)).collect();
        volume_and_snapshot(&mapper, ("v", "s"), 6400, &values).await;
        for store in [mapper.base().world.maps(), mapper.base().world.data()] {
            store.set_yields_max(3);
        }
        let progress = Progress::default();
        let hashing = async { mapper.hash("s", &progress).await.map(drop) };
        let others = async {
            while progress.done_blocks.get() == 0 {
                yield_now().await;
            }
            let refused = mapper.remove("s").await.unwrap_err();
            assert!(matches!(refused, MapError::Held { .. }), "{refused}");
            assert_eq!(refused.errno(), Errno::BUSY);
            write(&mapper, "v", 3, 99).await;
            create(&mapper, "w", Some(64), None).await;
            assert!(progress.done_blocks.get() < 400, "it was not done yet");
            mapper.rename("s", "r").await
        };
        let (one, other): (Result<(), MapError>, Result<(), MapError>) =
            join(hashing, others).await;
        one.and(other).unwrap();
        assert_eq!(progress.done_blocks.get(), 400);
        mapper.remove("r").await.unwrap();
        mapper.empty_trash(0).await.unwrap();
        close_and_find_no_leaks(&mapper).await;
    });
}

/// HASH-5: somebody elsewhere removed it; what was left of it is not its content.
#[test]
fn a_snapshot_that_lost_its_name_meanwhile_gives_no_hash() {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        let values: Vec<_> = (0..400).map(|block| (block * 16, block + 1)).collect();
        volume_and_snapshot(&mapper, ("v", "s"), 6400, &values).await;
        let other = beside(&mapper);
        for store in [mapper.base().world.maps(), mapper.base().world.data()] {
            store.set_yields_max(3);
        }
        let progress = Progress::default();
        let hashing = async {
            let gone = mapper.hash("s", &progress).await.unwrap_err();
            assert_eq!(gone.errno(), Errno::NOENT, "{gone}");
            Ok(())
        };
        let removing = async {
            while progress.done_blocks.get() == 0 {
                yield_now().await;
            }
            other.remove("s").await
        };
        let (one, other): (Result<(), MapError>, Result<(), MapError>) =
            join(hashing, removing).await;
        one.and(other).unwrap();
        let maps = objects_of(mapper.base().world.maps()).await;
        assert!(
            maps.iter()
                .all(|object| !object.as_bytes().starts_with(b"hash/"))
        );
    });
}

/// Another mapper of the same stores.
fn beside(mapper: &Mapper<SimWorld>) -> Mapper<SimWorld> {
    let world = &mapper.base().world;
    let (maps, data) = (world.maps().as_ref().clone(), world.data().as_ref().clone());
    mapper_of(SimWorld::over(maps, data, world.boot_number(), 1000))
}

/// SEAL-1: what is there and not sealed is not believed, whatever it holds.
#[test]
fn an_object_that_was_not_finished_is_written_again() {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        volume_and_snapshot(&mapper, ("v", "s"), 16, &[(0, 1), (9, 2)]).await;
        let volume = mapper.open("v", false).await.unwrap();
        let source = volume.block(0).await.unwrap().source_at(0).unwrap();
        let data = mapper.base().world.data();
        let mut bytes = vec![0; 16 * GRAIN_BYTES];
        data.read(&object_name(source, 0), 0, &mut bytes)
            .await
            .unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let trimmed = blake3::hash(&bytes[..end]);
        let content = Source::Content(ContentId::of(16, trimmed.as_bytes()));
        let object = object_name(content, 0);
        // Its first sub-block was written, and then somebody died.
        let (scope, first) = (Scope(77), &bytes[..GRAIN_BYTES]);
        data.extend(scope, &object, 16 * GRAIN, false)
            .await
            .unwrap();
        data.write(scope, &object, 0, first).await.unwrap();
        let name = hash(&mapper, "s").await.unwrap();
        assert_eq!(
            contents(&mapper).await,
            BTreeSet::from([object.to_string()])
        );
        clone_hash(&mapper, &name, "c", None).await;
        assert_eq!(read(&mapper, "c", 9).await, 2);
        assert_eq!(data.stat(&object).await.unwrap().size, 16 * GRAIN + 1);
    });
}

/// HASH-1, SEAL-1, SEAL-2, SEAL-3: whoever dies when, what has a hash has all of its content, and what was cut off is done
/// when it is asked for again.
#[test]
fn a_hash_that_is_cut_off_by_death_or_power_loss_is_whole_or_not_there() {
    let values: Vec<_> = (0..6)
        .map(|block| (block * 16 + block, block + 1))
        .collect();
    let prepared = async || {
        let mapper = mapper_of(SimWorld::in_one(1));
        volume_and_snapshot(&mapper, ("v", "s"), 96, &values).await;
        mapper.close_all().await.unwrap();
        mapper
    };
    let (first, calls) = block_on(async {
        let mapper = prepared().await;
        let first = mapper.base().world.maps().calls().total();
        hash(&mapper, "s").await.unwrap();
        (first, mapper.base().world.maps().calls().total())
    });
    assert!(calls > first + 30, "{first} to {calls}");
    for call in first..=calls {
        for has_power in [true, false] {
            block_on(async {
                let mapper = prepared().await;
                mapper.base().world.maps().die_before_call(call);
                let died = hash(&mapper, "s").await;
                let mapper = if has_power {
                    killed(mapper)
                } else {
                    crashed_in_one(&mapper, call)
                };
                let what = format!("death before call {call}, power: {has_power}");
                if let Ok(hash) = &died {
                    assert!(
                        mapper.find_hash(hash).await.is_ok(),
                        "{what}: it was answered"
                    );
                }
                let name = hash(&mapper, "s").await;
                let name = name.unwrap_or_else(|error| panic!("{what}: {error}"));
                clone_hash(&mapper, &name, "c", None).await;
                for (sub, value) in &values {
                    assert_eq!(read(&mapper, "c", *sub).await, *value, "{what}: {sub}");
                }
                mapper.empty_trash(0).await.unwrap();
                mapper.close_all().await.unwrap();
                let left = leaks(&mapper).await;
                // After power loss deletions of before may have come undone.
                let may_be = |leak: &String| {
                    let is_cut_off = leak.starts_with("page/") || leak.starts_with("making/");
                    !leak.contains("missing") && (!has_power || is_cut_off)
                };
                assert!(left.iter().all(may_be), "{what}: {left:#?}");
                let report = GcReport::default();
                mapper.gc(GcMode::Collect, &report).await.unwrap();
                assert_eq!(orphans(&mapper).await, Vec::<String>::new(), "{what}");
            });
        }
    }
}

fn crashed_in_one(mapper: &Mapper<SimWorld>, seed: u64) -> Mapper<SimWorld> {
    let mut random = archipelago_store::sim::SimRandom::new(seed);
    let store = mapper.base().world.maps().crash(&mut random);
    let boot = mapper.base().world.boot_number() + 1;
    mapper_of(SimWorld::over_one(store, boot, 500))
}

/// HASH-4, CTREE-1: a volume of a petabyte costs what is mapped of it.
#[test]
fn a_volume_of_a_petabyte_is_hashed_in_time_of_what_it_has() {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        let last = (1 << 38) - 1;
        let far: Vec<_> = (0..300)
            .map(|place| (place * (last / 300), place + 1))
            .collect();
        volume_and_snapshot(&mapper, ("v", "s"), last + 1, &far).await;
        mapper
            .open("v", false)
            .await
            .unwrap()
            .checkpoint(0)
            .await
            .unwrap();
        write(&mapper, "v", last, 7).await;
        let id = mapper.base().world.random_id();
        mapper.snapshot("v", "t", id).await.unwrap();
        let world = &mapper.base().world;
        let before = world.data().calls().total() + world.maps().calls().total();
        let name = hash(&mapper, "t").await.unwrap();
        let calls = world.data().calls().total() + world.maps().calls().total() - before;
        assert!(calls < 301 * 25, "{calls} calls");
        clone_hash(&mapper, &name, "c", None).await;
        assert_eq!(read(&mapper, "c", last).await, 7);
        for (sub, value) in far {
            assert_eq!(read(&mapper, "c", sub).await, value);
        }
    });
}
