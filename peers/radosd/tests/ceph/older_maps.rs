//! An OSD that has not heard yet of who was fenced takes what he sends: all of it lies before what the next owner sees there (L3).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use archipelago_ceph::{Cluster, ClusterOptions};
use archipelago_radosd::RadosdOptions;
use archipelago_store::{LockOwner, Scope, Store, StoreError};
use xseg::Errno;

use crate::house::{
    Hanging, cluster_with, name, on_one_reactor, on_two_threads, options, osds_of, the_one_without,
};

const SCOPE: Scope = Scope(1);
const ROUNDS: u64 = 10;
const LOOKS: usize = 50;
const DAEMONS: [&str; 4] = ["osd.0", "osd.1", "osd.2", "mon.a"];
/// For the former owner to go on where nobody has heard of it.
const PAUSE: Duration = Duration::from_millis(100);

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

/// What the former owner found.
#[derive(Debug, Default)]
struct Former {
    last_answered: AtomicU64,
    /// Begun when the lock was broken, and done.
    writes_after: AtomicU64,
    reads_after: AtomicU64,
}

/// POOLLOCK-2; decision 31.
#[test]
fn what_an_osd_of_an_older_map_takes_comes_before_what_the_next_owner_sees() {
    let cluster = cluster_with(&ClusterOptions {
        copies: 1, // what an OSD does it does alone
        ..ClusterOptions::default()
    });
    let (mut writes, mut reads) = (0, 0);
    for round in 0..ROUNDS {
        let former = one_breaks_while_the_other_writes(&cluster, &format!("map-{round}"));
        writes += former.writes_after.into_inner();
        reads += former.reads_after.into_inner();
    }
    println!(
        "{ROUNDS} breaks; the former owner had {writes} writes and {reads} reads done that it began afterwards"
    );
}

fn one_breaks_while_the_other_writes(cluster: &Cluster, namespace: &str) -> Former {
    // An OSD that has nothing to do with the break.
    let records = ["n.1/a/default", "n.1/b/default"];
    let osd = the_one_without(cluster, namespace, &records);
    let named = |kind: &'static str| (0..).map(move |number| format!("{kind}/{number}"));
    let osds = |object: String| osds_of(cluster, namespace, &object);
    let lock = named("lock").find(|lock| !osds(format!("l.{lock}")).contains(&osd));
    let mut objects = named("v/1").filter(|object| osds(format!("o.{object}"))[0] == osd);
    let lock = name(lock.expect("some"));
    let [object, other] = [(); 2].map(|()| name(objects.next().expect("some")));
    let (is_broken, former) = (AtomicBool::new(false), Former::default());
    let (begun, has_begun) = mpsc::channel();
    thread::scope(|scope| {
        let (osd, lock, object) = (&osd, &lock, &object);
        let (is_broken, former) = (&is_broken, &former);
        let next = scope.spawn(move || {
            on_one_reactor(&instance(cluster, namespace, "b"), async |house| {
                has_begun.recv().expect("the other one writes");
                let broken = house.client.unlock(lock, &owner("b"), true).await;
                assert_eq!(broken, Ok(()));
                let taken = house.client.lock(lock, &owner("b"), false).await;
                assert!(taken.is_ok(), "{taken:?}");
                // Whoever could tell it hangs.
                let others = DAEMONS.into_iter().filter(|daemon| daemon != osd);
                let hanging: Vec<_> = others
                    .map(|daemon| Hanging::begin(cluster, daemon))
                    .collect();
                is_broken.store(true, Ordering::SeqCst);
                house.handle.sleep(PAUSE).await;
                drop(hanging);
                let mut first = [0; 8];
                assert_eq!(house.client.read(object, 0, &mut first).await, Ok(8));
                let last = former.last_answered.load(Ordering::SeqCst);
                assert!(
                    u64::from_le_bytes(first) >= last,
                    "what was answered is there"
                );
                for look in 0..LOOKS {
                    let mut again = [0; 8];
                    assert_eq!(house.client.read(object, 0, &mut again).await, Ok(8));
                    assert_eq!(again, first, "look {look}: a write came later");
                }
            });
        });
        on_two_threads(&instance(cluster, namespace, "a"), async |client| {
            let taken = client.lock(lock, &owner("a"), false).await;
            assert!(taken.is_ok(), "{taken:?}");
            assert_eq!(client.write(SCOPE, &other, 0, &[7; 8]).await, Ok(()));
            for value in 1_u64.. {
                if value == 50 {
                    begun.send(()).expect("somebody waits for it");
                }
                let is_after = u64::from(is_broken.load(Ordering::SeqCst));
                match client.write(SCOPE, object, 0, &value.to_le_bytes()).await {
                    Ok(()) => former.last_answered.store(value, Ordering::SeqCst),
                    Err(StoreError::Io(Errno::SHUTDOWN)) => break,
                    Err(error) => panic!("{error}"),
                }
                former.writes_after.fetch_add(is_after, Ordering::SeqCst);
                let is_after = u64::from(is_broken.load(Ordering::SeqCst));
                let mut into = [0; 8];
                match client.read(&other, 0, &mut into).await {
                    Ok(_) => former.reads_after.fetch_add(is_after, Ordering::SeqCst),
                    Err(_) => break,
                };
            }
        });
        next.join().expect("the next owner does its work");
    });
    former
}
