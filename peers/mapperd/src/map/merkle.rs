//! The hash of a volume's content: the root of a Merkle tree over its blocks.
//!
//! ```text
//! root  = H(root key; object bits, size, top)
//! node  = H(node key; left, right), or 32 zero bytes if both are
//! leaf  = H(leaf key; name of the block's content), or 32 zero bytes if the block is zero
//! ```
//!
//! H is BLAKE3 with a key for each kind of input, so no leaf can be taken for a node. The tree is the smallest full binary
//! tree with a leaf for each block; whatever is zero in it costs nothing, so a volume is hashed in time of what it has.
//!
//! # Invariants
//! * **MERKLE-1** The root is a function of object size, size and content, and says all three.
//! * **MERKLE-2** What is kept while it is made is a path of the tree, whatever the volume's size.

use super::{ContentId, Shape};

/// A subtree in which nothing is.
const ZERO: [u8; 32] = [0; 32];

const LEAF: &str = "archipelago 2026-11 leaf of a volume";
const NODE: &str = "archipelago 2026-11 node of a volume";
const ROOT: &str = "archipelago 2026-11 root of a volume";

/// The tree, built from its first block to its last.
#[derive(Clone, Debug)]
pub struct Merkle {
    object_bits: u8,
    size_bytes: u64,
    depth: u32,
    /// The next block.
    next: u64,
    /// Subtrees that are done, with the levels of their roots: each is higher than the next.
    done: Vec<(u32, [u8; 32])>,
}

impl Merkle {
    pub fn new(shape: Shape, size_bytes: u64) -> Self {
        let blocks = shape.blocks(size_bytes).max(1);
        Self {
            object_bits: shape.object_bits(),
            size_bytes,
            depth: blocks.next_power_of_two().trailing_zeros(),
            next: 0,
            done: Vec::new(),
        }
    }

    /// What this block holds. Blocks that are left out are zero.
    ///
    /// # Panics
    /// If it does not come after all that were told, or is behind the end.
    pub fn push(&mut self, block: u64, content: ContentId) {
        assert!(block >= self.next && block < 1 << self.depth, "{block}");
        self.zeros_to(block);
        self.next += 1;
        self.put(0, hash(LEAF, &[content.as_bytes()]));
    }

    pub fn finish(mut self) -> [u8; 32] {
        self.zeros_to(1 << self.depth);
        let [(_, top)] = self.done.as_slice() else {
            unreachable!("a full tree has one top");
        };
        let size = self.size_bytes.to_le_bytes();
        hash(ROOT, &[&[self.object_bits], &size, top])
    }

    /// Everything up to this block is zero: in as few and as high subtrees as fit.
    fn zeros_to(&mut self, block: u64) {
        while self.next < block {
            let aligned = self.next.trailing_zeros().min(self.depth);
            let level = (block - self.next).ilog2().min(aligned);
            self.next += 1 << level;
            self.put(level, ZERO);
        }
    }

    /// A subtree is done: with its left neighbour of the same height it is a higher one.
    fn put(&mut self, mut level: u32, mut node: [u8; 32]) {
        while let Some((_, left)) = self.done.pop_if(|(below, _)| *below == level) {
            node = if left == ZERO && node == ZERO {
                ZERO
            } else {
                hash(NODE, &[&left, &node])
            };
            level += 1;
        }
        self.done.push((level, node));
    }
}

fn hash(context: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn shape() -> Shape {
        Shape::new(16, 12).unwrap()
    }

    fn content(number: u8) -> ContentId {
        ContentId::from_bytes([number; 24])
    }

    fn root_of(size_bytes: u64, blocks: &BTreeMap<u64, u8>) -> [u8; 32] {
        let mut merkle = Merkle::new(shape(), size_bytes);
        for (block, number) in blocks {
            merkle.push(*block, content(*number));
            assert!(merkle.done.len() <= 48, "MERKLE-2");
        }
        merkle.finish()
    }

    /// The same, from a level that is an array.
    fn naive(size_bytes: u64, blocks: &BTreeMap<u64, u8>) -> [u8; 32] {
        let count = shape().blocks(size_bytes).max(1).next_power_of_two();
        let leaf = |block: u64| match blocks.get(&block) {
            Some(number) => hash(LEAF, &[content(*number).as_bytes()]),
            None => ZERO,
        };
        let mut level: Vec<[u8; 32]> = (0..count).map(leaf).collect();
        while level.len() > 1 {
            let node = |pair: &[[u8; 32]]| match pair {
                [ZERO, ZERO] => ZERO,
                pair => hash(NODE, &[&pair[0], &pair[1]]),
            };
            level = level.chunks(2).map(node).collect();
        }
        hash(ROOT, &[&[16], &size_bytes.to_le_bytes(), &level[0]])
    }

    proptest! {
        /// MERKLE-1
        #[test]
        fn the_root_is_that_of_the_whole_tree(
            count in 1..200_u64,
            short in 0..65536_u64,
            blocks in proptest::collection::btree_map(0..200_u64, 0..3_u8, 0..20),
        ) {
            let size = (count << 16) - short;
            let blocks: BTreeMap<u64, u8> =
                blocks.into_iter().filter(|(block, _)| *block < count).collect();
            prop_assert_eq!(root_of(size, &blocks), naive(size, &blocks));
        }
    }

    /// MERKLE-1
    #[test]
    fn another_size_object_size_place_or_content_is_another_root() {
        let one = BTreeMap::from([(1, 7)]);
        let size = 5 << 16;
        let mut roots = vec![
            root_of(size, &one),
            root_of(size + 1, &one),
            root_of(size, &BTreeMap::new()),
            root_of(size, &BTreeMap::from([(2, 7)])),
            root_of(size, &BTreeMap::from([(1, 8)])),
            root_of(size, &BTreeMap::from([(1, 7), (4, 7)])),
        ];
        let mut larger = Merkle::new(Shape::new(17, 12).unwrap(), size);
        larger.push(1, content(7));
        roots.push(larger.finish());
        let different: std::collections::BTreeSet<_> = roots.iter().collect();
        assert_eq!(different.len(), roots.len());
    }

    /// MERKLE-2
    #[test]
    fn a_volume_of_the_largest_size_has_a_root_at_once() {
        let size = crate::map::VOLUME_BYTES_MAX;
        let ends = BTreeMap::from([(0, 1), (5, 2), ((1 << 47) - 1, 3)]);
        assert_ne!(root_of(size, &ends), root_of(size, &BTreeMap::new()));
    }
}
