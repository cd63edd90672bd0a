//! Reading the log on behalf of one entity: its state, and the recorded reply to a command id.

use interlock_kernel::{
    entity::Entity,
    ids::{Key, Position, Version},
};

use super::message::Receipt;
use crate::{
    codec,
    fold::{FoldError, Folded, caught},
    history::{Chain, Until},
    index::Lookup,
    record::{self, Cause, Record},
    store::{Store, StoreError},
};

/// Where an index says that something is.
pub(crate) enum Place {
    At(Position),
    Ask(Lookup),
}

impl Place {
    async fn find(self) -> Result<Option<Position>, StoreError> {
        match self {
            Place::At(position) => Ok(Some(position)),
            Place::Ask(lookup) => {
                let entry = lookup.run().await?;
                Ok(entry.map(|entry| entry.position))
            }
        }
    }
}

/// An entity from the log.
pub(crate) struct Loaded<E: Entity> {
    pub folded: Folded<E>,
    /// Records since the newest snapshot, and their bytes.
    pub records: u32,
    pub bytes: usize,
    /// The oldest record that was needed.
    pub anchor: Position,
}

/// Why an entity could not be read.
#[derive(Debug, Clone)]
pub(crate) enum LoadError {
    Store(StoreError),
    Broken { version: Version, why: String },
}

impl From<StoreError> for LoadError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged(_) | StoreError::Newer(_) => {
                LoadError::Broken { version: Version(0), why: error.to_string() }
            }
            StoreError::Full(_)
            | StoreError::ReadOnly(_)
            | StoreError::InUse(_)
            | StoreError::Failed(_) => LoadError::Store(error),
        }
    }
}

/// Reads an entity. `None`: it has no history.
pub(crate) async fn entity<E: Entity>(
    store: &dyn Store,
    key: &Key,
    place: Place,
) -> Result<Option<Loaded<E>>, LoadError> {
    // A damaged index is no fault of the entity: it is made again from the log at the next start.
    let Some(head) = place.find().await.map_err(LoadError::Store)? else { return Ok(None) };
    let chain = Chain::back(store, E::TYPE, key.as_str(), head, Until::Snapshot).await?;
    let broken = |version, why: &FoldError| LoadError::Broken { version, why: why.to_string() };
    let mut folded = Folded::<E>::default();
    let (mut records, mut bytes, mut anchor) = (0, 0, head);
    for (position, body) in chain.oldest_first() {
        let record = record::parse(position, body)?;
        anchor = anchor.min(position);
        let result = caught(|| folded.record(position, &record)).map_err(FoldError::Invariant);
        if let Err(why) = result.and_then(|result| result) {
            return Err(broken(record.head().version, &why));
        }
        let is_snapshot = matches!(record, Record::Snapshot(_));
        (records, bytes) = if is_snapshot { (0, 0) } else { (records + 1, bytes + body.len()) };
    }
    Ok(Some(Loaded { folded, records, bytes, anchor }))
}

/// The recorded reply to a command id.
pub(crate) struct Found<E: Entity> {
    pub receipt: Receipt<E::Reply>,
    pub fingerprint: u64,
}

/// Reads the recorded reply to a command id. `None`: the index was mistaken, or the log has let it go.
pub(crate) async fn reply<E: Entity>(
    store: &dyn Store,
    key: &Key,
    caller: &str,
    id: &str,
    place: Place,
) -> Result<Option<Found<E>>, StoreError> {
    let Some(at) = place.find().await? else { return Ok(None) };
    let chunks = store.read(at, 1).await?;
    let Some(chunk) = chunks.first() else { return Ok(None) };
    let Record::Decided(decided) = record::record_at(chunk, at)? else { return Ok(None) };
    let head = decided.head;
    let same = head.entity == E::TYPE
        && head.key == key.as_str()
        && decided.caller == caller
        && decided.cause == Cause::Id(id);
    if !same {
        return Ok(None);
    }
    let reply = codec::reply::<E>(head.schema, decided.reply.0)
        .map_err(|error| StoreError::Damaged(error.to_string()))?;
    let receipt =
        Receipt { reply, version: head.version, at: head.at, replayed: true, changed: true };
    Ok(Some(Found { receipt, fingerprint: decided.fingerprint }))
}
