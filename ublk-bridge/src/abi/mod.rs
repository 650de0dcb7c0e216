//! The words of the kernel's ublk driver (include/uapi/linux/ublk_cmd.h), in the machine's byte order.

mod control_command;
mod descriptor;
mod device_info;
mod features;
mod io_command;
mod number;
mod parameters;
mod words;

pub use control_command::{CONTROL_COMMAND_BYTES, ControlCommand};
pub use descriptor::{DESCRIPTOR_BYTES, Descriptor, DescriptorError};
pub use device_info::{DEVICE_INFO_BYTES, DeviceInfo, DeviceState};
pub use features::DriverFeatures;
pub use io_command::{IoCommand, IoKind, copy_offset};
pub use number::ControlNumber;
pub use parameters::{PARAMETERS_BYTES, Parameters};

/// Requests in flight of a queue, at most.
pub const DEPTH_MAX: u16 = 4096;
/// Queues of a device, at most.
pub const QUEUES_MAX: u16 = 4096;
/// What a request can move: its place in the character device has 25 bits for it.
pub const IO_BYTES_MAX: u32 = 32 << 20;
