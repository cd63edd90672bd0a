//! The stored form of a page: some entries, sorted by hash, in columns.
//!
//! ```text
//! page = count u16 | position width u8 | due width u8 | hash* | position* | due*
//! ```
//!
//! Hashes have 16 bytes, big-endian, so that they sort as bytes do. Positions and dues have as many bytes as
//! the largest of the page needs, little-endian. A due is stored plus one, wrapping, so that "never" is 0 and
//! a page without any due spends no byte on them.
//!
//! Not here: the checksum, which every row of an index has ([`super::tables`]).

use interlock_kernel::{ids::Position, time::Time};

use super::Entry;

const HEADER_BYTES: usize = 4;
const HASH_BYTES: usize = 16;

/// The stored form of entries, which are sorted by hash, at least one, at most 65,535.
pub(super) fn encode(entries: &[Entry]) -> Vec<u8> {
    let count = u16::try_from(entries.len()).expect("Shape::check bounds a page's entries");
    let position_width = width(entries.iter().map(|entry| entry.position.0));
    let due_width = width(entries.iter().map(|entry| due_form(entry.due)));
    let size = HASH_BYTES + position_width + due_width;
    // Room for the checksum too, which is appended next.
    let mut page = Vec::with_capacity(HEADER_BYTES + entries.len() * size + size_of::<u32>());
    page.extend_from_slice(&count.to_le_bytes());
    page.extend_from_slice(&[position_width as u8, due_width as u8]);
    for entry in entries {
        page.extend_from_slice(&entry.hash.to_be_bytes());
    }
    for entry in entries {
        page.extend_from_slice(&entry.position.0.to_le_bytes()[..position_width]);
    }
    for entry in entries {
        page.extend_from_slice(&due_form(entry.due).to_le_bytes()[..due_width]);
    }
    page
}

/// A page, checked to be one, with its columns told apart.
pub(super) struct Page<'a> {
    hashes: &'a [[u8; HASH_BYTES]],
    positions: Numbers<'a>,
    dues: Numbers<'a>,
}

impl<'a> Page<'a> {
    /// `None`: the bytes are no page.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&[low, high, position_width, due_width], columns) = bytes.split_first_chunk()?;
        let count = usize::from(u16::from_le_bytes([low, high]));
        if count == 0 {
            return None;
        }
        let (hashes, rest) = columns.split_at_checked(count * HASH_BYTES)?;
        let (positions, dues) = rest.split_at_checked(count * usize::from(position_width))?;
        Some(Self {
            hashes: hashes.as_chunks().0,
            positions: Numbers::parse(positions, position_width, count)?,
            dues: Numbers::parse(dues, due_width, count)?,
        })
    }

    /// The entry of a hash.
    pub(super) fn find(&self, hash: u128) -> Option<Entry> {
        let index = self.hashes.binary_search(&hash.to_be_bytes()).ok()?;
        Some(self.entry(index))
    }

    /// All entries, in order.
    pub(super) fn entries(&self) -> impl ExactSizeIterator<Item = Entry> {
        (0..self.hashes.len()).map(|index| self.entry(index))
    }

    fn entry(&self, index: usize) -> Entry {
        Entry {
            hash: u128::from_be_bytes(self.hashes[index]),
            position: Position(self.positions.get(index)),
            due: Time(self.dues.get(index).wrapping_sub(1)),
        }
    }
}

/// A column of numbers, all of one width.
struct Numbers<'a> {
    bytes: &'a [u8],
    width: usize,
}

impl<'a> Numbers<'a> {
    fn parse(bytes: &'a [u8], width: u8, count: usize) -> Option<Self> {
        let width = usize::from(width);
        let fits = width <= size_of::<u64>() && bytes.len() == count * width;
        fits.then_some(Self { bytes, width })
    }

    fn get(&self, index: usize) -> u64 {
        let mut number = [0; 8];
        let from = index * self.width;
        number[..self.width].copy_from_slice(&self.bytes[from..from + self.width]);
        u64::from_le_bytes(number)
    }
}

fn due_form(due: Time) -> u64 {
    due.0.wrapping_add(1)
}

/// Bytes that the largest of the numbers needs.
fn width(numbers: impl Iterator<Item = u64>) -> usize {
    let bits = u64::BITS - numbers.max().unwrap_or(0).leading_zeros();
    bits.div_ceil(8) as usize
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, prelude::*};

    use super::*;

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), Just(u64::MAX), Just(u64::MAX - 1), any::<u64>(), 0_u64..70_000]
    }

    proptest! {
        #[test]
        fn a_page_gives_back_what_it_was_given(
            map in btree_map(any::<u128>(), (number(), number()), 1..40),
            stranger in any::<u128>(),
        ) {
            let entry = |(hash, (position, due)): (&u128, &(u64, u64))| Entry {
                hash: *hash,
                position: Position(*position),
                due: Time(*due),
            };
            let entries: Vec<Entry> = map.iter().map(entry).collect();
            let stored = encode(&entries);
            let page = Page::parse(&stored).unwrap();
            prop_assert_eq!(page.entries().collect::<Vec<_>>(), entries.clone());
            for entry in entries {
                prop_assert_eq!(page.find(entry.hash), Some(entry));
            }
            prop_assert_eq!(page.find(stranger).is_some(), map.contains_key(&stranger));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(page) = Page::parse(&bytes) {
                page.entries().for_each(|entry| { page.find(entry.hash); });
            }
        }
    }

    #[test]
    fn ids_cost_hash_and_position_alone() {
        let entry =
            |n: u64| Entry { hash: n.into(), position: Position(n + 70_000), due: Time::NEVER };
        let entries: Vec<Entry> = (0..100).map(entry).collect();
        assert_eq!(encode(&entries).len(), HEADER_BYTES + 100 * (HASH_BYTES + 3));
    }
}
