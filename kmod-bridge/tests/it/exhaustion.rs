//! A server without descriptors to spare: the example, in a process of its own with a low limit.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The example, which cargo builds beside the tests.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().unwrap().parent().unwrap();
    let example = target.join("examples/memory");
    assert!(
        example.exists(),
        "{example:?} is not there: cargo build -p archipelago-nbd --examples"
    );
    example
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
    let script = format!("ulimit -n {FILES_MAX}; exec \"$0\" \"$1\" 1048576");
    let mut server = Killed(
        Command::new("sh")
            .args(["-c", &script])
            .args([&example(), &socket])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut uri = String::new();
    let stdout = server.0.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut uri).unwrap();
    assert!(uri.starts_with("nbd+unix:///disk?socket="), "{uri}");

    let mut streams: Vec<UnixStream> = (0..FILES_MAX * 2)
        .map(|_| UnixStream::connect(&socket).unwrap())
        .collect();
    let started = Instant::now();
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
