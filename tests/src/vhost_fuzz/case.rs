//! One connection of a guest and a front end that make sense up to a point.

use std::time::{Duration, Instant};

use anyhow::bail;
use archipelago_runtime::Handle;
use archipelago_vhost::server::Server;

use super::chains;
use super::control::{Control, RING_BYTES, RINGS};
use super::disk::FuzzedDisk;
use super::guest::AVAILABLE;
use super::memory::Memory;
use super::socket::Socket;
use crate::rng::Rng;

/// Read, write, flush, and the rest of what a disk in memory offers, indirect tables and event indices.
const FEATURES: u64 = 1 << 9 | 1 << 13 | 1 << 14 | 1 << 28 | 1 << 29 | 1 << 32;
const PATIENCE: Duration = Duration::from_secs(30);

/// A case, from its connection to its end (VFUZZ-1). Memory that `goes_away` does so in the middle of it.
pub async fn run(
    rng: &mut Rng,
    handle: &Handle,
    server: &Server<FuzzedDisk>,
    (memory, goes_away): (&Memory, bool),
) -> anyhow::Result<()> {
    let (socket, theirs) = Socket::pair()?;
    server.connect(theirs);
    let control = Control {
        socket: &socket,
        memory,
    };
    let sizes = control.set_up(rng, FEATURES);
    let mut available = [0u16; RINGS as usize];
    for _ in 0..rng.between(1, 4) {
        for _ in 0..rng.between(1, 4) {
            let ring = rng.below(RINGS.into()) as usize;
            offer(rng, memory, ring, sizes[ring], &mut available[ring]);
        }
        if goes_away && rng.chance(400) {
            memory.shorten(rng.below(40) * 4096);
        }
        socket.kick();
        for _ in 0..rng.below(12) {
            handle.yield_now().await;
        }
        if rng.chance(300) {
            control.disturb(rng);
        }
    }
    drop(socket);
    let begun = Instant::now();
    while server.front_ends() > 0 {
        if begun.elapsed() > PATIENCE {
            bail!("a connection does not end with its socket");
        }
        handle.yield_now().await;
    }
    if server.requests() > 0 {
        bail!("requests are in flight after their connection");
    }
    Ok(())
}

fn offer(rng: &mut Rng, memory: &Memory, ring: usize, size: u16, available: &mut u16) {
    let table_at = RING_BYTES * ring as u64;
    let bound = size.clamp(1, 32);
    let head = rng.below(bound.into()) as u16;
    chains::offer(rng, memory, table_at, bound, head);
    let place = u64::from(*available % bound);
    let head = chains::wrong_or(rng, head, &[bound, u16::MAX]);
    memory.put(table_at + AVAILABLE + 4 + 2 * place, &head.to_le_bytes());
    *available = available.wrapping_add(1);
    *available = chains::wrong_or(rng, *available, &[0, 40, u16::MAX]);
    memory.put(table_at + AVAILABLE + 2, &available.to_le_bytes());
}
