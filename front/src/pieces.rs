//! Cutting ranges into pieces.

/// The pieces of a range: where each begins, and how long it is. They end where multiples of `piece_bytes_max` of the disk are,
/// so that a piece is within as few blocks of a map as it can be.
pub fn pieces(
    offset: u64,
    len_bytes: u64,
    piece_bytes_max: u32,
) -> impl Iterator<Item = (u64, u32)> {
    let piece_bytes = u64::from(piece_bytes_max);
    let end = offset + len_bytes;
    let mut at = offset;
    std::iter::from_fn(move || {
        let until = (at - at % piece_bytes).saturating_add(piece_bytes).min(end);
        let piece = (at, (until - at) as u32);
        at = until;
        (piece.1 > 0).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_are_the_range_in_order_and_none_is_too_long(
            offset in 0..1_u64 << 50, len_bytes in 0..1_u64 << 24, piece_bytes_max in 1_u32 << 12..1 << 22,
        ) {
            let mut at = offset;
            for (from, len) in pieces(offset, len_bytes, piece_bytes_max) {
                prop_assert_eq!(from, at);
                prop_assert!((1..=piece_bytes_max).contains(&len));
                at += u64::from(len);
            }
            prop_assert_eq!(at, offset + len_bytes);
            let fewest = len_bytes.div_ceil(piece_bytes_max.into());
            prop_assert!(pieces(offset, len_bytes, piece_bytes_max).count() as u64 <= fewest + 1);
        }
    }
}
