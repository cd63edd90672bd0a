//! Plays a transport stream over and over, as if it never ended.
//!
//! A decoder notices a plain repetition: clocks jump back and continuity counters break. So every round
//! shifts the clocks (PCR, PTS, DTS) by the file's length and the counters by the packets of their PID.
//! Round 0 is the file, byte for byte. A packet depends on its number alone.
//!
//! The file must have whole packets, one video stream whose frames are all there, and no sound beyond the
//! last frame's end; else players hear a click or see a jump at the seam.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use crate::io::ts::{self, PACKET_BYTES};

/// Clocks of a transport stream count 33 bits at 90 kHz, and then begin again.
const CLOCK_MASK: u64 = (1 << 33) - 1;
const CLOCK_HZ: u64 = 90_000;

/// A transport stream that is repeated without end.
#[derive(Debug, Clone)]
pub struct Looped {
    file: Bytes,
    /// How far one round moves the clocks, at 90 kHz.
    ticks: u64,
    /// How far one round moves the continuity counter of each PID.
    steps: BTreeMap<u16, u64>,
}

/// The file cannot be looped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// It is no sequence of whole packets.
    #[error("byte {0} does not begin a whole packet")]
    Packets(usize),
    /// Fewer than two video frames say when they are shown.
    #[error("there are fewer than two video frames, so that its length is unknown")]
    NoVideo,
}

impl Looped {
    /// Measures the file: its length is that of its video frames.
    pub fn new(file: Bytes) -> Result<Self, BadPattern> {
        let mut steps = BTreeMap::new();
        let mut shown = Vec::new();
        for (index, packet) in file.chunks(PACKET_BYTES).enumerate() {
            if packet.len() != PACKET_BYTES || packet[0] != ts::SYNC {
                return Err(BadPattern::Packets(index * PACKET_BYTES));
            }
            if has_payload(packet) {
                *steps.entry(pid(packet)).or_default() += 1;
            }
            let pes = pes_header(packet).filter(|at| matches!(packet[at + 3], 0xE0..=0xEF));
            shown.extend(pes.and_then(|at| stamps(packet, at)[0]).map(|at| stamp(&packet[at..])));
        }
        let (Some(first), Some(last), 2..) = (shown.iter().min(), shown.iter().max(), shown.len())
        else {
            return Err(BadPattern::NoVideo);
        };
        let frames = shown.len() as u64;
        Ok(Self { ticks: (last - first) * frames / (frames - 1), steps, file })
    }

    /// Bits per second at which the file plays in its own time.
    #[must_use]
    pub fn bits_per_second(&self) -> u64 {
        self.file.len() as u64 * 8 * CLOCK_HZ / self.ticks
    }

    /// Appends `count` packets from the packet number `first`.
    pub fn append(&self, first: u64, count: usize, to: &mut BytesMut) {
        let per_round = (self.file.len() / PACKET_BYTES) as u64;
        for number in (first..).take(count) {
            let (round, index) = (number / per_round, number % per_round);
            let start = usize::try_from(index).expect("a file in memory") * PACKET_BYTES;
            let packet = &self.file[start..start + PACKET_BYTES];
            let at = to.len();
            to.put_slice(packet);
            let steps = self.steps.get(&pid(packet)).copied().unwrap_or(0);
            shift(&mut to[at..], self.ticks.wrapping_mul(round), steps.wrapping_mul(round));
        }
    }
}

/// Moves one packet in time: its clocks by `ticks` at 90 kHz, its continuity counter by `steps`.
pub fn shift(packet: &mut [u8], ticks: u64, steps: u64) {
    let counter = (u64::from(packet[3]) + steps) & 0x0F;
    packet[3] = packet[3] & 0xF0 | u8::try_from(counter).expect("four bits");
    if has_pcr(packet) {
        let old = u64::from(u32::from_be_bytes([packet[6], packet[7], packet[8], packet[9]])) << 1
            | u64::from(packet[10] >> 7);
        let new = ((old + ticks) & CLOCK_MASK) << 7;
        packet[6..10].copy_from_slice(&new.to_be_bytes()[3..7]);
        packet[10] = packet[10] & 0x7F | new.to_be_bytes()[7];
    }
    let Some(pes) = pes_header(packet) else { return };
    for at in stamps(packet, pes).into_iter().flatten() {
        let new = (stamp(&packet[at..]) + ticks) & CLOCK_MASK;
        set_stamp(&mut packet[at..], new);
    }
}

fn pid(packet: &[u8]) -> u16 {
    ts::pid([packet[0], packet[1], packet[2]])
}

fn has_payload(packet: &[u8]) -> bool {
    packet[3] & 0x10 != 0
}

fn has_adaptation(packet: &[u8]) -> bool {
    packet[3] & 0x20 != 0
}

/// An adaptation field with at least flags and a PCR (7 bytes), the PCR flag set.
fn has_pcr(packet: &[u8]) -> bool {
    has_adaptation(packet) && packet[4] >= 7 && packet[5] & 0x10 != 0
}

/// Where the header of a packetised elementary stream with optional fields begins, if one does here.
fn pes_header(packet: &[u8]) -> Option<usize> {
    const STREAMS: std::ops::RangeInclusive<u8> = 0xC0..=0xEF;
    const PRIVATE: u8 = 0xBD;
    let starts_here = packet[1] & 0x40 != 0 && has_payload(packet);
    let at = if has_adaptation(packet) { 5 + usize::from(packet[4]) } else { 4 };
    let header = packet.get(at..at + 9).filter(|_| starts_here)?;
    let is_pes = header.starts_with(&[0, 0, 1]);
    let has_options = STREAMS.contains(&header[3]) || header[3] == PRIVATE;
    (is_pes && has_options).then_some(at)
}

/// Where the PTS and the DTS of the header at `pes` are.
fn stamps(packet: &[u8], pes: usize) -> [Option<usize>; 2] {
    let (pts, dts) = (pes + 9, pes + 14);
    let fits = |at: usize| at + 5 <= packet.len();
    let flags = packet[pes + 7] >> 6;
    [Some(pts).filter(|at| flags >= 2 && fits(*at)), Some(dts).filter(|at| flags == 3 && fits(*at))]
}

/// Reads 33 bits spread over five bytes with marker bits between.
fn stamp(bytes: &[u8]) -> u64 {
    let byte = |index: usize| u64::from(bytes[index]);
    (byte(0) >> 1 & 7) << 30 | byte(1) << 22 | (byte(2) >> 1) << 15 | byte(3) << 7 | byte(4) >> 1
}

/// Writes 33 bits over five bytes, and leaves the other bits as they are.
fn set_stamp(bytes: &mut [u8], value: u64) {
    let low = |shift: u32| (value >> shift).to_le_bytes()[0];
    bytes[0] = bytes[0] & 0xF1 | (low(30) & 7) << 1;
    bytes[1] = low(22);
    bytes[2] = bytes[2] & 1 | low(15) << 1;
    bytes[3] = low(7);
    bytes[4] = bytes[4] & 1 | low(0) << 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::PATTERN;

    fn pattern() -> Looped {
        Looped::new(Bytes::from_static(PATTERN)).unwrap()
    }

    fn rounds(count: usize) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        pattern().append(0, count * PATTERN.len() / PACKET_BYTES, &mut bytes);
        bytes.to_vec()
    }

    fn pcr(packet: &[u8]) -> Option<u64> {
        let high = || u64::from(u32::from_be_bytes(packet[6..10].try_into().unwrap()));
        has_pcr(packet).then(|| high() << 1 | u64::from(packet[10] >> 7))
    }

    #[test]
    fn the_first_round_is_the_file_itself() {
        assert_eq!(rounds(1), PATTERN);
    }

    #[test]
    fn the_pattern_lasts_as_long_as_its_frames() {
        assert_eq!(pattern().ticks, 864_000, "240 frames of 3600 ticks");
    }

    #[test]
    fn continuity_counters_go_on_from_round_to_round() {
        let mut last = BTreeMap::new();
        for packet in rounds(3).chunks(PACKET_BYTES).filter(|packet| has_payload(packet)) {
            let counter = packet[3] & 0x0F;
            if let Some(before) = last.insert(pid(packet), counter) {
                assert_eq!(counter, (before + 1) & 0x0F, "PID {}", pid(packet));
            }
        }
        assert_eq!(last.len(), 5, "PAT, PMT, SDT, picture and sound");
    }

    #[test]
    fn clocks_only_go_forward_and_no_frame_is_missing_at_the_seam() {
        let clocks =
            |stream: &[u8]| stream.chunks(PACKET_BYTES).filter_map(pcr).collect::<Vec<_>>();
        assert!(clocks(&rounds(3)).is_sorted_by(|a, b| a < b), "PCR");
        for (stream_id, frame_ticks) in [(0xE0, 3600), (0xC0, 1920)] {
            let once = gaps(&rounds(1), stream_id);
            let thrice = gaps(&rounds(3), stream_id);
            assert!(thrice.iter().all(|gap| *gap > 0 && gap % frame_ticks == 0), "{stream_id:x}");
            assert_eq!(thrice.iter().max(), once.iter().max(), "{stream_id:x}");
        }
    }

    /// Ticks from each PTS to the next. Pictures travel alone, sound frames several in one PES packet.
    fn gaps(stream: &[u8], stream_id: u8) -> Vec<u64> {
        let shown = stream.chunks(PACKET_BYTES).filter_map(|packet| {
            let pes = pes_header(packet).filter(|at| packet[at + 3] == stream_id)?;
            stamps(packet, pes)[0].map(|at| stamp(&packet[at..]))
        });
        let shown: Vec<u64> = shown.collect();
        shown.windows(2).map(|pair| pair[1].checked_sub(pair[0]).expect("time goes on")).collect()
    }

    #[test]
    fn a_clock_that_overflows_begins_again_at_zero() {
        let mut packet = PATTERN.chunks(PACKET_BYTES).find(|p| has_pcr(p)).unwrap().to_vec();
        let before = pcr(&packet).unwrap();
        shift(&mut packet, CLOCK_MASK, 16);
        assert_eq!(pcr(&packet), Some(before - 1), "one tick short of a whole turn");
        shift(&mut packet, 1, 0);
        assert_eq!(pcr(&packet), Some(before));
    }

    #[test]
    fn a_file_without_video_or_with_half_a_packet_is_refused() {
        let null = Bytes::from([&[ts::SYNC, 0x1F, 0xFF, 0x10][..], &[0xFF; 184]].concat());
        assert_eq!(Looped::new(null.clone()).unwrap_err(), BadPattern::NoVideo);
        assert_eq!(Looped::new(null.slice(..100)).unwrap_err(), BadPattern::Packets(0));
        assert_eq!(Looped::new(Bytes::new()).unwrap_err(), BadPattern::NoVideo);
    }
}
