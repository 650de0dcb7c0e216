//! A volume as a disk of a virtual machine, behind a socket.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use archipelago_front::{Disk as _, SegmentDisk};
use archipelago_nbd::bind_unix;
use archipelago_protocol::ErrorCode;
use archipelago_runtime::Handle;
use archipelago_vhost::server::{Server, ServerOptions};

use super::limits::Limits;
use crate::attach::ServeCall;
use crate::cli::ErrorReport;

/// Rings of a disk: QEMU wants one for each virtual processor, of the guest, not of this machine.
const QUEUES: u16 = 64;

/// See the module.
#[derive(Debug)]
pub(super) struct VhostDisk {
    server: Server<SegmentDisk>,
    size_bytes: Cell<u64>,
    socket: PathBuf,
}

impl VhostDisk {
    pub fn start(
        handle: &Handle,
        disk: SegmentDisk,
        call: &ServeCall,
        limits: &Limits,
    ) -> Result<Self, ErrorReport> {
        let failed = |error: &dyn std::fmt::Display| {
            let message = format!("{} cannot be served to guests: {error}", call.volume);
            ErrorReport::new(ErrorCode::Failed, message, "")
        };
        let socket = call.socket.as_deref().map(Path::new);
        let socket = socket.ok_or_else(|| failed(&"the call names no socket"))?;
        let options = ServerOptions {
            queues: QUEUES,
            serial: call.volume.clone(),
            front: limits.front,
        };
        let size_bytes = Cell::new(disk.facts().size_bytes);
        let server = Server::new(handle, disk, &options).map_err(|error| failed(&error))?;
        server.listen(bind_unix(socket).map_err(|error| failed(&error))?);
        Ok(Self {
            server,
            size_bytes,
            socket: socket.to_owned(),
        })
    }

    pub fn size_bytes(&self) -> u64 {
        self.size_bytes.get()
    }

    pub fn clients(&self) -> u32 {
        u32::try_from(self.server.front_ends()).unwrap_or(u32::MAX)
    }

    pub fn resized(&self, size_bytes: u64) {
        self.size_bytes.set(size_bytes);
        self.server.resize(size_bytes);
    }

    /// A guest that comes later finds nobody, and waits.
    pub async fn close(&self, within: Duration) {
        if let Err(error) = std::fs::remove_file(&self.socket) {
            tracing::debug!(socket = ?self.socket, %error, "is not removed");
        }
        self.server.drain(within).await;
    }
}
