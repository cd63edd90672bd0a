//! Which hashes a group of pages may hold: a split-block Bloom filter.
//!
//! One entry sets eight bits within one block of 32 bytes, so that a probe touches one place in memory.
//! With 15 bits an entry, about one absent hash in 500 is let through; one that was put in is never kept
//! out. (12 bits would let one in 190 through; every one of them costs a read, and there are many runs.)
//!
//! The filter is stored, so every constant here is part of the stored form. Blocks, salts and the way to a
//! block are those of the Apache Parquet format (`BloomFilter.md`), with the low half of our hash in place
//! of its xxHash.

/// Bits that one entry costs.
const BITS_PER_ENTRY: usize = 15;
const BLOCK_BYTES: usize = 32;

/// Odd constants that spread one 32-bit number over the eight words of a block.
const SALTS: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// Aligned, so that it lies within one line of the processor's cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(32))]
struct Block([u32; 8]);

/// What a filter looks at of a hash; made once to ask many filters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needle {
    /// Bits 32 to 63 of the hash: they choose the block. The bits above order the pages, so that all hashes
    /// of a group may share them.
    block: u32,
    /// Which bits of the block bits 0 to 31 choose, one in each word.
    mask: Block,
}

impl Needle {
    pub(super) fn of(hash: u128) -> Self {
        let low = hash as u32;
        let mask = Block(SALTS.map(|salt| 1 << (low.wrapping_mul(salt) >> 27)));
        Self { block: (hash >> 32) as u32, mask }
    }

    /// Its block among so many.
    fn block_of(&self, blocks: usize) -> usize {
        ((u64::from(self.block) * blocks as u64) >> 32) as usize
    }
}

/// A set of hashes that may err in one direction: it may claim to hold what it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    blocks: Box<[Block]>,
}

impl Filter {
    /// A filter that holds these hashes, of the size that suits their number.
    pub(super) fn of(hashes: impl ExactSizeIterator<Item = u128>) -> Self {
        let blocks = (hashes.len() * BITS_PER_ENTRY).div_ceil(BLOCK_BYTES * 8).max(1);
        let mut filter = Self { blocks: vec![Block([0; 8]); blocks].into_boxed_slice() };
        for hash in hashes {
            let needle = Needle::of(hash);
            let block = &mut filter.blocks[needle.block_of(blocks)];
            for (word, bit) in block.0.iter_mut().zip(needle.mask.0) {
                *word |= bit;
            }
        }
        filter
    }

    /// Whether the hash may be in the set; `false` is certain.
    #[inline]
    pub(super) fn may_hold(&self, needle: &Needle) -> bool {
        let block = &self.blocks[needle.block_of(self.blocks.len())];
        let pairs = block.0.iter().zip(needle.mask.0);
        pairs.fold(0, |missing, (word, bit)| missing | (!word & bit)) == 0
    }

    /// Appends the stored form: the blocks' words, little-endian.
    pub(super) fn encode_into(&self, bytes: &mut Vec<u8>) {
        bytes.reserve(self.bytes());
        bytes.extend(self.blocks.iter().flat_map(|block| block.0).flat_map(u32::to_le_bytes));
    }

    /// Reads the stored form; `None`: it is none.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<4>();
        if bytes.is_empty() || !bytes.len().is_multiple_of(BLOCK_BYTES) || !rest.is_empty() {
            return None;
        }
        let (blocks, _) = words.as_chunks::<8>();
        Some(Self {
            blocks: blocks.iter().map(|block| Block(block.map(u32::from_le_bytes))).collect(),
        })
    }

    /// Its size in bytes, in memory and stored.
    pub(super) fn bytes(&self) -> usize {
        self.blocks.len() * BLOCK_BYTES
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_set, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn what_was_put_in_is_never_kept_out(hashes in btree_set(any::<u128>(), 0..600)) {
            let filter = Filter::of(hashes.iter().copied());
            let mut stored = Vec::new();
            filter.encode_into(&mut stored);
            let read = Filter::decode(&stored).unwrap();
            prop_assert_eq!(&read, &filter);
            for hash in hashes {
                prop_assert!(read.may_hold(&Needle::of(hash)));
            }
        }
    }

    #[test]
    fn few_strangers_are_let_through() {
        let spread = |n: u64| {
            let low = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            u128::from((low ^ (low >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9))
        };
        let filter = Filter::of((0..16_384).map(spread).collect::<Vec<_>>().into_iter());
        let strangers =
            (16_384..116_384).filter(|n| filter.may_hold(&Needle::of(spread(*n)))).count();
        assert!((50..400).contains(&strangers), "{strangers} of 100,000");
    }

    #[test]
    fn a_hash_sets_the_bits_that_parquet_would() {
        let mut stored = Vec::new();
        Filter::of([1].into_iter()).encode_into(&mut stored);
        let words = [8, 8, 17, 20, 14, 5, 19, 11].map(|bit| 1_u32 << bit);
        assert_eq!(stored, words.map(u32::to_le_bytes).as_flattened());
        let needle = Needle { block: 0xffff_ffff, mask: Block([0; 8]) };
        assert_eq!((needle.block_of(1), needle.block_of(3)), (0, 2));
    }
}
