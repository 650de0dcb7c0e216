//! Mappers that die while composers fill what they granted.

use std::rc::Rc;
use std::time::Duration;

use archipelago_protocol::RecallKind;
use xseg::OpCode;

use crate::world::{World, run};

/// The first thing that is asked for a new place.
const EXTEND: OpCode = OpCode(200);

const SIZE: u64 = 4 * 65_536;

async fn until(world: &World, is_so: impl Fn() -> bool) {
    while !is_so() {
        world.handle.sleep(Duration::from_millis(1)).await;
    }
}

/// A write of a whole block that has begun to fill its new place.
async fn begun(world: &Rc<World>) -> archipelago_runtime::Task<Result<u64, xseg::Errno>> {
    let client = world.client("v");
    world.blocker.hold(true);
    let write = async move { client.write(0, &[7; 65_536]).await };
    let write = world.handle.spawn(write);
    until(world, || world.blocker.count_of(EXTEND) > 0).await;
    write
}

/// GRANTED-4
#[test]
fn what_was_written_is_not_written_again_for_the_next_mapper() {
    run(1, SIZE, |world| async move {
        let write = begun(&world).await;
        world.mapper.with("v", |volume| volume.die());
        world.blocker.hold(false);
        assert_eq!(write.await, Ok(65_536));
        assert_eq!(world.mapper.count_of(OpCode::MAP_WRITE), 1);
        assert_eq!(world.mapper.count_of(OpCode::MAP_COMMIT), 2);
        assert_eq!(world.blocker.count_of(OpCode::WRITE), 1);
        let client = world.client("v");
        assert_eq!(client.read(0, 65_536).await, Ok(vec![7; 65_536]));
        // It is kept like any other, and may be written in place.
        assert_eq!(client.write(100, &[8; 100]).await, Ok(100));
        assert_eq!(world.mapper.count_of(OpCode::MAP_WRITE), 1);
    });
}

/// GRANTED-4: the dead mapper was about to void the grant, and may have done so.
#[test]
fn a_grant_that_was_recalled_is_not_adopted() {
    run(2, SIZE, |world| async move {
        let write = begun(&world).await;
        world.mapper.with("v", |volume| volume.epoch += 1);
        let own = world.clone();
        let recall = async move {
            own.mapper
                .recall("v", RecallKind::Forget, (0, 1), u32::MAX)
                .await
        };
        let recalled = world.handle.spawn(recall);
        world.handle.sleep(Duration::from_millis(5)).await;
        world.mapper.with("v", |volume| volume.die());
        world.blocker.hold(false);
        assert_eq!(write.await, Ok(65_536));
        assert_eq!(recalled.await, Ok(()));
        assert_eq!(*world.mapper.adopted.borrow(), 0);
        assert_eq!(world.mapper.count_of(OpCode::MAP_WRITE), 2);
        let client = world.client("v");
        assert_eq!(client.read(0, 65_536).await, Ok(vec![7; 65_536]));
    });
}

/// GRANTED-4: one after the other dies, and each knows the orphans of the one before.
#[test]
fn mappers_may_die_as_fast_as_they_are_asked() {
    run(3, SIZE, |world| async move {
        let write = begun(&world).await;
        for _ in 0..5 {
            world.mapper.with("v", |volume| {
                let orphans = volume.orphans.clone();
                volume.die();
                volume.orphans.extend(orphans);
            });
        }
        world.blocker.hold(false);
        assert_eq!(write.await, Ok(65_536));
        assert_eq!(world.mapper.count_of(OpCode::MAP_WRITE), 1);
    });
}
