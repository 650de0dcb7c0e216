//! A store behind a port passes the suite: on one reactor with its client, and on another thread.

use std::rc::Rc;

use archipelago_runtime::{Reactor, ReactorOptions, Station};
use archipelago_store::conformance::Check;
use archipelago_store::peer::StorePeer;
use archipelago_store::{BlockerClient, MemStore};
use xseg::{BindOptions, CreateOptions, Geometry, Segment};

const BLOCKER: u32 = 0;

fn segment() -> Segment {
    let geometry = Geometry::new(8, 2, 64)
        .and_then(|geometry| geometry.with_buffers(4096, 8))
        .and_then(|geometry| geometry.with_buffers(1 << 20, 4))
        .and_then(|geometry| geometry.with_buffers(8 << 20, 1));
    let geometry = geometry.expect("a geometry that can be");
    let created = CreateOptions::new(geometry).create_private();
    created.expect("there is memory for it")
}

fn reactor(segment: &Segment, is_blocker: bool) -> Reactor {
    let options = BindOptions::default();
    let port = if is_blocker {
        segment.bind(BLOCKER, &options)
    } else {
        segment.bind_dynamic(&options)
    };
    let port = port.expect("the port is free");
    Reactor::new(port, &ReactorOptions::default()).expect("the kernel gives what it takes")
}

async fn check_from(station: Rc<Station>, segment: &Segment, check: Check) {
    let blocker = segment.geometry().port(BLOCKER).expect("it has that port");
    let client = BlockerClient::new(station, blocker).expect("there are buffers");
    check.start(&client).await;
}

fn run_on_one_reactor(check: Check) {
    let segment = segment();
    let reactor = reactor(&segment, true);
    let handle = reactor.handle();
    let peer = Rc::new(StorePeer::new(&handle, MemStore::new()));
    let service = handle.serve(&handle.station(), 4, peer.clone());
    let port = segment.bind_dynamic(&BindOptions::default());
    let station = handle.add_port(port.expect("a port is free"));
    let station = station.expect("of the same segment");
    reactor.block_on(async {
        check_from(station, &segment, check).await;
        peer.close();
        service.drain().await;
    });
}

fn run_on_two_threads(check: Check) {
    let segment = segment();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let (ready, is_ready) = std::sync::mpsc::channel::<()>();
    let theirs = segment.clone();
    let blocker = std::thread::spawn(move || {
        let reactor = reactor(&theirs, true);
        let handle = reactor.handle();
        let peer = Rc::new(StorePeer::new(&handle, MemStore::new()));
        let service = handle.serve(&handle.station(), 4, peer.clone());
        ready.send(()).expect("the test waits for it");
        reactor.block_on(async {
            let _ = handle.blocking(move || stopped.recv()).await;
            peer.close();
            service.drain().await;
        });
    });
    is_ready.recv().expect("the blocker starts");
    let reactor = reactor(&segment, false);
    let station = reactor.handle().station();
    reactor.block_on(check_from(station, &segment, check));
    drop(stop);
    blocker.join().expect("the blocker ends well");
}

mod on_one_reactor {
    archipelago_store::conformance_tests!(super::run_on_one_reactor);
}

mod on_two_threads {
    archipelago_store::conformance_tests!(super::run_on_two_threads);
}
