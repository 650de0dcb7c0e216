//! Many clients of many volumes, and clients that come and go: what they had is there again for others.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use archipelago_nbd::ServerOptions;
use archipelago_nbd::wire::{CommandCode, ReplyMode};
use archipelago_runtime::Handle;
use xseg::Geometry;

use crate::support::{Asked, RawClient, Served, compose, connect, serve_in};

const SIZE: u64 = 16 << 20;
const BUFFERS: u32 = 31;

/// What is counted: it must be the same before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Census {
    ports: usize,
    requests: [u32; 4],
    /// Free, and in the hands of ports.
    buffers: (u32, u32),
    descriptors: usize,
    opens: u64,
}

/// Has the server's thread count.
#[derive(Clone, Default)]
struct Counter {
    is_asked: Arc<AtomicBool>,
    told: Arc<Mutex<Option<Census>>>,
    asked: Arc<Asked>,
}

impl Counter {
    fn census(&self, handle: &Handle) -> Census {
        let report = handle.station().segment().report();
        let opens = self.asked.opens.load(Ordering::SeqCst);
        Census {
            ports: report.ports.len(),
            requests: [
                report.requests_free + report.requests_owned,
                report.requests_sent,
                report.requests_held,
                report.requests_damaged,
            ],
            buffers: (
                report.buffers_free.iter().sum(),
                report.ports.iter().map(|port| port.buffers).sum(),
            ),
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            opens: opens - self.asked.closes.load(Ordering::SeqCst),
        }
    }

    async fn serve(self, handle: Handle) {
        loop {
            if self.is_asked.swap(false, Ordering::SeqCst) {
                *self.told.lock().unwrap() = Some(self.census(&handle));
            }
            handle.sleep(Duration::from_millis(1)).await;
        }
    }

    fn count(&self) -> Census {
        self.is_asked.store(true, Ordering::SeqCst);
        loop {
            if let Some(census) = self.told.lock().unwrap().take() {
                return census;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Counts when all clients are gone and all buffers are free.
    fn quiet(&self, served: &Served) -> Census {
        let give_up = Instant::now() + Duration::from_secs(60);
        loop {
            let now = self.count();
            let is_quiet = now.opens == 0 && now.buffers == (BUFFERS, 0);
            if is_quiet && served.connections() == 0 {
                return now;
            }
            assert!(Instant::now() < give_up, "{now:?}");
        }
    }

    /// Counts until it is as it was; what is left after a minute has leaked.
    fn settles_to(&self, before: &Census) -> Census {
        let give_up = Instant::now() + Duration::from_secs(60);
        loop {
            let now = self.count();
            if now == *before || Instant::now() > give_up {
                return now;
            }
        }
    }
}

fn serve_counted() -> (Served, Counter) {
    let geometry = Geometry::new(4, 4, 4096).unwrap();
    // So few that no port keeps any in stock: what is not free is in use.
    let geometry = geometry.with_buffers(64 << 10, BUFFERS).unwrap();
    let options = ServerOptions {
        piece_bytes_max: 64 << 10,
        ..ServerOptions::default()
    };
    let counter = Counter::default();
    let theirs = counter.clone();
    let served = serve_in(geometry, options, move |handle| {
        let disks = compose(handle, SIZE, theirs.asked.clone());
        handle.spawn(theirs.serve(handle.clone()));
        disks
    });
    (served, counter)
}

fn export(client: usize) -> String {
    format!("volume-{}", client % 64)
}

/// Bytes of memory that the process has.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages = statm.split(' ').nth(1).unwrap();
    4096 * pages.parse::<u64>().unwrap()
}

fn filled(client: usize) -> Vec<u8> {
    (0..4096).map(|at| (at + client * 7) as u8).collect()
}

/// Descriptors and memory are those of a process: a test that counts them runs in one of its own, whatever runs the tests.
/// `false`: it has.
fn is_alone(test: &str) -> bool {
    const ALONE: &str = "ARCHIPELAGO_NBD_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}");
    let failed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{failed}");
    assert!(
        said.contains("1 passed"),
        "{test} is not the name of a test"
    );
    false
}

#[test]
fn two_hundred_and_fifty_six_connections_to_sixty_four_volumes_leave_nothing_behind() {
    // CONNECTION-1, USING-3, F77
    if !is_alone(
        "leaks::two_hundred_and_fifty_six_connections_to_sixty_four_volumes_leave_nothing_behind",
    ) {
        return;
    }
    let (served, counter) = serve_counted();
    // Once around, so that what is made at first use is there.
    drop(connect(&served).go("volume-0", ReplyMode::Simple));
    let before = counter.quiet(&served);
    let mut clients: Vec<RawClient> = (0..256)
        .map(|number| connect(&served).go(&export(number), ReplyMode::Simple))
        .collect();
    let open = counter.count();
    assert_eq!(open.opens, 256);
    for (number, client) in clients.iter_mut().enumerate() {
        client.request(CommandCode::WRITE, 1, 4096 * number as u64, 4096);
        client.write(&filled(number));
    }
    for client in &mut clients {
        assert_eq!(client.reply(0).error, 0);
    }
    // Another connection to the same volume reads it.
    for (number, client) in clients.iter_mut().enumerate() {
        let other = (number + 64) % 256;
        client.request(CommandCode::READ, 2, 4096 * other as u64, 4096);
        assert!(client.reply(4096).data == filled(other), "client {number}");
    }
    drop(clients);
    let after = counter.settles_to(&before);
    println!("before {before:?}\nopen   {open:?}\nafter  {after:?}");
    assert_eq!(after, before);
}

/// Comes, does something, and goes in one of many ways.
fn come_and_go(served: &Served, number: usize) {
    if number % 7 == 6 {
        let mut client = connect(served);
        client.write(b"IHAVEOPT");
        return; // within the handshake
    }
    let mode = [ReplyMode::Simple, ReplyMode::Structured][number % 2];
    let mut client = connect(served).go(&export(number), mode);
    match number % 7 {
        0 => client.request(CommandCode::DISC, 1, 0, 0),
        1 => client.request(CommandCode::READ, 1, 0, 1 << 20),
        2 => {
            client.request(CommandCode::WRITE, 1, 0, 1 << 20);
            client.write(&[1; 100_000]);
        }
        3 => {
            client.request(CommandCode::WRITE, 1, 0, 65536);
            client.write(&[1; 65536]);
            client.request(CommandCode::FLUSH, 2, 0, 0);
        }
        4 => client.write(&[0xa5; 100]),
        _ => {}
    }
}

#[test]
fn a_thousand_clients_that_come_and_go_leave_nothing_behind() {
    // CONNECTION-1, USING-3, OUTBOX-2, F78
    if !is_alone("leaks::a_thousand_clients_that_come_and_go_leave_nothing_behind") {
        return;
    }
    let (served, counter) = serve_counted();
    // Once around, so that what is made at first use is there: volumes, too.
    (0..200).for_each(|number| come_and_go(&served, number));
    let before = counter.quiet(&served);
    let memory_before = resident();
    (0..1000).for_each(|number| come_and_go(&served, number));
    let (after, memory_after) = (counter.settles_to(&before), resident());
    println!("before {before:?}, {memory_before} bytes of memory");
    println!("after  {after:?}, {memory_after} bytes of memory");
    assert_eq!(after, before);
    // A connection has 16 KiB to receive into, at the least.
    let grown = memory_after.saturating_sub(memory_before);
    assert!(grown < 8 << 20, "{grown} bytes more");
}
