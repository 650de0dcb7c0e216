//! Stories: what once went wrong, or would, one at a time.

use archipelago_mapperd::engine::{CreateOptions, MapError, Mapper, Origin, World};
use archipelago_mapperd::map::SOURCES_MAX;
use archipelago_mapperd::map::journal::Record;
use archipelago_store::sim::{CallKind, SimStore, block_on};
use archipelago_store::{ObjectName, Store, StoreError};
use rustix::io::Errno;

use crate::client::{GRAIN_BYTES, SECTORS, read_sub, shape, snapshot, write_sub};
use crate::space::{close_and_find_no_leaks, leaks};
use crate::world::{COMPOSER, SimWorld, killed, killed_now, mapper_of, objects_of};

const GRAIN: u64 = GRAIN_BYTES as u64;
const BROKEN: StoreError = StoreError::Io(Errno::IO);

async fn with_volume(subs: u64) -> Mapper<SimWorld> {
    let mapper = mapper_of(SimWorld::new(1));
    create(&mapper, "v", Some(subs * GRAIN), None)
        .await
        .unwrap();
    mapper
}

async fn create(
    mapper: &Mapper<SimWorld>,
    name: &str,
    size: Option<u64>,
    origin: Option<&str>,
) -> Result<(), MapError> {
    let options = CreateOptions {
        size,
        origin: origin.map(|origin| Origin::Any(origin.into())),
        shape: shape(),
    };
    let id = mapper.base().world.random_id();
    mapper.create(name, id, &options).await
}

async fn write(mapper: &Mapper<SimWorld>, name: &str, sub: u64, value: u64) {
    let volume = mapper.open(name, false).await.unwrap();
    let value = [value; SECTORS];
    write_sub(mapper, &volume, sub, &value).await.unwrap();
}

async fn read(mapper: &Mapper<SimWorld>, name: &str, sub: u64) -> u64 {
    let volume = mapper.open(name, false).await.unwrap();
    let found = read_sub(mapper, &volume, sub).await.unwrap();
    assert_eq!(found, [found[0]; SECTORS]);
    found[0]
}

async fn objects(store: &SimStore, kind: &str) -> Vec<ObjectName> {
    let mut all = objects_of(store).await;
    all.retain(|object| object.to_string().starts_with(kind));
    all
}

fn is_full<T>(outcome: &Result<T, MapError>) -> bool {
    matches!(outcome, Err(error) if error.errno() == Errno::NOSPC)
}

/// CHECK-1: the layer that the failed checkpoint left was folded alone, and the head named no journal for the rest.
#[test]
fn what_was_written_after_a_checkpoint_failed_is_there_when_the_volume_was_closed() {
    block_on(async {
        let mapper = with_volume(64).await;
        write(&mapper, "v", 0, 1).await;
        let volume = mapper.open("v", false).await.unwrap();
        let maps = mapper.base().world.maps();
        maps.fail_all(CallKind::CreateExclusive, Some(StoreError::NoSpace));
        assert!(is_full(&volume.checkpoint(0).await));
        maps.fail_all(CallKind::CreateExclusive, None);
        write(&mapper, "v", 20, 2).await;
        mapper.close("v").await.unwrap();
        assert_eq!(read(&mapper, "v", 0).await, 1);
        assert_eq!(read(&mapper, "v", 20).await, 2);
        mapper.close("v").await.unwrap();
        assert_eq!(leaks(&mapper).await, Vec::<String>::new());
    });
}

/// CLOSE-1: the head said that the journal was ended, and the volume went on to write to it.
#[test]
fn a_volume_whose_close_could_not_clean_up_is_closed_all_the_same() {
    block_on(async {
        let mapper = with_volume(64).await;
        write(&mapper, "v", 0, 1).await;
        let maps = mapper.base().world.maps();
        maps.fail_all(CallKind::Delete, Some(BROKEN));
        mapper.close("v").await.unwrap();
        maps.fail_all(CallKind::Delete, None);
        write(&mapper, "v", 1, 2).await;
        let mapper = killed(mapper);
        assert_eq!(read(&mapper, "v", 0).await, 1);
        assert_eq!(read(&mapper, "v", 1).await, 2);
        close_and_find_no_leaks(&mapper).await;
    });
}

/// OWNER-1, WAL-5: where the segment is almost full, its next owner's barriers did not fit any more.
#[test]
fn a_mapper_that_dies_anywhere_near_the_end_of_a_segment_finds_its_journal_again() {
    block_on(async {
        let mapper = with_volume(64).await;
        write(&mapper, "v", 0, 1).await;
        let volume = mapper.open("v", false).await.unwrap();
        let operation = |bytes| Record::Operation {
            id: 1,
            answer: vec![7; bytes],
        };
        // 256 KiB less some 2 KiB; with each a barrier.
        for _ in 0..238 {
            volume.record(operation(1000)).await.unwrap();
        }
        for _ in 0..90 {
            volume.record(operation(8)).await.unwrap();
            let mut other = killed_now(&mapper);
            for turn in 0..3 {
                write(&other, "v", 3, turn).await;
                other = killed(other);
                assert_eq!(read(&other, "v", 3).await, turn);
            }
            assert_eq!(read(&other, "v", 0).await, 1);
        }
        assert!(volume.journal_segments().len() > 1, "the end was passed");
    });
}

/// SPACE-4: an older head that could not be deleted was compared with the wrong parent after the next snapshot.
#[test]
fn a_head_that_a_checkpoint_left_is_gone_before_the_next_snapshot() {
    block_on(async {
        let mapper = with_volume(64).await;
        write(&mapper, "v", 0, 1).await;
        let volume = mapper.open("v", false).await.unwrap();
        volume.checkpoint(0).await.unwrap();
        snapshot(&mapper, "v", "s").await;
        write(&mapper, "v", 0, 2).await;
        let maps = mapper.base().world.maps();
        maps.fail_all(CallKind::Delete, Some(BROKEN));
        volume.checkpoint(0).await.unwrap_err();
        maps.fail_all(CallKind::Delete, None);
        snapshot(&mapper, "v", "t").await;
        let mapper = killed(mapper);
        assert_eq!(read(&mapper, "v", 0).await, 2);
        let id = mapper.find("s").await.unwrap().head.id;
        let view = mapper.base().view(id).await.unwrap();
        assert!(
            view.block(mapper.base(), 0)
                .await
                .unwrap()
                .source_at(0)
                .is_some()
        );
        close_and_find_no_leaks(&mapper).await;
    });
}

/// D3, F27: a failed sync is told until the volume is closed and opened again, and nothing that was written is lost.
#[test]
fn a_volume_that_failed_is_read_anew_when_it_is_closed_and_opened() {
    block_on(async {
        let mapper = with_volume(64).await;
        write(&mapper, "v", 0, 1).await;
        let volume = mapper.open("v", false).await.unwrap();
        let data = mapper.base().world.data();
        data.fail_call(data.calls().total(), BROKEN);
        assert_eq!(volume.flush().await.unwrap_err().errno(), Errno::IO);
        for _ in 0..2 {
            let again = volume.flush().await.unwrap_err();
            assert!(matches!(again, MapError::Failed { .. }), "{again}");
        }
        mapper.close("v").await.unwrap();
        assert_eq!(read(&mapper, "v", 0).await, 1);
        mapper
            .open("v", false)
            .await
            .unwrap()
            .flush()
            .await
            .unwrap();
    });
}

/// D5, F21, F22, F23: where no byte is left, what is there can be overwritten, read and removed, and then there is room.
#[test]
fn in_a_full_store_overwriting_reading_and_removing_go_on() {
    block_on(async {
        let mapper = with_volume(64).await;
        create(&mapper, "w", Some(64 * GRAIN), None).await.unwrap();
        for sub in 0..20 {
            write(&mapper, "v", sub, 1).await;
            write(&mapper, "w", sub, 2).await;
        }
        snapshot(&mapper, "v", "s").await;
        write(&mapper, "v", 0, 3).await;
        let world = &mapper.base().world;
        for store in [world.maps(), world.data()] {
            store.set_capacity_bytes(0);
        }
        let volume = mapper.open("v", false).await.unwrap();
        let value = [4; SECTORS];
        let written = write_sub(&mapper, &volume, 40, &value).await;
        assert!(is_full(&written), "{written:?}");
        write(&mapper, "v", 0, 5).await;
        assert_eq!(read(&mapper, "v", 0).await, 5);
        assert_eq!(read(&mapper, "v", 40).await, 0);
        volume.flush().await.unwrap();
        volume.discard(Some(COMPOSER), 0, GRAIN).await.unwrap();
        mapper.remove("w").await.unwrap();
        mapper.remove("s").await.unwrap();
        for name in ["w", "s"] {
            assert!(mapper.base().find(name).await.unwrap().is_none(), "{name}");
        }
        mapper.empty_trash(0).await.unwrap();
        // Of "w" all objects are gone, whose map would need room to be published once more.
        let id = volume.id.to_string();
        let others = objects_of(world.data()).await;
        assert!(
            others
                .iter()
                .all(|object| object.to_string().starts_with(&id))
        );
        for store in [world.maps(), world.data()] {
            store.set_capacity_bytes(1 << 30);
        }
        mapper.empty_trash(0).await.unwrap();
        write(&mapper, "v", 40, 6).await;
        assert_eq!(read(&mapper, "v", 1).await, 1);
        close_and_find_no_leaks(&mapper).await;
    });
}

/// W2: a grant beyond what a map can say.
#[test]
fn a_block_of_too_many_parts_is_granted_whole() {
    block_on(async {
        let mapper = mapper_of(SimWorld::new(1));
        let shape = archipelago_mapperd::map::Shape::new(20, 12).unwrap();
        let options = CreateOptions {
            size: Some(1 << 20),
            origin: None,
            shape,
        };
        let id = mapper.base().world.random_id();
        mapper.create("v", id, &options).await.unwrap();
        let volume = mapper.open("v", false).await.unwrap();
        let mut largest = 0;
        for round in 0..130_u64 {
            write(&mapper, "v", round, round + 1).await;
            snapshot(&mapper, "v", &format!("s{round}")).await;
            let sources = volume.block(0).await.unwrap().sources().len();
            largest = largest.max(sources);
            assert!(sources <= SOURCES_MAX);
            // What is in the way of a whole grant is told by the next round.
            if round == 127 {
                // A shrink adds a part as well.
                mapper.resize("v", 200 * GRAIN, true).await.unwrap();
                mapper.resize("v", 127 * GRAIN + 512, true).await.unwrap();
                mapper.resize("v", 1 << 20, true).await.unwrap();
            }
        }
        assert!(largest > 100, "{largest} parts");
        for round in 0..127 {
            assert_eq!(read(&mapper, "v", round).await, round + 1);
        }
    });
}

/// DIR-1: asked again, each management call is done, and done once.
#[test]
fn names_are_given_and_taken_once() {
    block_on(async {
        let mapper = with_volume(64).await;
        let exists = create(&mapper, "v", Some(GRAIN), None).await.unwrap_err();
        assert_eq!(exists.errno(), Errno::EXIST);
        snapshot(&mapper, "v", "s").await;
        let id = mapper.base().world.random_id();
        let exists = mapper.snapshot("v", "s", id).await.unwrap_err();
        assert_eq!(exists.errno(), Errno::EXIST);
        let exists = mapper.rename("v", "s").await.unwrap_err();
        assert_eq!(exists.errno(), Errno::EXIST);
        mapper.rename("v", "w").await.unwrap();
        let missing = mapper.rename("v", "w").await.unwrap_err();
        assert_eq!(missing.errno(), Errno::NOENT);
        // A late duplicate of the call that made what is removed does not make it again.
        let id = mapper.find("s").await.unwrap().head.id;
        mapper.remove("s").await.unwrap();
        let late = mapper.snapshot("w", "s", id).await.unwrap_err();
        assert_eq!(late.errno(), Errno::INVAL);
    });
}

/// GONE-4: without the parent's head nobody can tell what others have.
#[test]
fn what_hangs_from_a_head_that_is_lost_gives_nothing_back() {
    block_on(async {
        let mapper = with_volume(64).await;
        write(&mapper, "v", 0, 1).await;
        snapshot(&mapper, "v", "s").await;
        create(&mapper, "c", None, Some("s")).await.unwrap();
        mapper.close_all().await.unwrap();
        let id = mapper.find("s").await.unwrap().head.id;
        let maps = mapper.base().world.maps();
        for head in objects(maps, &format!("head/{id}")).await {
            maps.delete(&head).await.unwrap();
        }
        let before = objects_of(mapper.base().world.data()).await;
        let refused = mapper.remove("c").await.unwrap_err();
        assert_eq!(refused.errno(), Errno::IO);
        mapper.empty_trash(0).await.unwrap();
        assert_eq!(objects_of(mapper.base().world.data()).await, before);
    });
}

/// F32, F37: a page that is missing or damaged is an error for what it says, and for nothing else.
#[test]
fn a_missing_page_is_an_error_and_never_zeros() {
    block_on(async {
        let mapper = with_volume(64).await;
        write(&mapper, "v", 0, 1).await;
        mapper.close("v").await.unwrap();
        let mapper = killed(mapper);
        let maps = mapper.base().world.maps();
        for page in objects(maps, "page/").await {
            maps.delete(&page).await.unwrap();
        }
        let volume = mapper.open("v", false).await.unwrap();
        let missing = volume.block(0).await.unwrap_err();
        assert_eq!(missing.errno(), Errno::IO);
        assert!(missing.to_string().contains("page/"), "{missing}");
    });
}

/// WAL-1, F34: behind the last whole record there is nothing.
#[test]
fn a_torn_record_ends_the_journal() {
    block_on(async {
        let mapper = with_volume(64).await;
        write(&mapper, "v", 0, 1).await;
        let volume = mapper.open("v", false).await.unwrap();
        volume.flush().await.unwrap();
        let maps = mapper.base().world.maps();
        let segment = volume.journal_segments()[0];
        let (id, token, number) = (segment.birth, segment.token, segment.number);
        let object = ObjectName::new(format!("log/{id}/{token:016x}.{number:016x}").as_bytes());
        let object = object.unwrap();
        let mut bytes = vec![0; 4096];
        maps.read(&object, 0, &mut bytes).await.unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let end = end.next_multiple_of(8) as u64;
        write(&mapper, "v", 16, 2).await;
        let scope = archipelago_store::Scope(1);
        maps.write(scope, &object, end + 20, &[0xff; 8])
            .await
            .unwrap();
        let mapper = killed(mapper);
        assert_eq!(read(&mapper, "v", 0).await, 1);
        assert_eq!(read(&mapper, "v", 16).await, 0);
    });
}

/// F41, M2: of a map that was restored from a copy no stamp is given out again, so what came after it is not touched.
#[test]
fn a_restored_old_map_gives_out_no_stamp_again() {
    block_on(async {
        let mapper = with_volume(64).await;
        let maps = mapper.base().world.maps();
        let head = objects(maps, "head/").await.remove(0);
        let mut copy = vec![0; 4096];
        let length = maps.read(&head, 0, &mut copy).await.unwrap();
        write(&mapper, "v", 1, 2).await;
        let volume = mapper.open("v", false).await.unwrap();
        let newer = volume.block(0).await.unwrap().source_at(1).unwrap();
        mapper.close_all().await.unwrap();
        let id = volume.id;
        for newer in objects(maps, &format!("head/{id}")).await {
            maps.delete(&newer).await.unwrap();
        }
        maps.create_exclusive(&head, &copy[..length]).await.unwrap();
        let volume = mapper.open("v", false).await.unwrap();
        let granted = volume.grant(COMPOSER, 3, 0..1).await.unwrap();
        assert!(granted.source.stamp() > newer.stamp());
    });
}

/// A composer that looked while another one's write was committed would have kept what it saw for ever.
#[test]
fn a_commit_raises_the_epoch_if_another_composer_is_there() {
    block_on(async {
        let mapper = with_volume(64).await;
        let volume = mapper.open("v", false).await.unwrap();
        volume.add_composer(COMPOSER);
        let epoch = volume.epoch();
        write(&mapper, "v", 0, 1).await;
        assert_eq!(volume.epoch(), epoch);
        volume.add_composer(archipelago_mapperd::engine::ComposerId(7));
        write(&mapper, "v", 16, 1).await;
        assert!(volume.epoch() > epoch);
    });
}

/// M8: nothing takes time or memory in proportion to the size.
#[test]
fn a_volume_of_a_petabyte_is_as_cheap_as_a_small_one() {
    block_on(async {
        let mapper = with_volume(1 << 38).await;
        write(&mapper, "v", (1 << 38) - 1, 1).await;
        let calls = mapper.base().world.maps().calls().total();
        snapshot(&mapper, "v", "s").await;
        let volume = mapper.open("v", false).await.unwrap();
        volume.checkpoint(0).await.unwrap();
        volume.discard(None, 0, u64::MAX).await.unwrap();
        volume.checkpoint(0).await.unwrap();
        assert!(volume.mapped_in(0..u64::MAX).await.unwrap().is_empty());
        mapper.resize("v", GRAIN, true).await.unwrap();
        mapper.remove("s").await.unwrap();
        mapper.empty_trash(0).await.unwrap();
        mapper.close_all().await.unwrap();
        let calls = mapper.base().world.maps().calls().total() - calls;
        assert!(calls < 300, "{calls} calls");
        assert_eq!(leaks(&mapper).await, Vec::<String>::new());
    });
}
