//! Names and contents that can be made again from a seed, so that what comes back can be checked.

/// The name of the `index`th object.
pub fn name(seed: u64, index: u64) -> String {
    let (high, low) = (mix(seed, 2 * index), mix(seed, 2 * index + 1));
    format!("rnd-{high:016x}{low:016x}")
}

/// The contents of the `index`th object: other ones for each seed and index, and different in every word.
pub fn contents(seed: u64, index: u64, len: usize) -> Vec<u8> {
    let own_seed = mix(!seed, index);
    words(len, |word| mix(own_seed, word))
}

/// Bytes of which every eight, counted from the target's beginning, hold their own offset.
pub fn offsets(from: u64, len: usize) -> Vec<u8> {
    let skipped = (from % 8) as usize;
    let first = from / 8;
    let mut bytes = words(skipped + len, |word| {
        first.wrapping_add(word).wrapping_mul(8)
    });
    bytes.drain(..skipped);
    bytes
}

fn words(len: usize, word_at: impl Fn(u64) -> u64) -> Vec<u8> {
    let count = len.div_ceil(8) as u64;
    let mut bytes: Vec<u8> = (0..count)
        .flat_map(|word| word_at(word).to_le_bytes())
        .collect();
    bytes.truncate(len);
    bytes
}

/// The `index`th number of a seed's sequence: a counter, stirred until each bit depends on all others.
fn mix(seed: u64, index: u64) -> u64 {
    let mut word = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb)] {
        word = (word ^ (word >> shift)).wrapping_mul(factor);
    }
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_contents_depend_on_seed_and_index_alone() {
        assert_eq!(name(1, 2), name(1, 2));
        assert_ne!(name(1, 2), name(1, 3));
        assert_ne!(name(1, 2), name(2, 2));
        assert_eq!(contents(1, 2, 13), contents(1, 2, 100)[..13]);
        assert_ne!(contents(1, 2, 64), contents(1, 3, 64));
        assert_ne!(contents(1, 2, 64)[..32], contents(1, 2, 64)[32..]);
    }

    #[test]
    fn a_part_of_the_offsets_is_the_same_wherever_it_begins() {
        let whole = offsets(0, 64);
        assert_eq!(whole[8..16], 8_u64.to_le_bytes());
        assert_eq!(offsets(13, 20), whole[13..33]);
        assert!(offsets(5, 0).is_empty());
    }
}
