//! Every bound of a battle, with its unit.

use std::time::Duration;

use interlock_kernel::time::Millis;

/// Bytes of one message of the server. The log of a long battle, sent whole after a rejoin, stays below 1 MiB.
pub const MESSAGE_BYTES: usize = 4 << 20;
/// Bytes of a room's id.
pub const ROOM_BYTES: usize = 128;
/// Bytes of an id made from a name of the server.
pub const ID_BYTES: usize = 40;
/// Pokémon of one side.
pub const TEAM: usize = 6;
/// Choices of one side that a battle remembers, the newest.
pub const CHOICES: usize = 16;
/// Bytes of a team's text.
pub const TEAM_BYTES: usize = 16 << 10;
/// Moves that a Pokémon was seen to know. More than four when it was somebody else in disguise.
pub const MOVES_SEEN: usize = 12;
/// Volatile conditions of one Pokémon, and conditions of one side.
pub const CONDITIONS: usize = 32;

/// Frames that wait for one battle's player.
pub const ROOM_FRAMES: usize = 1024;
/// Messages that wait to be sent, of all battles of a connection.
pub const OUTGOING: usize = 256;
/// Battles that one connection plays at once.
pub const ROOMS: usize = 1024;
/// Events that wait for the connection's owner.
pub const EVENTS: usize = 4096;
// Every room comes back at once after a reconnect.
const _: () = assert!(ROOMS * 2 <= EVENTS);

/// One decision, from the request to the choice; less where the server's own timer wants it sooner.
pub const DECISION: Duration = Duration::from_secs(25);
/// The search for it, from the request on. Less, so that there is time to say what was found.
pub const SEARCH: Duration = Duration::from_secs(20);
/// The same, where a decision has less time.
pub const SEARCH_SHARE: f64 = 0.8;
const _: () = assert!(SEARCH.as_secs() as f64 == DECISION.as_secs() as f64 * SEARCH_SHARE);
/// What a server's timer counts in. A choice is made so much before the time is over.
pub const TIMER_TICK: Duration = Duration::from_secs(5);
/// Formats of a server that are remembered.
pub const FORMATS: usize = 2_000;
/// Of those, how many a mistyped one is told.
pub const FORMATS_NEAR: usize = 3;
/// A server that is asked for its formats, from the first byte to the last.
pub const ASK_FORMATS: Duration = Duration::from_secs(3);
/// Iterations of one search.
pub const ITERATIONS: u32 = 10_000_000;
/// Choices that are sent for one request when the server says that they cannot be made.
pub const CHOICES_REFUSED: usize = 4;
/// A new connection, from the first byte to the name.
pub const LOGIN: Duration = Duration::from_secs(30);
/// Bytes of a login service's answer.
pub const LOGIN_ANSWER_BYTES: usize = 64 << 10;
/// A battle in which nothing is said for so long is asked for anew: its timer, which we turn on, speaks every 30 s.
pub const SILENCE: Duration = Duration::from_secs(120);
/// A connection on which nothing is heard for so long is asked whether it lives; after twice as long, it does not.
pub const UNHEARD: Duration = Duration::from_secs(45);
// Battles need not notice that themselves.
const _: () = assert!(2 * UNHEARD.as_secs() < SILENCE.as_secs());
/// A server that proves names takes a message in 600 ms.
pub const MESSAGE_EVERY: Duration = Duration::from_millis(650);
/// Of those that come sooner, it remembers five.
pub const MESSAGES_AHEAD: u32 = 4;

/// Characters of a name or address in a run's plan, of a room, a team, an opponent.
pub const TEXT_CHARS: usize = 200;
/// Characters that a server leaves of a user's name.
pub const NAME_CHARS: usize = 18;
/// Accounts of one fleet.
pub const ACCOUNTS: usize = 100;
/// Workers of one fleet.
pub const WORKERS: std::ops::RangeInclusive<u64> = 1..=1000;
/// Teams of one hosted fleet.
pub const TEAMS: usize = 100;
/// Characters of a team in Showdown's packed form.
pub const PACKED_CHARS: usize = 4000;
/// Opponents of a run that are counted apart; those who come later are counted together, and told apart by the rows
/// of their battles.
pub const OPPONENTS: usize = 1_000;
/// Opponents that a view of a run shows: those with the most battles.
pub const OPPONENTS_SHOWN: usize = 100;
const _: () = assert!(OPPONENTS_SHOWN <= OPPONENTS);
/// Battles of a run of which it is known that another worker than their own settled them: the newest.
pub const TAKEN_UP: usize = 10_000;
/// Battles of a run that were watched whose room is remembered: the newest. A server shows them some minutes longer.
pub const WATCHED: usize = 1000;
/// Battles of a run whose row is kept.
pub const HISTORY_BATTLES: u64 = 100_000;
/// Runs of a list.
pub const RUNS_SHOWN: usize = 100;
/// How long a claimed battle lasts without a sign of life.
pub const CLAIM_TTL: Millis = Millis::from_secs(60);
/// The pause between two signs of life: a third of what the claim lasts, and at least this.
pub const SHORTEST_BEAT: Duration = Duration::from_millis(100);
/// Workers that wait for one session's attention.
pub const ASKS: usize = 1024;
/// Users whose challenge to one account is remembered.
pub const CHALLENGERS: usize = 256;
/// Between two looks for battles of others.
pub const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// The same while nothing is known of the server's numbers: what begins and ends between two looks is missed then.
/// It grows while the server shows no battle at all.
pub const LOOK_FIRST: Duration = Duration::from_millis(100);
/// The longest of these pauses: shorter than a battle.
pub const LOOK_FIRST_LONGEST: Duration = Duration::from_millis(500);
const _: () = assert!(LOOK_FIRST_LONGEST.as_millis() < LOOK_AGAIN.as_millis());
/// A look that is not answered for so long never will be: the server has thrown it away, or says what cannot be read.
pub const LOOK_ANSWERED: Duration = Duration::from_secs(10);
/// Rooms that are asked for at one look.
pub const ROOMS_PER_LOOK: usize = 4;
/// How often a room is asked for, if there is no answer, and after how many looks there will be none.
pub const ROOM_ASKED: u32 = 3;
/// See [`ROOM_ASKED`].
pub const LOOKS_UNTIL_LOST: u32 = 5;
/// Of the numbers between two looks, how many are looked into: the newest.
pub const NUMBERS_LOOKED_INTO: u64 = 64;
/// Battles of others that were found and are not found again.
pub const FOUND_REMEMBERED: usize = 10_000;
/// Who looks for battles of two others and finds none for so long says so.
pub const NOTHING_FOUND: Duration = Duration::from_secs(60);
/// A program that plays and has ended may have played its last battle just before: what it was is still being read.
pub const LAST_BATTLE: Duration = Duration::from_secs(10);
/// A program that is told to end, until it is killed.
pub const PROGRAM_ENDS: Duration = Duration::from_secs(5);
/// Bytes of what a program said last.
pub const LAST_WORDS_BYTES: usize = 2 << 10;
/// Different texts of the server that one session warns of.
pub const POPUPS_TOLD: usize = 32;
/// The pause before a search that the server refused, at first; it doubles up to the longest.
pub const FIRST_SEARCH_PAUSE: Duration = Duration::from_millis(500);
/// While the fate of a lost connection's rooms is open, a search looks again after this pause.
pub const SETTLING: Duration = Duration::from_millis(50);
/// The longest of these pauses.
pub const LONGEST_SEARCH_PAUSE: Duration = Duration::from_secs(60);
/// How long a battle that was found just before the search was called off may be on its way.
pub const SEARCH_CALLED_OFF: Duration = Duration::from_secs(3);
/// The pause after a challenge that came too soon after another.
pub const CHALLENGE_TOO_SOON: Duration = Duration::from_secs(10);
/// A challenge that has not become a battle is made again. Servers allow one in ten seconds.
pub const CHALLENGE_AGAIN: Duration = Duration::from_secs(12);
/// A tournament in which somebody waits for us is left after this time, if no battle is claimed here meanwhile.
pub const TOURNAMENT_WAITS: Duration = Duration::from_secs(30);
/// The pause before a lost connection is made anew, at first; it doubles up to the longest.
pub const FIRST_RECONNECT_PAUSE: Duration = Duration::from_millis(250);
/// The longest of these pauses.
pub const LONGEST_RECONNECT_PAUSE: Duration = Duration::from_secs(30);
/// Connections that a new session tries, if the name is taken: half a minute of pauses.
pub const FIRST_CONNECTIONS: u32 = 8;
/// After a login, the server shows the battles that still run within this time.
pub const ROOMS_RETURN: Duration = Duration::from_secs(3);
/// Leaving a room, from the asking to the server's last word.
pub const LEAVE: Duration = Duration::from_secs(3);
/// Where every battle is claimed, the longest pause before somebody asks again.
pub const CLAIM_AGAIN: Duration = Duration::from_secs(1);
/// Another server's answer, from the connection to the last byte.
pub const API_ANSWER: Duration = Duration::from_secs(10);
/// Another server that gives no answer for so long is given up.
pub const HOME_AWAY: Duration = Duration::from_secs(600);
/// A battle whose room is gone is void when it has been in doubt for so long: whoever began it may have its log, and
/// has asked in vain until then, or comes back.
pub const DOUBT: Duration = HOME_AWAY;
/// Between two looks of a fleet for what others have left in doubt.
pub const LOOK_FOR_DOUBTS: Duration = Duration::from_secs(1);
/// The server of a run that is over goes on for so long, if other machines played for it: they ask at least every 5 s.
pub const FAREWELL: Duration = Duration::from_secs(15);
/// Bytes of such an answer: a run with a thousand workers and battles.
pub const API_ANSWER_BYTES: usize = 4 << 20;
/// Characters of one thing that was said in a battle, as people read it.
pub const SAID_CHARS: usize = 600;
/// Characters of a name in it.
pub const SAID_NAME_CHARS: usize = 40;
/// Decisions of one battle whose thoughts are kept: the first ones.
pub const DECISIONS_KEPT: usize = 200;
/// Of each, the candidates: the best ones.
pub const CANDIDATES_KEPT: usize = 8;
// What was played is among them.
const _: () = assert!(CHOICES_REFUSED <= CANDIDATES_KEPT);
/// Characters of one that are kept.
pub const CHOICE_CHARS: usize = 80;
/// Decisions of one battle that cost the same.
pub const DECISIONS: std::ops::RangeInclusive<u64> = 1..=100_000;
/// The pause after the first answer of a run that was none; it doubles up to the longest.
pub const FIRST_ANSWER_PAUSE: Duration = Duration::from_millis(50);
/// The longest of these pauses.
pub const LONGEST_ANSWER_PAUSE: Duration = Duration::from_secs(5);
/// How long a recount is good for: it reads every log of its run.
pub const RECOUNT_EVERY: Duration = Duration::from_secs(10);
/// Bytes at the end of a log in which its end is said, unless much is said after it.
pub const LOG_TAIL: u64 = 16 << 10;
/// Logs of one folder at most: file systems and people like it.
pub const LOGS_PER_FOLDER: u64 = 1_000;
/// A local server, from its start to the first connection.
pub const LOCAL_START: Duration = Duration::from_secs(60);
/// Between two looks whether it listens.
pub const LOCAL_LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Bytes of what a local server that could not start says.
pub const LOCAL_COMPLAINT_BYTES: u64 = 64 << 10;
