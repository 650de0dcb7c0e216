//! Writes whose time was over: they land before what is written later, or never.

use std::pin::pin;
use std::time::Duration;

use archipelago_ceph::Cluster;
use archipelago_radosd::RadosdOptions;
use archipelago_store::{BlockerClient, LockOwner, ObjectName, Scope, Store, StoreError};

use crate::house::{
    Hanging, House, cluster, name, on_one_reactor, options, osds_of, the_one_without,
};

const SCOPE: Scope = Scope(1);
const BYTES: usize = 5000;
const OSDS: [&str; 3] = ["osd.0", "osd.1", "osd.2"];
const ROUNDS: u8 = 8;
/// How often is looked whether something comes after all.
const LOOKS: usize = 50;

fn owner(node: &str) -> LockOwner {
    LockOwner {
        node: node.into(),
        deployment: "default".into(),
    }
}

fn impatient(cluster: &Cluster, namespace: &str, node: &str) -> RadosdOptions {
    let mut options = options(cluster, namespace);
    options.operation_timeout = Some(Duration::from_secs(2));
    options.owner = owner(node);
    options
}

async fn write_until_done(house: &House, object: &ObjectName, value: u8) {
    while house.client.write(SCOPE, object, 0, &[value; BYTES]).await != Ok(()) {
        house.handle.yield_now().await;
    }
}

async fn expect(client: &BlockerClient, object: &ObjectName, value: u8) {
    for look in 0..LOOKS {
        let mut into = [0; BYTES];
        let read = client.read(object, 0, &mut into).await;
        assert_eq!((read, into), (Ok(BYTES), [value; BYTES]), "look {look}");
    }
}

#[test]
fn what_was_late_does_not_land_on_what_is_newer() {
    let mut cluster = cluster();
    of_one_instance_while_osds_hang(&cluster);
    of_one_instance_whose_osd_is_replaced_meanwhile(&mut cluster);
    a_lock_is_not_given_back_before(&cluster);
}

/// LATE-1
fn of_one_instance_while_osds_hang(cluster: &Cluster) {
    on_one_reactor(&impatient(cluster, "late", "a"), async |house| {
        let object = name("v/1/a");
        write_until_done(house, &object, 0).await;
        for round in 0..ROUNDS {
            let (old, new) = (2 * round + 1, 2 * round + 2);
            let hanging = OSDS.map(|osd| Hanging::begin(cluster, osd));
            let late = house.client.write(SCOPE, &object, 0, &[old; BYTES]).await;
            assert_eq!(late, Err(StoreError::Late));
            // The next one waits behind it where the OSD finds both.
            let mut newer = pin!(write_until_done(house, &object, new));
            let soon = Duration::from_millis(100);
            let begun = house.handle.timeout(soon, newer.as_mut()).await;
            assert!(begun.is_err(), "nobody can have answered");
            drop(hanging);
            newer.await;
            expect(&house.client, &object, new).await;
            assert_eq!(house.client.heal(SCOPE).await, Ok(()));
            expect(&house.client, &object, new).await;
        }
    });
}

/// LATE-1: the OSD that has it goes on when another one has taken its place, and when it has its place back.
fn of_one_instance_whose_osd_is_replaced_meanwhile(cluster: &mut Cluster) {
    let options = impatient(cluster, "replaced", "a");
    on_one_reactor(&options, async |house| {
        for round in 0..3 {
            let object = name(format!("v/1/{round}"));
            write_until_done(house, &object, 1).await;
            let osd = osds_of(cluster, "replaced", &format!("o.v/1/{round}")).swap_remove(0);
            let hanging = Hanging::begin(cluster, &osd);
            let late = house.client.write(SCOPE, &object, 0, &[2; BYTES]).await;
            assert_eq!(late, Err(StoreError::Late));
            // The others notice that it is gone.
            write_until_done(house, &object, 3).await;
            expect(&house.client, &object, 3).await;
            drop(hanging);
            expect(&house.client, &object, 3).await;
            while cluster
                .ceph(&["osd", "stat"])
                .map_or(true, |said| !said.contains("3 up"))
            {}
            assert_eq!(house.client.heal(SCOPE).await, Ok(()));
            expect(&house.client, &object, 3).await;
        }
    });
}

/// ENGINE-2: the next owner's writes come by another connection, and nothing orders those.
fn a_lock_is_not_given_back_before(cluster: &Cluster) {
    // However long it hangs, nobody takes its place: that would settle it too.
    cluster.ceph(&["osd", "set", "nodown"]).expect("it is said");
    // The one that hangs has nothing to do with the lock, nor with who is there.
    let osd = the_one_without(cluster, "given", &["n.1/a/default"]);
    let named = |kind: &'static str| (0..).map(move |number| format!("{kind}/{number}"));
    let osds = |object: String| osds_of(cluster, "given", &object);
    let lock = named("lock").find(|lock| !osds(format!("l.{lock}")).contains(&osd));
    let object = named("v/1").find(|object| osds(format!("o.{object}"))[0] == osd);
    let (lock, object) = (name(lock.expect("some")), name(object.expect("some")));
    let next = impatient(cluster, "given", "b");
    on_one_reactor(&impatient(cluster, "given", "a"), async |house| {
        let client = &house.client;
        for round in 0..ROUNDS / 2 {
            while client.lock(&lock, &owner("a"), false).await.is_err() {}
            write_until_done(house, &object, 10 + round).await;
            let hanging = Hanging::begin(cluster, &osd);
            let late = client.write(SCOPE, &object, 0, &[20 + round; BYTES]).await;
            assert_eq!(late, Err(StoreError::Late));
            let given = client.unlock(&lock, &owner("a"), false).await;
            assert_eq!(given, Err(StoreError::Late), "it may still come");
            drop(hanging);
            while client.unlock(&lock, &owner("a"), false).await != Ok(()) {}
            std::thread::scope(|scope| {
                let other = scope.spawn(|| {
                    on_one_reactor(&next, async |other| {
                        let taken = other.client.lock(&lock, &owner("b"), false).await;
                        assert!(taken.is_ok(), "{taken:?}");
                        write_until_done(other, &object, 30 + round).await;
                        expect(&other.client, &object, 30 + round).await;
                        let given = other.client.unlock(&lock, &owner("b"), false).await;
                        assert_eq!(given, Ok(()));
                    });
                });
                other.join().expect("the next owner does its work");
            });
            expect(client, &object, 30 + round).await;
        }
    });
    cluster
        .ceph(&["osd", "unset", "nodown"])
        .expect("it is said");
}
