//! What names a data object.

use archipelago_protocol::VolumeIdBytes;

/// An object, but for the index of its block: the volume that created it, and that one's stamp then (M2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    pub birth: VolumeIdBytes,
    pub stamp: u64,
}

impl Source {
    /// `<birth>/<stamp>/<index>`, in 32, 16 and 16 hexadecimal digits.
    pub fn object_name(&self, index: u64) -> String {
        let birth = u128::from_be_bytes(self.birth);
        format!("{birth:032x}/{:016x}/{index:016x}", self.stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_by_birth_stamp_and_index() {
        let mut birth = [0xab; 16];
        birth[0] = 1;
        let source = Source {
            birth,
            stamp: 0x10_0000_0000_0002,
        };
        let expected = format!("01{}/0010000000000002/000000000000001f", "ab".repeat(15));
        assert_eq!(source.object_name(0x1f), expected);
    }
}
