//! Power cuts at every moment, by seed: a load of appends, truncations and rows runs until the disk's power
//! is cut somewhere in it, and what the next process finds is compared with what the load was told.
//!
//! A disk that lies about its syncs must be found out by the same comparison: else it compares nothing.

use std::{sync::Arc, thread};

use interlock_kernel::{bus::RowChange, ids::Position};
use interlock_runtime::store::{
    Append, Durability, Scan, Store,
    faults::{Loss, Survivors},
};

use super::{
    place::{Faulty, LOG_WAL},
    tools::{chunk, put, wait},
};

/// Operations of the disk among which the power cut falls: about as many as a whole load has.
const OPERATIONS: u64 = 1_800;
const APPENDS: usize = 120;
const ROW_GROUPS: u32 = 60;

/// What the load was told about the log.
#[derive(Debug, Default)]
struct LogSeen {
    /// Chunks acknowledged, in order: first position and count.
    done: Vec<(u64, u32)>,
    /// The one that was under way.
    open: Option<(u64, u32)>,
    /// Truncations that may have happened reach so far at most, and those that surely did at least so far.
    truncated_most: u64,
    truncated_least: u64,
}

/// What the load was told about the rows: groups are numbered from 1.
#[derive(Debug, Default)]
struct RowsSeen {
    tried: u32,
    synced: u32,
}

/// The load on the log: chunks of all sizes, a truncation now and then.
fn load_log(store: &dyn Store, random: &mut Random) -> LogSeen {
    let mut seen = LogSeen::default();
    let mut end = wait(store.span()).map_or(1, |span| span.end.0);
    for _ in 0..APPENDS {
        let count = 1 + random.below(300) as u32;
        let bytes = [40, 400, 4_000, 40_000][random.below(4)];
        match wait(store.append(chunk(end, count, bytes))) {
            Append::Done => seen.done.push((end, count)),
            Append::Refused(_) => break,
            Append::Unknown(_) => {
                seen.open = Some((end, count));
                break;
            }
        }
        end += u64::from(count);
        if random.below(20) == 0 {
            let below = end.saturating_sub(random.below(2_000) as u64);
            seen.truncated_most = seen.truncated_most.max(below);
            if wait(store.truncate(Position(below))).is_err() {
                break;
            }
            seen.truncated_least = seen.truncated_most;
        }
    }
    seen
}

/// The load on the rows: each group rewrites the same rows and adds one, so that any two groups that are
/// torn or swapped show.
fn load_rows(store: &dyn Store, random: &mut Random) -> RowsSeen {
    let mut seen = RowsSeen::default();
    for number in 1..=ROW_GROUPS {
        let is_synced = random.below(5) == 0;
        let durability = if is_synced { Durability::Synced } else { Durability::Lazy };
        seen.tried = number;
        if wait(store.write_rows(group(number), durability)).is_err() {
            break;
        }
        if is_synced {
            seen.synced = number;
        }
    }
    seen
}

fn group(number: u32) -> Vec<RowChange> {
    let stamp = number.to_be_bytes();
    vec![
        put("same", b"a", &stamp),
        put("same", b"b", &[&stamp[..], &[0; 5_000]].concat()),
        put("every", &stamp, b""),
        RowChange::Delete {
            table: "every".into(),
            key: number.wrapping_sub(10).to_be_bytes().into(),
        },
    ]
}

/// The complaint about what the log holds after the cut, if there is one.
fn check_log(store: &dyn Store, seen: &LogSeen) -> Result<(), String> {
    let span = wait(store.span()).map_err(|error| error.to_string())?;
    let found = wait(store.read(span.first, usize::MAX)).map_err(|error| error.to_string())?;
    let acknowledged = seen.done.last().map_or(1, |(first, count)| first + u64::from(*count));
    let with_open = seen.open.map_or(acknowledged, |(first, count)| first + u64::from(count));
    if span.end.0 != acknowledged && span.end.0 != with_open {
        return Err(format!("the log ends at {}, not {acknowledged} or {with_open}", span.end));
    }
    let expected = seen.done.iter().chain(seen.open.as_ref());
    let expected: Vec<_> =
        expected.filter(|(first, _)| (span.first.0..span.end.0).contains(first)).collect();
    if found.len() != expected.len() {
        return Err(format!("{} chunks instead of {}", found.len(), expected.len()));
    }
    for (found, (first, count)) in found.iter().zip(expected) {
        if found.bytes != chunk(*first, *count, found.bytes.len()).bytes
            || (found.first.0, found.count) != (*first, *count)
        {
            return Err(format!("the chunk at {first} is not what was appended"));
        }
    }
    if span.first.0 > seen.truncated_most.max(1) {
        return Err(format!("the log begins at {} without being told to", span.first));
    }
    match found.first() {
        Some(oldest) if oldest.end().0 <= seen.truncated_least => {
            Err(format!("a truncation to {} came undone", seen.truncated_least))
        }
        Some(_) | None => Ok(()),
    }
}

/// The complaint about what the rows hold after the cut, if there is one.
fn check_rows(store: &dyn Store, seen: &RowsSeen) -> Result<(), String> {
    let row = |key| wait(store.row("same", key)).map_err(|error| error.to_string());
    let every = wait(store.scan(Scan::table("every"))).map_err(|error| error.to_string())?;
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().unwrap());
    let a = row(b"a")?.map_or(0, |value| number(&value));
    let b = row(b"b")?.map_or(0, |value| number(&value));
    let every: Vec<_> = every.iter().map(|(key, _)| number(key)).collect();
    let expected: Vec<_> = (a.saturating_sub(9).max(1)..=a).collect();
    if a != b || every != expected {
        return Err(format!("groups are torn: {a}, {b}, {every:?}"));
    }
    if !(seen.synced..=seen.tried).contains(&a) {
        return Err(format!("group {a} is the last of {} to {}", seen.synced, seen.tried));
    }
    Ok(())
}

/// One load with one power cut, in a new folder. The complaint, if there is one.
fn round(place: &Faulty, seed: u64) -> Result<(), String> {
    let mut random = Random(seed);
    let survivors = match random.below(4) {
        0 => Survivors::Synced,
        _ => Survivors::Some(seed),
    };
    place.disk.cut_power_after(random.below(OPERATIONS as usize) as u64);
    let (mut log, mut rows) = (LogSeen::default(), RowsSeen::default());
    if let Ok(store) = place.try_open() {
        let (mut for_log, mut for_rows) = (Random(random.next()), Random(random.next()));
        thread::scope(|scope| {
            let load = scope.spawn(|| load_rows(&store, &mut for_rows));
            log = load_log(&store, &mut for_log);
            rows = load.join().unwrap();
        });
        if random.below(4) == 0 {
            wait(store.close());
        }
    }
    place.disk.cut_power();
    place.disk.restore(survivors).unwrap();
    let store = place.try_open().map_err(|error| format!("it does not open: {error}"))?;
    check_log(&store, &log)?;
    check_rows(&store, &rows)?;
    // It goes on.
    let end = wait(store.span()).unwrap().end.0;
    assert_eq!(wait(store.append(chunk(end, 1, 1_000))), Append::Done);
    assert_eq!(wait(store.write_rows(group(1_000), Durability::Synced)), Ok(()));
    Ok(())
}

fn rounds(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut place = Faulty::new();
        // A small one, so that checkpoints and new beginnings of the WAL fall into the load.
        place.wal_frames_max = [1_001, 50, 7][seed as usize % 3];
        if let Err(complaint) = round(&place, seed) {
            panic!("seed {seed}: {complaint}");
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_is_cut_anywhere() {
    rounds(0..110);
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_is_cut_anywhere_else() {
    rounds(1_000..1_110);
}

#[test]
fn a_disk_that_lies_about_its_syncs_is_found_out() {
    let found = (0..20).filter(|seed| {
        let place = Faulty::new();
        place.disk.lie_about_syncs();
        round(&place, *seed).is_err()
    });
    assert!(found.count() > 5, "the rounds would not notice a loss");
}

#[test]
fn the_power_may_be_cut_while_a_doubt_is_settled() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let place = Faulty::new();
        let store = Arc::new(place.try_open().unwrap());
        for first in 1..=5 {
            wait(store.append(chunk(first, 1, 3_000)));
        }
        let loss = if seed % 2 == 0 { Loss::Later } else { Loss::Now };
        place.disk.fail_next_sync(LOG_WAL, loss);
        assert!(matches!(wait(store.append(chunk(6, 1, 30_000))), Append::Unknown(_)));
        place.disk.cut_power_after(random.below(4) as u64);
        let settled = wait(store.settle());
        drop(store);
        place.disk.cut_power();
        place.disk.restore(Survivors::Some(seed)).unwrap();
        let store = place.try_open().unwrap();
        let mut seen = LogSeen { open: Some((6, 1)), ..LogSeen::default() };
        seen.done = (1..=5).map(|first| (first, 1)).collect();
        check_log(&store, &seen).unwrap_or_else(|complaint| panic!("seed {seed}: {complaint}"));
        if let Ok(span) = settled {
            assert_eq!(wait(store.span()).unwrap().end, span.end, "seed {seed}");
        }
    }
}

/// A linear congruential generator: the rounds only need to differ.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
