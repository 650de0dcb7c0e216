//! Who waits for a lock is told when it is free, and who was fenced when he was, by the cluster: nobody has to look.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use archipelago_ceph::Cluster;
use archipelago_radosd::{Radosd, RadosdOptions};
use archipelago_store::{LockOwner, Scope, Store, StoreError};
use xseg::Errno;

use crate::house::{
    POOL, alone, cluster, name, on_one_reactor, on_two_threads, options, osds_of, without_leaving,
};

fn owner(node: &str) -> LockOwner {
    LockOwner {
        node: node.into(),
        deployment: "default".into(),
    }
}

fn instance(cluster: &Cluster, namespace: &str, node: &str) -> RadosdOptions {
    let mut options = options(cluster, namespace);
    options.owner = owner(node);
    options
}

/// How many watch it.
fn watchers(cluster: &Cluster, namespace: &str, object: &str) -> usize {
    let place = ["--pool", POOL, "--namespace", namespace];
    let listed = cluster.rados(&[&place[..], &["listwatchers", object]].concat());
    listed.map_or(0, |listed| listed.lines().count())
}

#[test]
fn the_cluster_tells_who_waits_and_who_was_fenced() {
    let mut cluster = cluster();
    a_waiter_watches_and_is_told(&mut cluster);
    a_waiter_is_told_that_a_lock_is_forgotten(&cluster);
    who_was_fenced_hears_of_it_without_asking(&cluster);
    of_two_of_one_name_the_second_does_not_begin(&cluster);
}

/// What one has in hand while another one waits for its lock.
fn while_somebody_waits(
    cluster: &mut Cluster,
    namespace: &str,
    work: impl AsyncFnOnce(&archipelago_store::BlockerClient, &mut Cluster),
) {
    let lock = name("lock/1");
    let (first, second) = (
        instance(cluster, namespace, "a"),
        instance(cluster, namespace, "b"),
    );
    let (locked, is_locked) = mpsc::channel();
    thread::scope(|scope| {
        let lock = &lock;
        let waiter = scope.spawn(move || {
            is_locked.recv().expect("it is locked");
            on_one_reactor(&second, async |house| {
                let taken = house.client.lock(lock, &owner("b"), true).await;
                assert!(taken.is_ok(), "{taken:?}");
            });
        });
        on_two_threads(&first, async |client| {
            let taken = client.lock(lock, &owner("a"), false).await;
            assert!(taken.is_ok(), "{taken:?}");
            locked.send(()).expect("somebody waits for it");
            while watchers(cluster, namespace, "l.lock/1") == 0 {}
            work(client, cluster).await;
            waiter.join().expect("it gets the lock");
        });
    });
}

/// VIGIL-1, WATCHING-1; also when the OSD that has the watch died meanwhile.
fn a_waiter_watches_and_is_told(cluster: &mut Cluster) {
    let lock = name("lock/1");
    while_somebody_waits(cluster, "waits", async |client, _| {
        assert_eq!(client.unlock(&lock, &owner("a"), false).await, Ok(()));
    });
    while_somebody_waits(cluster, "dies", async |client, cluster| {
        let osd = osds_of(cluster, "dies", "l.lock/1").swap_remove(0);
        cluster.kill(&osd).expect("it ran");
        while watchers(cluster, "dies", "l.lock/1") == 0 {}
        cluster.revive(&osd).expect("it runs again");
        assert_eq!(client.unlock(&lock, &owner("a"), false).await, Ok(()));
    });
}

/// VIGIL-2, WATCHING-2: there is nothing to be watched any more.
fn a_waiter_is_told_that_a_lock_is_forgotten(cluster: &Cluster) {
    let lock = name("lock/1");
    let (first, second) = (
        instance(cluster, "forgotten", "a"),
        instance(cluster, "forgotten", "b"),
    );
    thread::scope(|scope| {
        let lock = &lock;
        on_two_threads(&first, async |client| {
            let taken = client.lock(lock, &owner("a"), false).await;
            assert!(taken.is_ok(), "{taken:?}");
            let waiter = scope.spawn(|| {
                on_one_reactor(&second, async |house| {
                    let taken = house.client.lock(lock, &owner("b"), true).await;
                    assert_eq!(taken.map(|record| record.token), Ok(1), "it is a new one");
                });
            });
            while watchers(cluster, "forgotten", "l.lock/1") == 0 {}
            assert_eq!(client.forget_lock(lock, &owner("a")).await, Ok(()));
            waiter.join().expect("it gets the lock");
        });
    });
}

/// INSTANCE-3
fn who_was_fenced_hears_of_it_without_asking(cluster: &Cluster) {
    let (lost, breaker) = (
        instance(cluster, "lost", "a"),
        instance(cluster, "lost", "b"),
    );
    let lock = name("lock/1");
    thread::scope(|scope| {
        let (locked, is_locked) = mpsc::channel();
        let loser = scope.spawn({
            let lock = &lock;
            move || {
                without_leaving(&lost, async |house| {
                    let taken = house.client.lock(lock, &owner("a"), false).await;
                    assert!(taken.is_ok(), "{taken:?}");
                    locked.send(()).expect("somebody waits for it");
                    // Nothing is asked of the cluster any more.
                    house.radosd.refused().await;
                });
            }
        });
        is_locked.recv().expect("it is locked");
        on_one_reactor(&breaker, async |house| {
            let broken = house.client.unlock(&lock, &owner("b"), true).await;
            assert_eq!(broken, Ok(()));
        });
        loser.join().expect("it is told");
    });
}

/// INSTANCE-4, F52: copies of a machine.
fn of_two_of_one_name_the_second_does_not_begin(cluster: &Cluster) {
    let first = RadosdOptions {
        tenure: 1,
        ..instance(cluster, "clones", "a")
    };
    let mut second = RadosdOptions {
        tenure: 2,
        namesake_patience: Duration::from_secs(60), // however slow the machine
        ..first.clone()
    };
    let (object, scope) = (name("v/1/a"), Scope(1));
    on_two_threads(&first, async |old| {
        assert_eq!(old.write(scope, &object, 0, b"first").await, Ok(()));
        while watchers(cluster, "clones", "n.1/a/default") == 0 {}
        for _ in 0..3 {
            let refused = begin(&second);
            assert!(
                refused.is_err_and(|error| error.contains("calls itself default on a")),
                "it lives"
            );
            assert_eq!(old.write(scope, &object, 0, b"again").await, Ok(()));
        }
        // Its own supervisor knows that nobody of before lives, whoever says something else.
        second.tenure_before = first.tenure;
        assert_eq!(begin(&second), Ok(()));
        let refused = old.write(scope, &object, 0, b"late!").await;
        assert_eq!(refused, Err(StoreError::Io(Errno::SHUTDOWN)));
    });
    // That one did not end well, and nobody is there to say so.
    let third = RadosdOptions {
        tenure: 3,
        ..first.clone()
    };
    on_one_reactor(&third, async |house| {
        let mut into = [0; 5];
        assert_eq!(house.client.read(&object, 0, &mut into).await, Ok(5));
        assert_eq!(&into, b"again");
    });
}

/// One that begins, and ends badly.
fn begin(options: &RadosdOptions) -> Result<(), String> {
    thread::scope(|scope| {
        let begun = scope.spawn(|| {
            let reactor = alone();
            let handle = reactor.handle();
            let served = Radosd::serve(&handle, &handle.station(), options);
            served.map(drop).map_err(|error| error.to_string())
        });
        begun.join().expect("it says how it went")
    })
}
