//! A store in a directory of its own, served on this thread or on another one.

use std::path::Path;
use std::rc::Rc;

use archipelago_filed::{Filed, FiledOptions};
use archipelago_runtime::{Handle, Reactor, ReactorOptions, Service, Station};
use archipelago_store::{BlockerClient, ObjectName};
use tempfile::TempDir;
use xseg::{BindOptions, CreateOptions, Geometry, PortId, Segment, WaitMethod};

const BLOCKER: u32 = 0;

/// A blocker on the reactor of its client.
pub struct House {
    pub handle: Handle,
    pub filed: Rc<Filed>,
    pub service: Service,
    pub client: BlockerClient,
    pub station: Rc<Station>,
    pub blocker: PortId,
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

pub fn reactor(segment: &Segment, is_blocker: bool) -> Reactor {
    reactor_with(segment, is_blocker, &ReactorOptions::default())
}

fn reactor_with(segment: &Segment, is_blocker: bool, how: &ReactorOptions) -> Reactor {
    let options = BindOptions::default();
    let port = if is_blocker {
        segment.bind(BLOCKER, &options)
    } else {
        segment.bind_dynamic(&options)
    };
    let port = port.expect("the port is free");
    Reactor::new(port, how).expect("the kernel gives what it takes")
}

pub fn client(station: &Rc<Station>, segment: &Segment) -> BlockerClient {
    let blocker = segment.geometry().port(BLOCKER).expect("it has that port");
    BlockerClient::new(station.clone(), blocker).expect("there are buffers")
}

/// Serves the directory for as long as the test runs, beside it.
pub fn on_one_reactor<T>(options: &FiledOptions, test: impl AsyncFnOnce(&House) -> T) -> T {
    let segment = segment();
    let reactor = reactor(&segment, true);
    let handle = reactor.handle();
    let served = Filed::serve(&handle, &handle.station(), options);
    let (filed, service) = served.expect("the store can be opened");
    let port = segment.bind_dynamic(&BindOptions::default());
    let station = handle.add_port(port.expect("a port is free"));
    let station = station.expect("of the same segment");
    let house = House {
        client: client(&station, &segment),
        blocker: handle.station().id(),
        handle,
        filed,
        service,
        station,
    };
    reactor.block_on(async {
        let output = test(&house).await;
        house.filed.close();
        house.service.drain().await;
        house.filed.flush().await.expect("the disk works");
        output
    })
}

/// Serves the directory on another thread, which does without io_uring.
pub fn on_two_threads(options: &FiledOptions, test: impl AsyncFnOnce(&BlockerClient)) {
    let segment = segment();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let (ready, is_ready) = std::sync::mpsc::channel::<()>();
    let (theirs, options) = (segment.clone(), options.clone());
    let blocker = std::thread::spawn(move || {
        let how = ReactorOptions::default().wait_method(WaitMethod::Futex);
        let reactor = reactor_with(&theirs, true, &how);
        let handle = reactor.handle();
        let served = Filed::serve(&handle, &handle.station(), &options);
        let (filed, service) = served.expect("the store can be opened");
        ready.send(()).expect("the test waits for it");
        reactor.block_on(async {
            let _ = handle.blocking(move || stopped.recv()).await;
            filed.close();
            service.drain().await;
        });
    });
    is_ready.recv().expect("the blocker starts");
    let reactor = reactor(&segment, false);
    let client = client(&reactor.handle().station(), &segment);
    reactor.block_on(test(&client));
    drop(stop);
    blocker.join().expect("the blocker ends well");
}

pub fn options(directory: &Path) -> FiledOptions {
    FiledOptions::new(directory)
}

/// A directory for a store, on a disk if temporary files are on one.
pub fn home() -> TempDir {
    tempfile::tempdir().expect("there is a temporary directory")
}

/// The same on another file system, if there is one: syncs cost nothing there, and extended attributes may lack.
pub fn home_in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| home())
}
