//! Several instances of one store: of those that are not to write any more, nothing gets in.

use std::thread;

use archipelago_ceph::Cluster;
use archipelago_radosd::{Radosd, RadosdOptions};
use archipelago_store::{LockOwner, ObjectName, Scope, Store, StoreError};
use xseg::Errno;

use crate::house::{POOL, alone, cluster, name, on_one_reactor, on_two_threads, options};

const SCOPE: Scope = Scope(1);

fn owner(node: &str) -> LockOwner {
    LockOwner {
        node: node.into(),
        deployment: "default".into(),
    }
}

fn instance(cluster: &Cluster, namespace: &str, instance: &str) -> RadosdOptions {
    let mut options = options(cluster, namespace);
    options.owner = owner(instance);
    options
}

/// Does something as another instance, from its beginning to its end.
fn meanwhile<T: Send>(
    options: &RadosdOptions,
    work: impl AsyncFnOnce(&archipelago_store::BlockerClient) -> T + Send,
) -> T {
    thread::scope(|scope| {
        let other =
            scope.spawn(|| on_one_reactor(options, async |house| work(&house.client).await));
        other.join().expect("the other instance does its work")
    })
}

async fn expect(store: &impl Store, object: &ObjectName, content: &[u8]) {
    let mut found = vec![0; content.len() + 1];
    let count = store.read(object, 0, &mut found).await;
    assert_eq!(count, Ok(content.len()));
    assert_eq!(found[..content.len()], *content);
}

#[test]
fn nothing_of_a_fenced_instance_gets_in() {
    let cluster = cluster();
    a_successor_has_its_predecessor_fenced(&cluster);
    a_broken_lock_fences_its_holder(&cluster);
    a_broken_lock_fences_all_of_its_deployment(&cluster);
    who_ended_well_is_not_fenced(&cluster);
    of_two_instances_one_gets_the_lock(&cluster);
    nothing_is_cut_off_by_two_who_write(&cluster);
    names_without_objects_are_not_listed(&cluster);
}

/// INSTANCE-1.
fn a_successor_has_its_predecessor_fenced(cluster: &Cluster) {
    let same = instance(cluster, "successor", "a");
    let mut ended_badly = same.clone();
    ended_badly.nr_ops = 4;
    // The first one still has to leave when it was fenced, and cannot: that is what it is about.
    on_two_threads(&ended_badly, async |old| {
        let object = name("v/1/a");
        assert_eq!(old.write(SCOPE, &object, 0, b"first").await, Ok(()));
        let taken = old.lock(&name("lock/1"), &owner("a"), false).await;
        let token = taken.expect("it is free").token;
        meanwhile(&same, async |new| {
            expect(new, &object, b"first").await;
            assert_eq!(new.write(SCOPE, &object, 0, b"other").await, Ok(()));
            let taken = new.lock(&name("lock/1"), &owner("a"), false).await;
            assert_eq!(taken.map(|record| record.token), Ok(token), "L1");
        });
        for _ in 0..3 {
            let refused = old.write(SCOPE, &object, 0, b"late!").await;
            assert_eq!(refused, Err(StoreError::Io(Errno::SHUTDOWN)));
        }
        // ENGINE-1
        assert_eq!(old.sync(SCOPE).await, Err(StoreError::Failed));
        assert_eq!(old.sync(Scope(2)).await, Ok(()));
        assert_eq!(old.heal(SCOPE).await, Ok(()));
        assert_eq!(old.sync(SCOPE).await, Ok(()));
        meanwhile(&same, async |new| expect(new, &object, b"other").await);
    });
}

/// POOLLOCK-2.
fn a_broken_lock_fences_its_holder(cluster: &Cluster) {
    let (a, b) = (
        instance(cluster, "broken", "a"),
        instance(cluster, "broken", "b"),
    );
    on_two_threads(&a, async |old| {
        let (lock, object) = (name("lock/1"), name("v/1/a"));
        let taken = old.lock(&lock, &owner("a"), false).await;
        let token = taken.expect("it is free").token;
        assert_eq!(old.write(SCOPE, &object, 0, b"first").await, Ok(()));
        meanwhile(&b, async |new| {
            let refused = new.lock(&lock, &owner("b"), false).await;
            let named = StoreError::Locked {
                owner: owner("a").to_string(),
            };
            assert_eq!(refused, Err(named));
            // Nobody was fenced for that.
            assert_eq!(new.unlock(&lock, &owner("b"), true).await, Ok(()));
            let taken = new.lock(&lock, &owner("b"), false).await;
            assert!(taken.expect("it was broken").token > token);
            assert_eq!(new.write(SCOPE, &object, 0, b"other").await, Ok(()));
        });
        let fenced = StoreError::Io(Errno::SHUTDOWN);
        let refused = old.write(SCOPE, &object, 0, b"late!").await;
        assert_eq!(refused, Err(fenced.clone()));
        let refused = old.create_exclusive(&name("head/1"), b"late").await;
        assert_eq!(refused, Err(fenced.clone()));
        let refused = old.lock(&lock, &owner("a"), false).await;
        assert_eq!(refused, Err(fenced));
        meanwhile(&b, async |new| expect(new, &object, b"other").await);
    });
}

/// POOLLOCK-2, INSTANCE-2: also where only the data lie, and also what begins anew while others of the deployment live.
fn a_broken_lock_fences_all_of_its_deployment(cluster: &Cluster) {
    let begin = |options: &RadosdOptions| {
        thread::scope(|scope| {
            let begun = scope.spawn(|| {
                let reactor = alone();
                let handle = reactor.handle();
                let served = Radosd::serve(&handle, &handle.station(), options);
                served.map(drop).map_err(|error| error.errno())
            });
            begun.join().expect("it says how it went")
        })
    };
    let data = instance(cluster, "data", "a");
    let maps = instance(cluster, "maps", "a");
    let mut breaker = instance(cluster, "maps", "b");
    breaker.companions = vec![options(cluster, "data")];
    on_two_threads(&data, async |old| {
        let (lock, object) = (name("lock/1"), name("v/1/a"));
        assert_eq!(old.write(SCOPE, &object, 0, b"first").await, Ok(()));
        let token = meanwhile(&maps, async |maps| {
            let taken = maps.lock(&lock, &owner("a"), false).await;
            taken.expect("it is free").token
        });
        meanwhile(&breaker, async |new| {
            assert_eq!(new.unlock(&lock, &owner("b"), true).await, Ok(()));
            let taken = new.lock(&lock, &owner("b"), false).await;
            assert_eq!(taken.map(|record| record.broken), Ok(token));
        });
        let refused = old.write(SCOPE, &object, 0, b"late!").await;
        assert_eq!(refused, Err(StoreError::Io(Errno::SHUTDOWN)));
        assert_eq!(begin(&data), Err(Errno::SHUTDOWN));
        let mut anew = data.clone();
        anew.tenure += 1;
        assert_eq!(begin(&anew), Ok(()));
        assert_eq!(begin(&data), Err(Errno::SHUTDOWN), "it is over");
        let other = instance(cluster, "data", "b");
        meanwhile(&other, async |store| expect(store, &object, b"first").await);
    });
}

fn who_ended_well_is_not_fenced(cluster: &Cluster) {
    let before = cluster.ceph(&["osd", "blocklist", "ls"]).expect("asked");
    for _ in 0..2 {
        meanwhile(&instance(cluster, "well", "a"), async |store| {
            assert_eq!(store.write(SCOPE, &name("v/1"), 0, b"x").await, Ok(()));
        });
    }
    let after = cluster.ceph(&["osd", "blocklist", "ls"]).expect("asked");
    assert_eq!(before, after);
    assert_eq!(before.lines().count(), 4, "those of the tests above");
}

/// POOLLOCK-1.
fn of_two_instances_one_gets_the_lock(cluster: &Cluster) {
    let work = |node: &'static str| {
        let options = instance(cluster, "two", node);
        move || {
            on_one_reactor(&options, async |house| {
                let (lock, counter) = (name("lock/1"), name("v/counter"));
                for _ in 0..15 {
                    let taken = house.client.lock(&lock, &owner(node), true).await;
                    let token = taken.expect("each gives it back").token;
                    let mut last = [0; 8];
                    match house.client.read(&counter, 0, &mut last).await {
                        Ok(8) | Err(StoreError::NotFound) => {}
                        other => panic!("{other:?}"),
                    }
                    assert!(token > u64::from_le_bytes(last), "the token grows");
                    let token = token.to_le_bytes();
                    let written = house.client.write_full(&counter, &token).await;
                    assert_eq!(written, Ok(()));
                    let given = house.client.unlock(&lock, &owner(node), false).await;
                    assert_eq!(given, Ok(()));
                }
            });
        }
    };
    thread::scope(|scope| {
        scope.spawn(work("a"));
        scope.spawn(work("b"));
    });
}

/// LENGTH-1, DATA-1: what one writes at the end survives what the other does to the length.
fn nothing_is_cut_off_by_two_who_write(cluster: &Cluster) {
    const ROUNDS: u64 = 60;
    let object = name("v/1/both");
    let writer = instance(cluster, "both", "a");
    let changer = instance(cluster, "both", "b");
    thread::scope(|scope| {
        scope.spawn(|| {
            on_one_reactor(&writer, async |house| {
                for round in 0..ROUNDS {
                    let written = house.client.write(SCOPE, &object, round * 5000, b"here");
                    assert_eq!(written.await, Ok(()));
                }
            });
        });
        on_one_reactor(&changer, async |house| {
            let client = &house.client;
            for round in 0..ROUNDS {
                let extended = client.extend(SCOPE, &object, round * 3000, true).await;
                assert_eq!(extended, Ok(()));
                let punched = client.punch(SCOPE, &object, ROUNDS * 5000, 1 << 20).await;
                assert_eq!(punched, Ok(()));
                // Between two pieces, mostly up to the end.
                let punched = client.punch(SCOPE, &object, round * 5000 + 4, 4990).await;
                assert_eq!(punched, Ok(()));
            }
        });
    });
    meanwhile(&changer, async |store| {
        let mut piece = [0; 4];
        for round in 0..ROUNDS {
            let read = store.read(&object, round * 5000, &mut piece).await;
            assert_eq!((read, &piece), (Ok(4), b"here"), "piece {round}");
        }
    });
}

/// INDEX-1, INDEX-2.
fn names_without_objects_are_not_listed(cluster: &Cluster) {
    let options = instance(cluster, "names", "a");
    let rados = |args: &[&str]| {
        let place = ["--pool", POOL, "--namespace", "names"];
        cluster.rados(&[&place[..], args].concat()).expect("done")
    };
    let keys = || {
        let parts = 0..options.index_parts;
        let list = |part| rados(&["listomapkeys", &format!("i.{part:x}.v/1")]);
        parts
            .filter_map(|part| {
                let is_there = rados(&["ls"]).contains(&format!("i.{part:x}.v/1\n"));
                is_there.then(|| list(part))
            })
            .collect::<String>()
    };
    let (gone, kept) = (name("v/1/gone"), name("v/1/kept"));
    meanwhile(&options, async |store| {
        for object in [&gone, &kept] {
            assert_eq!(store.write(SCOPE, object, 0, b"x").await, Ok(()));
        }
    });
    // As if somebody had died in the middle of a removal.
    rados(&["rm", "o.v/1/gone"]);
    assert!(keys().contains("v/1/gone"));
    meanwhile(&options, async |store| {
        let listed = store.list(b"v/1", None, 10).await;
        assert_eq!(listed.map(|listing| listing.names), Ok(vec![kept.clone()]));
        assert_eq!(store.delete(&gone).await, Err(StoreError::NotFound));
        assert_eq!(store.groups().await, Ok(vec![b"v/1".to_vec()]));
    });
    assert!(!keys().contains("v/1/gone"));
    meanwhile(&options, async |store| {
        assert_eq!(store.delete(&kept).await, Ok(()));
        assert_eq!(store.groups().await, Ok(Vec::new()));
    });
    assert!(!rados(&["ls"]).contains("i."), "empty indexes go");
    meanwhile(&options, async |store| {
        assert_eq!(store.write(SCOPE, &kept, 0, b"x").await, Ok(()));
        assert_eq!(store.groups().await, Ok(vec![b"v/1".to_vec()]));
    });
}
