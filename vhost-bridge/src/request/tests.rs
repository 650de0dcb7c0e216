//! GUESTREQUEST-1 to GUESTREQUEST-3: what drivers ask, cut in any way, and what they must not ask.

use archipelago_front::{Command, DiskFacts, Features, Request};
use proptest::prelude::*;

use super::*;
use crate::queue::model::VecMemory;
use crate::queue::{Chain, GuestMemory, Part};

const ALL: DeviceFeatures = DeviceFeatures {
    queue: crate::queue::QueueFeatures {
        indirect: true,
        event_index: true,
    },
    flush: true,
    discard: true,
    write_zeroes: true,
};
const STATUS_AT: u64 = 0x7000;

fn header(kind: u32, sector: u64) -> Vec<u8> {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend([0; 4]);
    bytes.extend(sector.to_le_bytes());
    bytes
}

fn segment(sector: u64, sectors: u32, flags: u32) -> Vec<u8> {
    let mut bytes = sector.to_le_bytes().to_vec();
    bytes.extend(sectors.to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    bytes
}

/// A chain of these bytes, cut into parts of so many, and of room for `room_bytes` and the status.
fn parsed(
    readable: &[u8],
    room_bytes: u32,
    cut: usize,
    features: &DeviceFeatures,
) -> Result<BlockRequest, ParseError> {
    let memory = VecMemory::new(0x8000);
    let mut chain = Chain {
        head: 5,
        readable: Vec::new(),
        writable: Vec::new(),
    };
    for (number, bytes) in readable.chunks(cut).enumerate() {
        // With gaps between them, so that nothing is right by chance.
        let at = (number * (cut + 3)) as u64;
        memory.write(at, bytes).unwrap();
        chain.readable.push(Part {
            at,
            len_bytes: bytes.len() as u32,
        });
    }
    chain.writable.push(Part {
        at: STATUS_AT - u64::from(room_bytes),
        len_bytes: room_bytes + 1,
    });
    BlockRequest::parse(&memory, chain, features)
}

#[test]
fn reads_and_writes_are_where_the_sector_says() {
    let read = parsed(&header(0, 7), 1024, 100, &ALL).unwrap();
    let request = Request {
        command: Command::Read,
        offset: 7 * 512,
        len_bytes: 1024,
    };
    assert_eq!(read.job, Job::Carry(request));
    assert_eq!((read.status_at, read.head), (STATUS_AT, 5));
    assert_eq!(read.data.len_bytes(), 1024);
    let mut bytes = header(1, 9);
    bytes.extend([3; 512]);
    for cut in [1, 5, 16, 1000] {
        let write = parsed(&bytes, 0, cut, &ALL).unwrap();
        let request = Request {
            command: Command::Write { fua: false },
            offset: 9 * 512,
            len_bytes: 512,
        };
        // GUESTREQUEST-1
        assert_eq!(write.job, Job::Carry(request));
        assert_eq!(write.data.len_bytes(), 512);
    }
}

#[test]
fn a_driver_that_cannot_flush_has_its_writes_made_durable() {
    // GUESTREQUEST-3
    let careless = DeviceFeatures {
        flush: false,
        ..ALL
    };
    let mut bytes = header(1, 0);
    bytes.extend([0; 512]);
    let write = parsed(&bytes, 0, 600, &careless).unwrap();
    assert!(
        matches!(write.job, Job::Carry(request) if request.command == Command::Write { fua: true })
    );
    let mut bytes = header(13, 0);
    bytes.extend(segment(0, 1, 0));
    let zeroes = parsed(&bytes, 0, 600, &careless).unwrap();
    let durable = Command::WriteZeroes {
        unmap: false,
        fua: true,
    };
    assert!(matches!(zeroes.job, Job::Do(requests) if requests[0].command == durable));
}

#[test]
fn segments_are_judged_before_the_first_is_done() {
    // GUESTREQUEST-2
    let job = |kind, segments: &[Vec<u8>], features| {
        let mut bytes = header(kind, 0);
        bytes.extend(segments.concat());
        parsed(&bytes, 0, 7, &features).unwrap().job
    };
    let good = segment(8, 16, 0);
    let Job::Do(requests) = job(11, &[good.clone(), segment(100, 1, 0)], ALL) else {
        panic!("two segments to discard");
    };
    assert_eq!(requests.len(), 2);
    assert_eq!((requests[0].offset, requests[0].len_bytes), (4096, 8192));
    let unsupported = Job::Refuse(Status::Unsupported);
    let io_error = Job::Refuse(Status::IoError);
    assert_eq!(job(11, &[good.clone(), segment(0, 1, 1)], ALL), unsupported);
    assert_eq!(job(13, &[good.clone(), segment(0, 1, 2)], ALL), unsupported);
    assert_eq!(
        job(11, &[good.clone(), segment(u64::MAX, 1, 0)], ALL),
        io_error
    );
    assert_eq!(
        job(11, &[good.clone(), segment(0, u32::MAX, 0)], ALL),
        io_error
    );
    assert_eq!(job(11, &vec![good.clone(); 17], ALL), io_error);
    assert_eq!(job(11, &[], ALL), io_error);
    assert_eq!(job(11, &[good.clone(), vec![0; 3]], ALL), io_error);
    let few = DeviceFeatures::default();
    assert_eq!(job(11, std::slice::from_ref(&good), few), unsupported);
    assert_eq!(job(13, &[good], few), unsupported);
}

#[test]
fn what_is_no_request_is_an_error_of_the_ring() {
    // GUESTREQUEST-1, F85
    let short = parsed(&header(0, 0)[..15], 512, 4, &ALL);
    assert!(matches!(
        short,
        Err(ParseError::NoHeader { len_bytes: 15, .. })
    ));
    let memory = VecMemory::new(0x100);
    let chain = Chain {
        head: 1,
        readable: vec![Part {
            at: 0,
            len_bytes: 16,
        }],
        writable: Vec::new(),
    };
    let nowhere = BlockRequest::parse(&memory, chain, &ALL);
    assert_eq!(nowhere, Err(ParseError::NoStatus { head: 1 }));
    for kind in [2, 3, 5, 10, 14, 16, u32::MAX] {
        let other = parsed(&header(kind, 0), 8, 100, &ALL).unwrap();
        assert_eq!(other.job, Job::Refuse(Status::Unsupported), "{kind}");
    }
    let far = parsed(&header(0, u64::MAX / 512 + 1), 512, 100, &ALL).unwrap();
    assert_eq!(far.job, Job::Refuse(Status::IoError));
}

#[test]
fn the_configuration_says_what_the_disk_is() {
    let facts = DiskFacts {
        size_bytes: 1 << 30,
        features: Features::ALL,
        description: String::new(),
    };
    let config = Config::new(&facts, 4);
    let bytes = config.range(0, 100);
    assert_eq!(bytes.len(), 100);
    assert_eq!(bytes[..8], (1u64 << 21).to_le_bytes());
    assert_eq!(bytes[12..16], 126u32.to_le_bytes());
    assert_eq!(bytes[20..24], 512u32.to_le_bytes());
    assert_eq!(bytes[34..36], 4u16.to_le_bytes());
    assert_eq!(bytes[36..40], Config::DISCARD_SECTORS_MAX.to_le_bytes());
    assert_eq!(bytes[56], 1);
    assert!(bytes[60..].iter().all(|byte| *byte == 0));
    assert_eq!(config.range(34, 2), [4, 0]);
    assert_eq!(config.range(200, 3), [0; 3]);
    let read_only = DiskFacts {
        features: Features {
            read_only: true,
            ..Features::ALL
        },
        ..facts.clone()
    };
    assert_eq!(Config::new(&read_only, 1).range(36, 24), [0; 24]);
    assert_ne!(offered(&read_only) & (1 << 5), 0);
    assert_eq!(offered(&read_only) & (3 << 13), 0);
    assert_eq!(offered(&facts) & (1 << 5), 0);
    let accepted = DeviceFeatures::of_bits(offered(&facts));
    assert_eq!(accepted, ALL);
}

proptest! {
    #[test]
    fn no_chain_of_any_bytes_makes_it_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..300),
        kind in 0u32..16,
        cut in 1usize..40,
        room in 0u32..1000,
    ) {
        // GUESTREQUEST-1
        if let Some(first) = bytes.get_mut(..4) {
            first.copy_from_slice(&kind.to_le_bytes());
        }
        let _ = parsed(&bytes, room, cut, &ALL);
    }

    #[test]
    fn parts_are_a_vector_in_pieces(
        lens in prop::collection::vec(1u32..50, 1..8),
        from in 0u64..100,
        len in 0usize..200,
    ) {
        let memory = VecMemory::new(0x1000);
        let mut at = 0;
        let mut parts = Vec::new();
        let mut model = Vec::new();
        for len_bytes in lens {
            at += 7;
            parts.push(Part { at, len_bytes });
            for _ in 0..len_bytes {
                memory.write(at, &[at as u8]).unwrap();
                model.push(at as u8);
                at += 1;
            }
        }
        let mut parts = Parts::new(parts);
        let mut read = vec![0; len];
        let count = parts.read(&memory, from, &mut read).unwrap();
        let expected = model.get(from as usize..).unwrap_or_default();
        let expected = &expected[..expected.len().min(len)];
        prop_assert_eq!(&read[..count], expected);
        let mut last = [0];
        memory.read(parts.pop_byte().unwrap(), &mut last).unwrap();
        prop_assert_eq!(Some(last[0]), model.pop());
        prop_assert_eq!(parts.len_bytes(), model.len() as u64);
    }
}
