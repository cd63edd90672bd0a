//! Limits.

use interlock_kernel::time::Millis;

/// Characters of a name or address in a run's plan, of a room, a team, an opponent.
pub const TEXT_CHARS: usize = 200;
/// Opponents of a run that are counted apart; those who come later are counted together.
pub const OPPONENTS: usize = 10_000;
/// Bytes of a room's id.
pub const ROOM_BYTES: usize = 128;
/// Bytes of an id made from a name of the server.
pub const ID_BYTES: usize = 40;
/// Battles of a run whose row is kept.
pub const HISTORY_BATTLES: u64 = 100_000;
/// Runs of a list.
pub const RUNS_SHOWN: usize = 100;
/// How long a claimed battle lasts without a sign of life.
pub const CLAIM_TTL: Millis = Millis::from_secs(60);
