//! The timeline of an entity: command → events → handlers, with times, newest first.

use interlock_kernel::{
    ids::{Key, Position, Version},
    time::Time,
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    engine::message::ShowError,
    history::Reader,
    record::{self, Cause, Decided, Record},
    runtime::Runtime,
    status::HandlerRun,
};

/// A page of a timeline.
#[derive(Debug, Clone, Serialize)]
pub struct Timeline {
    /// Newest first.
    pub entries: Vec<Entry>,
    /// What to pass as `before` for the next page; none at the end.
    pub next: Option<String>,
}

/// What one command did.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// When it was decided.
    pub at: Time,
    /// The command's name.
    pub command: String,
    /// The sender's id, or one made from the record's place.
    pub id: String,
    /// `committed`: refusals leave no record.
    pub outcome: &'static str,
    /// The entity's version after it.
    pub version: Version,
    /// What happened.
    pub events: Vec<EventEntry>,
    /// Who reacted, as far as still in memory.
    pub handlers: Vec<HandlerRun>,
}

/// An event of a timeline.
#[derive(Debug, Clone, Serialize)]
pub struct EventEntry {
    /// What it is called.
    #[serde(rename = "type")]
    pub name: &'static str,
    /// What it says.
    pub data: Box<RawValue>,
}

/// Why a timeline cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimelineError {
    /// The entity cannot be shown.
    #[error(transparent)]
    Show(#[from] ShowError),
    /// `before` is not from this timeline.
    #[error("not a place in this timeline")]
    BadBefore,
}

impl Runtime {
    /// At most `limit` entries of an entity's timeline, from before the given place back. `None`: the entity
    /// has no history.
    ///
    /// # Errors
    /// See [`TimelineError`].
    pub async fn timeline(
        &self,
        entity: &str,
        key: &Key,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Option<Timeline>, TimelineError> {
        let shown = self.show(entity, key).await?;
        if shown.version == Version(0) {
            return Ok(None);
        }
        let store = self.env().store().clone();
        let mut reader = Reader::new(store.as_ref());
        let mut at = match before {
            None => shown.head,
            Some(text) => {
                let place = text.parse().map(Position).map_err(|_| TimelineError::BadBefore)?;
                // Only the form that a page gives out: no sign, no leading zeros.
                let is_own = place.to_string() == text;
                if !is_own || place.0 == 0 || place > shown.head {
                    return Err(TimelineError::BadBefore);
                }
                let body = reader.body(place).await.map_err(ShowError::Unavailable)?;
                let body = body.ok_or(TimelineError::BadBefore)?;
                let record = record::parse(place, &body).map_err(ShowError::Unavailable)?;
                let head = record.head();
                if head.entity != entity || head.key != key.as_str() {
                    return Err(TimelineError::BadBefore);
                }
                head.prev
            }
        };
        let mut entries = Vec::new();
        let mut last = at;
        // One more than asked for tells whether this is the end.
        while at.0 > 0 {
            let Some(body) = reader.body(at).await.map_err(ShowError::Unavailable)? else {
                // Compaction let go of what is older.
                break;
            };
            let record = record::parse(at, &body).map_err(ShowError::Unavailable)?;
            if let Record::Decided(decided) = &record {
                if entries.len() == limit {
                    return Ok(Some(Timeline { entries, next: Some(last.to_string()) }));
                }
                entries.push(self.entry(entity, at, decided));
                last = at;
            }
            at = record.head().prev;
        }
        Ok(Some(Timeline { entries, next: None }))
    }

    fn entry(&self, entity: &str, at: Position, decided: &Decided<'_>) -> Entry {
        let head = decided.head;
        let codec = self.shared().codecs.get(entity);
        let events = codec.map(|codec| (codec.events)(head.schema, decided.events.0));
        let events = match events {
            Some(Ok(events)) => events,
            Some(Err(error)) => {
                tracing::warn!(position = %at, %error, "a timeline cannot show a record's events");
                Vec::new()
            }
            None => Vec::new(),
        };
        let id = match decided.cause {
            Cause::Id(id) => id.to_owned(),
            Cause::Sent => format!("#{at}"),
            Cause::Timer(name) => format!("timer:{name}"),
            Cause::Effect(version, place) => format!("effect:{version}.{place}"),
        };
        let status = self.status().types.get(entity);
        Entry {
            at: head.at,
            command: decided.command.to_owned(),
            id,
            outcome: "committed",
            version: head.version,
            events: events
                .into_iter()
                .map(|json| EventEntry { name: json.name, data: json.data })
                .collect(),
            handlers: status.map(|status| status.runs.of(at)).unwrap_or_default(),
        }
    }
}
