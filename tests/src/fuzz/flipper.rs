//! The process that damages the segment: it writes to the segment's file, which is the memory that all others map.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use xseg::Segment;

use super::flip::{self, Look};
use super::tables::{HEADER_DEATHS_AT, Tables};
use crate::channel::{Command, Report};
use crate::rng::Rng;
use crate::worker::{Link, WorkerArgs};

/// The last flips stand in a file beside the segment, in lines of this length.
const LINE_BYTES: usize = 80;
const LINES: u64 = 4096;

/// The segment's file.
struct Image {
    file: File,
}

impl Look for Image {
    fn word(&self, at: u64, bytes: u64) -> u64 {
        let mut word = [0; 8];
        let part = &mut word[..bytes as usize];
        // Reading inside the file cannot fail; if it does, zero is as good as anything.
        let _ = self.file.read_exact_at(part, at);
        u64::from_le_bytes(word)
    }
}

impl Image {
    fn set(&self, at: u64, bytes: u64, value: u64) -> io::Result<()> {
        let word = value.to_le_bytes();
        self.file.write_all_at(&word[..bytes as usize], at)
    }
}

/// A flip that is to be taken back.
struct Undo {
    at: u64,
    bytes: u64,
    was: u64,
}

/// How this round damages.
struct Habits {
    pause: Duration,
    /// Flips at a time.
    burst: u64,
    /// How many flips later one is taken back, if at all: then most of the segment stays in order.
    undo_after: Option<usize>,
}

impl Habits {
    fn choose(rng: &mut Rng) -> Self {
        Self {
            pause: Duration::from_micros(8 << rng.below(12)),
            burst: rng.magnitude(4),
            undo_after: rng.chance(600).then(|| rng.magnitude(6) as usize),
        }
    }
}

/// Damages the segment until it is killed or told to leave.
pub(crate) fn run(args: &WorkerArgs, segment: &Segment, link: &mut Link) -> anyhow::Result<()> {
    let tables = Tables::of(*segment.geometry());
    let image = Image {
        file: open(segment.place().path())?,
    };
    let log = open(&log_path(&args.directory))?;
    let mut rng = Rng::new(args.seed);
    let habits = Habits::choose(&mut rng);
    let mut header = [0; HEADER_DEATHS_AT as usize];
    image.file.read_exact_at(&mut header, 0)?;
    let mut undo: VecDeque<Undo> = VecDeque::new();
    let (mut count, mut told) = (0, Instant::now());
    loop {
        if link.command() == Some(Command::Leave) {
            tell(link, count);
            return Ok(());
        }
        for _ in 0..habits.burst {
            let target = flip::choose_target(&tables, &mut rng);
            let was = image.word(target.at, target.bytes);
            let value = flip::choose_value(&tables, &target, was, &image, &mut rng);
            image.set(target.at, target.bytes, value)?;
            note(&log, count, target.at, target.bytes, was, value)?;
            undo.push_back(Undo {
                at: target.at,
                bytes: target.bytes,
                was,
            });
            count += 1;
        }
        if told.elapsed() >= Duration::from_millis(100) {
            told = Instant::now();
            tell(link, count);
        }
        std::thread::sleep(habits.pause);
        while undo.len() > habits.undo_after.unwrap_or(0) {
            if let Some(flip) = undo.pop_front()
                && habits.undo_after.is_some()
            {
                image.set(flip.at, flip.bytes, flip.was)?;
            }
        }
        // A header that stays damaged lets nobody in, and "destroyed" ends all traffic.
        if rng.chance(500) {
            image.file.write_all_at(&header, 0)?;
        }
    }
}

fn tell(link: &mut Link, count: u64) {
    link.report(&Report::Progress {
        sent: count,
        answered: 0,
        slowest_us: 0,
    });
    link.beat();
}

fn open(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(|| format!("opening {}", path.display()))
}

fn log_path(directory: &Path) -> PathBuf {
    directory.join("flips")
}

fn note(log: &File, count: u64, at: u64, bytes: u64, was: u64, value: u64) -> io::Result<()> {
    let line = format!("{count:>10} at {at:#010x} {bytes} {was:#018x} -> {value:#018x}");
    let line = format!("{line:<width$}\n", width = LINE_BYTES - 1);
    log.write_all_at(line.as_bytes(), count % LINES * LINE_BYTES as u64)
}

/// The last flips of a round, oldest first.
pub(super) fn last_flips(directory: &Path, count: usize) -> Vec<String> {
    let text = std::fs::read_to_string(log_path(directory)).unwrap_or_default();
    let mut lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.sort_by_key(|line| {
        let number = line.split_ascii_whitespace().next();
        number.and_then(|number| number.parse::<u64>().ok())
    });
    let skipped = lines.len().saturating_sub(count);
    lines.into_iter().skip(skipped).map(str::to_owned).collect()
}
