//! A server on a reactor of its own, and a guest on a thread beside it.

use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use archipelago_front::{FrontOptions, MemDisk};
use archipelago_runtime::{Reactor, ReactorOptions};
use archipelago_vhost::server::{Server, ServerOptions};
use xseg::{BindOptions, CreateOptions, Geometry};

use crate::held::{HeldDisk, Hold};

pub const DISK_BYTES: u64 = 16 << 20;

/// In flight, of one guest.
pub const REQUESTS_MAX: usize = 4;

/// Where the same process serves another guest.
pub fn other_of(path: &Path) -> PathBuf {
    path.with_file_name("other.sock")
}

/// And where a disk that cannot be written to.
pub fn frozen_of(path: &Path) -> PathBuf {
    path.with_file_name("frozen.sock")
}

/// Serves a new disk for as long as `guest` runs. What is in flight when it returns dies with the server.
pub fn serve<T: Send + 'static>(hold: &Hold, guest: impl FnOnce(&Path) -> T + Send + 'static) -> T {
    let directory = tempfile::tempdir().unwrap();
    serve_at(directory.path().join("vhost.sock"), hold, guest)
}

/// The same, where a dead server may have been before.
pub fn serve_at<T: Send + 'static>(
    path: PathBuf,
    hold: &Hold,
    guest: impl FnOnce(&Path) -> T + Send + 'static,
) -> T {
    for path in [&path, &other_of(&path), &frozen_of(&path)] {
        let _ = std::fs::remove_file(path);
    }
    let listener = UnixListener::bind(&path).unwrap();
    let geometry = Geometry::new(1, 1, 8).unwrap();
    let segment = CreateOptions::new(geometry).create_private().unwrap();
    let port = segment.bind(0, &BindOptions::default()).unwrap();
    let reactor = Reactor::new(port, &ReactorOptions::default()).unwrap();
    let handle = reactor.handle();
    let options = ServerOptions {
        queues: 2,
        serial: "volume-of-a-long-name".to_owned(),
        front: FrontOptions {
            requests_max: REQUESTS_MAX,
            bytes_max: 1 << 20,
            piece_bytes_max: 4096,
        },
    };
    let disk = HeldDisk {
        handle: handle.clone(),
        disk: MemDisk::new(DISK_BYTES),
        hold: hold.clone(),
    };
    let server = Server::new(&handle, disk, &options).unwrap();
    server.listen(listener.into());
    drop(handle.spawn(hold.clone().follow(handle.clone(), server)));
    let disk = MemDisk::new(DISK_BYTES);
    disk.put(512, &[9; 512]);
    let others = [
        (other_of(&path), MemDisk::new(DISK_BYTES)),
        (frozen_of(&path), disk.read_only()),
    ];
    for (path, disk) in others {
        let other = Server::new(&handle, disk, &options).unwrap();
        other.listen(UnixListener::bind(path).unwrap().into());
    }
    let result = reactor.block_on(async move {
        let guest = move || catch_unwind(AssertUnwindSafe(|| guest(&path)));
        handle.blocking(guest).await
    });
    result.unwrap_or_else(|panic| resume_unwind(panic))
}
