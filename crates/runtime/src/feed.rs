//! The event feed: every committed event, in the order of the log.
//!
//! A feed reads the log itself, so it has no gaps and no repeats however slow its reader is, and it is never
//! delayed by handlers. A cursor is a place in the log: it means the same under every filter.

use std::{fmt, str::FromStr};

use interlock_kernel::{
    ids::{Key, Position, Version},
    time::Time,
};
use serde_json::value::RawValue;

use crate::{
    codec::Codec,
    limits,
    record::{self, Record},
    runtime::Runtime,
    store::{Chunk, StoreError},
};

/// The place of an event: resuming after it gives the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    position: Position,
    /// The event's place in its record.
    event: u32,
}

/// The text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this feed")]
pub struct BadCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.position.0, self.event)
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (position, event) = text.split_once('-').ok_or(BadCursor)?;
        let position = u64::from_str_radix(position, 16).map_err(|_| BadCursor)?;
        let event = u32::from_str_radix(event, 16).map_err(|_| BadCursor)?;
        let cursor = Self { position: Position(position), event };
        // Only the form that the feed itself gives out: no signs, no leading zeros.
        if cursor.to_string() == text { Ok(cursor) } else { Err(BadCursor) }
    }
}

/// Where a feed begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With the next event.
    Now,
    /// With the oldest kept.
    Start,
    /// After this one.
    After(Cursor),
}

/// Why a feed cannot begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// The cursor points beyond the log: it was never given out.
    #[error(transparent)]
    BadCursor(#[from] BadCursor),
    /// The cursor is older than what is kept.
    #[error("the events after this cursor are no longer kept")]
    CursorGone,
    /// The store cannot be read now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An event of the feed.
#[derive(Debug, Clone)]
pub struct FeedEvent {
    /// Its place.
    pub cursor: Cursor,
    /// The entity's type.
    pub entity: String,
    /// The entity's key.
    pub key: String,
    /// The entity's version after the command; several events of one command share it.
    pub version: Version,
    /// When it was decided.
    pub at: Time,
    /// What it is called.
    pub name: &'static str,
    /// What it says.
    pub data: Box<RawValue>,
}

/// One entity, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The entity's type.
    pub entity: String,
    /// The entity's key.
    pub key: Key,
}

/// A reader of the feed.
pub struct Feed {
    runtime: Runtime,
    filter: Option<Filter>,
    /// The next record to look at.
    at: Position,
    /// Events of that record that were given out before.
    skip: u32,
}

impl Runtime {
    /// Opens the feed.
    ///
    /// # Errors
    /// See [`FeedError`].
    pub async fn feed(&self, from: From, filter: Option<Filter>) -> Result<Feed, FeedError> {
        let shared = self.shared();
        let span = shared.env.store().span().await?;
        // The span may already hold a commit that is not announced.
        let end = *shared.committed.borrow();
        let (at, skip) = match from {
            From::Now => (end, 0),
            From::Start => (span.first, 0),
            From::After(cursor) if cursor.position >= end => return Err(BadCursor.into()),
            From::After(cursor) if cursor.position < span.first => {
                return Err(FeedError::CursorGone);
            }
            From::After(cursor) => (cursor.position, cursor.event.saturating_add(1)),
        };
        Ok(Feed { runtime: self.clone(), filter, at, skip })
    }
}

impl Feed {
    /// The next events, at least one; waits for them. `None`: the runtime has stopped.
    ///
    /// # Errors
    /// When the log cannot be read; the next call tries again from the same place.
    pub async fn next(&mut self) -> Result<Option<Vec<FeedEvent>>, StoreError> {
        let mut committed = self.runtime.shared().committed.clone();
        loop {
            let end = *committed.borrow_and_update();
            if self.at >= end {
                if committed.changed().await.is_err() {
                    return Ok(None);
                }
                continue;
            }
            let store = self.runtime.shared().env.store().clone();
            let chunks = match store.read(self.at, limits::READ_BYTES).await {
                Ok(chunks) => chunks,
                // The runtime has stopped, and closed the store.
                Err(_) if committed.has_changed().is_err() => return Ok(None),
                Err(error) => return Err(error),
            };
            if chunks.is_empty() {
                let span = store.span().await?;
                if self.at < span.first {
                    // Compacted while this reader was away: what is left goes on from there.
                    return Err(StoreError::Damaged(
                        "the events here are no longer kept".to_owned(),
                    ));
                }
                return Ok(None);
            }
            let mut events = Vec::new();
            for chunk in &chunks {
                if chunk.first < end {
                    self.take(chunk, &mut events)?;
                    self.at = chunk.end();
                    self.skip = 0;
                }
            }
            if !events.is_empty() {
                return Ok(Some(events));
            }
        }
    }

    fn take(&self, chunk: &Chunk, events: &mut Vec<FeedEvent>) -> Result<(), StoreError> {
        for item in record::records(chunk)? {
            let (position, record) = item?;
            let Record::Decided(decided) = record else { continue };
            let head = decided.head;
            let wanted =
                |filter: &Filter| filter.entity == head.entity && filter.key.as_str() == head.key;
            if position < self.at || !self.filter.as_ref().is_none_or(wanted) {
                continue;
            }
            let Some(codec) = self.runtime.shared().codecs.get(head.entity) else { continue };
            let Some(list) = read(codec, head.schema, decided.events.0, position) else { continue };
            let skip = if position == self.at { self.skip } else { 0 };
            for (event, json) in (0..).zip(list).skip(usize::try_from(skip).unwrap_or(usize::MAX)) {
                events.push(FeedEvent {
                    cursor: Cursor { position, event },
                    entity: head.entity.to_owned(),
                    key: head.key.to_owned(),
                    version: head.version,
                    at: head.at,
                    name: json.name,
                    data: json.data,
                });
            }
        }
        Ok(())
    }
}

/// Events that this binary cannot read are left out, with a warning: one entity's trouble does not stop
/// the feed.
fn read(
    codec: &Codec,
    schema: u16,
    bytes: &[u8],
    position: Position,
) -> Option<Vec<crate::codec::EventJson>> {
    match (codec.events)(schema, bytes) {
        Ok(events) => Some(events),
        Err(error) => {
            tracing::warn!(%position, %error, "the feed leaves out a record");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_as_text_and_garbage_does_not() {
        let cursor = Cursor { position: Position(0x1f), event: 2 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for garbage in ["", "-", "1", "1-", "-1", "+1-0", "01-0", "1-0-0", "x-0", "1-00", "G-1"] {
            assert_eq!(garbage.parse::<Cursor>(), Err(BadCursor), "{garbage}");
        }
    }
}
