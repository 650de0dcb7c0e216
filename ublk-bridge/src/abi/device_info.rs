//! What the driver knows of a device.

use super::features::DriverFeatures;
use super::words::Words;

pub const DEVICE_INFO_BYTES: usize = 64;

/// Said for "any number".
const ANY_DEVICE: u32 = u32::MAX;

/// Where a device is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Added and not started, or stopped.
    Dead,
    Live,
    /// Its server is gone; its requests wait for another one.
    Quiesced,
    /// One that this program does not know.
    Other(u16),
}

/// A device, as the driver tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// `None`: any, when one is added.
    pub number: Option<u32>,
    pub queues: u16,
    /// Requests in flight, of each queue.
    pub depth: u16,
    pub state: DeviceState,
    pub io_bytes_max: u32,
    /// The process that serves it, or has served it.
    pub server: Option<u32>,
    pub features: DriverFeatures,
    /// The user who added it.
    pub owner: u32,
    /// What whoever added it knows it again by: the driver keeps it, and does not care.
    pub tag: u64,
}

impl DeviceInfo {
    /// For adding it.
    pub fn to_bytes(self) -> [u8; DEVICE_INFO_BYTES] {
        let mut words = Words::ZERO;
        words.put16(0, self.queues);
        words.put16(2, self.depth);
        words.put32(8, self.io_bytes_max);
        words.put32(12, self.number.unwrap_or(ANY_DEVICE));
        words.put64(24, self.features.0);
        words.put64(32, self.tag);
        words.0
    }

    pub fn from_bytes(bytes: [u8; DEVICE_INFO_BYTES]) -> Self {
        let words = Words(bytes);
        let state = match words.get16(4) {
            0 => DeviceState::Dead,
            1 => DeviceState::Live,
            2 => DeviceState::Quiesced,
            other => DeviceState::Other(other),
        };
        Self {
            number: Some(words.get32(12)).filter(|number| *number != ANY_DEVICE),
            queues: words.get16(0),
            depth: words.get16(2),
            state,
            io_bytes_max: words.get32(8),
            // Negative where there is none.
            server: Some(words.get32(16)).filter(|pid| (1..1 << 31).contains(pid)),
            features: DriverFeatures(words.get64(24)),
            owner: words.get32(40),
            tag: words.get64(32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_to_the_driver_is_read_back() {
        let info = DeviceInfo {
            number: Some(3),
            queues: 2,
            depth: 64,
            state: DeviceState::Dead,
            io_bytes_max: 1 << 20,
            server: None,
            features: DriverFeatures::NEEDED,
            owner: 0,
            tag: 7 << 40,
        };
        let bytes = info.to_bytes();
        assert_eq!(DeviceInfo::from_bytes(bytes), info);
        assert_eq!(bytes[12..16], 3_u32.to_ne_bytes());
        let any = DeviceInfo {
            number: None,
            ..info
        };
        assert_eq!(any.to_bytes()[12..16], [0xff; 4]);
    }

    #[test]
    fn states_servers_and_owners_are_where_the_kernel_puts_them() {
        let mut bytes = [0; DEVICE_INFO_BYTES];
        bytes[4..6].copy_from_slice(&2_u16.to_ne_bytes());
        bytes[16..20].copy_from_slice(&(-1_i32).to_ne_bytes());
        bytes[40..44].copy_from_slice(&1000_u32.to_ne_bytes());
        let info = DeviceInfo::from_bytes(bytes);
        assert_eq!(info.state, DeviceState::Quiesced);
        assert_eq!((info.server, info.owner), (None, 1000));
        bytes[4] = 77;
        bytes[16..20].copy_from_slice(&4711_i32.to_ne_bytes());
        let info = DeviceInfo::from_bytes(bytes);
        assert_eq!(info.state, DeviceState::Other(77));
        assert_eq!(info.server, Some(4711));
    }
}
