//! Every bound of the composed server, with its unit. Those of HTTP, of the runtime and of each service
//! are in their own `limits`.

use std::ops::RangeInclusive;

use interlock_kernel::time::Millis;

/// Bytes of a configuration file.
pub const CONFIG_BYTES: usize = 1 << 20;
/// The shortest access token, in characters: 16 random ones cannot be guessed.
pub const TOKEN_CHARS_MIN: usize = 16;

/// How long command ids and events may be kept.
pub const RETENTION: RangeInclusive<Millis> = Millis::from_secs(60)..=Millis::from_secs(365 * DAY);
/// How long a stream's start may take.
pub const START: RangeInclusive<Millis> = Millis(100)..=Millis::from_secs(10 * 60);
/// Engines that may be tried for one start.
pub const START_ATTEMPTS: RangeInclusive<u32> = 1..=100;
/// How long a stream without players may go on.
pub const LINGER: RangeInclusive<Millis> = Millis(0)..=Millis::from_secs(3_600);
/// How long a slot may stay reserved without a word from its holder.
pub const LEASE_TTL: RangeInclusive<Millis> = Millis::from_secs(1)..=Millis::from_secs(600);
/// When an engine may end a stream that nobody reads.
pub const ENGINE_IDLE: RangeInclusive<Millis> = Millis::from_secs(1)..=Millis::from_secs(3_600);
/// How long an engine that failed may be left alone.
pub const EJECTION: RangeInclusive<Millis> = Millis(0)..=Millis::from_secs(3_600);

const DAY: u64 = 24 * 60 * 60;

const _: () = assert!(TOKEN_CHARS_MIN <= interlock_web::limits::TOKEN_CHARS);
