//! Every bound of the SQLite store, with its unit.

use std::time::Duration;

/// Threads that read, each with a connection to both files.
pub(super) const READERS: usize = 2;
/// Reads that wait for a reader.
pub(super) const READS_QUEUED: usize = 16_384;
/// Calls that wait for the log's writer. Its callers come one at a time, so this is never reached.
pub(super) const LOG_JOBS_QUEUED: usize = 64;
/// After an append that took less, the next one may be done on its caller's thread: no longer than a task
/// may keep a thread of the program's busy anyway.
pub(super) const QUICK_APPEND: Duration = Duration::from_micros(500);
/// Chunks of fewer bytes may: about what two lone callers make.
pub(super) const SMALL_CHUNK_BYTES: usize = 1_024;
/// Groups of rows that wait for the rows' writer.
pub(super) const ROW_GROUPS_QUEUED: usize = 4_096;
/// Row changes after which a transaction takes in no further group.
pub(super) const ROW_CHANGES_TOGETHER: usize = 8_192;
/// WAL frames (pages of 4 KiB) after which the side thread copies them into the database file.
pub(super) const FRAMES_BEFORE_CHECKPOINT: u32 = 1_000;
/// WAL frames after which the writer itself waits for a checkpoint: 16 MiB. A larger WAL was not faster,
/// and takes longer to open after a crash.
pub(super) const FRAMES_MAX: u32 = 4_096;
/// WAL frames between two attempts of the writer, when the first did not help.
pub(super) const FRAMES_BETWEEN_ATTEMPTS: u32 = 1_000;
/// What the WAL file is cut down to when it starts over, in bytes.
pub(super) const WAL_BYTES_KEPT: u32 = 32 << 20;
/// The page cache of the rows' writer and of each reader, in KiB.
pub(super) const ROWS_CACHE_KIB: u32 = 16 << 10;
/// Bytes after which one step of a truncation drops no further chunk: SQLite looks at each of their pages,
/// and an append may be waiting.
pub(super) const TRUNCATE_STEP_BYTES: u64 = 64 * PAGE_BYTES;
/// SQLite's usual page, which a chunk takes at least.
pub(super) const PAGE_BYTES: u64 = 4_096;
/// How long a connection waits for another one's lock, which is held for moments only.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const _: () = assert!(FRAMES_BEFORE_CHECKPOINT < FRAMES_MAX, "the side thread comes first");
