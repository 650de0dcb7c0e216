//! A RAM disk of a virtual machine.
//!
//! ```text
//! cargo run --example guest_memory_disk -- /tmp/disk.sock 1073741824
//! qemu-system-x86_64 -m 1G -object memory-backend-memfd,id=ram,size=1G,share=on -machine pc,memory-backend=ram \
//!     -chardev socket,id=disk,path=/tmp/disk.sock,reconnect=1 -device vhost-user-blk-pci,chardev=disk,num-queues=4 ...
//! ```
//! It serves until it is killed, and nothing of it remains.

use std::error::Error;
use std::os::unix::net::UnixListener;

use archipelago_front::MemDisk;
use archipelago_runtime::{Reactor, ReactorOptions};
use archipelago_vhost::server::{Server, ServerOptions};
use xseg::{BindOptions, CreateOptions, Geometry};

const USAGE: &str = "usage: guest_memory_disk SOCKET BYTES";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(socket), Some(size)) = (arguments.next(), arguments.next()) else {
        return Err(USAGE.into());
    };
    let size_bytes: u64 = size.to_str().ok_or(USAGE)?.parse()?;
    // A reactor sleeps at a port, and a port is in a segment: this one is private and tiny.
    let segment = CreateOptions::new(Geometry::new(1, 1, 8)?).create_private()?;
    let port = segment.bind(0, &BindOptions::default())?;
    let reactor = Reactor::new(port, &ReactorOptions::default())?;
    let disk = MemDisk::new(size_bytes);
    let server = Server::new(&reactor.handle(), disk, &ServerOptions::default())?;
    server.listen(UnixListener::bind(&socket)?.into());
    println!("{}", socket.display());
    reactor.block_on(std::future::pending::<()>());
    Ok(())
}
