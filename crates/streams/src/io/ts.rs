//! What is to be known of an MPEG transport stream (ISO/IEC 13818-1): packets of 188 bytes, each with a
//! sync byte and the id (PID) of what it carries.
//!
//! Not here: packets of 192 or 204 bytes, which no engine sends; what is inside the packets.

/// Bytes of a packet.
pub const PACKET_BYTES: usize = 188;
/// The first byte of every packet.
pub const SYNC: u8 = 0x47;
/// The PID of the program association table, where a decoder begins.
pub const PAT_PID: u16 = 0;
/// The PID of packets that carry nothing.
pub const NULL_PID: u16 = 0x1FFF;

/// Packets whose sync bytes make a transport stream.
const PROOF_PACKETS: usize = 3;

/// What the first bytes of an answer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// A transport stream.
    TransportStream,
    /// Something else.
    Other,
    /// Too few bytes to say.
    Undecided,
}

/// Looks for sync bytes at a packet's distance over three packets. The first of them may begin anywhere
/// within the first 188 bytes, since an engine may join a broadcast in the middle of a packet.
#[must_use]
pub fn probe(bytes: &[u8]) -> Probe {
    let mut verdict = Probe::Other;
    for first in 0..PACKET_BYTES {
        let places = (0..PROOF_PACKETS).map(|packet| bytes.get(first + packet * PACKET_BYTES));
        let (mut seen, mut matching) = (0, true);
        for byte in places.flatten() {
            seen += 1;
            matching &= *byte == SYNC;
        }
        if matching && seen == PROOF_PACKETS {
            return Probe::TransportStream;
        }
        if matching {
            verdict = Probe::Undecided;
        }
    }
    verdict
}

/// The PID in a packet's header, of which the first three bytes are given.
#[must_use]
pub fn pid(header: [u8; 3]) -> u16 {
    u16::from(header[1] & 0x1F) << 8 | u16::from(header[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count * PACKET_BYTES];
        bytes.iter_mut().step_by(PACKET_BYTES).for_each(|byte| *byte = SYNC);
        bytes
    }

    #[test]
    fn three_sync_bytes_at_packet_distance_make_a_transport_stream() {
        let stream = packets(3);
        assert_eq!(probe(&stream[..2 * PACKET_BYTES + 1]), Probe::TransportStream);
        assert_eq!(probe(&stream[..2 * PACKET_BYTES]), Probe::Undecided);
    }

    #[test]
    fn a_stream_may_begin_in_the_middle_of_a_packet() {
        let stream = packets(4);
        assert_eq!(probe(&stream[100..]), Probe::TransportStream);
        assert_eq!(probe(&stream[1..]), Probe::TransportStream);
    }

    #[test]
    fn other_packet_sizes_and_texts_are_no_transport_stream() {
        let mut long = vec![0; 4 * 204];
        long.iter_mut().step_by(204).for_each(|byte| *byte = SYNC);
        assert_eq!(probe(&long), Probe::Other);
        assert_eq!(probe("<html>Good Game</html>".repeat(50).as_bytes()), Probe::Other);
        assert_eq!(probe(&[]), Probe::Undecided);
    }

    #[test]
    fn a_pid_has_thirteen_bits() {
        assert_eq!(pid([SYNC, 0x40, 0x00]), PAT_PID);
        assert_eq!(pid([SYNC, 0xFF, 0xFF]), NULL_PID);
        assert_eq!(pid([SYNC, 0x41, 0x02]), 0x102);
    }
}
