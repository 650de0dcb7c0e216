use crate::abi::{DEPTH_MAX, DeviceInfo, DriverFeatures, IO_BYTES_MAX, QUEUES_MAX};

/// What a new device is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceOptions {
    /// `None`: the first that is free.
    pub number: Option<u32>,
    /// The kernel takes no more than it has processors.
    pub queues: u16,
    /// Requests in flight, of each queue.
    pub depth: u16,
    /// The longest request with data.
    pub io_bytes_max: u32,
    /// By which it is to be known again.
    pub tag: u64,
    /// Has the driver register the memory of its requests, where it can; else bytes are copied.
    pub registered: bool,
}

/// What a server has to know of a device to open it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceShape {
    pub number: u32,
    pub queues: u16,
    pub depth: u16,
    /// Of a device of an ordinary user: data travel by buffers of its server, so large. Else they are copied through the device.
    pub buffer_bytes: Option<u32>,
    /// The memory of its requests can be registered in the ring of its server; it need not be.
    pub registered: bool,
}

impl Default for DeviceOptions {
    fn default() -> Self {
        Self {
            number: None,
            queues: 1,
            depth: 128,
            io_bytes_max: 1 << 20,
            tag: 0,
            registered: true,
        }
    }
}

impl DeviceOptions {
    /// What the driver takes of it.
    pub(super) fn bounded(self) -> Self {
        Self {
            queues: self.queues.clamp(1, QUEUES_MAX),
            depth: self.depth.clamp(1, DEPTH_MAX),
            io_bytes_max: self.io_bytes_max.clamp(4096, IO_BYTES_MAX),
            ..self
        }
    }
}

impl DeviceShape {
    /// As the driver tells of it.
    pub fn of(info: &DeviceInfo) -> Option<Self> {
        Some(Self {
            number: info.number?,
            queues: info.queues,
            depth: info.depth,
            buffer_bytes: (!info.features.has(DriverFeatures::USER_COPY))
                .then_some(info.io_bytes_max),
            registered: info.features.has(DriverFeatures::REGISTERED),
        })
    }
}
