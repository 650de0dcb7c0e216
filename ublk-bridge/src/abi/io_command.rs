//! What a server tells the driver of a request: that it wants one, or what became of it.

use archipelago_runtime::{CommandPayload, DriverCommand};

use super::number::encode;
use super::words::Words;

const IO_COMMAND_BYTES: usize = 16;
const READ_WRITE: u32 = 3;
/// A request whose memory gets no number is handed out all the same.
const UNREGISTERED_TOO: u64 = 1 << 16;
/// No ring has it.
const NO_NUMBER: u16 = u16::MAX;

/// Where the data of requests begin in the character device, and where a queue's number and a tag stand in an offset.
const COPY_BASE: u64 = 1 << 31;
const TAG_SHIFT: u32 = 25;
const QUEUE_SHIFT: u32 = 41;

/// Which command it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoKind {
    /// A server's first for a tag.
    Fetch,
    /// The result of the last request of this tag; and the next one, when there is one.
    CommitAndFetch,
}

/// A command of a server's, for one tag of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoCommand {
    pub queue: u16,
    pub tag: u16,
    /// Bytes that were moved, or a negative errno.
    pub result: i32,
    /// Where the data are, or are to be, if they are not copied through the device; else zero.
    pub buffer_at: u64,
    /// For the memory of the next request, if the device registers it; `None`: it is to have none.
    pub number: Option<u16>,
}

impl IoKind {
    pub fn number(self) -> u32 {
        match self {
            Self::Fetch => encode(READ_WRITE, 0x20, IO_COMMAND_BYTES),
            Self::CommitAndFetch => encode(READ_WRITE, 0x21, IO_COMMAND_BYTES),
        }
    }
}

impl IoCommand {
    pub fn to_driver(self, kind: IoKind) -> DriverCommand {
        let number = u64::from(self.number.unwrap_or(NO_NUMBER));
        DriverCommand {
            number: kind.number(),
            payload: self.to_bytes(),
            address: number | UNREGISTERED_TOO,
        }
    }

    fn to_bytes(self) -> CommandPayload {
        let mut words = Words::<IO_COMMAND_BYTES>::ZERO;
        words.put16(0, self.queue);
        words.put16(2, self.tag);
        words.put32(4, self.result as u32);
        words.put64(8, self.buffer_at);
        words.0
    }
}

/// Where byte `from` of a request's data is in the character device.
pub fn copy_offset(queue: u16, tag: u16, from: u64) -> u64 {
    debug_assert!(from < 1 << TAG_SHIFT, "a request has at most 32 MiB");
    COPY_BASE + (u64::from(queue) << QUEUE_SHIFT) + (u64::from(tag) << TAG_SHIFT) + from
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_of_the_kernels_header() {
        assert_eq!(IoKind::Fetch.number(), 0xc010_7520);
        assert_eq!(IoKind::CommitAndFetch.number(), 0xc010_7521);
        let command = IoCommand {
            queue: 1,
            tag: 0x203,
            result: -5,
            buffer_at: 0xaabb,
            number: Some(0x3210),
        };
        let mut expected = [0; 16];
        expected[..2].copy_from_slice(&1_u16.to_ne_bytes());
        expected[2..4].copy_from_slice(&0x203_u16.to_ne_bytes());
        expected[4..8].copy_from_slice(&(-5_i32).to_ne_bytes());
        expected[8..].copy_from_slice(&0xaabb_u64.to_ne_bytes());
        let told = command.to_driver(IoKind::Fetch);
        assert_eq!((told.number, told.payload), (0xc010_7520, expected));
        assert_eq!(told.address, 0x1_3210);
        let plain = IoCommand {
            number: None,
            ..command
        };
        assert_eq!(plain.to_driver(IoKind::Fetch).address, 0x1_ffff);
    }

    #[test]
    fn the_data_of_no_two_tags_are_at_one_place() {
        assert_eq!(copy_offset(0, 0, 0), 0x8000_0000);
        assert_eq!(copy_offset(0, 1, 0) - copy_offset(0, 0, 0), 32 << 20);
        assert_eq!(
            copy_offset(1, 0, 512) - copy_offset(0, 0, 0),
            (1 << 41) + 512
        );
        assert!(copy_offset(0, u16::MAX, (32 << 20) - 1) < copy_offset(1, 0, 0));
    }
}
