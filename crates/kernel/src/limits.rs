//! Every bound of the pure code, with its unit. The runtime's bounds are in its own `limits`.

/// Characters of a name or key.
pub const NAME_CHARS: usize = 200;
/// Characters of a command id (`Idempotency-Key`).
pub const COMMAND_ID_CHARS: usize = 255;
/// The largest limit of a quota.
pub const QUOTA_LIMIT: u64 = 1_000_000_000_000_000;
/// Workers that share one quota.
pub const QUOTA_WORKERS: u32 = 10_000;
/// Workers that one quota remembers by name, split or not, retired ones included.
pub const QUOTA_NAMES: usize = 100_000;
/// Different outcomes that one quota counts.
pub const QUOTA_OUTCOMES: usize = 10_000;
/// The largest limit of one pool member.
pub const MEMBER_LIMIT: u32 = 1_000_000;
/// The largest weight of a pool member.
pub const MEMBER_WEIGHT: u32 = 1_000;
/// Members of one pool.
pub const POOL_MEMBERS: usize = 10_000;
/// Labels of one member or lease request.
pub const LABELS: usize = 64;
/// Characters of a label's name or value, and of `sticky`.
pub const LABEL_CHARS: usize = 200;
/// Parties of one barrier.
pub const PARTIES: usize = 10_000;
/// Turns whose winners an entity keeps.
pub const TURNS_KEPT: usize = 1_000;
/// Versions of a value that can be read and rolled back to.
pub const VALUE_VERSIONS_KEPT: usize = 20;
/// Bytes of one JSON value's text.
pub const JSON_BYTES: usize = 1 << 20;
/// The largest number that JSON carries exactly everywhere: 2^53 − 1.
pub const JSON_INTEGER: u64 = (1 << 53) - 1;
/// Shortest and longest lease, claim or run, in milliseconds.
pub const TTL_MS: std::ops::RangeInclusive<u64> = 100..=604_800_000;
/// Longest wait in a pool's queue, in milliseconds.
pub const WAIT_MS: std::ops::RangeInclusive<u64> = 0..=300_000;
/// Longest interval between starts of a job, in milliseconds.
pub const MIN_INTERVAL_MS: std::ops::RangeInclusive<u64> = 0..=31_536_000_000;
/// Commands that wait in one entity's room.
pub const WAITERS: usize = 4_096;

const _: () = assert!(QUOTA_LIMIT < JSON_INTEGER, "a quota must survive JSON");
const _: () = assert!(WAITERS >= 1, "a room holds someone");
