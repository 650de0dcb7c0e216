//! A disk in a file or in memory as a ublk device: for trying things out, and for the tests in guests.
//!
//! ```text
//! ublk_device add [--read-only] [--queues 2] [--user 1000] SIZE_MIB    adds a device, prints its shape; for root
//! ublk_device serve NUMBER QUEUES DEPTH SIZE_MIB [--file FILE]          serves it until it is stopped
//! ublk_device start NUMBER PID | begin NUMBER | end NUMBER PID          for root, as `info`, `features`, `stop`, `delete`, `resize`
//! ```

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use archipelago_front::{BlockClaim, Disk, FileDisk, Front, FrontOptions, MemDisk};
use archipelago_runtime::{Reactor, ReactorOptions};
use archipelago_ublk::abi::Parameters;
use archipelago_ublk::control::{Controller, DeviceOptions, DeviceShape, block_path, list};
use archipelago_ublk::server::Device;
use clap::Parser;
use xseg::{BindOptions, CreateOptions, Geometry};

#[derive(Debug, Parser)]
enum Options {
    Features,
    Add {
        size_mib: u64,
        #[arg(long, default_value_t = 1)]
        queues: u16,
        #[arg(long, default_value_t = 64)]
        depth: u16,
        #[arg(long)]
        read_only: bool,
        #[arg(long)]
        registered: bool,
        #[arg(long)]
        user: Option<u32>,
    },
    Serve {
        number: u32,
        queues: u16,
        depth: u16,
        size_mib: u64,
        #[arg(long)]
        file: Option<PathBuf>,
        /// Of a device of an ordinary user
        #[arg(long)]
        buffer_bytes: Option<u32>,
        /// Of a device whose memory is registered
        #[arg(long)]
        registered: bool,
        /// Ends in good order after so long
        #[arg(long)]
        seconds: Option<u64>,
        #[arg(long)]
        read_only: bool,
    },
    Start {
        number: u32,
        server: u32,
        #[arg(long, default_value_t = 60_000)]
        within_ms: u64,
    },
    Begin {
        number: u32,
        #[arg(long, default_value_t = 60_000)]
        within_ms: u64,
    },
    End {
        number: u32,
        server: u32,
    },
    Info {
        number: u32,
    },
    Stop {
        number: u32,
    },
    Delete {
        number: u32,
    },
    Resize {
        number: u32,
        size_mib: u64,
    },
    List,
}

const FOREVER: Duration = Duration::from_secs(1 << 30);
const WITHIN: Duration = Duration::from_secs(60);

/// What a request of the kernel's is cut into.
const PIECE_BYTES: u32 = 256 << 10;

fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    match Options::parse() {
        Options::Serve {
            number,
            queues,
            depth,
            size_mib,
            file,
            buffer_bytes,
            registered,
            seconds,
            read_only,
        } => {
            let within = seconds.map_or(FOREVER, Duration::from_secs);
            let shape = DeviceShape {
                number,
                queues,
                depth,
                buffer_bytes,
                registered,
            };
            let memory = MemDisk::new(size_mib << 20);
            let memory = if read_only {
                memory.read_only()
            } else {
                memory
            };
            match file {
                None => serve(&shape, memory, within),
                Some(path) => serve(&shape, FileDisk::open(&path, size_mib << 20)?, within),
            }
        }
        Options::List => {
            println!("{:?}", list()?);
            Ok(())
        }
        options => administer(&mut Controller::open()?, &options),
    }
}

fn administer(control: &mut Controller, options: &Options) -> Result<()> {
    match *options {
        Options::Features => println!("{:#x}", control.features().0),
        Options::Add {
            size_mib,
            queues,
            depth,
            read_only,
            registered,
            user,
        } => {
            let options = DeviceOptions {
                queues,
                depth,
                registered,
                ..DeviceOptions::default()
            };
            let shape = control.add(&options)?;
            let memory = MemDisk::new(size_mib << 20);
            let memory = if read_only {
                memory.read_only()
            } else {
                memory
            };
            let parameters = Parameters::of(&memory.facts(), options.io_bytes_max, PIECE_BYTES);
            // An ordinary user may do so only when somebody has given them the device.
            let mut tries_left = if shape.buffer_bytes.is_some() { 100 } else { 0 };
            while let Err(error) = control.set_parameters(shape.number, &parameters) {
                if tries_left == 0 {
                    return Err(error.into());
                }
                tries_left -= 1;
                std::thread::sleep(Duration::from_millis(50));
            }
            if let Some(user) = user {
                control.give(shape.number, user, user)?;
            }
            println!("{} {} {}", shape.number, shape.queues, shape.depth);
        }
        Options::Start {
            number,
            server,
            within_ms,
        } => control.start(number, server, Duration::from_millis(within_ms))?,
        Options::Begin { number, within_ms } => {
            control.begin_recovery(number, Duration::from_millis(within_ms))?;
        }
        Options::End { number, server } => control.end_recovery(number, server, WITHIN)?,
        Options::Info { number } => {
            println!("{:?}", control.info(number)?);
            println!("{:?}", control.parameters(number)?);
        }
        Options::Stop { number } => {
            let _claim = BlockClaim::take(&block_path(number))?;
            control.stop(number)?;
        }
        Options::Delete { number } => control.delete(number)?,
        Options::Resize { number, size_mib } => control.resize(number, size_mib << 20)?,
        Options::Serve { .. } | Options::List => unreachable!("done without the control device"),
    }
    Ok(())
}

fn serve<D: Disk>(shape: &DeviceShape, disk: D, within: Duration) -> Result<()> {
    let segment = CreateOptions::new(Geometry::new(1, 1, 8)?).create_private()?;
    let port = segment.bind(0, &BindOptions::default())?;
    let reactor = Reactor::new(port, &ReactorOptions::default())?;
    let handle = reactor.handle();
    let options = FrontOptions {
        requests_max: usize::from(shape.queues) * usize::from(shape.depth),
        bytes_max: 64 << 20,
        piece_bytes_max: PIECE_BYTES,
    };
    let front = Front::new(&handle, disk, &options);
    let served = Device::open(shape)?.serve(&handle, &front);
    let served = handle.timeout(within, served);
    drop(handle);
    match reactor.block_on(served) {
        Ok(served) => served.context("the device is not served any more"),
        Err(_) => Ok(()), // whoever comes next takes the device over
    }
}
