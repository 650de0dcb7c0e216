use archipelago_front::{FrontOptions, SECTOR_BYTES};
use thiserror::Error;

/// Rings that a device may have: the protocol numbers them with a byte.
pub const QUEUES_MAX: u16 = 256;

/// How a disk is served to guests.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Rings that a front end may use. QEMU takes one for each virtual CPU unless it is told `num-queues`, and refuses a device
    /// that has fewer.
    pub queues: u16,
    /// What the guest reads as the disk's name: 20 bytes of it.
    pub serial: String,
    /// What one guest may have in flight, over all its rings; what is beyond that waits in them.
    pub front: FrontOptions,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            queues: 64,
            serial: String::new(),
            front: FrontOptions {
                requests_max: 256,
                bytes_max: 16 << 20,
                piece_bytes_max: 1 << 20,
            },
        }
    }
}

/// Options with which nothing could be served.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionsError {
    #[error("{queues} queues: 1 to {queues_max} may be offered")]
    Queues { queues: u16, queues_max: u16 },
    #[error("{what} must not be 0")]
    Zero { what: &'static str },
    #[error("pieces of {piece_bytes_max} bytes: they are of whole sectors of 512 bytes")]
    Pieces { piece_bytes_max: u32 },
}

impl ServerOptions {
    pub(super) fn check(&self) -> Result<(), OptionsError> {
        if !(1..=QUEUES_MAX).contains(&self.queues) {
            return Err(OptionsError::Queues {
                queues: self.queues,
                queues_max: QUEUES_MAX,
            });
        }
        let FrontOptions {
            requests_max,
            bytes_max,
            piece_bytes_max,
        } = self.front;
        for (what, value) in [("requests_max", requests_max), ("bytes_max", bytes_max)] {
            if value == 0 {
                return Err(OptionsError::Zero { what });
            }
        }
        let is_whole = u64::from(piece_bytes_max).is_multiple_of(SECTOR_BYTES);
        if piece_bytes_max == 0 || !is_whole {
            return Err(OptionsError::Pieces { piece_bytes_max });
        }
        Ok(())
    }
}
