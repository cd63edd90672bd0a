//! Every bound of the composed server, with its unit. Those of HTTP, of the runtime and of each service
//! are in their own `limits`.

use std::{ops::RangeInclusive, time::Duration};

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

/// How often the pulse looks.
pub const PULSE: Duration = Duration::from_secs(1);
/// Beats of the pulse that are kept: two minutes.
pub const PULSE_KEPT: usize = 120;
/// Beats over which a rate is averaged.
pub const RATE_BEATS: usize = 5;
/// Connections that wait to be accepted.
pub const BACKLOG: u32 = 1_024;
/// How long requests in progress go on undisturbed when the server stops. Then those who wait for
/// something are told that it stops.
pub const GRACE: Duration = Duration::from_secs(1);
/// How long services may take to end what would go on for ever.
pub const SERVICES_STOP: Duration = Duration::from_secs(10);
/// The shortest pause between two messages of a page's feed.
pub const PAGE_PAUSE: Duration = Duration::from_millis(200);
/// Entities of each type on the first page.
pub const RECENT_SHOWN: usize = 5;
/// Dead letters in one list.
pub const LETTERS_SHOWN: usize = 200;
/// Entities on the page of a type.
pub const LISTED: usize = 200;
/// Entries of a timeline on one page.
pub const TIMELINE_SHOWN: usize = 50;
/// Characters of an entity's state on its page.
pub const STATE_CHARS: usize = 20_000;
/// Runs of the page of battles.
pub const RUNS_LISTED: usize = 30;
/// Battles of a run that are plotted.
pub const BATTLES_PLOTTED: usize = 2_000;
/// Opponents of a run that are listed.
pub const OPPONENTS_SHOWN: usize = 20;
/// Accounts of a run whose rating is shown.
pub const RATINGS_SHOWN: usize = 20;
/// Battles of a run that are listed.
pub const BATTLES_SHOWN: usize = 100;
/// Points of one line of a plot.
pub const POINTS: usize = 300;
/// Things that were said in a battle in play: those of the last turns.
pub const SAID_LIVE: usize = 40;
/// Things that were said in a battle that is over.
pub const SAID_OVER: usize = 5_000;
/// Candidates of a decision that are shown.
pub const CANDIDATES_SHOWN: usize = 16;
/// Pokémon of a side that are counted as not shown yet, together with those that were.
pub const TEAM_SHOWN: usize = 6;
/// Characters of a name that a Showdown server's users chose.
pub const NAME_SHOWN: usize = 40;
