//! A cluster in trouble: OSDs crash, monitors hang, pools are full, keys are wrong.

use std::pin::pin;
use std::time::Duration;

use archipelago_ceph::Cluster;
use archipelago_radosd::{Radosd, RadosdError, RadosdOptions};
use archipelago_store::{Scope, Store, StoreError};
use xseg::Errno;

use crate::house::{POOL, alone, cluster, name, on_one_reactor, options};

const SCOPE: Scope = Scope(1);
const OSDS: [&str; 3] = ["osd.0", "osd.1", "osd.2"];

#[test]
fn a_cluster_that_blinks_loses_nothing() {
    let mut cluster = cluster();
    what_cannot_be_opened_says_what_to_do(&cluster);
    a_full_pool_refuses_what_is_new(&cluster);
    a_crashed_osd_costs_nothing(&mut cluster);
    a_cluster_that_hangs_is_waited_for(&cluster);
    a_cluster_that_hangs_costs_an_error_if_so_wished(&cluster);
}

fn what_cannot_be_opened_says_what_to_do(cluster: &Cluster) {
    let right = options(cluster, "open");
    let open = |change: &dyn Fn(&mut RadosdOptions)| {
        let mut wrong = right.clone();
        change(&mut wrong);
        let reactor = alone();
        let handle = reactor.handle();
        let opened = Radosd::serve(&handle, &handle.station(), &wrong);
        opened.expect_err("it cannot be opened").to_string()
    };
    let said = open(&|options| options.pool = "nowhere".into());
    assert!(said.contains("ceph osd pool create nowhere"), "{said}");
    let said = open(&|options| options.conf = Some("/none/ceph.conf".into()));
    assert!(said.contains("/none/ceph.conf"), "{said}");
    let said = open(&|options| options.cephx_id = Some("nobody".into()));
    assert!(said.contains("cephx_id"), "{said}");
    let said = open(&|options| options.cephx_id = Some("stranger".into()));
    assert!(said.contains("ceph auth caps"), "{said}");
    // POOLID-1
    on_one_reactor(&right, async |house| {
        let written = house.client.write(SCOPE, &name("v/1/a"), 0, b"kept").await;
        assert_eq!(written, Ok(()));
    });
    let place = ["--pool", POOL, "--namespace", "open", "rm", "archipelago"];
    cluster.rados(&place).expect("removed");
    let said = open(&|_| {});
    assert!(said.contains("the namespace open"), "{said}");
}

/// From which parts of their room on OSDs count as nearly full, as too full to take over others' objects, and as full.
fn count_as_full_from(cluster: &Cluster, ratios: [&str; 3]) {
    let kinds = ["nearfull", "backfillfull", "full"];
    for (kind, ratio) in kinds.iter().zip(ratios) {
        let command = format!("set-{kind}-ratio");
        cluster.ceph(&["osd", &command, ratio]).expect("it is said");
    }
}

/// D5, F21, ENGINE-1.
fn a_full_pool_refuses_what_is_new(cluster: &Cluster) {
    on_one_reactor(&options(cluster, "full"), async |house| {
        let (client, full) = (&house.client, StoreError::NoSpace);
        let (object, log) = (name("v/1/a"), name("log/1"));
        let written = client.write(SCOPE, &object, 0, &[1; 8192]).await;
        assert_eq!(written, Ok(()));
        let extended = client.extend(SCOPE, &log, 1 << 20, true).await;
        assert_eq!(extended, Ok(()));
        count_as_full_from(cluster, ["0.0001", "0.0002", "0.0003"]);
        // Until the OSDs and we have heard of it.
        while client.write(SCOPE, &name("v/1/new"), 0, &[1; 4096]).await != Err(full.clone()) {
            let _ = client.delete(&name("v/1/new")).await;
        }
        let refused = client.create_exclusive(&name("head/1"), b"new").await;
        assert_eq!(refused, Err(full));
        let over = client.write(SCOPE, &object, 4096, &[2; 4096]).await;
        assert_eq!(over, Ok(()), "overwrites go on");
        let journal = client.write(SCOPE, &log, 5000, b"record").await;
        assert_eq!(journal, Ok(()), "what was reserved can be written");
        assert_eq!(client.sync(SCOPE).await, Ok(()), "no scope is spoilt");
        assert_eq!(client.punch(SCOPE, &object, 0, 4096).await, Ok(()));
        assert_eq!(client.delete(&object).await, Ok(()));
        count_as_full_from(cluster, ["0.85", "0.90", "0.95"]);
        while client.write(SCOPE, &object, 0, b"again").await != Ok(()) {
            house.handle.yield_now().await;
        }
    });
}

fn a_crashed_osd_costs_nothing(cluster: &mut Cluster) {
    let options = options(cluster, "crash");
    on_one_reactor(&options, async |house| {
        for (turn, osd) in OSDS.into_iter().enumerate() {
            let object = |number: usize| name(format!("v/{turn}/{number}"));
            for number in 0..8 {
                let object = object(number);
                let written = house.client.write(SCOPE, &object, 0, &[1; 5000]).await;
                assert_eq!(written, Ok(()));
            }
            cluster.kill(osd).expect("it ran");
            for number in 0..8 {
                let (object, mut into) = (object(number), [0; 5000]);
                let read = house.client.read(&object, 0, &mut into).await;
                assert_eq!((read, into), (Ok(5000), [1; 5000]));
                let written = house.client.write(SCOPE, &object, 4000, &[2; 2000]).await;
                assert_eq!(written, Ok(()));
            }
            cluster.revive(osd).expect("it runs again");
            for number in 0..8 {
                let mut into = [0; 6000];
                let read = house.client.read(&object(number), 0, &mut into).await;
                assert_eq!(read, Ok(6000));
                assert_eq!((into[3999], into[4000]), (1, 2));
            }
        }
    });
}

fn hang(cluster: &Cluster) {
    for daemon in OSDS.into_iter().chain(["mon.a"]) {
        cluster.pause(daemon).expect("it runs");
    }
}

fn go_on(cluster: &Cluster) {
    for daemon in OSDS.into_iter().chain(["mon.a"]) {
        cluster.resume(daemon).expect("it hangs");
    }
}

fn a_cluster_that_hangs_is_waited_for(cluster: &Cluster) {
    on_one_reactor(&options(cluster, "hang"), async |house| {
        let (client, object) = (&house.client, name("v/1/a"));
        assert_eq!(client.write(SCOPE, &object, 0, b"first").await, Ok(()));
        hang(cluster);
        let mut writing = pin!(client.write(SCOPE, &object, 0, b"other"));
        let soon = house
            .handle
            .timeout(Duration::from_secs(8), writing.as_mut());
        assert!(soon.await.is_err(), "nobody can have answered");
        go_on(cluster);
        assert_eq!(writing.await, Ok(()));
        let mut into = [0; 5];
        assert_eq!(client.read(&object, 0, &mut into).await, Ok(5));
        assert_eq!(&into, b"other");
        assert_eq!(client.sync(SCOPE).await, Ok(()));
    });
}

fn a_cluster_that_hangs_costs_an_error_if_so_wished(cluster: &Cluster) {
    let mut impatient = options(cluster, "error");
    impatient.operation_timeout = Some(Duration::from_secs(5));
    on_one_reactor(&impatient, async |house| {
        let (client, object) = (&house.client, name("v/1/a"));
        assert_eq!(client.write(SCOPE, &object, 0, b"first").await, Ok(()));
        hang(cluster);
        let late = Err(StoreError::Late);
        let written = client.write(SCOPE, &object, 0, b"other").await;
        assert_eq!(written, late);
        let mut into = [0; 5];
        let read = client.read(&object, 0, &mut into).await;
        assert_eq!(read, Err(StoreError::Late));
        // Whether the write happened is not known, and nobody believes it.
        assert_eq!(client.sync(SCOPE).await, late);
        assert_eq!(client.sync(Scope(2)).await, Ok(()));
        assert_eq!(client.heal(SCOPE).await, late, "it may still happen");
        go_on(cluster);
        while client.sync(SCOPE).await != Ok(()) {
            house.handle.yield_now().await;
        }
        // Without anybody's word (STORE-7), and it does not happen any more.
        while client.read(&object, 0, &mut into).await != Ok(5) {}
        assert!(&into == b"first" || &into == b"other");
        let written = client.write(SCOPE, &object, 0, b"third").await;
        assert_eq!(written, Ok(()));
        assert_eq!(client.heal(SCOPE).await, Ok(()));
        assert_eq!(client.sync(SCOPE).await, Ok(()));
    });
}

#[test]
fn errors_that_are_shown_have_an_errno() {
    let error = RadosdError::Failed {
        what: "asking",
        source: Errno::TIMEDOUT,
    };
    assert_eq!(error.errno(), Errno::TIMEDOUT);
    assert!(error.to_string().contains("asking"));
}
