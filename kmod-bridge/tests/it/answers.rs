//! Answers on the wire, byte for byte.

use std::collections::BTreeMap;

use archipelago_front::{DiskName, MemDisk, MemDisks};
use archipelago_nbd::ServerOptions;
use archipelago_nbd::wire::{CommandCode, ReplyMode};

use crate::support::{Served, connect, serve, serve_with};

const SIZE: u64 = 4 << 20;

/// What lies at an offset of [`serve_pattern`].
fn pattern(offset: u64, len: usize) -> Vec<u8> {
    (offset..offset + len as u64)
        .map(|at| (at ^ (at >> 9)) as u8)
        .collect()
}

fn serve_pattern() -> Served {
    let options = ServerOptions {
        piece_bytes_max: 64 << 10,
        ..ServerOptions::default()
    };
    serve_with(options, |_| {
        let exports = MemDisks::new();
        let disk = MemDisk::new(SIZE);
        disk.put(0, &pattern(0, SIZE as usize));
        exports.insert(DiskName::default(), disk);
        exports
    })
}

/// Reads of all sizes, short ones that are sent together and long ones that are not.
fn reads() -> Vec<(u64, u64, usize)> {
    let sizes = [
        1,
        512,
        4096,
        16 << 10,
        (16 << 10) + 1,
        64 << 10,
        100_000,
        1 << 20,
    ];
    (0..200_u64)
        .map(|cookie| {
            let len = sizes[cookie as usize * 7 % sizes.len()];
            let offset = cookie * 7919 % (SIZE - len as u64);
            (cookie, offset, len)
        })
        .collect()
}

#[test]
fn a_request_in_chunks_ends_when_they_are_sent_however_busy_its_connection_is() {
    // OUTBOX-5
    const OTHERS: u64 = 60;
    let served = serve(ServerOptions {
        piece_bytes_max: 64 << 10,
        ..ServerOptions::default()
    });
    let mut client = connect(&served).go("disk", ReplyMode::Structured);
    client.request(CommandCode::WRITE, 0, 0, 128 << 10);
    client.write(&[7; 128 << 10]);
    assert!(client.chunk().is_last);
    client.request(CommandCode::READ, 1, 0, 128 << 10);
    for cookie in 2..2 + OTHERS {
        client.request(CommandCode::READ, cookie, 0, 64 << 10);
    }
    let mut ended = Vec::new();
    while ended.len() < 1 + OTHERS as usize {
        let chunk = client.chunk();
        if chunk.is_last {
            ended.push(chunk.cookie);
        }
    }
    let place = ended.iter().position(|cookie| *cookie == 1);
    assert!(place < Some(OTHERS as usize / 2), "{ended:?}");
}

#[test]
fn simple_answers_do_not_mix() {
    // OUTBOX-1
    let served = serve_pattern();
    let mut client = connect(&served).go("", ReplyMode::Simple);
    let reads = reads();
    for batch in reads.chunks(50) {
        for (cookie, offset, len) in batch {
            client.request(CommandCode::READ, *cookie, *offset, *len as u64);
        }
        for _ in batch {
            let head = client.read(16);
            assert_eq!(head[..8], [0x67, 0x44, 0x66, 0x98, 0, 0, 0, 0]);
            let cookie = u64::from_be_bytes(head[8..].try_into().unwrap());
            let (_, offset, len) = reads[cookie as usize];
            assert!(client.read(len) == pattern(offset, len), "read {cookie}");
        }
    }
}

#[test]
fn chunks_of_several_answers_come_whole_and_cover_each_of_them() {
    // OUTBOX-1
    let served = serve_pattern();
    let mut client = connect(&served).go("", ReplyMode::Structured);
    let reads = reads();
    for batch in reads.chunks(50) {
        let mut missing = BTreeMap::new();
        for (cookie, offset, len) in batch {
            client.request(CommandCode::READ, *cookie, *offset, *len as u64);
            missing.insert(*cookie, *len);
        }
        while !missing.is_empty() {
            let chunk = client.chunk();
            if chunk.kind == 1 {
                let at = u64::from_be_bytes(chunk.payload[..8].try_into().unwrap());
                let data = &chunk.payload[8..];
                assert!(data == pattern(at, data.len()), "{}", chunk.cookie);
                *missing.get_mut(&chunk.cookie).unwrap() -= data.len();
            } else {
                assert_eq!((chunk.kind, chunk.payload.len()), (0, 0));
            }
            if chunk.is_last {
                assert_eq!(missing.remove(&chunk.cookie), Some(0));
            }
        }
    }
}
