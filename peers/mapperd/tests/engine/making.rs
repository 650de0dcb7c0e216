//! Two nodes: one makes something, the other one tidies up, at every moment of it.

use archipelago_mapperd::engine::{
    CreateOptions, GcMode, GcReport, MapError, Mapper, Origin, World,
};
use archipelago_store::sim::block_on;

use crate::client::{SECTORS, create_new, read_sub, shape, snapshot, write_sub};
use crate::taken::stopped_for;
use crate::world::{SimWorld, beside, mapper_of};

const SIZE_BYTES: u64 = 4 << 16;

async fn with_snapshot() -> Mapper<SimWorld> {
    let mapper = mapper_of(SimWorld::new(1).owned_by("first"));
    create_new(&mapper, "v", SIZE_BYTES).await;
    let volume = mapper.open("v", false).await.unwrap();
    write_sub(&mapper, &volume, 0, &[7; SECTORS]).await.unwrap();
    snapshot(&mapper, "v", "s").await;
    for store in [mapper.base().world.maps(), mapper.base().world.data()] {
        store.set_yields_max(2);
    }
    mapper
}

/// Gives back whatever there is to be given back.
async fn tidied(mapper: &Mapper<SimWorld>) {
    mapper.empty_trash(0).await.unwrap();
    let report = GcReport::default();
    match mapper.gc(GcMode::Collect, &report).await {
        Ok(()) | Err(MapError::Locked { .. }) => {} // the other one has the volume
        Err(error) => panic!("{error}"),
    }
}

/// MAKING-1: what was answered is there, and has what it began with, also when its origin is gone.
#[test]
fn what_one_node_makes_another_one_does_not_give_back() {
    for is_clone in [true, false] {
        let mut moment = 0;
        while block_on(made_while_another_one_tidies(is_clone, moment)) {
            moment += 1;
        }
        assert!(moment > 10, "{moment} moments");
    }
}

async fn made_while_another_one_tidies(is_clone: bool, moment: u64) -> bool {
    let first = with_snapshot().await;
    let second = beside(&first, "second");
    let id = first.base().world.random_id();
    let mut made = Ok(());
    let making = async {
        made = match is_clone {
            true => {
                let options = CreateOptions {
                    size: None,
                    origin: Some(Origin::Snapshot("s".into())),
                    shape: shape(),
                };
                first.create("made", id, &options).await
            }
            false => first.snapshot("v", "made", id).await,
        };
    };
    let was_stopped = stopped_for(moment, making, tidied(&second)).await;
    match made {
        Ok(()) => {}
        // It was refused, and nothing of it is left.
        Err(MapError::Locked { .. }) => {
            tidied(&first).await;
            assert!(first.base().find("made").await.unwrap().is_none());
            return was_stopped;
        }
        Err(error) => panic!("after {moment}: {error}"),
    }
    first.close("v").await.unwrap();
    for gone in ["s", "v"] {
        first.remove(gone).await.unwrap();
        tidied(&first).await;
    }
    let name = if is_clone {
        "made"
    } else {
        let options = CreateOptions {
            size: None,
            origin: Some(Origin::Snapshot("made".into())),
            shape: shape(),
        };
        let id = first.base().world.random_id();
        first.create("clone", id, &options).await.unwrap();
        "clone"
    };
    let volume = first.open(name, false).await.unwrap();
    let found = read_sub(&first, &volume, 0).await.unwrap();
    assert_eq!(found, [7; SECTORS], "after {moment}");
    was_stopped
}
