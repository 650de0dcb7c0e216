//! What the kernel asks: one record for each tag of a queue.
//!
//! # Invariants
//! * **UBLKREQUEST-1** What is no request that a disk can do is an error of that request, and of nothing else.
//! * **UBLKREQUEST-2** A request with data is no longer than its place in the character device.

use archipelago_front::{Command, Request, SECTOR_BYTES};
use thiserror::Error;
use xseg::Errno;

use super::IO_BYTES_MAX;
use super::words::Words;

pub const DESCRIPTOR_BYTES: usize = 24;

const OPERATION_MASK: u32 = 0xff;
const FUA: u32 = 1 << 13;
const NO_UNMAP: u32 = 1 << 15;
const NOT_REGISTERED: u32 = 1 << 17;

/// A request of the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    operation: u8,
    flags: u32,
    sectors: u32,
    sector: u64,
}

/// Why a request cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DescriptorError {
    #[error("the kernel asks for operation {0}, which no device of ours offers")]
    Operation(u8),
    #[error("the kernel asks for {sectors} sectors at sector {sector}: no request can have them")]
    Range { sector: u64, sectors: u32 },
}

impl Descriptor {
    pub fn from_bytes(bytes: [u8; DESCRIPTOR_BYTES]) -> Self {
        let words = Words(bytes);
        let first = words.get32(0);
        Self {
            operation: (first & OPERATION_MASK) as u8,
            flags: first & !OPERATION_MASK,
            sectors: words.get32(4),
            sector: words.get64(8),
        }
    }

    /// Of a device with registered memory: has that of this request the number that it should have?
    pub fn is_registered(&self) -> bool {
        self.flags & NOT_REGISTERED == 0
    }

    /// UBLKREQUEST-1
    pub fn request(&self) -> Result<Request, DescriptorError> {
        let fua = self.flags & FUA != 0;
        let command = match self.operation {
            0 => Command::Read,
            1 => Command::Write { fua },
            2 => return Ok(Request::FLUSH),
            3 => Command::Discard,
            5 => Command::WriteZeroes {
                unmap: self.flags & NO_UNMAP == 0,
                fua,
            },
            other => return Err(DescriptorError::Operation(other)),
        };
        let len_bytes = u64::from(self.sectors) * SECTOR_BYTES;
        let is_short = !command.has_payload() || len_bytes <= IO_BYTES_MAX.into(); // UBLKREQUEST-2
        match self.sector.checked_mul(SECTOR_BYTES) {
            Some(offset) if is_short => Ok(Request {
                command,
                offset,
                len_bytes,
            }),
            _ => Err(DescriptorError::Range {
                sector: self.sector,
                sectors: self.sectors,
            }),
        }
    }
}

impl DescriptorError {
    pub fn errno(self) -> Errno {
        match self {
            Self::Operation(_) => Errno::OPNOTSUPP,
            Self::Range { .. } => Errno::INVAL,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn descriptor(first: u32, sectors: u32, sector: u64) -> Descriptor {
        let mut bytes = [0xee; DESCRIPTOR_BYTES];
        bytes[..4].copy_from_slice(&first.to_ne_bytes());
        bytes[4..8].copy_from_slice(&sectors.to_ne_bytes());
        bytes[8..16].copy_from_slice(&sector.to_ne_bytes());
        Descriptor::from_bytes(bytes)
    }

    #[test]
    fn what_the_kernel_asks_is_understood() {
        let command = |first| descriptor(first, 8, 16).request().unwrap().command;
        assert_eq!(command(0), Command::Read);
        assert_eq!(command(1), Command::Write { fua: false });
        assert_eq!(command(1 | FUA), Command::Write { fua: true });
        assert_eq!(command(2), Command::Flush);
        assert_eq!(command(3), Command::Discard);
        let zeroes = |unmap, fua| Command::WriteZeroes { unmap, fua };
        assert_eq!(command(5), zeroes(true, false));
        assert_eq!(command(5 | NO_UNMAP | FUA), zeroes(false, true));
        assert!(descriptor(1, 8, 16).is_registered());
        assert!(!descriptor(1 | NOT_REGISTERED, 8, 16).is_registered());
        let request = descriptor(1 | NOT_REGISTERED, 8, 16).request().unwrap();
        assert_eq!((request.offset, request.len_bytes), (8192, 4096));
    }

    #[test]
    fn a_request_with_data_fits_into_its_place() {
        // UBLKREQUEST-2
        let most = IO_BYTES_MAX / 512;
        assert!(descriptor(1, most, 0).request().is_ok());
        let longer = descriptor(1, most + 1, 0).request().unwrap_err();
        assert_eq!(longer.errno(), Errno::INVAL);
        assert!(descriptor(3, u32::MAX, 0).request().is_ok(), "no data");
    }

    proptest! {
        #[test]
        fn no_descriptor_is_more_than_an_error(bytes in proptest::array::uniform24(any::<u8>())) {
            // UBLKREQUEST-1
            let descriptor = Descriptor::from_bytes(bytes);
            if let Ok(request) = descriptor.request() {
                prop_assert!(request.offset % 512 == 0 && request.len_bytes % 512 == 0);
                prop_assert!(!request.command.has_payload() || request.len_bytes <= IO_BYTES_MAX.into());
            }
        }
    }
}
