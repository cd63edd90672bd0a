//! Limits.

/// Characters of a name or address in a run's plan, of a room, a team, an opponent.
pub const TEXT_CHARS: usize = 200;
/// Opponents of a run that are counted apart; those who come later are counted together.
pub const OPPONENTS: usize = 10_000;
