//! A volume as a block device of this machine's kernel.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use archipelago_front::{Disk as _, Front, SegmentDisk};
use archipelago_protocol::ErrorCode;
use archipelago_runtime::Handle;
use archipelago_ublk::control::DeviceShape;
use archipelago_ublk::server::Device;

use super::limits::Limits;
use crate::attach::ServeCall;
use crate::cli::ErrorReport;

/// A kernel that goes on asking is not waited for longer.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug)]
pub(super) struct UblkDisk {
    front: Front<SegmentDisk>,
    size_bytes: Cell<u64>,
    is_alive: Rc<Cell<bool>>,
}

impl UblkDisk {
    /// From then on the device can be started.
    pub fn start(
        handle: &Handle,
        disk: SegmentDisk,
        call: &ServeCall,
        limits: &Limits,
    ) -> Result<Self, ErrorReport> {
        let failed = |error: &dyn std::fmt::Display| {
            let message = format!("{} cannot be served to the kernel: {error}", call.volume);
            ErrorReport::new(ErrorCode::Failed, message, "")
        };
        let shape = call
            .shape
            .ok_or_else(|| failed(&"the call names no device"))?;
        let shape = DeviceShape {
            number: shape.number,
            queues: shape.queues,
            depth: shape.depth,
            buffer_bytes: shape.buffer_bytes,
            registered: shape.registered,
        };
        let size_bytes = Cell::new(disk.facts().size_bytes);
        let device = Device::open(&shape).map_err(|error| failed(&error))?;
        let front = Front::new(handle, disk, &limits.front);
        let served = device.serve(handle, &front);
        let is_alive = Rc::new(Cell::new(true));
        let (alive, volume) = (is_alive.clone(), call.volume.clone());
        drop(handle.spawn(async move {
            match served.await {
                Ok(()) => tracing::debug!(volume, "its device is stopped"),
                Err(error) => tracing::error!(volume, %error, "its device is served no more"),
            }
            alive.set(false);
        }));
        Ok(Self {
            front,
            size_bytes,
            is_alive,
        })
    }

    pub fn size_bytes(&self) -> u64 {
        self.size_bytes.get()
    }

    /// Has the device not been stopped, and none of its tags been refused?
    pub fn is_alive(&self) -> bool {
        self.is_alive.get()
    }

    pub fn resized(&self, size_bytes: u64) {
        self.size_bytes.set(size_bytes);
        self.front.resized(size_bytes);
    }

    /// What the kernel has asked for is done, if it pauses; what is not waits for the next server, which does it again.
    pub async fn close(&self, within: Duration) {
        self.front.leave();
        if !self.front.settled(within.min(LEAVE_WITHIN)).await {
            tracing::debug!("a device is left with requests in flight: its next server does them");
        }
    }
}
