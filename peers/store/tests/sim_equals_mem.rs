//! Without faults the simulated store cannot be told from the naive one.

use proptest::prelude::*;

use archipelago_store::sim::{SimStore, block_on};
use archipelago_store::{LockOwner, MemStore, ObjectName, Scope, Store};

#[derive(Clone, Debug)]
enum Step {
    Write(u8, u64, Vec<u8>),
    WriteFull(u8, Vec<u8>),
    Create(u8, Vec<u8>),
    Extend(u8, u64, bool),
    Copy(u8, u8, u64),
    Delete(u8),
    Punch(u8, u64, u64),
    Sync(u64),
    Capacity(u64),
    Lock(u8, u8),
    Unlock(u8, u8, bool),
    Forget(u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let data = || prop::collection::vec(any::<u8>(), 0..1200);
    prop_oneof![
        4 => (0..4_u8, 0..3000_u64, data()).prop_map(|(n, at, d)| Step::Write(n, at, d)),
        1 => (0..4_u8, data()).prop_map(|(n, d)| Step::WriteFull(n, d)),
        1 => (0..4_u8, data()).prop_map(|(n, d)| Step::Create(n, d)),
        1 => (0..4_u8, 0..5000_u64, any::<bool>()).prop_map(|(n, s, r)| Step::Extend(n, s, r)),
        1 => (0..4_u8, 0..4_u8, 0..4000_u64).prop_map(|(a, b, l)| Step::Copy(a, b, l)),
        1 => (0..4_u8).prop_map(Step::Delete),
        1 => (0..4_u8, 0..5000_u64, 0..3000_u64).prop_map(|(n, at, l)| Step::Punch(n, at, l)),
        1 => (0..3_u64).prop_map(Step::Sync),
        1 => (0..30_000_u64).prop_map(Step::Capacity),
        1 => (0..2_u8, 0..2_u8).prop_map(|(n, o)| Step::Lock(n, o)),
        1 => (0..2_u8, 0..2_u8, any::<bool>()).prop_map(|(n, o, f)| Step::Unlock(n, o, f)),
        1 => (0..2_u8, 0..2_u8).prop_map(|(n, o)| Step::Forget(n, o)),
    ]
}

fn name(number: u8) -> ObjectName {
    ObjectName::new(format!("group-{}/{number}", number % 2).as_bytes()).expect("a valid name")
}

fn owner(number: u8) -> LockOwner {
    LockOwner {
        node: "node".into(),
        deployment: number.to_string(),
    }
}

/// What the store says to it.
async fn apply(store: &impl Store, step: &Step) -> String {
    let scope = Scope(1);
    match step {
        Step::Write(n, at, data) => {
            format!("{:?}", store.write(scope, &name(*n), *at, data).await)
        }
        Step::WriteFull(n, data) => format!("{:?}", store.write_full(&name(*n), data).await),
        Step::Create(n, data) => format!("{:?}", store.create_exclusive(&name(*n), data).await),
        Step::Extend(n, size, reserve) => {
            let extended = store.extend(scope, &name(*n), *size, *reserve).await;
            format!("{extended:?}")
        }
        Step::Copy(from, to, len) => {
            let copied = store.copy(scope, &name(*from), &name(*to), *len).await;
            format!("{copied:?}")
        }
        Step::Delete(n) => format!("{:?}", store.delete(&name(*n)).await),
        Step::Punch(n, at, len) => {
            format!("{:?}", store.punch(scope, &name(*n), *at, *len).await)
        }
        Step::Sync(scope) => format!("{:?}", store.sync(Scope(*scope)).await),
        Step::Capacity(_) => String::new(),
        Step::Lock(n, who) => {
            let taken = store.lock(&name(*n), &owner(*who), false).await;
            format!("{:?}", taken.map(|record| record.token))
        }
        Step::Unlock(n, who, force) => {
            format!("{:?}", store.unlock(&name(*n), &owner(*who), *force).await)
        }
        Step::Forget(n, who) => {
            format!("{:?}", store.forget_lock(&name(*n), &owner(*who)).await)
        }
    }
}

/// All that can be seen of a store.
async fn look(store: &impl Store) -> String {
    let mut seen = format!("{:?}", store.groups().await);
    for group in [&b"group-0"[..], b"group-1"] {
        let listing = store
            .list(group, None, 10)
            .await
            .expect("a group can be listed");
        for object in listing.names {
            let stat = store.stat(&object).await.expect("it is listed");
            let mut data = vec![0; stat.size as usize];
            let count = store.read(&object, 0, &mut data).await;
            let hash = store.hash(&object).await;
            // What it takes is told as a file system would tell it by the one, and plainly by the other.
            let (size, held) = (stat.size, store.data_in(&object, 0..u64::MAX).await);
            seen += &format!("{object} {size} {held:?} {count:?} {hash:?} {data:?}\n");
        }
    }
    seen
}

proptest! {
    #[test]
    fn the_simulated_store_does_what_the_naive_one_does(
        seed in any::<u64>(),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let (mem, sim) = (MemStore::new(), SimStore::new(seed));
        block_on(async {
            for step in &steps {
                if let Step::Capacity(bytes) = step {
                    mem.set_capacity_bytes(*bytes);
                    sim.set_capacity_bytes(*bytes);
                }
                let said = (apply(&mem, step).await, apply(&sim, step).await);
                prop_assert_eq!(&said.0, &said.1, "{:?}", step);
                prop_assert_eq!(look(&mem).await, look(&sim).await, "after {:?}", step);
            }
            Ok(())
        })?;
    }
}
