//! An export as a block device of the kernel: for trying things out, and for the tests in guests.
//!
//! ```text
//! nbd_device serve SOCKET SIZE_MIB FILE                 serves a file as `disk`
//! nbd_device connect SOCKET [--connections 4]           for root, as `reconnect`, `resize`, `disconnect`, `status`
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use archipelago_front::{BlockClaim, DiskName, Disks, FileDisk, Listed, OpenRefusal};
use archipelago_nbd::kernel::{AttachOptions, Dialed, KernelNbd, block_path, dial};
use archipelago_nbd::{Place, Server, ServerOptions, Uri, bind_unix};
use archipelago_runtime::{Reactor, ReactorOptions};
use clap::Parser;
use xseg::{BindOptions, CreateOptions, Errno, Geometry};

#[derive(Debug, Parser)]
enum Options {
    Serve {
        socket: PathBuf,
        size_mib: u64,
        file: PathBuf,
    },
    Connect {
        socket: PathBuf,
        #[arg(long, default_value_t = 1)]
        connections: u16,
        #[arg(long)]
        index: Option<u32>,
        #[arg(long, default_value = "disk")]
        export: String,
    },
    Reconnect {
        index: u32,
        socket: PathBuf,
        #[arg(long, default_value_t = 1)]
        connections: u16,
        #[arg(long, default_value = "example")]
        backend: String,
    },
    Resize {
        index: u32,
        size_mib: u64,
    },
    Disconnect {
        index: u32,
    },
    Status,
}

const BACKEND: &str = "example";
const WITHIN: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    match Options::parse() {
        Options::Serve {
            socket,
            size_mib,
            file,
        } => serve(&socket, OneDisk(FileDisk::open(&file, size_mib << 20)?)),
        options => administer(&mut KernelNbd::open()?, &options),
    }
}

fn administer(kernel: &mut KernelNbd, options: &Options) -> Result<()> {
    let attach = AttachOptions {
        index: None,
        request_timeout: None, // on a busy machine a slow answer would be taken for a dead connection
        reconnect_within: WITHIN,
        backend: Some(BACKEND.to_owned()),
    };
    match options {
        Options::Connect {
            socket,
            connections,
            index,
            export,
        } => {
            let dialed = dialed(socket, export, *connections)?;
            let index = *index;
            let attach = AttachOptions { index, ..attach };
            println!("{}", kernel.connect(&dialed, &attach)?);
        }
        Options::Reconnect {
            index,
            socket,
            connections,
            backend,
        } => {
            let backend = Some(backend.clone());
            let attach = AttachOptions { backend, ..attach };
            kernel.reconnect(*index, &dialed(socket, "disk", *connections)?, &attach)?;
        }
        Options::Resize { index, size_mib } => {
            kernel.resize(*index, size_mib << 20, Some(BACKEND))?;
        }
        Options::Disconnect { index } => {
            let _claim = BlockClaim::take(&block_path(*index))?;
            kernel.disconnect(*index)?;
        }
        Options::Status => println!("{:?}", kernel.status(None)?),
        Options::Serve { .. } => unreachable!("done without the kernel"),
    }
    Ok(())
}

fn dialed(socket: &Path, export: &str, connections: u16) -> Result<Dialed> {
    let place = Place::Unix {
        socket: socket.to_owned(),
    };
    let export = export.parse()?;
    Ok(dial(&Uri { place, export }, connections, WITHIN)?)
}

fn serve(socket: &Path, disks: OneDisk) -> Result<()> {
    let segment = CreateOptions::new(Geometry::new(1, 1, 8)?).create_private()?;
    let port = segment.bind(0, &BindOptions::default())?;
    let reactor = Reactor::new(port, &ReactorOptions::default())?;
    let server = Server::new(&reactor.handle(), disks, ServerOptions::default())?;
    server.listen(bind_unix(socket)?)?;
    println!("serving");
    reactor.block_on(std::future::pending::<()>());
    Ok(())
}

/// All that there is.
struct OneDisk(FileDisk);

impl Disks for OneDisk {
    type Disk = FileDisk;

    async fn list(&self) -> Result<Vec<Listed>, Errno> {
        Ok(Vec::new())
    }

    async fn open(&self, name: &DiskName) -> Result<FileDisk, OpenRefusal> {
        match name.as_str() {
            "disk" => Ok(self.0.clone()),
            _ => Err(OpenRefusal::Unknown),
        }
    }
}
