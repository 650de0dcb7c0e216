//! One segment with a composer, the naive mapper, a store and clients, all on one reactor.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use archipelago_runtime::{Handle, Reactor, ReactorOptions, Taking};
use archipelago_store::MemStore;
use archipelago_vlmcd::{Options, RunningComposer, serve};
use xseg::{BindOptions, CreateOptions, Geometry, Lease, Place, Segment};

use crate::blocker::Blocker;
use crate::client::Client;
use crate::mapper::Mapper;
use crate::naive::Volume;

pub const COMPOSER: u32 = 0;
pub const MAPPER: u32 = 1;
pub const BLOCKER: u32 = 2;
pub const SECOND_COMPOSER: u32 = 3;

/// No test takes longer than this.
const LIMIT: Duration = Duration::from_secs(60);

/// A small generator: a seed gives a test again.
pub struct Random(Cell<u64>);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(Cell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1))
    }

    pub fn below(&self, end: u64) -> u64 {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        (x >> 11) % end.max(1)
    }
}

fn geometry() -> Geometry {
    let geometry = Geometry::new(64, 8, 512)
        .and_then(|geometry| geometry.with_buffers(4096, 64))
        .and_then(|geometry| geometry.with_buffers(64 << 10, 128))
        .and_then(|geometry| geometry.with_buffers(256 << 10, 16));
    geometry.expect("a geometry that can be")
}

fn segment() -> Segment {
    let created = CreateOptions::new(geometry()).create_private();
    created.unwrap()
}

/// A segment that others join by its name: what they hold of it is their own.
pub fn named_segment(name: &str) -> Segment {
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let name = format!("{name}-{}", std::process::id());
    let place = Place::within(directory, &name).unwrap();
    CreateOptions::new(geometry()).create(&place).unwrap()
}

pub fn options(segment: &Segment) -> Options {
    let port = |number| segment.geometry().port(number).unwrap();
    let mut options = Options::new(vec![port(MAPPER)], port(BLOCKER));
    options.lease = Some(port(MAPPER));
    options.blocker_requests_max = 48;
    options.mapper_requests_max = 16;
    options
}

pub struct World {
    pub handle: Handle,
    pub segment: Segment,
    pub mapper: Rc<Mapper>,
    pub blocker: Rc<Blocker>,
    pub store: MemStore,
    _takes_loans: Taking,
}

impl World {
    /// Mapper and blocker on the reactor of this handle.
    pub fn begin(handle: &Handle, segment: &Segment, seed: u64) -> Self {
        let add = |number| {
            let port = segment.bind(number, &BindOptions::default()).unwrap();
            handle.add_port(port).unwrap()
        };
        let store = MemStore::new();
        let station = add(MAPPER);
        let mapper = Mapper::new(handle, station.clone(), store.clone(), seed);
        handle.serve(&station, 64, mapper.clone());
        let blocker = Rc::new(Blocker::new(handle, store.clone(), seed + 1));
        let station = add(BLOCKER);
        handle.serve(&station, 64, blocker.clone());
        let takes_loans = handle.take_loans(station.id(), None);
        Self {
            handle: handle.clone(),
            segment: segment.clone(),
            mapper,
            blocker,
            store,
            _takes_loans: takes_loans,
        }
    }

    pub fn composer(&self, number: u32, options: Options) -> RunningComposer {
        let port = self.segment.bind(number, &BindOptions::default()).unwrap();
        let station = self.handle.add_port(port).unwrap();
        serve(&self.handle, &station, options)
    }

    /// The lease of the mapper's locks.
    pub fn set_lease(&self, lease: Lease) {
        let port = self.segment.geometry().port(MAPPER).unwrap();
        self.segment.set_lease(port, lease);
    }

    pub fn client(&self, volume: &str) -> Client {
        self.client_of(COMPOSER, volume)
    }

    pub fn client_of(&self, composer: u32, volume: &str) -> Client {
        let port = self.segment.bind_dynamic(&BindOptions::default()).unwrap();
        Client {
            station: self.handle.add_port(port).unwrap(),
            composer: self.segment.geometry().port(composer).unwrap(),
            volume: volume.into(),
        }
    }
}

/// Runs a test on a reactor of its own, without a composer.
pub fn run_bare<F: Future<Output = ()>>(seed: u64, test: impl FnOnce(Rc<World>) -> F) {
    run_in(&segment(), seed, test);
}

/// The same in a segment that is there already.
pub fn run_in<F: Future<Output = ()>>(
    segment: &Segment,
    seed: u64,
    test: impl FnOnce(Rc<World>) -> F,
) {
    let port = segment.bind_dynamic(&BindOptions::default()).unwrap();
    let reactor = Reactor::new(port, &ReactorOptions::default()).unwrap();
    let handle = reactor.handle();
    let world = Rc::new(World::begin(&handle, segment, seed));
    let limited = handle.timeout(LIMIT, test(world));
    drop(handle);
    reactor.block_on(limited).expect("it took too long");
}

/// Runs a test with a composer, and the volume `v` of so many bytes.
pub fn run<F: Future<Output = ()>>(seed: u64, size: u64, test: impl FnOnce(Rc<World>) -> F) {
    run_bare(seed, |world| async move {
        world.mapper.add("v", Volume::new(1, size));
        let composer = world.composer(COMPOSER, options(&world.segment));
        test(world).await;
        composer.drain().await;
    });
}
