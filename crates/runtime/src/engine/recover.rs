//! From the log to a running engine: replays the short tail that no index has covered.

use std::{collections::BTreeSet, sync::Arc};

use interlock_kernel::{ids::Position, time::Time};
use rustc_hash::FxHashMap;

use super::Due;
use crate::{
    index::{Entry, Index},
    limits,
    record::{self, Cause, Record},
    store::{Span, Store, StoreError},
};

/// What a restart found.
pub(crate) struct Recovered {
    pub span: Span,
    pub heads: Index,
    pub ids: Index,
    /// The time of the newest record.
    pub log_time: Time,
    /// Entities of the tail that want to be woken.
    pub schedule: BTreeSet<(Time, Due)>,
}

/// Opens the indexes and brings them up to the log's end.
pub(crate) async fn recover(store: &Arc<dyn Store>) -> Result<Recovered, StoreError> {
    let span = store.span().await?;
    let mut heads = open(store, "heads", span).await?;
    let mut ids = open(store, "ids", span).await?;
    let (heads_from, ids_from) = (heads.covered(), ids.covered());
    let mut log_time = Time(0);
    let mut due: FxHashMap<u128, (Time, Position)> = FxHashMap::default();
    // At least the newest record is read: its time is the log's.
    let newest = Position(span.end.0.saturating_sub(1));
    let mut at = heads_from.min(ids_from).min(newest).max(span.first);
    while at < span.end {
        let chunks = store.read(at, limits::READ_BYTES).await?;
        for chunk in &chunks {
            for item in record::records(chunk)? {
                let (position, record) = item?;
                let head = record.head();
                let hash = record::entity_hash(head.entity, head.key);
                if position >= heads_from {
                    heads.insert(Entry { hash, position, due: head.due });
                    due.insert(hash, (head.due, position));
                }
                if position >= ids_from
                    && let Record::Decided(decided) = &record
                    && let Cause::Id(id) = decided.cause
                {
                    let hash = record::id_hash(hash, decided.caller, id);
                    ids.insert(Entry { hash, position, due: Time::NEVER });
                }
                log_time = log_time.max(head.at);
            }
            at = chunk.end();
        }
        // An index that is made again from a long log is written on the way.
        for index in [&mut heads, &mut ids] {
            index.commit(at.min(span.end));
            if index.is_full()
                && let Some(flush) = index.freeze(log_time)
            {
                index.flushed(flush.run().await)?;
            }
        }
        if chunks.is_empty() {
            return Err(StoreError::Damaged(format!("the log has no record at position {at}")));
        }
    }
    heads.commit(span.end);
    ids.commit(span.end);
    let wanted = due.into_values().filter(|(due, _)| *due != Time::NEVER);
    let schedule = wanted.map(|(due, position)| (due, Due::Record(position))).collect();
    Ok(Recovered { span, heads, ids, log_time, schedule })
}

/// Opens an index; one that is damaged, or ahead of the log that it follows, is made again from the log.
async fn open(store: &Arc<dyn Store>, name: &'static str, span: Span) -> Result<Index, StoreError> {
    match Index::open(store.clone(), name).await {
        Ok(index) if index.covered() <= span.end => return Ok(index),
        Ok(index) => {
            tracing::warn!(name, covered = %index.covered(), "an index is ahead of the log; it is made again")
        }
        Err(StoreError::Damaged(why)) => {
            tracing::warn!(name, why, "an index is damaged; it is made again");
        }
        Err(error) => return Err(error),
    }
    Index::reset(store, name).await?;
    Index::open(store.clone(), name).await
}

/// Whose record stands at a position.
pub(crate) async fn whose(
    store: &dyn Store,
    position: Position,
) -> Result<Option<(String, String)>, StoreError> {
    let chunks = store.read(position, 1).await?;
    let Some(chunk) = chunks.first() else { return Ok(None) };
    let record = record::record_at(chunk, position)?;
    let head = record.head();
    Ok(Some((head.entity.to_owned(), head.key.to_owned())))
}
