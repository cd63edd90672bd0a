//! Every bound of a battle, with its unit.

use std::time::Duration;

/// Bytes of one message of the server. The log of a long battle, sent whole after a rejoin, stays below 1 MiB.
pub const MESSAGE_BYTES: usize = 4 << 20;
/// Bytes of a room's id.
pub const ROOM_BYTES: usize = 128;
/// Bytes of an id made from a name of the server.
pub const ID_BYTES: usize = 40;
/// Pokémon of one side.
pub const TEAM: usize = 6;
/// Moves that a Pokémon was seen to know. More than four when it was somebody else in disguise.
pub const MOVES_SEEN: usize = 12;
/// Volatile conditions of one Pokémon, and conditions of one side.
pub const CONDITIONS: usize = 32;

/// Frames that wait for one battle's player.
pub const ROOM_FRAMES: usize = 1024;
/// Messages that wait to be sent, of all battles of a connection.
pub const OUTGOING: usize = 256;
/// Battles that one connection plays at once.
pub const ROOMS: usize = 256;
/// Events that wait for the connection's owner.
pub const EVENTS: usize = 1024;

/// One decision, from the request to the choice. A server's own timer is longer.
pub const DECISION: Duration = Duration::from_secs(25);
/// Choices that are sent for one request when the server says that they cannot be made.
pub const CHOICES_REFUSED: usize = 4;
/// A new connection, from the first byte to the name.
pub const LOGIN: Duration = Duration::from_secs(30);
/// Bytes of a login service's answer.
pub const LOGIN_ANSWER_BYTES: usize = 64 << 10;
/// A battle in which nothing is said for so long is given up.
pub const SILENCE: Duration = Duration::from_secs(330);
