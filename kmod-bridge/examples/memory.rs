//! A RAM disk over NBD.
//!
//! ```text
//! cargo run --example memory -- /tmp/disk.sock 1073741824
//! nbdinfo 'nbd+unix:///disk?socket=/tmp/disk.sock'
//! ```
//! It serves until it is killed, and nothing of it remains.

use std::error::Error;
use std::path::PathBuf;

use archipelago_front::{MemDisk, MemDisks};
use archipelago_nbd::{Place, Server, ServerOptions, Uri, bind_unix};
use archipelago_runtime::{Reactor, ReactorOptions};
use xseg::{BindOptions, CreateOptions, Geometry};

const USAGE: &str = "usage: memory SOCKET BYTES";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(socket), Some(size)) = (arguments.next(), arguments.next()) else {
        return Err(USAGE.into());
    };
    let socket = PathBuf::from(socket);
    let size_bytes: u64 = size.to_str().ok_or(USAGE)?.parse()?;
    let exports = MemDisks::new();
    let export: archipelago_front::DiskName = "disk".parse()?;
    exports.insert(export.clone(), MemDisk::new(size_bytes));

    // A reactor sleeps at a port, and a port is in a segment: this one is private and tiny.
    let segment = CreateOptions::new(Geometry::new(1, 1, 8)?).create_private()?;
    let port = segment.bind(0, &BindOptions::default())?;
    let reactor = Reactor::new(port, &ReactorOptions::default())?;
    let server = Server::new(&reactor.handle(), exports, ServerOptions::default())?;
    server.listen(bind_unix(&socket)?)?;
    let place = Place::Unix { socket };
    println!("{}", Uri { place, export });
    reactor.block_on(std::future::pending::<()>());
    Ok(())
}
