//! Where a session's bytes come from: content at a speed.

use bytes::{Bytes, BytesMut};
use tokio::time::{Duration, Instant, sleep_until};

use super::{Content, Speed, counted};
use crate::io::ts::PACKET_BYTES;

/// How often a limited speed passes bytes on.
const BEAT: Duration = Duration::from_millis(20);
/// Packets of one piece at unlimited speed: 256 KiB.
const PIECE_PACKETS: usize = (256 << 10) / PACKET_BYTES;
/// A reader that fell back is caught up with at most so much at once.
const BURST: Duration = Duration::from_secs(1);

/// An open content.
#[derive(Debug)]
pub(super) struct Tap {
    content: Content,
    speed: Speed,
    next_packet: u64,
    /// Up to when packets were passed on, at a limited speed.
    paid_until: Instant,
}

impl Tap {
    /// Content that flows from `start` on.
    pub(super) fn new(content: Content, speed: Speed, start: Instant) -> Self {
        Self { content, speed, next_packet: 0, paid_until: start }
    }

    /// The next piece, when it is due; `None` after the last. Nothing is lost when the call is abandoned.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if let Content::Text(text) = &self.content {
            let text = (self.next_packet == 0).then(|| Bytes::from(text.clone()));
            self.next_packet += 1;
            return text;
        }
        let count = match self.speed {
            Speed::Unlimited => {
                sleep_until(self.paid_until).await;
                PIECE_PACKETS
            }
            Speed::BitsPerSecond(bits) => self.due(bits).await,
        };
        let mut piece = BytesMut::with_capacity(count * PACKET_BYTES);
        match &self.content {
            Content::Counted => counted::append(self.next_packet, count, &mut piece),
            Content::Looped(file) => file.append(self.next_packet, count, &mut piece),
            Content::Text(_) => unreachable!("answered above"),
        }
        self.next_packet += count as u64;
        Some(piece.freeze())
    }

    /// Waits for the next beat, and says how many packets are due then: at least one.
    async fn due(&mut self, bits_per_second: u64) -> usize {
        let one = Duration::from_secs_f64(PACKET_BYTES as f64 * 8.0 / bits_per_second as f64);
        sleep_until(self.paid_until + BEAT.max(one)).await;
        let now = Instant::now();
        self.paid_until = self.paid_until.max(now - BURST.max(one));
        let count = (now - self.paid_until).div_duration_f64(one) as u32;
        self.paid_until += one * count;
        usize::try_from(count).expect("packets of a second")
    }
}
