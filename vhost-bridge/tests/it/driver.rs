//! A front end and its guest in one. The guest's memory is a file, which it reads and writes with system calls.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{Ordering, fence};

use archipelago_vhost::message::{
    ConfigRange, InflightFacts, Message, Region, RingAddresses, RingState,
};
use rustix::cmsg_space;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::io::{Errno, pread, pwrite};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

pub const QUEUE_SIZE: u16 = 32;
const HALF: u64 = 512 << 10;
/// The second half of the file is far away for the guest.
const HIGH: u64 = 1 << 30;
const USER: u64 = 1 << 45;
const AVAILABLE: u64 = 0x1000;
const USED: u64 = 0x2000;
const SLOT_BYTES: u64 = 0x8000;
const STATUS: u64 = SLOT_BYTES - 1;

pub const IN: u32 = 0;
pub const OUT: u32 = 1;
pub const FLUSH: u32 = 4;
pub const GET_ID: u32 = 8;
pub const DISCARD: u32 = 11;
pub const WRITE_ZEROES: u32 = 13;

/// Memory and the driver's half of a ring: they outlive connections.
pub struct Guest {
    pub memory: OwnedFd,
    /// Where its ring is in it.
    ring_at: u64,
    available: u16,
    used: u16,
    /// What the device keeps there while requests are in flight.
    pub region: Option<(OwnedFd, InflightFacts)>,
}

pub struct Link {
    pub socket: UnixStream,
    pub kick: OwnedFd,
    pub call: OwnedFd,
    pub err: OwnedFd,
}

fn event() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap()
}

/// Waits until it is signalled, and takes the signal.
pub fn wait(fd: &OwnedFd) {
    let limit = Timespec {
        tv_sec: 30,
        tv_nsec: 0,
    };
    let ready = poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&limit)).unwrap();
    assert_eq!(ready, 1, "the device says nothing");
    rustix::io::read(fd, &mut [0u8; 8]).unwrap();
}

impl Link {
    pub fn connect(path: &Path) -> Self {
        Self {
            socket: UnixStream::connect(path).unwrap(),
            kick: event(),
            call: event(),
            err: event(),
        }
    }

    /// The same connection, with events of its own: for another ring.
    pub fn beside(&self) -> Self {
        Self {
            socket: self.socket.try_clone().unwrap(),
            kick: event(),
            call: event(),
            err: event(),
        }
    }

    pub fn send(&self, message: &Message, fds: &[BorrowedFd<'_>]) {
        self.send_bytes(&message.to_bytes(false), fds);
    }

    pub fn send_bytes(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
        assert_eq!(self.try_send_bytes(bytes, fds), Ok(bytes.len()));
    }

    /// The device may have ended the connection.
    pub fn try_send_bytes(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize, Errno> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(64))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
        }
        let slices = [IoSlice::new(bytes)];
        sendmsg(&self.socket, &slices, &mut control, SendFlags::NOSIGNAL)
    }

    /// An answer's payload, and its descriptor. `None`: the connection has ended.
    pub fn receive(&self) -> Option<(Vec<u8>, Option<OwnedFd>)> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut header = [0; 12];
        let mut slices = [IoSliceMut::new(&mut header)];
        let flags = RecvFlags::WAITALL | RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(&self.socket, &mut slices, &mut control, flags);
        if received.is_err() || received.is_ok_and(|received| received.bytes == 0) {
            return None;
        }
        let fd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
            _ => None,
        });
        assert_eq!(header[4], 5, "version 1, an answer");
        let mut payload = vec![0; header[8].into()];
        std::io::Read::read_exact(&mut &self.socket, &mut payload).unwrap();
        Some((payload, fd))
    }

    pub fn ask(&self, message: &Message) -> u64 {
        self.send(message, &[]);
        let (payload, _) = self.receive().expect("an answer");
        u64::from_le_bytes(payload.try_into().unwrap())
    }

    /// Sends it, and waits for the acknowledgement.
    pub fn ensure(&self, message: &Message, fds: &[BorrowedFd<'_>]) -> u64 {
        self.send_bytes(&message.to_bytes(true), fds);
        let (payload, _) = self.receive().expect("an acknowledgement");
        u64::from_le_bytes(payload.try_into().unwrap())
    }

    pub fn negotiate(&self, queues: u64) -> u64 {
        self.send(&Message::SetOwner, &[]);
        let features = self.ask(&Message::GetFeatures);
        let protocol = self.ask(&Message::GetProtocolFeatures);
        self.send(&Message::SetProtocolFeatures(protocol), &[]);
        assert_eq!(self.ask(&Message::GetQueueNum), queues);
        self.send(&Message::SetFeatures(features), &[]);
        features
    }

    /// Where it is told of changes.
    pub fn channel(&self) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let acknowledged = self.ensure(&Message::SetBackendFd, &[theirs.as_fd()]);
        assert_eq!(acknowledged, 0);
        ours
    }

    pub fn config(&self, len_bytes: usize) -> Vec<u8> {
        let range = ConfigRange {
            offset: 0,
            flags: 0,
            bytes: vec![0; len_bytes],
        };
        self.send(&Message::GetConfig(range), &[]);
        self.receive().unwrap().0.split_off(12)
    }
}

impl Guest {
    pub fn new() -> Self {
        let memory = memfd_create("guest", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&memory, 2 * HALF).unwrap();
        Self {
            memory,
            ring_at: 0,
            available: 0,
            used: 0,
            region: None,
        }
    }

    /// Another ring in the same memory. Slots are for both of them.
    pub fn beside(&self) -> Self {
        Self {
            memory: self.memory.try_clone().unwrap(),
            ring_at: self.ring_at + 0x1_0000,
            available: 0,
            used: 0,
            region: None,
        }
    }

    pub fn regions() -> Vec<Region> {
        let region = |guest_at, file_offset| Region {
            guest_at,
            len_bytes: HALF,
            user_at: USER + guest_at,
            file_offset,
        };
        vec![region(0, 0), region(HIGH, HALF)]
    }

    pub fn share_memory(&self, link: &Link) {
        let fds = [self.memory.as_fd(), self.memory.as_fd()];
        let table = Message::SetMemory(Self::regions());
        assert_eq!(link.ensure(&table, &fds), 0);
    }

    /// Everything up to a ring that runs.
    pub fn connect(&mut self, path: &Path) -> Link {
        self.connect_to(path, 2)
    }

    pub fn connect_to(&mut self, path: &Path, queues: u64) -> Link {
        let link = self.introduce_to(path, queues);
        self.start(&link, 0);
        link
    }

    /// Everything up to a ring that may start.
    pub fn introduce(&mut self, path: &Path) -> Link {
        self.introduce_to(path, 2)
    }

    fn introduce_to(&mut self, path: &Path, queues: u64) -> Link {
        let link = Link::connect(path);
        link.negotiate(queues);
        self.share_region(&link);
        self.share_memory(&link);
        link
    }

    fn share_region(&mut self, link: &Link) {
        if self.region.is_none() {
            let wanted = InflightFacts {
                len_bytes: 0,
                file_offset: 0,
                queues: 2,
                queue_size: QUEUE_SIZE,
                is_padded: true,
            };
            link.send(&Message::GetInflight(wanted), &[]);
            let (payload, fd) = link.receive().unwrap();
            assert_eq!(payload.len(), 24);
            let facts = InflightFacts {
                len_bytes: u64::from_le_bytes(payload[..8].try_into().unwrap()),
                ..wanted
            };
            let fd = fd.unwrap();
            assert!(ftruncate(&fd, 0).is_err(), "the region cannot shrink");
            self.region = Some((fd, facts));
        }
        let (fd, facts) = self.region.as_ref().unwrap();
        link.send(&Message::SetInflight(*facts), &[fd.as_fd()]);
    }

    /// Goes on at what was used, as front ends do after a connection has ended.
    pub fn start(&self, link: &Link, index: u32) {
        self.start_at(link, index, self.used_index());
    }

    /// How many completions there have been.
    pub fn used_index(&self) -> u16 {
        self.load(self.ring_at + USED + 2)
    }

    pub fn start_at(&self, link: &Link, index: u32, base: u16) {
        let state = |value| RingState { index, value };
        link.send(&Message::SetNum(state(QUEUE_SIZE.into())), &[]);
        link.send(&Message::SetBase(state(base.into())), &[]);
        let addresses = RingAddresses {
            index,
            flags: 0,
            descriptors: USER + self.ring_at,
            used: USER + self.ring_at + USED,
            available: USER + self.ring_at + AVAILABLE,
            log: 0,
        };
        link.send(&Message::SetAddresses(addresses), &[]);
        let has_fd = true;
        let (kick, call, err) = (link.kick.as_fd(), link.call.as_fd(), link.err.as_fd());
        link.send(&Message::SetErr { index, has_fd }, &[err]);
        link.send(&Message::SetCall { index, has_fd }, &[call]);
        assert_eq!(link.ensure(&Message::SetKick { index, has_fd }, &[kick]), 0);
        assert_eq!(link.ensure(&Message::SetEnable(state(1)), &[]), 0);
    }

    pub fn put(&self, at: u64, bytes: &[u8]) {
        assert_eq!(pwrite(&self.memory, bytes, at), Ok(bytes.len()));
    }

    pub fn load(&self, at: u64) -> u16 {
        let mut bytes = [0; 2];
        pread(&self.memory, &mut bytes, at).unwrap();
        u16::from_le_bytes(bytes)
    }

    pub fn describe(&self, index: u16, at: u64, len_bytes: u32, flags: u16, next: u16) {
        let mut bytes = at.to_le_bytes().to_vec();
        bytes.extend(len_bytes.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend(next.to_le_bytes());
        self.put(self.ring_at + 16 * u64::from(index), &bytes);
    }

    /// Makes a head available, without a kick.
    pub fn offer(&mut self, head: u16) {
        let place = self.available % QUEUE_SIZE;
        let at = self.ring_at + AVAILABLE + 4 + 2 * u64::from(place);
        self.put(at, &head.to_le_bytes());
        self.available = self.available.wrapping_add(1);
        // Told of each completion: the event index is always the next one.
        let event = self.ring_at + AVAILABLE + 4 + 2 * u64::from(QUEUE_SIZE);
        self.put(event, &self.load(self.ring_at + USED + 2).to_le_bytes());
        self.publish(self.available);
    }

    pub fn publish(&self, index: u16) {
        self.put(self.ring_at + AVAILABLE + 2, &index.to_le_bytes());
    }

    /// A request in one of ten slots: its header, data and status are its own.
    pub fn submit(
        &mut self,
        link: &Link,
        slot: u16,
        kind: u32,
        sector: u64,
        out: &[u8],
        room: u32,
    ) {
        let file_at = HALF + u64::from(slot) * SLOT_BYTES;
        let at = HIGH + u64::from(slot) * SLOT_BYTES;
        let mut header = kind.to_le_bytes().to_vec();
        header.extend([0; 4]);
        header.extend(sector.to_le_bytes());
        self.put(file_at, &header);
        self.put(file_at + 512, out);
        self.put(file_at + STATUS, &[0xff]);
        let head = 3 * slot;
        let data_bytes = out.len() as u32 + room;
        let writable = if room > 0 { 2 } else { 0 };
        let next = if data_bytes > 0 { head + 1 } else { head + 2 };
        self.describe(head, at, 16, 1, next);
        self.describe(head + 1, at + 512, data_bytes, 1 | writable, head + 2);
        self.describe(head + 2, at + STATUS, 1, 2, 0);
        self.offer(head);
        // What was published is seen by whoever has not asked to be told of it.
        fence(Ordering::SeqCst);
        let asked_at = self.load(self.ring_at + USED + 4 + 8 * u64::from(QUEUE_SIZE));
        if self.available.wrapping_sub(1) == asked_at {
            rustix::io::write(&link.kick, &1u64.to_ne_bytes()).unwrap();
        }
    }

    /// Waits until something was completed.
    pub fn wait_used(&self, link: &Link) {
        while self.used_index() == self.used {
            wait(&link.call);
        }
    }

    /// Waits for a completion: slot, status, and how many bytes were written.
    pub fn reap(&mut self, link: &Link) -> (u16, u8, u32) {
        let event = self.ring_at + AVAILABLE + 4 + 2 * u64::from(QUEUE_SIZE);
        self.put(event, &self.used.to_le_bytes());
        self.wait_used(link);
        let place = u64::from(self.used % QUEUE_SIZE);
        let mut element = [0; 8];
        let at = self.ring_at + USED + 4 + 8 * place;
        pread(&self.memory, &mut element, at).unwrap();
        self.used = self.used.wrapping_add(1);
        let slot = u16::from_le_bytes([element[0], element[1]]) / 3;
        let written = u32::from_le_bytes(element[4..].try_into().unwrap());
        let mut status = [0];
        let at = HALF + u64::from(slot) * SLOT_BYTES + STATUS;
        pread(&self.memory, &mut status, at).unwrap();
        (slot, status[0], written)
    }

    /// Its whole memory, and what the device has noted in the region.
    pub fn all(&self) -> Vec<u8> {
        let (region, facts) = self.region.as_ref().unwrap();
        let mut bytes = vec![0; (2 * HALF + facts.len_bytes) as usize];
        let (memory, noted) = bytes.split_at_mut(2 * HALF as usize);
        assert_eq!(pread(&self.memory, &mut *memory, 0), Ok(memory.len()));
        assert_eq!(pread(region, &mut *noted, 0), Ok(noted.len()));
        bytes
    }

    pub fn data(&self, slot: u16, len_bytes: usize) -> Vec<u8> {
        let mut bytes = vec![0; len_bytes];
        let at = HALF + u64::from(slot) * SLOT_BYTES + 512;
        pread(&self.memory, &mut bytes, at).unwrap();
        bytes
    }

    /// One request, alone: its status.
    pub fn perform(&mut self, link: &Link, kind: u32, sector: u64, out: &[u8], room: u32) -> u8 {
        self.submit(link, 0, kind, sector, out, room);
        self.reap(link).1
    }

    pub fn read(&mut self, link: &Link, sector: u64, len_bytes: u32) -> Vec<u8> {
        assert_eq!(self.perform(link, IN, sector, &[], len_bytes), 0);
        self.data(0, len_bytes as usize)
    }
}
