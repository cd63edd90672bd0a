//! Every bound of the streams service, with its unit.

use std::time::Duration;

use crate::io::ts::PACKET_BYTES;

/// Bytes that one stream keeps for players that lag behind.
pub const RING_BYTES: usize = 32 << 20;
/// Bytes of recent stream in which a player that joins later looks for a place to begin.
pub const JOIN_WINDOW_BYTES: usize = 1 << 20;
/// Bytes that one push puts into the ring, and that one player takes from it, at most.
pub const FRAME_BYTES: usize = 256 << 10;
/// Small reads that are at hand together are merged up to this many bytes.
pub const MERGE_BYTES: usize = 128 << 10;
/// A pull that brings more than this at once lets most players send it first,
pub const BURST_BYTES: usize = 1 << 20;
/// but waits no longer than this for each frame.
pub const BURST_HOLD: Duration = Duration::from_millis(5);
/// A player that takes nothing for so long while it has half a ring to read has stalled.
pub const STALL: Duration = Duration::from_secs(1);
/// What a player that reads, but fell half a ring behind the others, gets to come back.
pub const CATCH_UP: Duration = Duration::from_secs(3);
/// Players of one stream.
pub const PLAYERS: usize = 10_000;

/// Bytes of a JSON answer of an engine.
pub const ANSWER_BYTES: usize = 64 << 10;
/// Bytes of the head of an engine's answer.
pub const HEAD_BYTES: usize = 64 << 10;
/// Bytes of one read from an engine's connection.
pub const READ_BYTES: usize = FRAME_BYTES;
/// Bytes of a URL, name or message that an engine gives.
pub const TEXT_BYTES: usize = 2048;
/// Redirects that are followed from a playback URL.
pub const REDIRECTS: usize = 3;

/// How long the service waits for engines to confirm the end of their sessions when it stops.
pub const STOP_TIME: Duration = Duration::from_secs(5);
/// Ended sessions that the history keeps.
pub const HISTORY_SESSIONS: u64 = 1_000;

/// Ended sessions that a fake engine remembers.
pub const FAKE_SESSIONS_KEPT: usize = 1_000;

const _: () = assert!(MERGE_BYTES <= FRAME_BYTES, "a merged read is one frame");
const _: () = assert!(
    JOIN_WINDOW_BYTES + 2 * FRAME_BYTES <= RING_BYTES / 2,
    "players that keep up never fill the ring"
);
const _: () = assert!(JOIN_WINDOW_BYTES >= 4 * PACKET_BYTES, "a window holds some packets");
