//! A transport stream whose every byte is known: packet `n` is a pure function of `n`.
//!
//! Blocks of 64 packets: a PAT, a PMT, and 62 packets of which every eighth is a null packet. Data and null
//! packets carry their number and 22 words derived from it, so that a reader that joined anywhere can
//! tell where it is, and check every byte from there on ([`Check`]).

use bytes::{BufMut, BytesMut};

use crate::io::ts::{self, NULL_PID, PACKET_BYTES, PAT_PID};

/// Packets from one PAT to the next.
pub const BLOCK: u64 = 64;
/// The PID of the program map table.
pub const PMT_PID: u16 = 0x1000;
/// The PID of the counted packets.
pub const DATA_PID: u16 = 0x100;

const HEADER_BYTES: usize = 4;
/// Null packets of a block: 7, 15, …, 63.
const NULLS: u64 = BLOCK / 8;

/// Packet number `n`.
#[must_use]
pub fn packet(n: u64) -> [u8; PACKET_BYTES] {
    let (block, index) = (n / BLOCK, n % BLOCK);
    match index {
        0 => table(PAT_PID, block, &[0x00, 0xB0, 13, 0, 1, 0xC1, 0, 0, 0, 1, 0xF0, 0x00]),
        // One program, its clock and its one stream (private data) on the data PID.
        1 => table(
            PMT_PID,
            block,
            &[2, 0xB0, 18, 0, 1, 0xC1, 0, 0, 0xE1, 0, 0xF0, 0, 6, 0xE1, 0, 0xF0, 0],
        ),
        _ if index % 8 == 7 => counted(NULL_PID, 0, n),
        _ => counted(DATA_PID, block * (BLOCK - 2 - NULLS) + index - 2 - index / 8, n),
    }
}

/// Appends `count` packets from the packet number `first`.
pub fn append(first: u64, count: usize, to: &mut BytesMut) {
    (first..).take(count).for_each(|n| to.put_slice(&packet(n)));
}

/// Compares a stream, in pieces of any size, with what it must be.
#[derive(Debug, Default)]
pub struct Check {
    /// Bytes before the stream's place is known, at most a few packets.
    unplaced: Vec<u8>,
    /// The offset of the next byte in the whole stream.
    next: Option<u64>,
    first: Option<u64>,
}

/// A byte is not what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The stream does not begin with packets that say where they belong.
    #[error("the stream does not begin at a packet of the counted stream")]
    Start,
    /// A byte differs.
    #[error("byte {0} of the whole stream differs, or is missing")]
    Byte(u64),
}

impl Check {
    /// Checks the next bytes of the stream, which must begin at a packet.
    pub fn next(&mut self, bytes: &[u8]) -> Result<(), Mismatch> {
        if let Some(next) = self.next {
            return self.compare(next, bytes);
        }
        self.unplaced.extend_from_slice(bytes);
        let unplaced = std::mem::take(&mut self.unplaced);
        match place(&unplaced)? {
            Some(first) => {
                self.first = Some(first);
                self.compare(first * PACKET_BYTES as u64, &unplaced)
            }
            None => {
                self.unplaced = unplaced;
                Ok(())
            }
        }
    }

    /// The number of the packet with which the stream began, once it is known.
    #[must_use]
    pub fn first_packet(&self) -> Option<u64> {
        self.first
    }

    /// The offset of the next byte in the whole stream, once it is known.
    #[must_use]
    pub fn next_offset(&self) -> Option<u64> {
        self.next
    }

    fn compare(&mut self, mut at: u64, mut bytes: &[u8]) -> Result<(), Mismatch> {
        while !bytes.is_empty() {
            let expected = packet(at / PACKET_BYTES as u64);
            let skip = usize::try_from(at % PACKET_BYTES as u64).expect("less than a packet");
            let (now, later) = bytes.split_at(bytes.len().min(PACKET_BYTES - skip));
            if now != &expected[skip..skip + now.len()] {
                return Err(Mismatch::Byte(at));
            }
            at += now.len() as u64;
            bytes = later;
        }
        self.next = Some(at);
        Ok(())
    }
}

/// Which packet these bytes begin with; `None` if there are too few to tell.
fn place(bytes: &[u8]) -> Result<Option<u64>, Mismatch> {
    for (index, packet) in bytes.chunks_exact(PACKET_BYTES).enumerate() {
        if packet[0] != ts::SYNC {
            return Err(Mismatch::Start);
        }
        if matches!(ts::pid([packet[0], packet[1], packet[2]]), DATA_PID | NULL_PID) {
            let number = packet[HEADER_BYTES..HEADER_BYTES + 8].try_into().expect("eight bytes");
            let first = u64::from_be_bytes(number).checked_sub(index as u64);
            return first.map(Some).ok_or(Mismatch::Start);
        }
    }
    Ok(None)
}

fn header(pid: u16, starts: bool, counter: u64) -> [u8; HEADER_BYTES] {
    let [high, low] = pid.to_be_bytes();
    let counter = u8::try_from(counter & 0x0F).expect("four bits");
    [ts::SYNC, if starts { 0x40 } else { 0 } | high, low, 0x10 | counter]
}

fn counted(pid: u16, counter: u64, n: u64) -> [u8; PACKET_BYTES] {
    let mut packet = [0; PACKET_BYTES];
    packet[..HEADER_BYTES].copy_from_slice(&header(pid, false, counter));
    let mut word = n;
    for slot in packet[HEADER_BYTES..].chunks_exact_mut(8) {
        slot.copy_from_slice(&word.to_be_bytes());
        // The step of Knuth's MMIX generator: odd, so that no two numbers meet.
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    }
    packet
}

/// A packet with a table: a pointer of 0, the section, its CRC, and filling.
fn table(pid: u16, counter: u64, section: &[u8]) -> [u8; PACKET_BYTES] {
    let mut packet = [0xFF; PACKET_BYTES];
    packet[..HEADER_BYTES].copy_from_slice(&header(pid, true, counter));
    packet[HEADER_BYTES] = 0;
    let (start, end) = (HEADER_BYTES + 1, HEADER_BYTES + 1 + section.len());
    packet[start..end].copy_from_slice(section);
    packet[end..end + 4].copy_from_slice(&crc_mpeg(section).to_be_bytes());
    packet
}

/// CRC-32/MPEG-2: polynomial 0x04C11DB7, not reflected, no final inversion.
fn crc_mpeg(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            if crc & 0x8000_0000 == 0 { crc << 1 } else { crc << 1 ^ 0x04C1_1DB7 }
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn stream(first: u64, count: usize) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        append(first, count, &mut bytes);
        bytes.to_vec()
    }

    #[test]
    fn the_crc_is_the_published_one() {
        assert_eq!(crc_mpeg(b"123456789"), 0x0376_E6E7);
    }

    #[test]
    fn continuity_counters_are_continuous_and_an_eighth_is_null_packets() {
        let mut last = BTreeMap::new();
        let mut nulls = 0;
        for packet in stream(0, 1000).chunks(PACKET_BYTES) {
            let pid = ts::pid([packet[0], packet[1], packet[2]]);
            nulls += usize::from(pid == NULL_PID);
            let counter = packet[3] & 0x0F;
            if let Some(before) = last.insert(pid, counter).filter(|_| pid != NULL_PID) {
                assert_eq!(counter, (before + 1) & 0x0F, "PID {pid}");
            }
        }
        assert_eq!(nulls, 125);
    }

    #[test]
    fn a_reader_that_joins_anywhere_can_check_every_byte() {
        for first in [0, 1, 5, 7, 640, 12_345] {
            let mut check = Check::default();
            stream(first, 200).chunks(61).for_each(|piece| check.next(piece).unwrap());
            assert_eq!(check.first_packet(), Some(first));
            assert_eq!(check.next_offset(), Some((first + 200) * PACKET_BYTES as u64));
        }
    }

    #[test]
    fn a_changed_a_missing_and_a_doubled_byte_are_noticed() {
        let good = stream(100, 50);
        let mut changed = good.clone();
        changed[5000] ^= 1;
        let (left, right) = good.split_at(4000);
        let missing = [left, &right[1..]].concat();
        let doubled = [left, &right[..1], right].concat();
        let lost_packet = [left, &right[PACKET_BYTES..]].concat();
        for bad in [changed, missing, doubled, lost_packet] {
            assert!(matches!(Check::default().next(&bad), Err(Mismatch::Byte(_))));
        }
        assert_eq!(Check::default().next(&good[1..]), Err(Mismatch::Start));
    }
}
