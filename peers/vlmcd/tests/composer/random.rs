//! Clients side by side, each with ranges of its own that share sub-blocks with its neighbours', against bytes in memory.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;

use archipelago_runtime::local::Semaphore;
use archipelago_vlmcd::Options;
use xseg::OpCode;

use crate::client::Client;
use crate::mapper::Moods;
use crate::naive::Volume;
use crate::world::{COMPOSER, Random, SECOND_COMPOSER, World, options, run_bare};

/// Few sub-blocks, so that clients meet in them.
const SIZE: u64 = 65_536 + 5_345;
const CLIENTS: usize = 8;
const STEPS: u64 = 120;
const GRAIN: u64 = 4096;

/// What the volume's bytes are, and who may change which.
pub struct Model {
    pub bytes: RefCell<Vec<u8>>,
    cuts: Vec<u64>,
    clients: usize,
    pub steps: Cell<u64>,
    /// One for each client: who has all of them has the volume to itself.
    pub quiet: Semaphore,
}

impl Model {
    pub fn new(random: &Random, size: u64, clients: usize) -> Self {
        let mut cuts: Vec<u64> = (0..40).map(|_| random.below(size)).collect();
        cuts.extend([0, size]);
        cuts.sort_unstable();
        Self {
            bytes: RefCell::new(vec![0; size as usize]),
            cuts,
            clients,
            steps: Cell::new(0),
            quiet: Semaphore::new(clients),
        }
    }

    /// Some range of those that belong to a client.
    fn range(&self, random: &Random, client: usize) -> Range<u64> {
        let regions = self.cuts.len() - 1;
        let mine = (regions - client).div_ceil(self.clients);
        let region = client + random.below(mine as u64) as usize * self.clients;
        let (start, end) = (self.cuts[region], self.cuts[region + 1]);
        let from = start + random.below(end - start + 1);
        let to = if random.below(4) == 0 {
            end
        } else {
            from + random.below(end - from + 1)
        };
        from..to
    }

    fn set(&self, range: &Range<u64>, byte: impl Fn(u64) -> u8) {
        let mut bytes = self.bytes.borrow_mut();
        for at in range.clone() {
            bytes[at as usize] = byte(at);
        }
    }

    fn get(&self, range: &Range<u64>) -> Vec<u8> {
        self.bytes.borrow()[range.start as usize..range.end as usize].to_vec()
    }
}

async fn step(client: &Client, model: &Model, random: &Random, who: usize, number: u64) {
    let range = model.range(random, who);
    let (offset, len) = (range.start, range.end - range.start);
    match random.below(10) {
        0..5 => {
            let byte = |at: u64| (at.wrapping_mul(31) ^ number.wrapping_mul(97) ^ 1) as u8;
            let text: Vec<u8> = range.clone().map(byte).collect();
            let is_lent = len > 0 && client.may_lend() && random.below(2) == 0;
            let written = match is_lent {
                true => client.write_lent(offset, &text).await,
                false => client.write(offset, &text).await,
            };
            assert_eq!(written, Ok(len), "{range:?}");
            model.set(&range, byte);
        }
        5 => {
            assert_eq!(
                client.plain(OpCode::WRITE_ZEROES, offset, len).await,
                Ok(len)
            );
            model.set(&range, |_| 0);
        }
        6 => {
            assert_eq!(client.plain(OpCode::DISCARD, offset, len).await, Ok(len));
            let size = model.bytes.borrow().len() as u64;
            let end = if range.end == size {
                size
            } else {
                range.end / GRAIN * GRAIN
            };
            let start = offset.next_multiple_of(GRAIN);
            model.set(&(start..end.max(start)), |_| 0);
        }
        _ => {
            let is_lent = len > 0 && client.may_lend() && random.below(2) == 0;
            let read = match is_lent {
                true => client.read_lent(offset, len).await.unwrap(),
                false => client.read(offset, len).await.unwrap(),
            };
            assert!(
                read == model.get(&range),
                "{range:?} by client {who} at step {number}"
            );
        }
    }
}

/// Some steps of one client.
pub async fn work(client: Client, model: &Model, seed: u64, who: usize, steps: u64) {
    let random = Random::new(seed * 100 + who as u64);
    for number in 0..steps {
        let _loud = model.quiet.acquire(1).await;
        step(&client, model, &random, who, number).await;
        model.steps.set(model.steps.get() + 1);
    }
}

pub async fn check_all(client: &Client, expected: &[u8]) {
    let mut at = 0;
    while at < expected.len() {
        let end = expected.len().min(at + 200_000);
        let read = client.read(at as u64, (end - at) as u64).await.unwrap();
        assert!(read == expected[at..end], "{} from {at}", client.volume);
        at = end;
    }
}

/// Snapshots: some while clients write, some of a known state.
async fn change_the_map(world: &World, model: &Model, seed: u64) -> Vec<(String, Vec<u8>)> {
    let random = Random::new(seed + 7);
    let mut known = Vec::new();
    for number in 0..40_u8 {
        let pause = std::time::Duration::from_micros(random.below(4_000));
        world.handle.sleep(pause).await;
        let name = format!("s{number}");
        match random.below(3) {
            0 => world.mapper.reclaim("v").await,
            1 => world.mapper.snapshot("v", &name, 100 + number).await,
            _ => {
                let all_quiet = model.quiet.acquire(model.clients).await;
                let bytes = model.bytes.borrow().clone();
                world.mapper.snapshot("v", &name, 100 + number).await;
                known.push((name, bytes));
                drop(all_quiet);
            }
        }
    }
    known
}

async fn history(world: Rc<World>, seed: u64, composers: &[u32], options: Options) {
    world.mapper.add("v", Volume::new(1, SIZE));
    world.mapper.moods.set(Moods {
        stale: 60,
        wide: 60,
        // With several composers the next one would have to take everything back first.
        dies: if composers.len() == 1 { 40 } else { 0 },
        delay_us: 600,
    });
    world.blocker.delay_us.set(400);
    let running: Vec<_> = composers
        .iter()
        .map(|number| world.composer(*number, options.clone()))
        .collect();
    let random = Random::new(seed);
    let model = Rc::new(Model::new(&random, SIZE, CLIENTS));
    let mut tasks = Vec::new();
    for who in 0..CLIENTS {
        let client = world.client_of(composers[who % composers.len()], "v");
        let model = model.clone();
        let work = async move { work(client, &model, seed, who, STEPS).await };
        tasks.push(world.handle.spawn(work));
    }
    let known = change_the_map(&world, &model, seed).await;
    for task in tasks {
        task.await;
    }
    let expected = model.bytes.borrow().clone();
    for composer in composers {
        check_all(&world.client_of(*composer, "v"), &expected).await;
    }
    world.mapper.reclaim("v").await;
    let mut client = world.client_of(composers[0], "v");
    check_all(&client, &expected).await;
    for (name, bytes) in known {
        client.volume = name; // each port keeps buffers for itself
        check_all(&client, &bytes).await;
    }
    for composer in running {
        composer.drain().await;
    }
    let (landed, written) = world.blocker.lent.get();
    assert!(
        landed > 0 && written > 0,
        "LOAN-1, LOAN-2: {landed}, {written}"
    );
    world.mapper.with("v", |volume| {
        assert!(volume.grants.is_empty(), "{:?}", volume.grants);
        assert!(volume.composers.is_empty());
    });
}

/// COMPOSE-1, COMPOSE-2, GRANTED-4, CWRITE-1, CWRITE-2, GRANTED-1, GRANTED-2, ZERO-1
#[test]
fn whatever_clients_and_the_mapper_do_volumes_hold_the_bytes_that_were_written() {
    for seed in 1..7 {
        run_bare(seed, |world| async move {
            let options = options(&world.segment);
            history(world, seed, &[COMPOSER], options).await;
        });
    }
}

/// P1, PERMITS-1: with next to nothing of everything nobody waits for ever.
#[test]
fn a_composer_with_little_of_everything_goes_on() {
    for seed in 10..13 {
        run_bare(seed, |world| async move {
            let mut options = options(&world.segment);
            options.cached_blocks_max = 2;
            options.blocker_requests_max = 2;
            options.mapper_requests_max = 1;
            options.parts_max = 2;
            history(world, seed, &[COMPOSER], options).await;
        });
    }
}

/// EPOCH-1, GRANTED-3: what one composer changes the other one does not read from its memory.
#[test]
fn two_composers_of_one_volume_agree() {
    for seed in 20..23 {
        run_bare(seed, |world| async move {
            let options = options(&world.segment);
            history(world, seed, &[COMPOSER, SECOND_COMPOSER], options).await;
        });
    }
}
