//! A bridge in a process of its own: the one that is killed.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use archipelago_front::{DiskName, Disks, FrontOptions, SegmentDisks, SegmentPlaces};
use archipelago_runtime::{Handle, Reactor, ReactorOptions};
use archipelago_vhost::server::{Server, ServerOptions};
use xseg::{BindOptions, Takeover};

use crate::volume::{BRIDGE, COMPOSER, NAME, PIECE_BYTES, Volume, join};

/// Name the segment and the socket to a bridge in a process of its own.
const SEGMENT: &str = "VHOST_TEST_SEGMENT";
const SOCKET: &str = "VHOST_TEST_SOCKET";
pub const QUEUES: u16 = 4;

/// Not a test of anything by itself: the process that others kill. It serves, and does what it is told at its input.
#[test]
fn a_bridge_in_a_process_of_its_own() {
    let (Ok(segment), Ok(socket)) = (std::env::var(SEGMENT), std::env::var(SOCKET)) else {
        return;
    };
    let takeover = Takeover::AfterDeath(Duration::from_secs(60));
    let options = BindOptions::default().takeover(takeover);
    let port = join(Path::new(&segment)).bind(BRIDGE, &options).unwrap();
    let reactor = Reactor::new(port, &ReactorOptions::default()).unwrap();
    let handle = reactor.handle();
    reactor.block_on(serve(&handle, PathBuf::from(socket)));
}

async fn serve(handle: &Handle, socket: PathBuf) {
    let station = handle.station();
    let places = SegmentPlaces {
        composer: station.segment().geometry().port(COMPOSER).unwrap(),
        mappers: Vec::new(),
        call_timeout: Duration::from_secs(60),
    };
    let disks = SegmentDisks::new(handle, station, places);
    let name: DiskName = NAME.parse().unwrap();
    let disk = disks.open(&name).await.unwrap();
    let options = ServerOptions {
        queues: QUEUES,
        serial: "a-serial-number".to_owned(),
        front: FrontOptions {
            requests_max: 64,
            bytes_max: 1 << 20,
            piece_bytes_max: PIECE_BYTES,
        },
    };
    let mut server = Some(Server::new(handle, disk, &options).unwrap());
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    server.as_ref().unwrap().listen(listener.into());
    println!("\nready");
    loop {
        let line = handle.blocking(|| {
            let mut line = String::new();
            let read = std::io::stdin().read_line(&mut line);
            read.map(|_| line).unwrap()
        });
        let line = line.await;
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["resize", bytes] => server.as_ref().unwrap().resize(bytes.parse().unwrap()),
            ["drain"] => {
                let server = server.take().unwrap();
                server.drain(Duration::from_secs(60)).await;
                println!("drained");
            }
            [] => return, // whoever began us is gone
            _ => panic!("{line}"),
        }
    }
}

/// That process, as the test sees it.
pub struct Bridge {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Bridge {
    /// Begins it; it may have to wait before it serves.
    pub fn begin(volume: &Volume) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("bridge::a_bridge_in_a_process_of_its_own")
            .env(SEGMENT, volume.place.path())
            .env(SOCKET, volume.socket())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    pub fn start(volume: &Volume) -> Self {
        let mut bridge = Self::begin(volume);
        bridge.hear("ready");
        bridge
    }

    /// Waits until it has said that.
    pub fn hear(&mut self, word: &str) {
        let mut lines = self.said.by_ref().lines();
        assert!(
            lines.any(|line| line.unwrap() == word),
            "it ends before {word}"
        );
    }

    pub fn tell(&mut self, words: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{words}").unwrap();
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may be dead already
        let _ = self.child.wait();
    }
}
