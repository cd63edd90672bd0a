//! Verification: recounts everything from the log.
//!
//! Reads the whole log once, folds every entity, and compares with everything else that is stored: chunk
//! checksums, positions, the chain of each entity, versions without gaps, snapshots against the records that
//! they stand for, times that never go back, command ids used once, both indexes, the cursors.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use interlock_kernel::{
    ids::{Position, Version},
    time::Time,
};
use rustc_hash::FxHashMap;

use crate::{
    codec::{AnyFold, Codec},
    dispatch,
    engine::recover::recover,
    index::{Index, Probe},
    limits,
    record::{self, Cause, Record},
    store::{Store, StoreError},
};

/// Problems listed; further ones are only counted.
const LISTED: usize = 100;

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Positions in the log, from the first kept.
    pub first: Position,
    /// The position after the last.
    pub end: Position,
    /// Records read, snapshots included.
    pub records: u64,
    /// Snapshots among them that were compared with the history they stand for.
    pub snapshots_checked: u64,
    /// Command ids.
    pub ids: u64,
    /// Entities by type.
    pub entities: BTreeMap<String, u64>,
    /// How many things are wrong.
    pub wrong: u64,
    /// The first of them, in words.
    pub problems: Vec<String>,
}

impl Report {
    fn problem(&mut self, text: String) {
        self.wrong += 1;
        if self.problems.len() < LISTED {
            self.problems.push(text);
        }
    }
}

struct Seen {
    fold: Option<Box<dyn AnyFold>>,
    last: Position,
    version: Version,
}

struct Verifier<'a> {
    codecs: &'a [Codec],
    report: Report,
    entities: BTreeMap<(String, String), Seen>,
    ids: FxHashMap<u128, Position>,
    time: Time,
    first: Position,
}

/// Recounts everything in a store that no runtime uses.
///
/// # Errors
/// When the store cannot be read at all; what is merely wrong is in the report.
pub async fn verify(store: &Arc<dyn Store>, codecs: &[Codec]) -> Result<Report, StoreError> {
    let span = store.span().await?;
    let mut verifier = Verifier {
        codecs,
        report: Report { first: span.first, end: span.end, ..Report::default() },
        entities: BTreeMap::new(),
        ids: FxHashMap::default(),
        time: Time(0),
        first: span.first,
    };
    let mut at = span.first;
    while at < span.end {
        let chunks = store.read(at, limits::READ_BYTES).await?;
        for chunk in &chunks {
            if chunk.first != at {
                verifier.report.problem(format!("position {at} is missing"));
            }
            match record::records(chunk) {
                Ok(records) => verifier.records(records),
                Err(error) => verifier.report.problem(error.to_string()),
            }
            at = chunk.end();
        }
        if chunks.is_empty() {
            verifier.report.problem(format!("the log ends at {at}, before {}", span.end));
            break;
        }
    }
    verifier.indexes(store).await?;
    verifier.cursors(store.as_ref()).await?;
    Ok(verifier.finish())
}

impl Verifier<'_> {
    fn records(&mut self, records: record::Records<'_>) {
        for item in records {
            match item {
                Ok((position, record)) => self.record(position, &record),
                Err(error) => self.report.problem(error.to_string()),
            }
        }
    }

    fn record(&mut self, position: Position, record: &Record<'_>) {
        self.report.records += 1;
        let head = *record.head();
        let name = format!("{}/{} at position {position}", head.entity, head.key);
        if head.at < self.time {
            self.report.problem(format!("{name}: time goes back"));
        }
        self.time = self.time.max(head.at);
        if let Record::Decided(decided) = record
            && let Cause::Id(id) = decided.cause
        {
            self.report.ids += 1;
            let entity = record::entity_hash(head.entity, head.key);
            let hash = record::id_hash(entity, decided.caller, id);
            if let Some(before) = self.ids.insert(hash, position) {
                self.report.problem(format!("{name}: the id {id} was used at position {before}"));
            }
        }
        let codec = self.codecs.iter().find(|codec| codec.entity == head.entity);
        let key = (head.entity.to_owned(), head.key.to_owned());
        let seen = match self.entities.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let whole = head.prev == Position(0);
                if !whole && head.prev >= self.first {
                    self.report.problem(format!("{name}: its previous record is not its own"));
                }
                // History that is compacted can be folded from its next snapshot on.
                let starts = whole || matches!(record, Record::Snapshot(_));
                let fold = codec.filter(|_| starts).map(|codec| (codec.fold)());
                entry.insert(Seen { fold, last: head.prev, version: Version(0) })
            }
        };
        if seen.last != head.prev {
            self.report
                .problem(format!("{name}: it leads back to {}, not to {}", head.prev, seen.last));
        }
        if seen.version > Version(0) && !record.follows(seen.version) {
            self.report
                .problem(format!("{name}: version {} follows {}", head.version, seen.version));
        }
        if let (None, Record::Snapshot(_), Some(codec)) = (&seen.fold, record, codec) {
            seen.fold = Some((codec.fold)());
        }
        if let Some(fold) = &mut seen.fold {
            if matches!(record, Record::Snapshot(_)) && fold.version() > Version(0) {
                self.report.snapshots_checked += 1;
            }
            if let Err(error) = fold.fold(position, record) {
                self.report.problem(format!("{name}: {error}"));
                seen.fold = None;
            }
        }
        seen.last = position;
        seen.version = head.version;
    }

    /// Both indexes must lead to what the log says is newest.
    async fn indexes(&mut self, store: &Arc<dyn Store>) -> Result<(), StoreError> {
        let recovered = recover(store).await?;
        for ((entity, key), seen) in &self.entities {
            let hash = record::entity_hash(entity, key);
            let found = find(&recovered.heads, hash).await?;
            // A closed entity that compaction forgot may have records left that are not dropped yet.
            if found.is_some_and(|found| found != seen.last) {
                self.report.problem(format!(
                    "{entity}/{key}: the index says {found:?}, the log {}",
                    seen.last
                ));
            }
        }
        #[expect(
            clippy::iter_over_hash_type,
            reason = "a list of problems; a map without seed repeats"
        )]
        for (hash, position) in &self.ids {
            let found = find(&recovered.ids, *hash).await?;
            if found.is_some_and(|found| found != *position) {
                self.report
                    .problem(format!("the id at position {position}: the index says {found:?}"));
            }
        }
        Ok(())
    }

    async fn cursors(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        for codec in self.codecs {
            let low = dispatch::low(store, codec.entity).await?;
            if low > self.report.end {
                let (entity, end) = (codec.entity, self.report.end);
                self.report.problem(format!("handlers of {entity} are at {low}, beyond {end}"));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Report {
        for (entity, _) in self.entities.keys() {
            *self.report.entities.entry(entity.clone()).or_default() += 1;
        }
        self.report
    }
}

async fn find(index: &Index, hash: u128) -> Result<Option<Position>, StoreError> {
    Ok(match index.probe(hash) {
        Probe::Absent => None,
        Probe::Here(entry) => Some(entry.position),
        Probe::Perhaps(lookup) => lookup.run().await?.map(|entry| entry.position),
    })
}
