//! What can be asked of the control device.
//!
//! A command's number says, as an ioctl's does, which way its record goes, how long that is, and whose it is.

use super::control_command::CONTROL_COMMAND_BYTES;

/// A command of the control device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlNumber {
    Info,
    Add,
    Delete,
    Start,
    Stop,
    SetParameters,
    Parameters,
    StartRecovery,
    EndRecovery,
    /// Linux 6.5.
    Features,
    /// Linux 6.9.
    DeleteLater,
    /// Linux 6.16.
    Resize,
}

const READ: u32 = 2;
const READ_WRITE: u32 = 3;

impl ControlNumber {
    pub fn number(self) -> u32 {
        let (direction, index) = match self {
            Self::Info => (READ, 0x12),
            Self::Add => (READ_WRITE, 0x04),
            Self::Delete => (READ_WRITE, 0x05),
            Self::Start => (READ_WRITE, 0x06),
            Self::Stop => (READ_WRITE, 0x07),
            Self::SetParameters => (READ_WRITE, 0x08),
            Self::Parameters => (READ, 0x09),
            Self::StartRecovery => (READ_WRITE, 0x10),
            Self::EndRecovery => (READ_WRITE, 0x11),
            Self::Features => (READ, 0x13),
            Self::DeleteLater => (READ, 0x14),
            Self::Resize => (READ_WRITE, 0x15),
        };
        encode(direction, index, CONTROL_COMMAND_BYTES)
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "telling about the device",
            Self::Add => "adding a device",
            Self::Delete | Self::DeleteLater => "deleting the device",
            Self::Start => "starting the device",
            Self::Stop => "stopping the device",
            Self::SetParameters => "setting the device's parameters",
            Self::Parameters => "telling the device's parameters",
            Self::StartRecovery => "beginning the device's recovery",
            Self::EndRecovery => "ending the device's recovery",
            Self::Features => "telling the driver's features",
            Self::Resize => "resizing the device",
        }
    }
}

/// As `_IOC` does, for the type `u`.
pub(super) fn encode(direction: u32, index: u32, record_bytes: usize) -> u32 {
    direction << 30 | (record_bytes as u32) << 16 | u32::from(b'u') << 8 | index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_kernels_header() {
        // As a C compiler makes them of the header.
        assert_eq!(ControlNumber::Info.number(), 0x8020_7512);
        assert_eq!(ControlNumber::Add.number(), 0xc020_7504);
        assert_eq!(ControlNumber::Start.number(), 0xc020_7506);
        assert_eq!(ControlNumber::Parameters.number(), 0x8020_7509);
        assert_eq!(ControlNumber::EndRecovery.number(), 0xc020_7511);
        assert_eq!(ControlNumber::Features.number(), 0x8020_7513);
        assert_eq!(ControlNumber::DeleteLater.number(), 0x8020_7514);
        assert_eq!(ControlNumber::Resize.number(), 0xc020_7515);
    }
}
