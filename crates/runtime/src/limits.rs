//! Every bound of the runtime, with its unit. Those of the pure code are in `interlock_kernel::limits`.

use interlock_kernel::time::Millis;

/// Commands on their way to the engine, over all entities. Full: the sender is told that it is busy.
pub const INBOX_COMMANDS: usize = 16_384;
/// Commands of handlers, effects and timers on their way to the engine; a lane of their own, so that
/// the dispatcher never waits on a mailbox that waits on the dispatcher.
pub const INTERNAL_COMMANDS: usize = 4_096;
/// Characters of an entity type's name: what leaves room for key and numbers in the id of a command that
/// a write handler sends.
pub const TYPE_CHARS: usize = 20;
/// Commands of one entity that wait for its state or for a commit. Full: the sender is told.
pub const MAILBOX_COMMANDS: usize = 4_096;
/// Messages the engine takes before it looks at anything else.
pub const DRAIN_MESSAGES: usize = 1_024;
/// Records of one commit.
pub const CHUNK_RECORDS: usize = 4_096;
/// Bytes after which a commit takes no further record.
pub const CHUNK_BYTES: usize = 4 << 20;
/// Bytes of one record at most; a decision beyond it is refused.
pub const RECORD_BYTES: usize = 32 << 20;
/// An entity gets a snapshot after this many records, unless it is larger than they are.
pub const SNAPSHOT_RECORDS: u32 = 64;
/// An entity gets a snapshot after this many records, however large it is.
pub const SNAPSHOT_RECORDS_MAX: u32 = 4_096;
/// Bytes of entities kept in memory, as estimated from their stored form.
pub const RESIDENT_BYTES: usize = 1 << 30;
/// What an entity costs in memory beside its stored form, in bytes.
pub const RESIDENT_OVERHEAD_BYTES: usize = 384;
/// Entities that are read from the store at the same time.
pub const LOADS_AT_ONCE: usize = 256;
/// Committed events that wait for their handlers; beyond it the engine takes no commands from outside.
pub const DISPATCH_LAG_EVENTS: usize = 262_144;
/// Batches of committed events on their way to one dispatcher. More than the lag allows.
pub const FEED_BATCHES: usize = 2 * DISPATCH_LAG_EVENTS;
/// Records whose handlers wait for something (a commit, a future) at the same time, per entity type.
pub const DISPATCH_IN_FLIGHT: usize = 1_024;
/// Tries of a write handler before its event becomes a dead letter.
pub const HANDLER_ATTEMPTS: u32 = 5;
/// The pause after a handler's first failed try; doubles.
pub const HANDLER_BACKOFF: Millis = Millis(20);
/// The longest that one try of a read handler may wait.
pub const READ_HANDLER_DEADLINE: Millis = Millis::from_secs(30);
/// A handler that takes longer is logged.
pub const SLOW_HANDLER: Millis = Millis(100);
/// Tries of effects under way at the same time, per entity type.
pub const EFFECTS_AT_ONCE: usize = 1_024;
/// Records whose handlers' timings are kept in memory for timelines.
pub const TIMINGS_KEPT: usize = 16_384;
/// Keys remembered per entity type as recently changed.
pub const RECENT_KEPT: usize = 512;
/// Bytes read from the log in one go.
pub const READ_BYTES: usize = 1 << 20;
/// How long command ids, ended leases and events are kept, unless configured.
pub const RETENTION: Millis = Millis::from_secs(24 * 60 * 60);
/// The pause between two looks at what can be compacted.
pub const COMPACTION_PAUSE: Millis = Millis::from_secs(60);
/// Bytes of the log that one compaction looks at.
pub const COMPACTION_BYTES: usize = 64 << 20;
/// The pause between two recounts.
pub const RECOUNT_PAUSE: Millis = Millis::from_secs(5);
/// How often handlers' cursors are written.
pub const CURSOR_PAUSE: Millis = Millis(500);
/// The pause after the store refused a commit, before the next try of work that retries by itself.
pub const STORE_BACKOFF: Millis = Millis(200);

const _: () = assert!(COMPACTION_PAUSE.0.is_multiple_of(RECOUNT_PAUSE.0), "one clock serves both");
const _: () = assert!(DRAIN_MESSAGES <= CHUNK_RECORDS, "a drain fits a commit");
const _: () = assert!(RECORD_BYTES < (1 << 30), "SQLite's largest value");
const _: () = assert!(SNAPSHOT_RECORDS < SNAPSHOT_RECORDS_MAX, "the second rule is the looser one");
