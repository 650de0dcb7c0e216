//! The record that goes with a command to the control device.

use super::words::Words;

pub const CONTROL_COMMAND_BYTES: usize = 32;

/// Asked where a device of any number will do, or none is meant.
const NO_DEVICE: u32 = u32::MAX;
const NO_QUEUE: u16 = u16::MAX;

/// A command to the control device; where its buffer is, [`crate::kernel::ControlRing`] puts in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlCommand {
    /// `None`: any, or none.
    pub device: Option<u32>,
    /// What goes with it without a buffer.
    pub data: u64,
    /// How much of the buffer's beginning is the path of the character device, by which a user shows that they may.
    pub path_bytes: u16,
}

impl ControlCommand {
    pub fn to_bytes(self, buffer_at: u64, buffer_len: u16) -> [u8; CONTROL_COMMAND_BYTES] {
        let mut words = Words::ZERO;
        words.put32(0, self.device.unwrap_or(NO_DEVICE));
        words.put16(4, NO_QUEUE);
        words.put16(6, buffer_len);
        words.put64(8, buffer_at);
        words.put64(16, self.data);
        words.put16(24, self.path_bytes);
        words.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_the_kernel_looks_for_them() {
        let command = ControlCommand {
            device: Some(7),
            data: 0x1122_3344_5566_7788,
            path_bytes: 12,
        };
        let bytes = command.to_bytes(0xaabb, 64);
        assert_eq!(bytes[..4], 7_u32.to_ne_bytes());
        assert_eq!(bytes[4..6], [0xff, 0xff]);
        assert_eq!(bytes[6..8], 64_u16.to_ne_bytes());
        assert_eq!(bytes[8..16], 0xaabb_u64.to_ne_bytes());
        assert_eq!(bytes[16..24], command.data.to_ne_bytes());
        assert_eq!(bytes[24..26], 12_u16.to_ne_bytes());
        assert_eq!(bytes[26..], [0; 6]);
        let any = ControlCommand::default().to_bytes(0, 0);
        assert_eq!(any[..6], [0xff; 6]);
    }
}
