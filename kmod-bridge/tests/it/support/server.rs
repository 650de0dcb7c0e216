//! A server in a thread of the test.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use archipelago_front::{DiskName, Disks, MemDisk, MemDisks};
use archipelago_nbd::{Place, Server, ServerOptions, Uri, bind_tcp, bind_unix};
use archipelago_runtime::{Handle, Memory, Reactor, ReactorOptions};
use tempfile::TempDir;
use xseg::{BindOptions, CreateOptions, Geometry};

/// A server that runs until this is dropped.
pub struct Served {
    pub directory: TempDir,
    pub tcp_port: u16,
    connections: Arc<AtomicUsize>,
    /// A byte has the server drained; its end stops it.
    control: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("nbd.sock")
    }

    pub fn uri(&self, export: &str) -> String {
        let place = Place::Unix {
            socket: self.socket(),
        };
        let export = export.parse().unwrap();
        Uri { place, export }.to_string()
    }

    pub fn tcp_uri(&self, export: &str) -> String {
        let place = Place::Tcp {
            host: "127.0.0.1".to_owned(),
            port: self.tcp_port,
        };
        let export = export.parse().unwrap();
        Uri { place, export }.to_string()
    }

    /// How many connections the server has, as of a moment ago.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Begins a drain, and says how to wait for its end.
    pub fn drain(&mut self) -> impl FnOnce() {
        use std::io::Write;
        let mut control = self.control.take().unwrap();
        control.write_all(b"d").unwrap();
        move || {
            let mut end = [0];
            assert_eq!(control.read(&mut end).unwrap(), 0);
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.control = None;
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

/// Serves `disk` of 64 MiB in memory, `frozen` (the same, read-only) and `empty` of no bytes.
pub fn serve(options: ServerOptions) -> Served {
    serve_with(options, disks)
}

/// What [`serve`] serves.
pub fn disks(_: &Handle) -> MemDisks {
    let exports = MemDisks::new();
    let name = |name: &str| name.parse::<DiskName>().unwrap();
    let disk = MemDisk::new(64 << 20);
    exports.insert(name("frozen"), disk.read_only());
    exports.insert(name("disk"), disk);
    exports.insert(name("empty"), MemDisk::new(0));
    exports.insert(name("a b&c@d"), MemDisk::new(1 << 20));
    exports
}

/// Serves what `make` makes in the server's thread.
pub fn serve_with<X: Disks>(
    options: ServerOptions,
    make: impl FnOnce(&Handle) -> X + Send + 'static,
) -> Served {
    serve_at("127.0.0.1:0", options, make)
}

/// The same, in a segment of this geometry.
pub fn serve_in<X: Disks>(
    geometry: Geometry,
    options: ServerOptions,
    make: impl FnOnce(&Handle) -> X + Send + 'static,
) -> Served {
    begin("127.0.0.1:0", geometry, options, make)
}

/// The same, with this address for TCP.
pub fn serve_at<X: Disks>(
    address: &str,
    options: ServerOptions,
    make: impl FnOnce(&Handle) -> X + Send + 'static,
) -> Served {
    let geometry = Geometry::new(4, 4, 256).unwrap();
    let geometry = geometry.with_buffers(64 << 10, 16).unwrap();
    begin(address, geometry, options, make)
}

fn begin<X: Disks>(
    address: &str,
    geometry: Geometry,
    options: ServerOptions,
    make: impl FnOnce(&Handle) -> X + Send + 'static,
) -> Served {
    let directory = tempfile::tempdir().unwrap();
    let listener = bind_unix(&directory.path().join("nbd.sock")).unwrap();
    let tcp = bind_tcp(address.parse().unwrap()).unwrap();
    let tcp_port = std::net::TcpListener::from(tcp.try_clone().unwrap())
        .local_addr()
        .unwrap()
        .port();
    let (control, theirs) = UnixStream::pair().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let thread = std::thread::spawn(move || {
        let segment = CreateOptions::new(geometry).create_private().unwrap();
        let port = segment.bind(0, &BindOptions::default()).unwrap();
        let reactor = Reactor::new(port, &ReactorOptions::default()).unwrap();
        let handle = reactor.handle();
        let exports = make(&handle);
        let server = Server::new(&handle, exports, options).unwrap();
        server.listen(listener).unwrap();
        server.listen(tcp).unwrap();
        let (counting, asked) = (handle.clone(), server.clone());
        handle.spawn(async move {
            loop {
                counted.store(asked.connections(), Ordering::SeqCst);
                counting.sleep(Duration::from_millis(1)).await;
            }
        });
        reactor.block_on(until_told(handle, server, theirs.into()));
    });
    Served {
        directory,
        tcp_port,
        connections,
        control: Some(control),
        thread: Some(thread),
    }
}

async fn until_told<X: Disks>(handle: Handle, server: Server<X>, control: OwnedFd) {
    let control = Rc::new(control);
    let (told, _) = handle.recv(&control, Memory::from(vec![0])).await;
    let within = match told {
        Ok(1) => Duration::from_secs(60),
        _ => Duration::from_millis(100),
    };
    server.drain(within).await;
    assert_eq!(server.connections(), 0);
    assert_eq!(server.requests(), 0);
}
