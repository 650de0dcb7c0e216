//! Several clients, snapshots, discards, checkpoints and closings at the same time, in orders that a seed decides.
//!
//! Each sub-block belongs to one client, which writes it again and again. A read, and a snapshot, must find what was there
//! at some moment between its begin and its end.

use std::cell::{Cell, RefCell};

use archipelago_mapperd::engine::{ComposerId, CreateOptions, MapError, Mapper, Volume, World};
use archipelago_store::sim::{Interleave, SimRandom, block_on, yield_now};

use crate::client::{GRAIN_BYTES, SECTORS, read_from, read_sub, shape, write_sub_as};
use crate::seeds::seeds;
use crate::space::leaks;
use crate::world::{SimWorld, crashed_now, killed_now, mapper_of};

const CLIENTS: u64 = 3;
const SUBS: u64 = 32;
const STEPS: u64 = 40;

/// What a sub-block said, in order, and how many of these are answered.
#[derive(Clone, Debug)]
struct Sub {
    values: Vec<u64>,
    answered: usize,
    /// How many were answered when the last flush began that was answered.
    flushed: usize,
}

struct Scene {
    mapper: Mapper<SimWorld>,
    subs: RefCell<Vec<Sub>>,
    next_value: Cell<u64>,
    clients: Cell<u64>,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let world = SimWorld::new(seed);
        let mapper = mapper_of(world);
        let sub = Sub {
            values: vec![0],
            answered: 1,
            flushed: 1,
        };
        let options = CreateOptions {
            size: Some(SUBS * GRAIN_BYTES as u64),
            origin: None,
            shape: shape(),
        };
        let id = mapper.base().world.random_id();
        block_on(mapper.create("v", id, &options)).unwrap();
        for store in [mapper.base().world.maps(), mapper.base().world.data()] {
            store.set_yields_max(3);
        }
        Self {
            mapper,
            subs: RefCell::new(vec![sub; SUBS as usize]),
            next_value: Cell::new(1),
            clients: Cell::new(CLIENTS),
        }
    }

    fn answered(&self) -> Vec<usize> {
        self.subs.borrow().iter().map(|sub| sub.answered).collect()
    }

    /// This is what the sub-block said at some moment since `answered` were.
    fn check(&self, sub: u64, answered: usize, found: [u64; SECTORS], what: &str) {
        let subs = self.subs.borrow();
        let values = &subs[sub as usize].values[answered - 1..];
        assert!(
            values.iter().any(|value| [*value; SECTORS] == found),
            "{what}, sub-block {sub}: {found:?}, one of {values:?} expected"
        );
    }

    /// Does it until the volume is there, and what was granted holds.
    async fn until_done(
        &self,
        work: impl AsyncFn(&Volume<SimWorld>) -> Result<(), MapError>,
    ) -> bool {
        loop {
            let volume = self.mapper.open("v", false).await.unwrap();
            match work(&volume).await {
                Ok(()) => return true,
                Err(MapError::Stale | MapError::NotOpen { .. }) => yield_now().await,
                // It was closed while the record was on its way: whether it counts is told by the next look.
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn client(&self, number: u64, seed: u64) {
        let composer = ComposerId(600 + number as u32);
        let mut random = SimRandom::new(seed + number);
        for _ in 0..STEPS {
            let sub = random.below(SUBS / CLIENTS) * CLIENTS + number;
            match random.below(8) {
                0..4 => self.write(composer, sub).await,
                4 => self.discard(composer, sub).await,
                _ => self.read(composer, sub).await,
            }
        }
        self.clients.set(self.clients.get() - 1);
    }

    fn begin(&self, sub: u64, value: u64) {
        self.subs.borrow_mut()[sub as usize].values.push(value);
    }

    fn end(&self, sub: u64) {
        let sub = &mut self.subs.borrow_mut()[sub as usize];
        sub.answered = sub.values.len();
    }

    async fn write(&self, composer: ComposerId, sub: u64) {
        let value = self.next_value.get();
        self.next_value.set(value + 1);
        self.begin(sub, value);
        self.until_done(async |volume| {
            volume.add_composer(composer);
            write_sub_as(composer, &self.mapper, volume, sub, &[value; SECTORS]).await
        })
        .await;
        self.end(sub);
    }

    async fn discard(&self, composer: ComposerId, sub: u64) {
        self.begin(sub, 0);
        self.until_done(async |volume| {
            volume.add_composer(composer);
            let grain = GRAIN_BYTES as u64;
            volume
                .discard(Some(composer), sub * grain, grain)
                .await
                .map(|_| ())
        })
        .await;
        self.end(sub);
    }

    async fn read(&self, composer: ComposerId, sub: u64) {
        let answered = self.subs.borrow()[sub as usize].answered;
        self.until_done(async |volume| {
            volume.add_composer(composer);
            let operation = self.mapper.base().world.begin_operation(composer);
            let found = read_sub(&self.mapper, volume, sub).await?;
            drop(operation);
            self.check(sub, answered, found, "a read");
            Ok(())
        })
        .await;
    }

    /// Snapshots, looked at, cloned and removed as long as clients write.
    async fn snapshots(&self) {
        let mut number = 0;
        while self.clients.get() > 0 {
            number += 1;
            let name = format!("s{number}");
            let id = self.mapper.base().world.random_id();
            let answered = self.answered();
            loop {
                match self.mapper.snapshot("v", &name, id).await {
                    Ok(()) => break,
                    Err(MapError::NotOpen { .. }) => yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
            let first = self.snapshot_says(&name).await;
            for (sub, found) in (0..).zip(&first) {
                self.check(sub, answered[sub as usize], *found, &name);
            }
            for _ in 0..40 {
                yield_now().await;
            }
            assert_eq!(self.snapshot_says(&name).await, first, "{name}"); // SNAP-1
            self.mapper.remove(&name).await.unwrap();
            self.mapper.empty_trash(0).await.unwrap();
        }
    }

    async fn snapshot_says(&self, name: &str) -> Vec<[u64; SECTORS]> {
        let base = self.mapper.base();
        let loaded = base.found(name).await.unwrap();
        let view = base.view(loaded.head.id).await.unwrap();
        let a_block = u64::from(shape().subs());
        let mut said = Vec::new();
        for sub in 0..SUBS {
            let (block, in_block) = (sub / a_block, (sub % a_block) as u16);
            let map = view.block(base, block).await.unwrap();
            let source = map.source_at(in_block);
            said.push(
                read_from(&self.mapper, source, block, in_block)
                    .await
                    .unwrap(),
            );
        }
        said
    }

    async fn tidy(&self, seed: u64, closes: bool) {
        let mut random = SimRandom::new(seed);
        while self.clients.get() > 0 {
            match random.below(6) {
                0 if closes => match self.mapper.close("v").await {
                    Ok(()) | Err(MapError::NotOpen { .. }) => {}
                    Err(error) => panic!("{error}"),
                },
                1 => {
                    let answered = self.answered();
                    self.until_done(async |volume| volume.flush().await).await;
                    for (sub, answered) in self.subs.borrow_mut().iter_mut().zip(answered) {
                        sub.flushed = sub.flushed.max(answered);
                    }
                }
                _ => self.mapper.tidy(random.below(3) * 100).await,
            }
            for _ in 0..random.below(60) {
                yield_now().await;
            }
        }
    }

    /// All that happens at the same time.
    fn tasks(&self, seed: u64, closes: bool) -> Interleave<'_> {
        let mut tasks = Interleave::new(seed);
        for number in 0..CLIENTS {
            tasks.add(self.client(number, seed));
        }
        tasks.add(self.snapshots());
        tasks.add(self.tidy(seed, closes));
        tasks
    }

    /// After a death each sub-block, sector by sector, says something from `since` on.
    async fn check_after_death(&self, mapper: &Mapper<SimWorld>, since: impl Fn(&Sub) -> usize) {
        let volume = mapper.open("v", false).await.unwrap();
        for number in 0..SUBS {
            let found = read_sub(mapper, &volume, number).await.unwrap();
            let sub = &self.subs.borrow()[number as usize];
            let values = &sub.values[since(sub) - 1..];
            assert!(
                found.iter().all(|sector| values.contains(sector)),
                "sub-block {number}: {found:?}, one of {values:?} expected"
            );
        }
    }

    async fn end_well(&self) {
        let volume = self.mapper.open("v", false).await.unwrap();
        for sub in 0..SUBS {
            let last = *self.subs.borrow()[sub as usize].values.last().unwrap();
            let found = read_sub(&self.mapper, &volume, sub).await.unwrap();
            assert_eq!(found, [last; SECTORS], "sub-block {sub} at the end");
        }
        for _ in 0..2 {
            self.mapper.close_all().await.unwrap();
            self.mapper.empty_trash(0).await.unwrap();
        }
        self.mapper.close_all().await.unwrap();
        assert_eq!(leaks(&self.mapper).await, Vec::<String>::new());
    }
}

fn run(seed: u64, closes: bool) {
    println!("SIM_SEED={seed}");
    let scene = Scene::new(seed);
    scene.tasks(seed, closes).run();
    block_on(scene.end_well());
}

/// All of it ends at some moment, without a warning.
fn die(
    seed: u64,
    mapper_after: impl Fn(&Mapper<SimWorld>) -> Mapper<SimWorld>,
    since: fn(&Sub) -> usize,
) {
    println!("SIM_SEED={seed}");
    let scene = Scene::new(seed);
    let polls = SimRandom::new(seed).below(20_000);
    let _ = scene.tasks(seed, seed.is_multiple_of(2)).run_at_most(polls);
    let mapper = mapper_after(&scene.mapper);
    block_on(scene.check_after_death(&mapper, since));
}

/// GRANT-1, GRANT-2, GRANT-3, SPACE-1, SPACE-2, SNAP-1, VOL-1, VOL-2, MAPPER-2
#[test]
fn clients_and_snapshots_and_tidying_at_the_same_time_find_what_was_written() {
    for seed in seeds(12) {
        run(seed, false);
    }
}

/// CLOSE-2, MAPPER-1
#[test]
fn a_volume_that_is_closed_and_opened_under_its_clients_loses_nothing() {
    for seed in seeds(12) {
        run(seed, true);
    }
}

/// LOG-2, WAL-1, VOL-1
#[test]
fn a_mapper_that_dies_amid_all_that_leaves_what_was_answered() {
    for seed in seeds(16) {
        die(seed, killed_now, |sub| sub.answered);
    }
}

/// SPACE-1, WAL-4, F36
#[test]
fn power_that_is_lost_amid_all_that_takes_nothing_that_was_flushed() {
    for seed in seeds(16) {
        die(seed, |mapper| crashed_now(mapper, seed), |sub| sub.flushed);
    }
}
