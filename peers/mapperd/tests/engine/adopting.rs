//! A mapper dies while composers fill what it granted: the next one adopts that, if it is sure of it.

use archipelago_mapperd::engine::{ComposerId, Granted, MapError, Mapper, Orphan, Volume, World};
use archipelago_mapperd::map::{Stamp, object_name};
use archipelago_store::Store;
use archipelago_store::sim::block_on;

use crate::client::{GRAIN_BYTES, SECTORS, bytes_of, create_new, read_sub, scope_of, write_sub_as};
use crate::world::{SimWorld, killed, mapper_of};

const ONE: ComposerId = ComposerId(1);
const OTHER: ComposerId = ComposerId(2);

async fn disk() -> Mapper<SimWorld> {
    let mapper = mapper_of(SimWorld::new(1));
    create_new(&mapper, "disk", 1 << 20).await;
    mapper
}

/// Sub-blocks of the first block are granted, and written, each with its number and more.
async fn filled(mapper: &Mapper<SimWorld>, volume: &Volume<SimWorld>, sub: u16) -> Granted {
    let granted = volume.grant(ONE, 0, sub..sub + 1).await.unwrap();
    let (data, scope) = (mapper.base().world.data(), scope_of(volume));
    let object = object_name(granted.source, 0);
    if granted.is_fresh {
        let bytes = volume.shape.object_bytes();
        data.extend(scope, &object, bytes, false).await.unwrap();
    }
    let at = u64::from(sub) * GRAIN_BYTES as u64;
    let bytes = bytes_of(&[100 + u64::from(sub); SECTORS]);
    data.write(scope, &object, at, &bytes).await.unwrap();
    granted
}

/// The next mapper, and the volume as it has it.
async fn succeed(
    mapper: Mapper<SimWorld>,
    composers: &[ComposerId],
) -> (Mapper<SimWorld>, std::rc::Rc<Volume<SimWorld>>) {
    let mapper = killed(mapper);
    mapper.base().world.serve(composers);
    let volume = mapper.open("disk", false).await.unwrap();
    (mapper, volume)
}

fn orphan(volume: &Volume<SimWorld>, granted: &Granted) -> Orphan {
    Orphan {
        first_epoch: volume.with_state(|state| state.adopts()).unwrap_or(0),
        block: 0,
        subs: granted.subs.clone(),
        stamp: granted.source.stamp().unwrap(),
    }
}

/// ADOPT-1, ADOPT-3: also by the successor's successor, and twice.
#[test]
fn what_was_written_by_a_grant_of_the_dead_mapper_is_committed_by_the_next_one() {
    block_on(async {
        let mapper = disk().await;
        let volume = mapper.open("disk", false).await.unwrap();
        volume.add_composer(ONE);
        let all = [
            filled(&mapper, &volume, 0).await,
            filled(&mapper, &volume, 1).await,
            filled(&mapper, &volume, 2).await,
        ];
        assert!(all[0].is_fresh && !all[1].is_fresh);
        let (mapper, volume) = succeed(mapper, &[ONE]).await;
        let refused = volume.commit(ONE, all[0].number).await;
        assert_eq!(refused, Err(MapError::Stale));
        volume.adopt(ONE, &orphan(&volume, &all[0])).await.unwrap();
        volume.adopt(ONE, &orphan(&volume, &all[1])).await.unwrap();
        let (mapper, volume) = succeed(mapper, &[ONE]).await;
        // Its record counts already; the answer was lost.
        volume.adopt(ONE, &orphan(&volume, &all[1])).await.unwrap();
        volume.adopt(ONE, &orphan(&volume, &all[2])).await.unwrap();
        for sub in 0..3 {
            let found = read_sub(&mapper, &volume, sub).await.unwrap();
            assert_eq!(found, [100 + sub; SECTORS]);
        }
        assert_eq!(mapper.base().world.recalls(), []);
    });
}

/// ADOPT-1: somebody was granted the same since, whatever became of that.
#[test]
fn what_somebody_was_granted_since_is_not_adopted() {
    block_on(async {
        let mapper = disk().await;
        let volume = mapper.open("disk", false).await.unwrap();
        volume.add_composer(ONE);
        let (late, other) = (
            filled(&mapper, &volume, 0).await,
            filled(&mapper, &volume, 1).await,
        );
        let (mapper, volume) = succeed(mapper, &[ONE]).await;
        let granted = volume.grant(ONE, 0, 0..1).await.unwrap();
        let adopted = volume.adopt(ONE, &orphan(&volume, &late)).await;
        assert_eq!(adopted, Err(MapError::Stale));
        volume.give_up(ONE, granted.number);
        let adopted = volume.adopt(ONE, &orphan(&volume, &late)).await;
        assert_eq!(adopted, Err(MapError::Stale));
        write_sub_as(ONE, &mapper, &volume, 0, &[7; SECTORS])
            .await
            .unwrap();
        let adopted = volume.adopt(ONE, &orphan(&volume, &late)).await;
        assert_eq!(adopted, Err(MapError::Stale));
        volume.adopt(ONE, &orphan(&volume, &other)).await.unwrap();
        assert_eq!(read_sub(&mapper, &volume, 0).await.unwrap(), [7; SECTORS]);
        assert_eq!(read_sub(&mapper, &volume, 1).await.unwrap(), [101; SECTORS]);
    });
}

/// ADOPT-1: what was taken back, or may have been given back, stays void.
#[test]
fn after_a_change_of_the_map_as_a_whole_nothing_is_adopted() {
    for change in 0..3 {
        block_on(async {
            let mapper = disk().await;
            let volume = mapper.open("disk", false).await.unwrap();
            volume.add_composer(ONE);
            write_sub_as(ONE, &mapper, &volume, 9, &[1; SECTORS])
                .await
                .unwrap();
            let granted = filled(&mapper, &volume, 0).await;
            let (mapper, volume) = succeed(mapper, &[ONE]).await;
            let orphan = orphan(&volume, &granted);
            match change {
                0 => {
                    let id = mapper.base().world.random_id();
                    mapper.snapshot("disk", "s", id).await.unwrap();
                }
                1 => drop(volume.discard(None, 0, GRAIN_BYTES as u64).await.unwrap()),
                _ => mapper.resize("disk", 2 << 20, false).await.unwrap(),
            }
            let adopted = volume.adopt(ONE, &orphan).await;
            assert_eq!(adopted, Err(MapError::Stale), "change {change}");
            assert_eq!(read_sub(&mapper, &volume, 0).await.unwrap(), [0; SECTORS]);
        });
    }
}

/// ADOPT-2, ADOPT-3
#[test]
fn what_is_meant_for_another_mapper_or_was_never_granted_is_not_adopted() {
    block_on(async {
        let mapper = disk().await;
        let volume = mapper.open("disk", false).await.unwrap();
        volume.add_composer(ONE);
        let granted = filled(&mapper, &volume, 0).await;
        let (mapper, volume) = succeed(mapper, &[ONE]).await;
        let late = orphan(&volume, &granted);
        let (_mapper, volume) = succeed(mapper, &[ONE]).await;
        let good = orphan(&volume, &granted);
        assert_ne!(late.first_epoch, good.first_epoch);
        let own = volume.grant(ONE, 0, 5..6).await.unwrap();
        for bad in [
            late,
            Orphan {
                stamp: own.source.stamp().unwrap(),
                ..good.clone()
            },
            Orphan {
                stamp: Stamp::from_bits(0),
                ..good.clone()
            },
            Orphan {
                stamp: Stamp::from_bits(u64::MAX),
                ..good.clone()
            },
            Orphan {
                subs: 5..6,
                ..good.clone()
            },
        ] {
            let adopted = volume.adopt(ONE, &bad).await;
            assert_eq!(adopted, Err(MapError::Stale), "{bad:?}");
        }
        for bad in [
            Orphan {
                subs: 3..3,
                ..good.clone()
            },
            Orphan {
                subs: 0..17,
                ..good.clone()
            },
            Orphan {
                block: 16,
                ..good.clone()
            },
        ] {
            let adopted = volume.adopt(ONE, &bad).await;
            assert!(matches!(adopted, Err(MapError::Invalid { .. })), "{bad:?}");
        }
        volume.adopt(ONE, &good).await.unwrap();
    });
}

/// GRANT-5: with several composers one may be writing where the other is granted something now.
#[test]
fn with_several_composers_all_is_taken_back_before_anything_is_granted() {
    block_on(async {
        let mapper = disk().await;
        let volume = mapper.open("disk", false).await.unwrap();
        volume.add_composer(ONE);
        volume.add_composer(OTHER);
        let granted = filled(&mapper, &volume, 0).await;
        let (mapper, volume) = succeed(mapper, &[ONE, OTHER]).await;
        let adopted = volume.adopt(ONE, &orphan(&volume, &granted)).await;
        assert_eq!(adopted, Err(MapError::Stale));
        assert_eq!(mapper.base().world.recalls(), []);
        volume.grant(OTHER, 0, 0..1).await.unwrap();
        let recalled: Vec<_> = mapper.base().world.recalls();
        let composers: Vec<_> = recalled.iter().map(|(composer, _)| *composer).collect();
        assert_eq!(composers, [ONE, OTHER]);
        volume.grant(ONE, 0, 1..2).await.unwrap();
        assert_eq!(mapper.base().world.recalls().len(), 2, "once is enough");
    });
}
