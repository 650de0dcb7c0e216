//! Joining files whose first page anybody may have written (F56, F57): an error, or a segment that can be looked at.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use archipelago_tests::worker::look;
use proptest::prelude::*;
use xseg::{BUFFER_CLASSES, CreateOptions, Geometry, JoinOptions, LAYOUT_VERSION, Place};

/// Offsets of header words (docs/segment.md).
const LAYOUT_AT: u64 = 8;
const SIZE_AT: u64 = 16;
const PORTS_AT: u64 = 48;
const STATE_AT: u64 = 60;
const COUNTS_AT: u64 = 64;
const PAGE: usize = 4096;

/// A directory with a small, good segment in it.
struct Victim {
    _directory: tempfile::TempDir,
    place: Place,
    file: File,
}

impl Victim {
    fn new() -> Self {
        let directory = tempfile::tempdir_in(xseg::DEFAULT_DIRECTORY).expect("a directory");
        let place = Place::within(directory.path(), "victim").expect("a good name");
        let geometry = Geometry::new(8, 4, 32)
            .and_then(|geometry| geometry.with_buffers(4096, 8))
            .expect("a good geometry");
        let created = CreateOptions::new(geometry).create(&place);
        drop(created.expect("room for a small segment"));
        let file = OpenOptions::new().write(true).open(place.path());
        let file = file.expect("our own file");
        Self {
            _directory: directory,
            place,
            file,
        }
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        self.file
            .write_all_at(bytes, at)
            .expect("writing to memory");
    }

    /// What counts is that this returns.
    fn join_and_look(&self) -> bool {
        match JoinOptions::new().join(&self.place) {
            Ok(segment) => {
                look(&segment);
                let _ = segment.settle_all(); // refusing is fine
                let _ = segment.bind_dynamic(&xseg::BindOptions::default());
                look(&segment);
                true
            }
            Err(error) => {
                let _ = (error.to_string(), error.errno());
                false
            }
        }
    }
}

/// Numbers near those that a good header has, and any others.
fn count() -> impl Strategy<Value = u32> {
    prop_oneof![0..64_u32, any::<u32>(), Just(1 << 14), Just(u32::MAX)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_page_of_noise_is_refused(page in proptest::collection::vec(any::<u8>(), PAGE)) {
        let victim = Victim::new();
        victim.write(0, &page);
        prop_assert!(!victim.join_and_look(), "noise was taken for a segment");
    }

    #[test]
    fn noise_in_a_good_header_is_refused_or_harmless(
        flips in proptest::collection::vec((0..256_u64, any::<u8>()), 1..6),
    ) {
        let victim = Victim::new();
        for (at, byte) in flips {
            victim.write(at, &[byte]);
        }
        victim.join_and_look();
    }

    #[test]
    fn any_numbers_in_a_good_header_are_refused_or_harmless(
        numbers in (count(), count(), count()),
        counts in proptest::collection::vec(count(), BUFFER_CLASSES),
        layouts in (0..3_u32, 0..3_u32),
        size in prop_oneof![0..(1_u64 << 24), any::<u64>()],
        state in 0..4_u32,
    ) {
        let victim = Victim::new();
        let (ports, statics, requests) = numbers;
        for (index, number) in [ports, statics, requests].into_iter().enumerate() {
            victim.write(PORTS_AT + index as u64 * 4, &number.to_le_bytes());
        }
        for (class, count) in counts.iter().enumerate() {
            victim.write(COUNTS_AT + class as u64 * 4, &count.to_le_bytes());
        }
        victim.write(LAYOUT_AT, &layouts.0.to_le_bytes());
        victim.write(LAYOUT_AT + 4, &layouts.1.to_le_bytes());
        victim.write(SIZE_AT, &size.to_le_bytes());
        victim.write(STATE_AT, &state.to_le_bytes());
        victim.join_and_look();
    }

    /// The numbers agree with each other and with the file, so the join succeeds: on tables of noise.
    #[test]
    fn a_consistent_header_over_tables_of_noise_can_be_looked_at(
        (ports, requests, buffers) in (1..40_u32, 1..200_u32, 0..40_u32),
        statics in 0..40_u32,
        noise in proptest::collection::vec(any::<u64>(), 512),
    ) {
        let victim = Victim::new();
        let statics = statics.min(ports);
        let geometry = Geometry::new(ports, statics, requests)
            .and_then(|geometry| geometry.with_buffers(4096, buffers))
            .expect("numbers within their bounds");
        victim.file.set_len(geometry.size_bytes()).expect("room for it");
        for (index, number) in [ports, statics, requests].into_iter().enumerate() {
            victim.write(PORTS_AT + index as u64 * 4, &number.to_le_bytes());
        }
        victim.write(COUNTS_AT, &buffers.to_le_bytes());
        victim.write(SIZE_AT, &geometry.size_bytes().to_le_bytes());
        victim.write(LAYOUT_AT, &LAYOUT_VERSION.to_le_bytes());
        let words: Vec<u8> = noise.iter().flat_map(|word| word.to_le_bytes()).collect();
        let tables_end = geometry.buffers_at();
        for at in (PAGE as u64..tables_end).step_by(words.len()) {
            let len = words.len().min((tables_end - at) as usize);
            victim.write(at, &words[..len]);
        }
        prop_assert!(victim.join_and_look(), "a consistent header was refused");
    }
}
