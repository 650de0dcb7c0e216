//! A run of the fuzzer: case after case, on one reactor, with a guest beside them that makes sense.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use archipelago_front::FrontOptions;
use archipelago_runtime::{Handle, Reactor, ReactorOptions};
use archipelago_vhost::server::{Server, ServerOptions};
use xseg::{BindOptions, CreateOptions, Geometry};

use super::books::Books;
use super::case;
use super::control::{RING_BYTES, RINGS};
use super::disk::{BUFFERS, FuzzedDisk, PIECE_BYTES};
use super::guest::{Guest, USED};
use super::memory::Memory;
use super::racer::Racer;
use crate::rng::{Rng, mix};

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub seed: u64,
    /// The first case.
    pub from: u64,
    /// So many, or as many as there is time for.
    pub cases: u64,
    pub seconds: u64,
    /// Something else changes the memory meanwhile: cases are not repeated by their seed.
    pub is_raced: bool,
}

const DISK_BYTES: u64 = 1 << 20;
/// After so many cases a guest that makes sense comes to the same socket.
const CHECKED_EACH: u64 = 64;
/// And so often the one beside them does something.
const BESIDE_EACH: u64 = 4;

struct Fuzzer {
    handle: Handle,
    server: Server<FuzzedDisk>,
    memory: Memory,
    other: Guest,
    books: Books,
}

/// # Errors
/// If it cannot begin. A case that fails is in the books.
pub fn run(options: &Options) -> anyhow::Result<Books> {
    let geometry = Geometry::new(1, 1, 8)?.with_buffers(PIECE_BYTES.into(), BUFFERS)?;
    let segment = CreateOptions::new(geometry).create_private()?;
    let port = segment.bind(0, &BindOptions::default())?;
    let reactor = Reactor::new(port, &ReactorOptions::default())?;
    let handle = reactor.handle();
    let device = ServerOptions {
        queues: 2,
        serial: "fuzzed".to_owned(),
        front: FrontOptions {
            requests_max: 6,
            bytes_max: 256 << 10,
            piece_bytes_max: PIECE_BYTES,
        },
    };
    let lent = Rc::default();
    let serve = || -> anyhow::Result<_> {
        let disk = FuzzedDisk::new(&handle, DISK_BYTES, &lent)?;
        Ok(Server::new(&handle, disk, &device)?)
    };
    let mut fuzzer = Fuzzer {
        server: serve()?,
        memory: Memory::new()?,
        other: Guest::connect(&handle, &serve()?)?,
        books: Books {
            seed: options.seed,
            ..Books::default()
        },
        handle: handle.clone(),
    };
    reactor.block_on(async move {
        fuzzer.run_all(options).await?;
        fuzzer.books.lent = lent.get();
        Ok(fuzzer.books)
    })
}

impl Fuzzer {
    async fn run_all(&mut self, options: &Options) -> anyhow::Result<()> {
        let begun = Instant::now();
        let _racer = match options.is_raced {
            true => Some(Racer::begin(&self.memory, options.seed)?),
            false => None,
        };
        let mut number = options.from;
        self.other.check(number).await?;
        let descriptors = descriptors()?;
        while self.books.cases < options.cases
            && begun.elapsed() < Duration::from_secs(options.seconds)
        {
            if let Err(error) = self.run_one(options.seed, number, descriptors).await {
                self.books.failure = Some((number, format!("{error:#}")));
                break;
            }
            self.books.cases += 1;
            number += 1;
        }
        self.books.seconds = begun.elapsed().as_secs_f64();
        Ok(())
    }

    async fn run_one(&mut self, seed: u64, number: u64, descriptors: usize) -> anyhow::Result<()> {
        let mut rng = Rng::new(mix(seed ^ mix(number)));
        self.memory.clear()?;
        if rng.chance(20) {
            let memory = Memory::new()?;
            case::run(&mut rng, &self.handle, &self.server, (&memory, true)).await?;
            self.books.shortened += 1;
        } else {
            case::run(&mut rng, &self.handle, &self.server, (&self.memory, false)).await?;
        }
        self.memory.check_guards()?;
        self.books.completed += completed(&self.memory);
        if number.is_multiple_of(BESIDE_EACH) {
            self.other.check(number).await?;
            self.books.answered += 2;
        }
        if number.is_multiple_of(CHECKED_EACH) {
            let mut guest = Guest::connect(&self.handle, &self.server)?;
            guest.check(number).await?;
            self.books.answered += 2;
            drop(guest);
            while self.server.front_ends() > 0 {
                self.handle.yield_now().await;
            }
            self.descriptors_are_back(descriptors).await?;
        }
        Ok(())
    }
}

impl Fuzzer {
    /// VFUZZ-4: those that the kernel still has for something that was cancelled come back when it has seen that.
    async fn descriptors_are_back(&self, expected: usize) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let now = descriptors()?;
            if now <= expected {
                return Ok(());
            }
            let has_patience = begun.elapsed() < Duration::from_secs(10);
            ensure!(has_patience, "{expected} descriptors have become {now}");
            self.handle.yield_now().await;
        }
    }
}

/// Requests of a case that were completed, well or with an error.
fn completed(memory: &Memory) -> u64 {
    let used = |ring| memory.load(RING_BYTES * ring + USED + 2);
    (0..RINGS.into()).map(|ring| u64::from(used(ring))).sum()
}

/// How many this process has open.
fn descriptors() -> anyhow::Result<usize> {
    let open = std::fs::read_dir("/proc/self/fd").context("counting descriptors")?;
    Ok(open.count())
}
