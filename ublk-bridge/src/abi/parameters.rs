//! What the kernel is to take a device for.

use archipelago_front::{DiskFacts, SECTOR_BYTES};

use super::words::Words;

/// Up to and with what is said of discarding; drivers take shorter records than their own.
pub const PARAMETERS_BYTES: usize = 60;

/// Which parts of the record are there: the basic one, and that of discarding.
const BASIC: u32 = 1;
const DISCARD: u32 = 1 << 1;

const READ_ONLY: u32 = 1;
const VOLATILE_CACHE: u32 = 1 << 2;
const FUA: u32 = 1 << 3;

/// Sectors are the least that can be asked for; volumes are kept in pages, and like larger requests better.
const SECTOR_SHIFT: u8 = 9;
const PAGE_SHIFT: u8 = 12;
const PAGE_BYTES: u32 = 1 << PAGE_SHIFT;

/// The most sectors that a command without data can name.
const SECTORS_MAX: u32 = u32::MAX >> SECTOR_SHIFT;

/// A device's size and abilities, as its kernel is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    pub size_bytes: u64,
    pub is_read_only: bool,
    /// What was answered may be lost until it is flushed.
    pub has_cache: bool,
    pub has_fua: bool,
    pub has_discard: bool,
    pub has_write_zeroes: bool,
    /// The longest request with data.
    pub io_bytes_max: u32,
    /// The length that suits best, a power of two.
    pub io_bytes_best: u32,
}

impl Parameters {
    /// Those of a disk.
    pub fn of(facts: &DiskFacts, io_bytes_max: u32, io_bytes_best: u32) -> Self {
        let features = facts.features;
        Self {
            size_bytes: facts.size_bytes,
            is_read_only: features.read_only,
            has_cache: features.flush,
            // The kernel knows it of devices with a cache only.
            has_fua: features.flush && features.fua,
            has_discard: features.trim && !features.read_only,
            has_write_zeroes: features.write_zeroes && !features.read_only,
            io_bytes_max,
            io_bytes_best,
        }
    }

    pub fn to_bytes(self) -> [u8; PARAMETERS_BYTES] {
        let flag = |is_set: bool, bit: u32| if is_set { bit } else { 0 };
        let attributes = flag(self.is_read_only, READ_ONLY)
            | flag(self.has_cache, VOLATILE_CACHE)
            | flag(self.has_fua, FUA);
        let mut words = Words::ZERO;
        words.put32(0, PARAMETERS_BYTES as u32);
        words.put32(4, BASIC | DISCARD);
        words.put32(8, attributes);
        words.put8(12, SECTOR_SHIFT);
        words.put8(13, PAGE_SHIFT);
        words.put8(14, self.io_bytes_best.max(PAGE_BYTES).ilog2() as u8);
        words.put8(15, PAGE_SHIFT);
        words.put32(16, self.io_bytes_max >> SECTOR_SHIFT);
        words.put64(24, self.size_bytes / SECTOR_BYTES);
        words.put32(44, PAGE_BYTES);
        words.put32(48, flag(self.has_discard, SECTORS_MAX));
        words.put32(52, flag(self.has_write_zeroes, SECTORS_MAX));
        words.put16(56, 1);
        words.0
    }

    /// What a device has, as its driver tells; `None`: it was not told.
    pub fn from_bytes(bytes: [u8; PARAMETERS_BYTES]) -> Option<Self> {
        let words = Words(bytes);
        if words.get32(4) & BASIC == 0 {
            return None;
        }
        let attributes = words.get32(8);
        let discards = words.get32(4) & DISCARD != 0;
        Some(Self {
            size_bytes: words.get64(24).saturating_mul(SECTOR_BYTES),
            is_read_only: attributes & READ_ONLY != 0,
            has_cache: attributes & VOLATILE_CACHE != 0,
            has_fua: attributes & FUA != 0,
            has_discard: discards && words.get32(48) > 0,
            has_write_zeroes: discards && words.get32(52) > 0,
            io_bytes_max: words.get32(16).saturating_mul(SECTOR_BYTES as u32),
            io_bytes_best: 1_u32.checked_shl(words.get8(14).into()).unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use archipelago_front::Features;

    use super::*;

    fn facts(features: Features) -> DiskFacts {
        DiskFacts {
            size_bytes: 1 << 30,
            features,
            description: String::new(),
        }
    }

    #[test]
    fn what_a_disk_can_do_is_what_the_kernel_is_told() {
        let all = Parameters::of(&facts(Features::ALL), 1 << 20, 1 << 16);
        let bytes = all.to_bytes();
        assert_eq!(Parameters::from_bytes(bytes), Some(all));
        assert_eq!(bytes[..8], [60, 0, 0, 0, 3, 0, 0, 0], "length and parts");
        assert_eq!(bytes[8..12], 0b1100_u32.to_ne_bytes(), "cache and FUA");
        assert_eq!(bytes[12..16], [9, 12, 16, 12]);
        assert_eq!(bytes[16..20], 2048_u32.to_ne_bytes());
        assert_eq!(bytes[24..32], (1_u64 << 21).to_ne_bytes());
        assert_eq!(bytes[48..52], 0x7f_ffff_u32.to_ne_bytes());
    }

    #[test]
    fn a_disk_that_is_read_only_or_can_do_little_promises_nothing() {
        let read_only = Features {
            read_only: true,
            ..Features::ALL
        };
        let told = Parameters::of(&facts(read_only), 1 << 20, 4096);
        assert!(told.is_read_only && !told.has_discard && !told.has_write_zeroes);
        let little = Parameters::of(&facts(Features::default()), 1 << 20, 4096);
        assert!(!little.has_cache && !little.has_fua && !little.has_discard);
        assert_eq!(
            little.to_bytes()[44..60],
            [0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]
        );
        assert_eq!(Parameters::from_bytes([0; PARAMETERS_BYTES]), None);
    }

    #[test]
    fn fua_without_a_cache_is_no_promise_that_a_kernel_understands() {
        let odd = Features {
            flush: false,
            ..Features::ALL
        };
        assert!(!Parameters::of(&facts(odd), 1 << 20, 4096).has_fua);
    }
}
