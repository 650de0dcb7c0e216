//! A guest and a front end that make sense: they stay connected while others do not.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use archipelago_runtime::Handle;
use archipelago_vhost::message::{Message, RingAddresses, RingState};
use archipelago_vhost::server::Server;

use super::disk::FuzzedDisk;
use super::memory::{HIGH, Memory, USER};
use super::socket::Socket;

pub const QUEUE_SIZE: u16 = 8;
pub const AVAILABLE: u64 = 0x1000;
pub const USED: u64 = 0x2000;
/// Reading and writing takes no time to speak of.
const PATIENCE: Duration = Duration::from_secs(30);
const DATA_BYTES: u32 = 512;
const NEXT: u16 = 1;
const WRITE: u16 = 2;

#[derive(Debug)]
pub struct Guest {
    handle: Handle,
    memory: Memory,
    socket: Socket,
    done: u16,
}

/// A descriptor, as a guest writes it.
pub fn descriptor(at: u64, len_bytes: u32, flags: u16, next: u16) -> Vec<u8> {
    let mut bytes = at.to_le_bytes().to_vec();
    bytes.extend(len_bytes.to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    bytes.extend(next.to_le_bytes());
    bytes
}

impl Guest {
    pub fn connect(handle: &Handle, server: &Server<FuzzedDisk>) -> anyhow::Result<Self> {
        let (socket, theirs) = Socket::pair()?;
        server.connect(theirs);
        let memory = Memory::new()?;
        socket.send(&Message::SetFeatures(1 << 30 | 1 << 32), &[]);
        let fds = [memory.fd(), memory.fd()];
        socket.send(&Message::SetMemory(Memory::regions()), &fds);
        let state = |value| RingState { index: 0, value };
        socket.send(&Message::SetNum(state(QUEUE_SIZE.into())), &[]);
        let addresses = RingAddresses {
            index: 0,
            flags: 0,
            descriptors: USER,
            used: USER + USED,
            available: USER + AVAILABLE,
            log: 0,
        };
        socket.send(&Message::SetAddresses(addresses), &[]);
        let (index, has_fd) = (0, true);
        let (kick, call) = (socket.kick.as_fd(), socket.call.as_fd());
        socket.send(&Message::SetCall { index, has_fd }, &[call]);
        socket.send(&Message::SetKick { index, has_fd }, &[kick]);
        socket.send(&Message::SetEnable(state(1)), &[]);
        Ok(Self {
            handle: handle.clone(),
            memory,
            socket,
            done: 0,
        })
    }

    async fn perform(&mut self, kind: u32, sector: u64) -> anyhow::Result<()> {
        let mut header = kind.to_le_bytes().to_vec();
        header.extend([0; 4]);
        header.extend(sector.to_le_bytes());
        self.memory.put(HIGH, &header);
        self.memory.put(HIGH + 16, &[0xff]);
        let is_read = if kind == 0 { WRITE } else { 0 };
        let descriptors = [
            descriptor(HIGH, 16, NEXT, 1),
            descriptor(HIGH + 4096, DATA_BYTES, NEXT | is_read, 2),
            descriptor(HIGH + 16, 1, WRITE, 0),
        ];
        self.memory.put(0, &descriptors.concat());
        let place = u64::from(self.done % QUEUE_SIZE);
        self.memory.put(AVAILABLE + 4 + 2 * place, &[0, 0]);
        self.done = self.done.wrapping_add(1);
        self.memory.put(AVAILABLE + 2, &self.done.to_le_bytes());
        self.socket.kick();
        let begun = Instant::now();
        while self.memory.load(USED + 2) != self.done {
            if begun.elapsed() > PATIENCE {
                bail!("a guest that makes sense is not answered");
            }
            self.handle.yield_now().await;
        }
        let status = self.memory.get_high(HIGH + 16, 1)[0];
        ensure!(status == 0, "a guest that makes sense gets status {status}");
        Ok(())
    }

    /// Writes something and reads it again (VFUZZ-2).
    pub async fn check(&mut self, number: u64) -> anyhow::Result<()> {
        let sector = number % 64;
        let bytes = number.to_le_bytes().repeat(DATA_BYTES as usize / 8);
        self.memory.put(HIGH + 4096, &bytes);
        self.perform(1, sector).await?;
        self.memory.put(HIGH + 4096, &[0; DATA_BYTES as usize]);
        self.perform(0, sector).await?;
        let read = self.memory.get_high(HIGH + 4096, DATA_BYTES as usize);
        ensure!(
            read == bytes,
            "a guest that makes sense reads something else than it wrote"
        );
        Ok(())
    }
}
