//! What the modules of the engine promise, one sentence each.

use std::rc::Rc;

use archipelago_mapperd::engine::{
    Base, ComposerId, CreateOptions, MapError, Mapper, Origin, Volume, World,
};
use archipelago_mapperd::map::Source;
use archipelago_store::sim::{SimStore, block_on};
use archipelago_store::{ObjectName, Store};

use crate::client::{SECTORS, create_new, read_sub, shape, snapshot, write_sub};
use crate::world::{COMPOSER, SimWorld, killed, mapper_of, objects_of};

const MIB: u64 = 1 << 20;

async fn with_disk() -> Mapper<SimWorld> {
    let mapper = mapper_of(SimWorld::new(1));
    create(&mapper, "disk", None).await;
    mapper
}

async fn create(mapper: &Mapper<SimWorld>, name: &str, origin: Option<&str>) {
    let options = CreateOptions {
        size: origin.is_none().then_some(MIB),
        origin: origin.map(|origin| Origin::Any(origin.into())),
        shape: shape(),
    };
    let id = mapper.base().world.random_id();
    mapper.create(name, id, &options).await.unwrap();
}

async fn write(mapper: &Mapper<SimWorld>, volume: &Volume<SimWorld>, sub: u64, value: u64) {
    write_sub(mapper, volume, sub, &[value; SECTORS])
        .await
        .unwrap();
}

async fn named(store: &SimStore, prefix: &str) -> Vec<ObjectName> {
    let mut names = objects_of(store).await;
    names.retain(|name| name.to_string().starts_with(prefix));
    names.sort();
    names
}

async fn source_of(volume: &Volume<SimWorld>, sub: u64) -> Option<Source> {
    volume
        .block(sub / 16)
        .await
        .unwrap()
        .source_at((sub % 16) as u16)
}

/// GRANT-1
#[test]
fn a_grant_that_was_given_up_is_void_and_two_grants_never_overlap() {
    block_on(async {
        let mapper = with_disk().await;
        let volume = mapper.open("disk", false).await.unwrap();
        let first = volume.grant(COMPOSER, 0, 0..4).await.unwrap();
        assert!(volume.with_state(|state| state.must_wait(0, &(3..5))));
        assert!(!volume.with_state(|state| state.must_wait(0, &(4..5))));
        volume.give_up(COMPOSER, first.number);
        assert!(!volume.with_state(|state| state.must_wait(0, &(3..5))));
        assert_eq!(
            volume.commit(COMPOSER, first.number).await,
            Err(MapError::Stale)
        );
        assert_eq!(source_of(&volume, 0).await, None);
        let of_other = volume.grant(ComposerId(7), 0, 0..4).await.unwrap();
        assert_eq!(
            volume.commit(COMPOSER, of_other.number).await,
            Err(MapError::Stale)
        );
    });
}

/// GRANT-2: after a snapshot what was written before is not granted any more.
#[test]
fn what_a_snapshot_has_is_never_granted() {
    block_on(async {
        let mapper = with_disk().await;
        let volume = mapper.open("disk", false).await.unwrap();
        write(&mapper, &volume, 0, 1).await;
        let before = source_of(&volume, 0).await.unwrap();
        let again = volume.grant(COMPOSER, 0, 1..2).await.unwrap();
        assert_eq!(again.source, before, "its own, above the floor");
        volume.give_up(COMPOSER, again.number);
        snapshot(&mapper, "disk", "monday").await;
        let granted = volume.grant(COMPOSER, 0, 0..1).await.unwrap();
        assert!(granted.is_fresh);
        assert!(granted.source.stamp() > before.stamp());
        assert_eq!(granted.source.birth(), Some(volume.id));
    });
}

/// GRANT-3: a part of the object is about to be punched out of it.
#[test]
fn an_object_that_waits_to_be_given_back_is_not_granted() {
    block_on(async {
        let mapper = with_disk().await;
        let volume = mapper.open("disk", false).await.unwrap();
        write(&mapper, &volume, 0, 1).await;
        write(&mapper, &volume, 1, 1).await;
        let before = source_of(&volume, 0).await.unwrap();
        volume.discard(Some(COMPOSER), 4096, 4096).await.unwrap();
        let granted = volume.grant(COMPOSER, 0, 1..2).await.unwrap();
        assert_ne!(granted.source, before);
        volume.give_up(COMPOSER, granted.number);
        volume.reclaim().await.unwrap();
        let granted = volume.grant(COMPOSER, 0, 1..2).await.unwrap();
        assert_eq!(granted.source, before, "it was given back");
    });
}

/// MAPPER-1
#[test]
fn a_volume_that_is_opened_twice_is_one() {
    block_on(async {
        let mapper = with_disk().await;
        let one = mapper.open("disk", false).await.unwrap();
        let other = mapper.open("disk", false).await.unwrap();
        assert!(Rc::ptr_eq(&one, &other));
    });
}

/// CLOSE-2: once it is closed somebody else may have it, and not before.
#[test]
fn a_closed_volume_is_free_for_another_owner() {
    block_on(async {
        let mapper = with_disk().await;
        let world = &mapper.base().world;
        let other = SimWorld::over((**world.maps()).clone(), (**world.data()).clone(), 1, 100);
        let other = mapper_of(other.owned_by("another node"));
        let volume = mapper.open("disk", false).await.unwrap();
        write(&mapper, &volume, 3, 9).await;
        assert!(matches!(
            other.open("disk", false).await,
            Err(MapError::Locked { since: Some(_), .. })
        ));
        mapper.close("disk").await.unwrap();
        assert!(volume.is_closed());
        let theirs = other.open("disk", false).await.unwrap();
        assert_eq!(read_sub(&other, &theirs, 3).await.unwrap(), [9; SECTORS]);
    });
}

/// OWNER-1: nothing that the old owner could write is written by the new one.
#[test]
fn another_owner_writes_to_files_of_its_own() {
    block_on(async {
        let mapper = with_disk().await;
        let world = &mapper.base().world;
        let volume = mapper.open("disk", false).await.unwrap();
        write(&mapper, &volume, 0, 1).await;
        let old = named(world.maps(), "log/").await;
        let other = SimWorld::over((**world.maps()).clone(), (**world.data()).clone(), 1, 100);
        let other = mapper_of(other.owned_by("another node"));
        other.base().unlock(volume.id, true).await.unwrap();
        let theirs = other.open("disk", false).await.unwrap();
        let segments = theirs.journal_segments();
        let token = segments.last().unwrap().token;
        assert!(
            volume
                .journal_segments()
                .iter()
                .all(|segment| segment.token < token)
        );
        write(&other, &theirs, 1, 2).await;
        assert_eq!(read_sub(&other, &theirs, 0).await.unwrap(), [1; SECTORS]);
        let new = named(world.maps(), "log/").await;
        assert!(new.iter().any(|name| !old.contains(name)), "{new:?}");
        assert!(
            source_of(&theirs, 1).await.unwrap().stamp()
                > source_of(&volume, 0).await.unwrap().stamp()
        );
    });
}

/// OWNER-2
#[test]
fn stamps_that_may_have_been_given_out_are_never_given_out_again() {
    block_on(async {
        let mut mapper = with_disk().await;
        let mut last = None;
        for round in 0..4 {
            let volume = mapper.open("disk", false).await.unwrap();
            let granted = volume.grant(COMPOSER, round, 0..1).await.unwrap();
            assert!(granted.source.stamp() > last);
            last = granted.source.stamp();
            // The grant is forgotten with its mapper, the stamp is not.
            mapper = killed(mapper);
        }
    });
}

/// LOAD-1, F32
#[test]
fn a_damaged_head_is_an_error_and_never_an_older_head() {
    block_on(async {
        let mapper = with_disk().await;
        let volume = mapper.open("disk", false).await.unwrap();
        write(&mapper, &volume, 0, 1).await;
        mapper.close("disk").await.unwrap();
        let maps = mapper.base().world.maps().clone();
        let heads = named(&maps, "head/").await;
        let head = heads.last().unwrap();
        let mut bytes = vec![0; 4096];
        let length = maps.read(head, 0, &mut bytes).await.unwrap();
        bytes[length / 2] ^= 1;
        maps.write_full(head, &bytes[..length]).await.unwrap();
        assert!(matches!(
            mapper.open("disk", false).await,
            Err(MapError::Corrupt { .. })
        ));
    });
}

/// LOAD-2: others publish while we look.
#[test]
fn whoever_looks_while_heads_are_published_sees_one_that_was_in_force() {
    use archipelago_store::sim::Interleave;
    for seed in 0..20 {
        let mapper = block_on(with_disk());
        mapper.base().world.maps().set_yields_max(3);
        let writer = async {
            let volume = mapper.open("disk", false).await.unwrap();
            for round in 0..6 {
                write(&mapper, &volume, round, round + 1).await;
                volume.checkpoint(0).await.unwrap();
            }
        };
        let reader = async {
            for _ in 0..30 {
                let found = mapper.find("disk").await.unwrap();
                assert_eq!(found.head.size_bytes, MIB);
            }
        };
        let mut tasks = Interleave::new(seed);
        tasks.add(writer);
        tasks.add(reader);
        tasks.run();
    }
}

/// MAPPER-4
#[test]
fn changes_of_a_volume_that_somebody_closes_again_and_again_are_made() {
    use archipelago_store::sim::Interleave;
    for seed in 0..20 {
        let mapper = block_on(with_disk());
        mapper.base().world.maps().set_yields_max(3);
        let is_over = std::cell::Cell::new(false);
        let changes = async {
            for round in 1..6_u64 {
                snapshot(&mapper, "disk", &format!("s{round}")).await;
                create(&mapper, &format!("c{round}"), Some("disk")).await;
                mapper
                    .resize("disk", (round + 1) * MIB, false)
                    .await
                    .unwrap();
                mapper.rename("disk", "other").await.unwrap();
                mapper.rename("other", "disk").await.unwrap();
                mapper.remove(&format!("c{round}")).await.unwrap();
            }
            mapper.remove("disk").await.unwrap();
            is_over.set(true);
        };
        let closes = async {
            while !is_over.get() {
                for volume in mapper.volumes() {
                    mapper.close_volume(&volume).await.unwrap();
                }
                mapper.find("nobody").await.unwrap_err();
            }
        };
        let mut tasks = Interleave::new(seed);
        tasks.add(changes);
        tasks.add(closes);
        tasks.run();
        assert_eq!(block_on(mapper.base().entries()).unwrap().len(), 5);
    }
}

/// WAL-3, D5, F22: a full store stops new places, not what has its place.
#[test]
fn a_journal_has_room_when_the_store_is_full() {
    block_on(async {
        let mapper = with_disk().await;
        let volume = mapper.open("disk", false).await.unwrap();
        write(&mapper, &volume, 0, 1).await;
        mapper.base().world.maps().set_capacity_bytes(0);
        // Overwrites, and what still fits into the journal.
        write(&mapper, &volume, 0, 2).await;
        write(&mapper, &volume, 1, 3).await;
        volume.flush().await.unwrap();
        assert_eq!(read_sub(&mapper, &volume, 1).await.unwrap(), [3; SECTORS]);
    });
}

/// GONE-3
#[test]
fn a_removed_snapshot_with_two_children_stays_until_one_is_gone() {
    block_on(async {
        let mapper = with_disk().await;
        let volume = mapper.open("disk", false).await.unwrap();
        write(&mapper, &volume, 0, 1).await;
        snapshot(&mapper, "disk", "monday").await;
        create(&mapper, "twin", Some("monday")).await;
        mapper.remove("monday").await.unwrap();
        mapper.empty_trash(0).await.unwrap();
        assert_eq!(mapper.base().trash().await.unwrap().len(), 1);
        mapper.remove("twin").await.unwrap();
        mapper.empty_trash(0).await.unwrap();
        assert!(mapper.base().trash().await.unwrap().is_empty());
        assert_eq!(volume.with_state(|state| state.head.parent), None);
        assert_eq!(read_sub(&mapper, &volume, 0).await.unwrap(), [1; SECTORS]);
    });
}

/// TREE-2, FOLD-2: what did not change between two checkpoints is the same page.
#[test]
fn a_checkpoint_shares_the_pages_above_no_change_with_the_tree_before() {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        create_new(&mapper, "disk", 1 << 40).await;
        let volume = mapper.open("disk", false).await.unwrap();
        // Two leaves far apart.
        let (near, far) = (0, 16 * 126 * 126 * 3);
        write(&mapper, &volume, near, 1).await;
        write(&mapper, &volume, far, 1).await;
        volume.checkpoint(0).await.unwrap();
        snapshot(&mapper, "disk", "monday").await;
        let (near_block, far_block) = (near / 16, far / 16);
        let base = mapper.base();
        let before = volume.with_state(|state| state.layers.root);
        write(&mapper, &volume, near, 2).await;
        volume.checkpoint(0).await.unwrap();
        let after = volume.with_state(|state| state.layers.root);
        assert_ne!(before, after);
        let leaf = async |root, block| base.pages.find(root, 0, block / 126 * 126).await.unwrap();
        assert_eq!(leaf(before, far_block).await, leaf(after, far_block).await);
        assert_ne!(
            leaf(before, near_block).await,
            leaf(after, near_block).await
        );
        let only = base.pages.only_in(before, &[after]).await.unwrap();
        let far_leaf = leaf(before, far_block).await.unwrap().page;
        assert!(!only.is_empty() && !only.contains(&far_leaf));
        // The old tree is as it was.
        let view = base
            .view(volume.with_state(|state| state.head.parent.unwrap()))
            .await
            .unwrap();
        assert_eq!(
            view.block(base, near_block).await.unwrap().sources().len(),
            1
        );
    });
}

/// TREE-1: a page that names itself as its child is refused, for it is of another level.
#[test]
fn a_walk_ends_whatever_the_pages_say() {
    block_on(async {
        let mapper = with_disk().await;
        let volume = mapper.open("disk", false).await.unwrap();
        write(&mapper, &volume, 0, 1).await;
        volume.checkpoint(0).await.unwrap();
        let mut root = volume.with_state(|state| state.layers.root);
        root.level += 1;
        let found = mapper.base().pages.block(root, 0, shape()).await;
        assert!(matches!(found, Err(MapError::Corrupt { .. })), "{found:?}");
    });
}

/// PAGE-1, PAGE-2: a cache of one page still answers rightly, and what was given back is not answered from it.
#[test]
fn a_tiny_cache_of_pages_answers_like_a_large_one() {
    block_on(async {
        let mapper = Mapper::new(Rc::new(Base::new(SimWorld::new(1), 1)));
        create_new(&mapper, "disk", 1 << 40).await;
        let volume = mapper.open("disk", false).await.unwrap();
        for value in 0..20 {
            write(&mapper, &volume, value * 16 * 126, value + 1).await;
        }
        volume.checkpoint(0).await.unwrap();
        for value in (0..20).rev() {
            let read = read_sub(&mapper, &volume, value * 16 * 126).await.unwrap();
            assert_eq!(read, [value + 1; SECTORS]);
            assert!(mapper.base().pages.cached_pages() <= 1);
        }
        volume.discard(None, 0, 1 << 40).await.unwrap();
        volume.checkpoint(0).await.unwrap();
        assert_eq!(read_sub(&mapper, &volume, 0).await.unwrap(), [0; SECTORS]);
    });
}

/// HELD-1
#[test]
fn a_lock_that_somebody_holds_outlives_closes_and_mappers_and_ends_with_the_volume() {
    block_on(async {
        let mapper = with_disk().await;
        let id = mapper.find("disk").await.unwrap().head.id;
        mapper.lock("disk").await.unwrap();
        mapper.lock("disk").await.unwrap();
        let volume = mapper.open("disk", false).await.unwrap();
        write(&mapper, &volume, 3, 7).await;
        mapper.close_all().await.unwrap();
        assert!(mapper.holds_lock(id).await.unwrap());
        let mapper = killed(mapper);
        mapper.open_left().await.unwrap();
        mapper.close_all().await.unwrap();
        assert!(mapper.holds_lock(id).await.unwrap());
        mapper.unlock("disk", false).await.unwrap();
        assert!(!mapper.holds_lock(id).await.unwrap());
        // Open, it is unlocked by force alone, and that is a close.
        mapper.lock("disk").await.unwrap();
        let volume = mapper.open("disk", false).await.unwrap();
        let refused = mapper.unlock("disk", false).await;
        assert!(matches!(refused, Err(MapError::Open { .. })), "{refused:?}");
        mapper.unlock("disk", true).await.unwrap();
        assert!(volume.has_ended() && !mapper.holds_lock(id).await.unwrap());
        mapper.lock("disk").await.unwrap();
        mapper.remove("disk").await.unwrap();
        mapper.empty_trash(0).await.unwrap();
        assert!(objects_of(mapper.base().world.maps()).await.is_empty());
        assert!(!mapper.holds_lock(id).await.unwrap());
    });
}
