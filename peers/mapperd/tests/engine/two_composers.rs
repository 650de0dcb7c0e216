//! Two composers of one volume: what one of them may write in place is not taken from under it by the other.

use archipelago_mapperd::engine::{ComposerId, CreateOptions, MapError, Mapper, Volume, World};
use archipelago_mapperd::map::{SOURCES_MAX, Shape, Source, object_name};
use archipelago_store::Store;
use archipelago_store::sim::block_on;

use crate::client::{SECTORS, bytes_of, read_sub, scope_of, write_sub_as};
use crate::world::{SimWorld, crashed_now, killed, mapper_of};

const ONE: ComposerId = ComposerId(1);
const OTHER: ComposerId = ComposerId(2);
const GRAIN_BYTES: u64 = 4096;
/// All sub-blocks of the one block.
const SUBS: u64 = 256;

async fn disk() -> Mapper<SimWorld> {
    let mapper = mapper_of(SimWorld::new(1));
    let options = CreateOptions {
        size: Some(SUBS * GRAIN_BYTES),
        origin: None,
        shape: Shape::new(20, 12).unwrap(),
    };
    let id = mapper.base().world.random_id();
    mapper.create("disk", id, &options).await.unwrap();
    mapper
}

async fn source_of(volume: &Volume<SimWorld>, sub: u16) -> Option<Source> {
    volume.block(0).await.unwrap().source_at(sub)
}

/// As many objects in the block as it may have, the last of them the volume's own, with a part that waits to be given back.
async fn with_many_sources(mapper: &Mapper<SimWorld>, volume: &Volume<SimWorld>) -> Source {
    let write = async |sub| {
        let value = [sub + 1; SECTORS];
        let written = write_sub_as(ONE, mapper, volume, sub, &value);
        written.await.unwrap();
    };
    for sub in 0..SOURCES_MAX as u64 - 2 {
        write(sub).await;
        let id = mapper.base().world.random_id();
        let name = format!("s{sub}");
        mapper.snapshot("disk", &name, id).await.unwrap();
    }
    write(200).await;
    write(201).await;
    volume
        .discard(Some(ONE), 201 * GRAIN_BYTES, GRAIN_BYTES)
        .await
        .unwrap();
    source_of(volume, 200).await.unwrap()
}

/// GRANT-4: the block is full, and its only object that may be written was no longer granted: all of it would have been
/// copied, while the other composer wrote to what was copied already.
#[test]
fn a_block_is_not_copied_while_others_may_write_in_it() {
    block_on(async {
        let mapper = disk().await;
        let volume = mapper.open("disk", false).await.unwrap();
        volume.add_composer(ONE);
        volume.add_composer(OTHER);
        let own = with_many_sources(&mapper, &volume).await;
        assert!(volume.has_displaced(), "a part of it waits");
        let granted = volume.grant(OTHER, 0, 210..211).await.unwrap();
        assert_eq!((granted.source, granted.subs.clone()), (own, 210..211));
        // By what it was told long ago the first one writes where it may.
        write_sub_as(ONE, &mapper, &volume, 200, &[77; SECTORS])
            .await
            .unwrap();
        volume.commit(OTHER, granted.number).await.unwrap();
        let found = read_sub(&mapper, &volume, 200).await.unwrap();
        assert_eq!(found, [77; SECTORS]);
        for sub in 0..SOURCES_MAX as u64 - 2 {
            let found = read_sub(&mapper, &volume, sub).await.unwrap();
            assert_eq!(found, [sub + 1; SECTORS]);
        }
    });
}

/// GRANT-4: a composer that was told while grants were held that nothing may be written in place, and asks for a new
/// place for what another one writes in place.
#[test]
fn what_may_be_written_in_place_is_not_granted_elsewhere() {
    block_on(async {
        let mapper = disk().await;
        let volume = mapper.open("disk", false).await.unwrap();
        volume.add_composer(ONE);
        volume.add_composer(OTHER);
        let both = [
            volume.grant(ONE, 0, 0..1).await.unwrap(),
            volume.grant(OTHER, 0, 1..2).await.unwrap(),
        ];
        volume.commit(ONE, both[0].number).await.unwrap();
        volume.commit(OTHER, both[1].number).await.unwrap();
        // Over two objects, one after the other.
        volume.discard(Some(ONE), 0, GRAIN_BYTES).await.unwrap();
        write_sub_as(ONE, &mapper, &volume, 0, &[5; SECTORS])
            .await
            .unwrap();
        let (first, second) = (source_of(&volume, 0).await, source_of(&volume, 1).await);
        assert_ne!(first, second, "the older one has a part that waits");
        volume.reclaim().await.unwrap();
        for (sub, source) in [(0, first), (1, second)] {
            match volume.grant(OTHER, 0, sub..sub + 1).await {
                Err(MapError::Stale) => {}
                granted => assert_eq!(Some(granted.unwrap().source), source),
            }
        }
        assert_eq!(read_sub(&mapper, &volume, 0).await.unwrap(), [5; SECTORS]);
    });
}

/// D2, MAPPER-3: a composer goes on writing in place by what the dead mapper told it, and flushes before the next one has
/// opened the volume.
#[test]
fn a_flush_covers_what_was_written_while_no_mapper_lived() {
    block_on(async {
        let mapper = disk().await;
        let volume = mapper.open("disk", false).await.unwrap();
        write_sub_as(ONE, &mapper, &volume, 3, &[1; SECTORS])
            .await
            .unwrap();
        volume.flush().await.unwrap();
        let object = object_name(source_of(&volume, 3).await.unwrap(), 0);
        let (id, scope) = (volume.id, scope_of(&volume));
        drop(volume);
        let mapper = killed(mapper);
        let data = mapper.base().world.data();
        let bytes = bytes_of(&[2; SECTORS]);
        data.write(scope, &object, 3 * GRAIN_BYTES, &bytes)
            .await
            .unwrap();
        mapper.flush(id, ONE, 0).await.unwrap();
        let mapper = crashed_now(&mapper, 7);
        let volume = mapper.open("disk", false).await.unwrap();
        assert_eq!(read_sub(&mapper, &volume, 3).await.unwrap(), [2; SECTORS]);
    });
}
