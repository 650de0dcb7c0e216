//! A server without descriptors to spare: the test binary runs itself with a low limit, and the name of a socket in its
//! environment.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use archipelago_front::MemDisks;
use archipelago_nbd::{Server, ServerOptions, bind_unix};
use archipelago_runtime::{Reactor, ReactorOptions};
use xseg::{BindOptions, CreateOptions, Geometry};

const SOCKET: &str = "ARCHIPELAGO_NBD_TEST_SOCKET";

/// The server runs here, until it is killed; in the test run itself it is a test that has nothing to do.
#[test]
fn entry() {
    let Some(socket) = std::env::var_os(SOCKET) else {
        return;
    };
    let segment = CreateOptions::new(Geometry::new(1, 1, 8).unwrap());
    let segment = segment.create_private().unwrap();
    let port = segment.bind(0, &BindOptions::default()).unwrap();
    let reactor = Reactor::new(port, &ReactorOptions::default()).unwrap();
    let exports = MemDisks::new();
    let server = Server::new(&reactor.handle(), exports, ServerOptions::default()).unwrap();
    server
        .listen(bind_unix(Path::new(&socket)).unwrap())
        .unwrap();
    reactor.block_on(std::future::pending::<()>());
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It is ours, and not waited for yet.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Killed {
    fn open_files(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.0.id())).unwrap();
        files.count()
    }

    /// Clock ticks that it has used the processor.
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

/// The first byte of the greeting.
fn is_greeted(stream: &mut UnixStream) -> bool {
    let mut byte = [0];
    stream.read_exact(&mut byte).is_ok() && byte == *b"N"
}

#[test]
fn without_descriptors_the_server_waits_for_some_and_does_not_spin() {
    // ACCEPT-1, F77
    const FILES_MAX: usize = 32;
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("nbd.sock");
    let script = format!("ulimit -n {FILES_MAX}; exec \"$0\" --exact exhaustion::entry");
    let server = Killed(
        Command::new("sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap())
            .env(SOCKET, &socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let started = Instant::now();
    while UnixStream::connect(&socket).is_err() {
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut streams: Vec<UnixStream> = (0..FILES_MAX * 2)
        .map(|_| UnixStream::connect(&socket).unwrap())
        .collect();
    while server.open_files() < FILES_MAX {
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(is_greeted(&mut streams[0]));
    let before = server.ticks();
    std::thread::sleep(Duration::from_millis(500));
    // A hundredth of a second each: a loop would have used most of fifty.
    assert!(server.ticks() - before < 20);
    // When descriptors come back, those who wait are taken.
    let mut last = streams.pop().unwrap();
    drop(streams);
    assert!(is_greeted(&mut last));
}
