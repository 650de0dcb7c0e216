//! A store in a namespace of its own, served on this thread or on another one.

use std::rc::Rc;

use archipelago_ceph::{Cluster, ClusterOptions, NODE_ID};
use archipelago_radosd::{Radosd, RadosdOptions};
use archipelago_runtime::{Handle, Reactor, ReactorOptions, Service, Station};
use archipelago_store::{BlockerClient, ObjectName};
use xseg::{BindOptions, CreateOptions, Geometry, Segment, WaitMethod};

const BLOCKER: u32 = 0;
pub const POOL: &str = "blocks";

/// A blocker on the reactor of its client.
pub struct House {
    pub handle: Handle,
    pub radosd: Rc<Radosd>,
    pub service: Service,
    pub client: BlockerClient,
}

pub fn cluster() -> Cluster {
    cluster_with(&ClusterOptions::default())
}

pub fn cluster_with(options: &ClusterOptions) -> Cluster {
    let cluster = options.start().expect("a cluster");
    cluster.create_pool(POOL).expect("a pool");
    cluster
}

pub fn options(cluster: &Cluster, namespace: &str) -> RadosdOptions {
    let mut options = RadosdOptions::new(POOL, namespace);
    options.conf = Some(cluster.conf());
    options.cephx_id = Some(NODE_ID.into());
    options
}

/// A daemon hangs, until this is dropped.
pub struct Hanging<'a>(&'a Cluster, String);

impl<'a> Hanging<'a> {
    pub fn begin(cluster: &'a Cluster, daemon: &str) -> Self {
        cluster.pause(daemon).expect("it runs");
        Self(cluster, daemon.to_owned())
    }
}

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        self.0.resume(&self.1).expect("it hangs");
    }
}

/// The OSDs that have an object, as the cluster calls it; the first one does what is asked of it.
pub fn osds_of(cluster: &Cluster, namespace: &str, object: &str) -> Vec<String> {
    let asked = ["osd", "map", POOL, object, namespace, "--format=json"];
    let said = cluster.ceph(&asked).expect("asked");
    let (_, after) = said.split_once("\"acting\":[").expect("it is told");
    let (numbers, _) = after.split_once(']').expect("it is a list");
    numbers
        .split(',')
        .map(|number| format!("osd.{number}"))
        .collect()
}

/// One of three that has none of them.
pub fn the_one_without(cluster: &Cluster, namespace: &str, objects: &[&str]) -> String {
    let osds_of = |object: &&str| osds_of(cluster, namespace, object);
    let has: Vec<String> = objects.iter().flat_map(osds_of).collect();
    let mut all = (0..3).map(|number| format!("osd.{number}"));
    all.find(|osd| !has.contains(osd)).expect("two have them")
}

pub fn name(bytes: impl AsRef<[u8]>) -> ObjectName {
    ObjectName::new(bytes.as_ref()).expect("a valid name")
}

pub fn segment() -> Segment {
    let geometry = Geometry::new(8, 2, 256)
        .and_then(|geometry| geometry.with_buffers(4096, 64))
        .and_then(|geometry| geometry.with_buffers(1 << 20, 6))
        .and_then(|geometry| geometry.with_buffers(8 << 20, 1));
    let geometry = geometry.expect("a geometry that can be");
    let created = CreateOptions::new(geometry).create_private();
    created.expect("there is memory for it")
}

fn reactor(segment: &Segment, is_blocker: bool, how: &ReactorOptions) -> Reactor {
    let options = BindOptions::default();
    let port = if is_blocker {
        segment.bind(BLOCKER, &options)
    } else {
        segment.bind_dynamic(&options)
    };
    let port = port.expect("the port is free");
    Reactor::new(port, how).expect("the kernel gives what it takes")
}

fn client(station: &Rc<Station>, segment: &Segment) -> BlockerClient {
    let blocker = segment.geometry().port(BLOCKER).expect("it has that port");
    BlockerClient::new(station.clone(), blocker).expect("there are buffers")
}

/// A reactor that nobody else uses.
pub fn alone() -> Reactor {
    reactor(&segment(), true, &ReactorOptions::default())
}

/// Serves the store for as long as the test runs, beside it.
pub fn on_one_reactor<T>(options: &RadosdOptions, test: impl AsyncFnOnce(&House) -> T) -> T {
    without_leaving(options, async |house| {
        let output = test(house).await;
        house.radosd.close();
        house.service.drain().await;
        house.radosd.leave().await.expect("the cluster is there");
        output
    })
}

/// The same of one that ends badly.
pub fn without_leaving<T>(options: &RadosdOptions, test: impl AsyncFnOnce(&House) -> T) -> T {
    let segment = segment();
    let reactor = reactor(&segment, true, &ReactorOptions::default());
    let handle = reactor.handle();
    let served = Radosd::serve(&handle, &handle.station(), options);
    let (radosd, service) = served.expect("the store can be opened");
    let port = segment.bind_dynamic(&BindOptions::default());
    let station = handle.add_port(port.expect("a port is free"));
    let station = station.expect("of the same segment");
    let house = House {
        client: client(&station, &segment),
        handle,
        radosd,
        service,
    };
    reactor.block_on(test(&house))
}

/// Serves the store on another thread, which does without io_uring.
pub fn on_two_threads(options: &RadosdOptions, test: impl AsyncFnOnce(&BlockerClient)) {
    let segment = segment();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let (ready, is_ready) = std::sync::mpsc::channel::<()>();
    let (theirs, options) = (segment.clone(), options.clone());
    let blocker = std::thread::spawn(move || {
        let how = ReactorOptions::default().wait_method(WaitMethod::Futex);
        let reactor = reactor(&theirs, true, &how);
        let handle = reactor.handle();
        let served = Radosd::serve(&handle, &handle.station(), &options);
        let (radosd, service) = served.expect("the store can be opened");
        ready.send(()).expect("the test waits for it");
        reactor.block_on(async {
            let _ = handle.blocking(move || stopped.recv()).await;
            radosd.close();
            service.drain().await;
        });
    });
    is_ready.recv().expect("the blocker starts");
    let reactor = reactor(&segment, false, &ReactorOptions::default());
    let client = client(&reactor.handle().station(), &segment);
    reactor.block_on(test(&client));
    drop(stop);
    blocker.join().expect("the blocker ends well");
}
