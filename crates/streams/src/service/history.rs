//! The history of sessions: one row for each that ended, written together with the cursor of its event.

use interlock_kernel::{
    bus::{HandlerError, Origin, Reaction, RowChange},
    ids::Member,
    pool::LeaseId,
    time::Time,
};
use interlock_runtime::store::{Direction, Scan, StoreError};
use serde::{Deserialize, Serialize};

use super::Service;
use crate::{
    domain::{engines::Ending, engines_event::Ended},
    limits,
};

/// The query table.
const TABLE: &str = "stream_sessions";

/// A session that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastSession {
    /// Its slot.
    pub lease: LeaseId,
    /// Of which stream.
    pub stream: String,
    /// On which engine.
    pub engine: Member,
    /// When the slot was given out.
    pub since: Time,
    /// When it was over.
    pub at: Time,
    /// Why.
    pub ending: Ending,
}

/// Adds the session's row, and lets go of the one that is too many.
pub(crate) fn note(ended: &Ended, _: &Origin) -> Result<Reaction, HandlerError> {
    let past = PastSession {
        lease: ended.lease,
        stream: ended.stream.clone(),
        engine: ended.engine.clone(),
        since: ended.since,
        at: ended.at,
        ending: ended.ending.clone(),
    };
    let value = serde_json::to_vec(&past).map_err(|error| HandlerError(error.to_string()))?;
    let number = ended.lease.token().0;
    let put = RowChange::Put { table: TABLE.to_owned(), key: key(number), value };
    let oldest = number.saturating_sub(limits::HISTORY_SESSIONS);
    let forget = RowChange::DeleteRange { table: TABLE.to_owned(), from: key(0), to: key(oldest) };
    Ok(Reaction::none().row(put).row(forget))
}

fn key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

impl Service {
    /// The sessions that were given out last and have ended, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn history(&self, limit: usize) -> Result<Vec<PastSession>, StoreError> {
        let scan = Scan { limit, direction: Direction::Down, ..Scan::table(TABLE) };
        let rows = self.0.runtime.env().store().scan(scan).await?;
        let read = |(_, value): &(Vec<u8>, bytes::Bytes)| {
            serde_json::from_slice(value).map_err(|error| StoreError::Failed(error.to_string()))
        };
        rows.iter().map(read).collect()
    }
}
