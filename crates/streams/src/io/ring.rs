//! The bytes that a stream keeps: frames in order, addressed by their offset from the stream's first byte.
//!
//! A frame is what the pull put in at once; nothing is copied. The ring forgets whole frames from the
//! front when it is told up to where everybody has read.
//!
//! Invariants: frames are never empty and follow each other without a gap; an offset between start and
//! end always has its byte.
//!
//! Not here: who reads, who is dropped (`seats`), who waits (`hub`).

use std::collections::VecDeque;

use bytes::Bytes;

use super::ts::{self, PACKET_BYTES};
use crate::limits;

/// The packets that must be in step before a join point is trusted.
const STEADY_PACKETS: u64 = 3;
const PACKET: u64 = PACKET_BYTES as u64;

/// Recent bytes of one stream.
#[derive(Debug, Default)]
pub(super) struct Ring {
    frames: VecDeque<Frame>,
    /// The offset after the last byte.
    end: u64,
    held_bytes: usize,
    /// The offset of packets' first bytes, modulo 188, as last seen.
    phase: u64,
}

#[derive(Debug)]
struct Frame {
    start: u64,
    bytes: Bytes,
}

impl Frame {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl Ring {
    /// The offset of the first byte that is still here.
    pub(super) fn start(&self) -> u64 {
        self.end - self.held_bytes as u64
    }

    /// The offset that the next byte will have: how many bytes the stream had so far.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Bytes that are here.
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Puts bytes at the end.
    pub(super) fn push(&mut self, bytes: Bytes) {
        assert!(!bytes.is_empty(), "frames are never empty");
        self.held_bytes += bytes.len();
        let frame = Frame { start: self.end, bytes };
        self.end = frame.end();
        self.frames.push_back(frame);
    }

    /// The bytes from `at` to the end of their frame.
    pub(super) fn read(&self, at: u64) -> Bytes {
        let frame = &self.frames[self.index(at)];
        let skip = usize::try_from(at - frame.start).expect("an offset within a frame");
        frame.bytes.slice(skip..)
    }

    /// Forgets all frames that end at or before `keep_from`, and hands them over, so that their memory
    /// can be freed outside a lock.
    pub(super) fn trim(&mut self, keep_from: u64, freed: &mut Vec<Bytes>) {
        while self.frames.front().is_some_and(|frame| frame.end() <= keep_from) {
            let frame = self.frames.pop_front().expect("there is a first frame");
            self.held_bytes -= frame.bytes.len();
            freed.push(frame.bytes);
        }
    }

    /// How far everybody must have read before `more` bytes have room. At most [`Ring::start`]: they have
    /// room now.
    pub(super) fn cut_for(&self, more: usize) -> u64 {
        let mut excess = (self.held_bytes + more).saturating_sub(limits::RING_BYTES);
        let mut cut = self.start();
        for frame in &self.frames {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(frame.bytes.len());
            cut = frame.end();
        }
        cut
    }

    /// Where a player that joins now begins: at the newest PAT in the join window; else at the oldest
    /// packet of the window; else, when there are no packets, at the window's first byte.
    pub(super) fn join_point(&mut self) -> u64 {
        let window = self.end.saturating_sub(limits::JOIN_WINDOW_BYTES as u64).max(self.start());
        let Some(phase) = self.find_phase(window) else { return window };
        self.phase = phase;
        let mut oldest = window;
        let mut packet = self.newest_packet(phase);
        let mut index = self.frames.len();
        while packet.is_some_and(|at| at >= window) {
            let at = packet.expect("checked by the loop");
            while index == self.frames.len() || self.frames[index].start > at {
                index -= 1;
            }
            let header = self.header(index, at);
            if header[0] != ts::SYNC {
                break;
            }
            if ts::pid(header) == ts::PAT_PID {
                return at;
            }
            oldest = at;
            packet = at.checked_sub(PACKET);
        }
        oldest
    }

    /// The first three bytes of the packet at `at`, which is in the frame of that index.
    fn header(&self, index: usize, at: u64) -> [u8; 3] {
        let frame = &self.frames[index];
        let skip = usize::try_from(at - frame.start).expect("an offset within a frame");
        match frame.bytes.get(skip..skip + 3) {
            Some(header) => [header[0], header[1], header[2]],
            None => [self.byte(at), self.byte(at + 1), self.byte(at + 2)],
        }
    }

    /// The phase in which the newest packets are in step: the last known one, if it still holds.
    fn find_phase(&self, window: u64) -> Option<u64> {
        let steady = |phase: u64| {
            let newest = self.newest_packet(phase)?;
            let first = newest.checked_sub((STEADY_PACKETS - 1) * PACKET).unwrap_or(phase);
            let mut packets = (first..=newest).step_by(PACKET_BYTES);
            (first >= window && packets.all(|at| self.byte(at) == ts::SYNC)).then_some(phase)
        };
        steady(self.phase).or_else(|| (0..PACKET).find_map(steady))
    }

    /// The first byte of the newest whole packet, if packets begin at `phase`.
    fn newest_packet(&self, phase: u64) -> Option<u64> {
        let whole = self.end.checked_sub(phase)? / PACKET;
        Some(phase + whole.checked_sub(1)? * PACKET)
    }

    fn byte(&self, at: u64) -> u8 {
        let frame = &self.frames[self.index(at)];
        frame.bytes[usize::try_from(at - frame.start).expect("an offset within a frame")]
    }

    /// Which frame has the byte at `at`.
    fn index(&self, at: u64) -> usize {
        assert!((self.start()..self.end).contains(&at), "offset {at} is not in the ring");
        self.frames.partition_point(|frame| frame.end() <= at)
    }
}

#[cfg(test)]
mod tests;
