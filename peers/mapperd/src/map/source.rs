//! Where the bytes of a block or of a sub-block lie: in an object that one volume created once.

use archipelago_store::ObjectName;

use super::{Stamp, VolumeId};

/// What names a data object, but for the index of its block: a map never holds the index twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The volume that created it.
    pub birth: VolumeId,
    /// That volume's stamp when it did.
    pub stamp: Stamp,
}

/// The object of block `index`: `<birth>/<stamp>/<index>`, in 32, 16 and 16 hexadecimal digits (M2).
pub fn object_name(source: Source, index: u64) -> ObjectName {
    let name = format!("{source}/{index:016x}");
    ObjectName::new(name.as_bytes()).expect("66 bytes, none of them NUL")
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.birth, self.stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_of_a_block_is_named_by_birth_stamp_and_index() {
        let source = Source {
            birth: VolumeId::new([0xab; 16]).unwrap(),
            stamp: Stamp::new(1, 2).unwrap(),
        };
        let name = object_name(source, 0x1f);
        let expected = format!("{}/0000010000000002/000000000000001f", "ab".repeat(16));
        assert_eq!(name.to_string(), expected);
        assert_eq!(name.group(), &name.as_bytes()[..49]);
    }
}
