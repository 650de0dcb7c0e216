//! Which buffers a segment has.

use xseg::{BUFFER_BYTES_MIN, Geometry};

/// More than this at a time gains nothing.
const PRACTICAL_BYTES: u64 = 1 << 20;

/// The sizes that there are, from the smallest.
pub(super) fn sizes(geometry: &Geometry) -> impl Iterator<Item = u64> {
    let counts = geometry.buffer_counts();
    (0..counts.len())
        .filter(move |class| counts[*class] > 0)
        .map(|class| BUFFER_BYTES_MIN << class)
}

/// The largest piece that a server should cut requests into (`piece_bytes_max` in its options): at most 1 MiB, and
/// at most what the segment has buffers for. `None`: it has no buffers.
pub fn piece_bytes_max(geometry: &Geometry) -> Option<u32> {
    sizes(geometry)
        .max()
        .map(|largest| largest.min(PRACTICAL_BYTES) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_as_large_as_there_are_buffers_for_within_reason() {
        let none = Geometry::new(1, 1, 8).unwrap();
        assert_eq!(piece_bytes_max(&none), None);
        let small = none.with_buffers(4096, 1).unwrap();
        let small = small.with_buffers(65536, 1).unwrap();
        assert_eq!(piece_bytes_max(&small), Some(65536));
        assert_eq!(sizes(&small).collect::<Vec<_>>(), [4096, 65536]);
        let large = small.with_buffers(8 << 20, 1).unwrap();
        assert_eq!(piece_bytes_max(&large), Some(1 << 20));
    }
}
