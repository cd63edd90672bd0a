//! Compaction: the log lets go of what is older than the retention, so that it does not grow for ever.
//!
//! A pass takes the oldest stretch of the log that everybody is done with: older than the retention, handled,
//! no dead letter in it. Every entity with records in it is carried: it gets a snapshot further on, which is
//! read back and checked; a closed entity whose records are all in there is forgotten. Only then, and only
//! once the rows are synced, the stretch is dropped.
//!
//! A crash at any point leaves a log that is complete: the snapshots are ordinary records.

use std::collections::BTreeSet;

use interlock_kernel::{
    bus::RowChange,
    ids::{Key, Position},
    time::{Millis, Time},
};

use crate::{
    dispatch,
    engine::message::{Body, Carried, Parcel},
    history::Reader,
    limits,
    record::{self, Record},
    runtime::Runtime,
    store::{Durability, StoreError},
};

/// What a pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compacted {
    /// The log begins here now.
    pub first: Position,
    /// Records that were dropped.
    pub dropped: u64,
    /// Entities that got a snapshot, or had one further on.
    pub carried: u64,
    /// Closed entities that are no longer there.
    pub forgotten: u64,
}

/// Why a pass dropped nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompactError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entity still needs its old records.
    #[error("{entity}/{key} cannot be carried: {why}")]
    Entity {
        /// Its type.
        entity: String,
        /// Its key.
        key: String,
        /// What it said.
        why: String,
    },
    /// The runtime is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// The stretch of a pass.
struct Stretch {
    from: Position,
    below: Position,
    entities: BTreeSet<(String, String)>,
}

impl Runtime {
    /// Lets go of records older than the retention, as far as possible. Called by itself every
    /// [`limits::COMPACTION_PAUSE`].
    ///
    /// # Errors
    /// See [`CompactError`]; nothing is lost, and the next pass tries again.
    pub async fn compact(&self, retention: Millis) -> Result<Compacted, CompactError> {
        let cutoff = self.env().wall() - retention;
        let Some(stretch) = self.stretch(cutoff).await? else {
            let first = self.env().store().span().await?.first;
            return Ok(Compacted { first, ..Compacted::default() });
        };
        let mut done = Compacted {
            first: stretch.below,
            dropped: stretch.below.0 - stretch.from.0,
            ..Compacted::default()
        };
        for (entity, key) in &stretch.entities {
            match self.carry(entity, key, stretch.below).await? {
                Carried::At(_) => done.carried += 1,
                Carried::Forgotten => done.forgotten += 1,
                Carried::Failed(why) => {
                    let (entity, key) = (entity.clone(), key.clone());
                    return Err(CompactError::Entity { entity, key, why });
                }
            }
        }
        let store = self.env().store();
        let note = RowChange::Put {
            table: "compaction".to_owned(),
            key: b"below".to_vec(),
            value: stretch.below.0.to_string().into_bytes(),
        };
        store.write_rows(vec![note], Durability::Synced).await?;
        store.truncate(stretch.below).await?;
        self.expire_ids(cutoff, stretch.below).await;
        Ok(done)
    }

    /// The oldest stretch that everybody is done with; bounded, so that a pass is.
    async fn stretch(&self, cutoff: Time) -> Result<Option<Stretch>, StoreError> {
        let store = self.env().store();
        let span = store.span().await?;
        let mut limit = *self.shared().committed.borrow();
        let handled = |entity: &&str| {
            self.flow(entity).iter().any(|flow| !(flow.write.is_empty() && flow.read.is_empty()))
        };
        for entity in self.types().filter(handled) {
            limit = limit.min(dispatch::low(store.as_ref(), entity).await?);
        }
        for letter in self.dead_letters().await? {
            limit = limit.min(letter.position);
        }
        let mut stretch =
            Stretch { from: span.first, below: span.first, entities: BTreeSet::new() };
        let mut bytes = 0;
        'log: while stretch.below < limit && bytes < limits::COMPACTION_BYTES {
            let chunks = store.read(stretch.below, limits::READ_BYTES).await?;
            for chunk in &chunks {
                let mut entities = Vec::new();
                for item in record::records(chunk)? {
                    let (_, record) = item?;
                    let head = record.head();
                    if head.at >= cutoff || chunk.end() > limit {
                        break 'log;
                    }
                    entities.push((head.entity.to_owned(), head.key.to_owned()));
                }
                stretch.entities.extend(entities);
                stretch.below = chunk.end();
                bytes += chunk.bytes.len();
            }
            if chunks.is_empty() {
                break;
            }
        }
        Ok((stretch.below > stretch.from).then_some(stretch))
    }

    /// Makes one entity independent of the stretch, and checks what it now rests on.
    async fn carry(
        &self,
        entity: &str,
        key: &str,
        below: Position,
    ) -> Result<Carried, CompactError> {
        let lane = self.shared().lane(entity);
        let (Some(lane), Ok(key)) = (lane, Key::new(key)) else {
            return Ok(Carried::Failed("this binary does not know its type".to_owned()));
        };
        let (done, carried) = self.env().once();
        let parcel = Parcel { lane, body: Body::Carry(key.clone(), below, done) };
        self.shared().send(parcel).await.map_err(|()| CompactError::Stopping)?;
        let carried = carried.await.map_err(|_| CompactError::Stopping)?;
        if let Carried::At(anchor) = carried {
            return Ok(match self.check_anchor(entity, &key, anchor, below).await? {
                Ok(()) => carried,
                Err(why) => Carried::Failed(why),
            });
        }
        Ok(carried)
    }

    async fn check_anchor(
        &self,
        entity: &str,
        key: &Key,
        anchor: Position,
        below: Position,
    ) -> Result<Result<(), String>, StoreError> {
        if anchor < below {
            return Ok(Err(format!("it still rests on position {anchor}")));
        }
        let mut reader = Reader::new(self.env().store().as_ref());
        let Some(body) = reader.body(anchor).await? else {
            return Ok(Err(format!("its snapshot at {anchor} is not in the log")));
        };
        let record = record::parse(anchor, &body)?;
        let head = record.head();
        if head.entity != entity || head.key != key.as_str() {
            return Ok(Err(format!("position {anchor} belongs to another entity")));
        }
        if let (Record::Snapshot(_), Some(codec)) = (&record, self.shared().codecs.get(entity)) {
            let mut fold = (codec.fold)();
            return Ok(fold.fold(anchor, &record).map_err(|error| error.to_string()));
        }
        Ok(Ok(()))
    }
}
