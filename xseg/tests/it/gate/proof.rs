//! The proof with a real device. A process with 32 MiB of io_uring reads and writes in flight is killed; its pidfd is
//! readable at once, the device goes on for seconds.
//!
//! With the gate nothing lands where it should not. The counter-proof does what a program without a gate would do,
//! reuses the buffers as soon as the process is dead, and shows what happens then.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::time::Duration;

use io_uring::{opcode, types};
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags};
use xseg::{BindOptions, Buffer, Geometry, PortError, Takeover, Waiter, WaiterOptions};

use super::device::{LoopDevice, Throttle};
use crate::support::{Parent, Room, Worker, WorkerOptions, assert_all_free, is_root, until};

/// The size of a buffer. One that the device would have to take in pieces would not be "in flight": the kernel gives
/// such a request back to the process when its turn comes, and a dead process does not ask again.
const PIECE: u64 = 256 << 10;
/// So many buffers are read into, and so many are written from.
const COUNT: u64 = 64;
const BYTES_A_SECOND: u64 = 8 << 20;
/// Where on the device.
const READS_AT: u64 = 0;
const WRITES_AT: u64 = COUNT * PIECE;

/// What lies on the device where is read, where is written, and what is written.
const ON_DEVICE: u8 = 0x33;
const OVERWRITTEN: u8 = 0x44;
const WRITTEN: u8 = 0x22;
/// What the buffers hold after they were used again.
const REUSED: u8 = 0xa5;

/// Binds port 0 and puts reads and writes in flight on buffers of its own; says where the buffers lie.
pub fn put_io_in_flight(parent: &mut Parent) {
    let device = File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_DIRECT)
        .open(parent.args()[0])
        .unwrap();
    let segment = parent.join();
    let port = segment.bind(0, &BindOptions::default()).unwrap();
    let options = WaiterOptions::default().entries(256);
    let mut waiter = Waiter::new(&port, &options).unwrap();
    let buffers: Vec<Buffer> = (0..2 * COUNT)
        .map(|_| port.buffer(PIECE).unwrap())
        .collect();
    let (read, written) = buffers.split_at(COUNT as usize);
    read.iter().for_each(|buffer| buffer.data().fill(0));
    written
        .iter()
        .for_each(|buffer| buffer.data().fill(WRITTEN));
    let places: Vec<String> = buffers
        .iter()
        .map(|buffer| buffer.data().range().at().to_string())
        .collect();
    parent.say(places.join(" "));
    assert_eq!(parent.hear(), "go");

    let fd = types::Fd(device.as_raw_fd());
    let len = PIECE as u32;
    for (index, buffer) in read.iter().enumerate() {
        let at = READS_AT + index as u64 * PIECE;
        let entry = opcode::Read::new(fd, buffer.data().address(), len)
            .offset(at)
            .build();
        // SAFETY: the buffer and the device are kept until this process ends, and the gate keeps the buffer beyond.
        unsafe { waiter.ring().unwrap().submission().push(&entry) }.unwrap();
    }
    for (index, buffer) in written.iter().enumerate() {
        let at = WRITES_AT + index as u64 * PIECE;
        let entry = opcode::Write::new(fd, buffer.data().address(), len)
            .offset(at)
            .build();
        // SAFETY: as above.
        unsafe { waiter.ring().unwrap().submission().push(&entry) }.unwrap();
    }
    waiter.submit().unwrap();
    parent.say("in flight");
    parent.wait_for_death();
}

struct Scene {
    room: Room,
    device: LoopDevice,
    /// Where the buffers lie in the segment's file: those that are read into, and those that are written from.
    places: Vec<u64>,
    _throttle: Throttle,
}

impl Scene {
    /// A process was killed with its I/O in flight, and its pidfd is readable. Or why this cannot be shown here.
    fn with_a_dead_process() -> Result<Self, String> {
        if !is_root() {
            return Err("loop devices and throttling need root".to_owned());
        }
        let device = LoopDevice::new(2 * COUNT * PIECE)?;
        device.prefill(READS_AT, COUNT * PIECE, ON_DEVICE);
        device.prefill(WRITES_AT, COUNT * PIECE, OVERWRITTEN);
        let throttle = Throttle::new(&device, BYTES_A_SECOND)?;
        let geometry = Geometry::new(4, 2, 16).unwrap();
        let room = Room::of(geometry.with_buffers(PIECE, 2 * COUNT as u32).unwrap());
        let options = WorkerOptions::at(&room.segment).arg(device.path().display());
        let mut victim = options.start("put_io_in_flight");
        let places = victim.hear();
        throttle.add(victim.pid());
        victim.say("go");
        victim.expect("in flight");
        kill_and_wait_for_pidfd(&mut victim);
        let places = places
            .split(' ')
            .map(|place| place.parse().unwrap())
            .collect();
        Ok(Self {
            room,
            device,
            places,
            _throttle: throttle,
        })
    }

    /// Without mapping: the bytes of a buffer as they are in the segment's file.
    fn buffer(&self, file: &File, index: usize) -> Vec<u8> {
        let mut bytes = vec![0; PIECE as usize];
        file.read_exact_at(&mut bytes, self.places[index]).unwrap();
        bytes
    }

    fn segment_file(&self) -> File {
        let path = self.room.place().path();
        File::options().read(true).write(true).open(path).unwrap()
    }
}

fn kill_and_wait_for_pidfd(victim: &mut Worker) {
    let pid = Pid::from_raw(victim.pid() as i32).unwrap();
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap();
    victim.signal(rustix::process::Signal::KILL);
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut fds, None), Ok(1));
}

/// A slow device takes root. Root without one says so beforehand, for a proof that is skipped in silence is none.
fn excuse(why: &str) {
    let is_excused = !is_root() || std::env::var_os("XSEG_NO_SLOW_DEVICE").is_some();
    assert!(
        is_excused,
        "{why}; where there can be no throttled loop device, set XSEG_NO_SLOW_DEVICE"
    );
    println!("NOT SHOWN HERE: {why}");
}

/// GATE-1, WAIT-2
#[test]
fn nothing_lands_in_a_reused_buffer_or_on_the_disk_after_the_gate_has_opened() {
    let scene = match Scene::with_a_dead_process() {
        Ok(scene) => scene,
        Err(why) => return excuse(&why),
    };
    let segment = &scene.room.segment;
    // The process is dead. Its gate is not free, so nothing of it is.
    let at_once = BindOptions::default().takeover(Takeover::AfterDeath(Duration::ZERO));
    let error = segment.bind(0, &at_once).map(|port| port.id()).unwrap_err();
    assert!(matches!(error, PortError::Draining { .. }), "{error}");
    let error = segment.settle(0).unwrap_err();
    assert!(matches!(error, PortError::Draining { .. }), "{error}");
    assert_eq!(segment.settle_all().unwrap().draining, 1);
    let report = segment.report_port(0).unwrap();
    assert!(report.lock_held && !report.process_alive);
    assert_eq!(u64::from(report.buffers), 2 * COUNT);

    until("its I/O is over", || segment.settle(0).is_ok());
    assert_eq!(u64::from(segment.report().buffers_free[6]), 2 * COUNT);
    // Use the buffers again, and look for a while whether anybody else does.
    let port = segment.bind(0, &at_once).unwrap();
    let buffers: Vec<Buffer> = (0..2 * COUNT)
        .map(|_| port.buffer(PIECE).unwrap())
        .collect();
    buffers.iter().for_each(|buffer| buffer.data().fill(REUSED));
    let device_before = scene.device.read(0, 2 * COUNT * PIECE);
    let mut looks = 0;
    until("the device is idle", || {
        looks += 1;
        looks > 400 && scene.device.in_flight() == 0
    });
    let file = scene.segment_file();
    for index in 0..2 * COUNT as usize {
        let bytes = scene.buffer(&file, index);
        assert!(
            bytes.iter().all(|byte| *byte == REUSED),
            "a late read in buffer {index}"
        );
    }
    assert!(
        device_before == scene.device.read(0, 2 * COUNT * PIECE),
        "a late write"
    );
    assert!(!device_before.contains(&REUSED));
    drop((buffers, port));
    assert_all_free(segment);
}

/// The counter-proof: what the gate is for.
#[test]
fn whoever_reuses_the_buffers_as_soon_as_the_process_is_dead_is_overwritten_and_written_out() {
    let scene = match Scene::with_a_dead_process() {
        Ok(scene) => scene,
        Err(why) => return excuse(&why),
    };
    // The pidfd is readable: many a program would think that the buffers are free now.
    let file = scene.segment_file();
    for place in &scene.places {
        file.write_all_at(&vec![REUSED; PIECE as usize], *place)
            .unwrap();
    }
    until("its I/O is over", || scene.room.segment.settle(0).is_ok());
    let late_reads = (0..COUNT as usize)
        .filter(|index| scene.buffer(&file, *index).contains(&ON_DEVICE))
        .count();
    let late_writes = scene
        .device
        .read(WRITES_AT, COUNT * PIECE)
        .chunks(PIECE as usize)
        .filter(|chunk| chunk.contains(&REUSED))
        .count();
    println!("of {COUNT} each: {late_reads} late reads, {late_writes} late writes");
    assert!(
        late_reads > 0,
        "reads landed in buffers that somebody else used"
    );
    assert!(
        late_writes > 0,
        "what somebody else wrote to the buffers reached the disk"
    );
}
