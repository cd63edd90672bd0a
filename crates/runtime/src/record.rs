//! The stored form of the log: records in chunks.
//!
//! ```text
//! chunk  = version u8 (1) | crc32 of the rest u32 LE | record*
//! record = length u32 LE  | body (postcard)
//! ```
//!
//! Each record names the position of the entity's previous record, so that an entity's history is a chain
//! that can be walked back from its newest record, without any index over it. Two kinds of record:
//! [`Decided`], what one command changed, and [`Snapshot`], the whole state at a version, which ends a walk.
//!
//! Bytes of entity types (events, replies, states) are kept opaque here; see [`crate::codec`].

use std::hash::Hasher;

use interlock_kernel::{
    ids::{Position, Version},
    time::Time,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::store::{Chunk, StoreError};

/// The version of the stored form. A change raises it, adds a fixture and keeps the old reader.
pub const FORMAT: u8 = 1;
const HEADER_BYTES: usize = 5;
const LENGTH_BYTES: usize = 4;

/// Borrowed bytes that are stored as bytes, not as a list of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Raw<'a>(pub &'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(Raw)
    }
}

/// One record of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record<'a> {
    /// What one command changed.
    Decided(#[serde(borrow)] Decided<'a>),
    /// The state at a version.
    Snapshot(#[serde(borrow)] Snapshot<'a>),
}

/// What every record says of its entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head<'a> {
    /// The entity's type.
    pub entity: &'a str,
    /// The entity's key.
    pub key: &'a str,
    /// The version after this record. Snapshots repeat the version that they show, and so do decisions without
    /// events, effects or a closing: they only say that timers changed, or that an effect is over.
    pub version: Version,
    /// The entity's previous record; 0: there is none.
    pub prev: Position,
    /// When it was decided. Never goes back along the log.
    pub at: Time,
    /// When the entity wants to be woken after this record: its earliest timer, [`Time`]`(0)` while it has
    /// effects under way, [`Time::NEVER`] if there is nothing to do.
    pub due: Time,
    /// The schema of the opaque parts.
    pub schema: u16,
}

/// What one command changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided<'a> {
    /// Whose record.
    #[serde(borrow)]
    pub head: Head<'a>,
    /// Who sent the command.
    pub caller: &'a str,
    /// Where the command came from.
    #[serde(borrow)]
    pub cause: Cause<'a>,
    /// The command's name.
    pub command: &'a str,
    /// The request's fingerprint; 0 if it has none.
    pub fingerprint: u64,
    /// How many events there are.
    pub events_count: u32,
    /// The events: a list.
    #[serde(borrow)]
    pub events: Raw<'a>,
    /// The reply.
    #[serde(borrow)]
    pub reply: Raw<'a>,
    /// Changed timers: a list.
    #[serde(borrow)]
    pub timers: Raw<'a>,
    /// Requested effects: a list.
    #[serde(borrow)]
    pub effects: Raw<'a>,
    /// Whether the entity is closed from now on.
    pub closes: bool,
}

/// Where a command came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause<'a> {
    /// A sender that gave no id.
    Sent,
    /// A sender's id, or a write handler's.
    Id(&'a str),
    /// A timer of the entity, which is thereby gone.
    Timer(&'a str),
    /// The result of an effect of the entity, which is thereby done: the version that asked for it, and
    /// its place among that version's effects.
    Effect(Version, u32),
}

/// The whole state at a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot<'a> {
    /// Whose record.
    #[serde(borrow)]
    pub head: Head<'a>,
    /// The state.
    #[serde(borrow)]
    pub state: Raw<'a>,
    /// Pending timers: a list of (name, time, command).
    #[serde(borrow)]
    pub timers: Raw<'a>,
    /// Pending effects: a list of (version, place, request).
    #[serde(borrow)]
    pub effects: Raw<'a>,
    /// Whether the entity is closed.
    pub closed: bool,
}

impl<'a> Record<'a> {
    /// What the record says of its entity.
    #[must_use]
    pub fn head(&self) -> &Head<'a> {
        match self {
            Record::Decided(decided) => &decided.head,
            Record::Snapshot(snapshot) => &snapshot.head,
        }
    }

    /// Whether the record may come after one of the given version.
    #[must_use]
    pub fn follows(&self, before: Version) -> bool {
        match self {
            Record::Decided(decided) => decided.follows(before),
            Record::Snapshot(snapshot) => snapshot.head.version == before,
        }
    }
}

impl Decided<'_> {
    /// Whether the record may come after one of the given version: it has the next one, or the same if it
    /// has no events, effects or closing. (The first logs gave every record a version of its own.)
    #[must_use]
    pub fn follows(&self, before: Version) -> bool {
        let makes_version = self.events_count > 0 || !self.effects.0.is_empty() || self.closes;
        let version = self.head.version;
        version == before.next() || (version == before && !makes_version)
    }
}

/// Collects the records of one commit.
#[derive(Debug)]
pub struct ChunkBuilder {
    first: Position,
    count: u32,
    bytes: Vec<u8>,
}

impl ChunkBuilder {
    /// An empty chunk whose first record gets this position.
    #[must_use]
    pub fn new(first: Position) -> Self {
        Self { first, count: 0, bytes: vec![0; HEADER_BYTES] }
    }

    /// The position that the next record gets.
    #[must_use]
    pub fn next(&self) -> Position {
        Position(self.first.0 + u64::from(self.count))
    }

    /// Records so far.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a record and returns its position and its size in bytes.
    pub fn push(&mut self, record: &Record<'_>) -> (Position, usize) {
        let position = self.next();
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; LENGTH_BYTES]);
        self.bytes = postcard::to_extend(record, std::mem::take(&mut self.bytes))
            .expect("writing to memory cannot fail");
        let length = self.bytes.len() - start - LENGTH_BYTES;
        let length = u32::try_from(length).expect("limits::RECORD_BYTES is below 4 GiB");
        self.bytes[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
        (position, self.bytes.len() - start)
    }

    /// Seals the chunk.
    #[must_use]
    pub fn seal(mut self) -> Chunk {
        let crc = crc32fast::hash(&self.bytes[HEADER_BYTES..]);
        self.bytes[0] = FORMAT;
        self.bytes[1..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        Chunk { first: self.first, count: self.count, bytes: self.bytes.into() }
    }
}

/// The records of a chunk, with their positions. Checks the checksum first.
pub fn records(chunk: &Chunk) -> Result<Records<'_>, StoreError> {
    let bytes = &chunk.bytes[..];
    let Some((header, body)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Err(damaged(chunk.first, "it is shorter than its header"));
    };
    match header[0] {
        FORMAT => {}
        newer if newer > FORMAT => {
            return Err(StoreError::Newer(format!("the log's format is {newer}, known: {FORMAT}")));
        }
        _ => return Err(damaged(chunk.first, "its format is unknown")),
    }
    let stored = u32::from_le_bytes(header[1..].try_into().expect("four bytes"));
    if crc32fast::hash(body) != stored {
        return Err(damaged(chunk.first, "its checksum does not match"));
    }
    Ok(Records { next: chunk.first, end: chunk.end(), rest: body })
}

/// The record at a position of a chunk.
pub fn record_at(chunk: &Chunk, at: Position) -> Result<Record<'_>, StoreError> {
    parse(at, body_at(chunk, at)?)
}

/// The bytes of the record at a position of a chunk, for [`parse`].
pub fn body_at(chunk: &Chunk, at: Position) -> Result<&[u8], StoreError> {
    if at < chunk.first || at >= chunk.end() {
        return Err(damaged(at, "it is not in its chunk"));
    }
    let mut records = records(chunk)?;
    while records.next < at {
        records.body()?;
    }
    records.body()
}

/// Reads a record's bytes.
pub fn parse(at: Position, body: &[u8]) -> Result<Record<'_>, StoreError> {
    postcard::from_bytes(body).map_err(|error| damaged(at, &error.to_string()))
}

fn damaged(at: Position, what: &str) -> StoreError {
    StoreError::Damaged(format!("the log at position {at}: {what}"))
}

/// Iterates over a chunk's records.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    next: Position,
    end: Position,
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    fn body(&mut self) -> Result<&'a [u8], StoreError> {
        let short = || damaged(self.next, "it ends in the middle of a record");
        let (length, rest) = self.rest.split_at_checked(LENGTH_BYTES).ok_or_else(short)?;
        let length = u32::from_le_bytes(length.try_into().expect("four bytes"));
        let length = usize::try_from(length).map_err(|_| short())?;
        let (body, rest) = rest.split_at_checked(length).ok_or_else(short)?;
        self.rest = rest;
        self.next = self.next.next();
        Ok(body)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(Position, Record<'a>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let position = self.next;
        let record = self.body().and_then(|body| parse(position, body));
        if record.is_err() {
            self.next = self.end;
        }
        Some(record.map(|record| (position, record)))
    }
}

/// The hash of an entity in the heads index.
#[must_use]
pub fn entity_hash(entity: &str, key: &str) -> u128 {
    let mut hasher = SipHasher13::new();
    write_parts(&mut hasher, &[entity, key]);
    hasher.finish128().as_u128()
}

/// The hash of a command id, scoped to entity and caller, in the ids index.
#[must_use]
pub fn id_hash(entity: u128, caller: &str, id: &str) -> u128 {
    let mut hasher = SipHasher13::new();
    hasher.write(&entity.to_le_bytes());
    write_parts(&mut hasher, &[caller, id]);
    hasher.finish128().as_u128()
}

/// Writes texts so that no two lists of texts give the same bytes.
fn write_parts(hasher: &mut SipHasher13, parts: &[&str]) {
    for part in parts {
        hasher.write(&(part.len() as u64).to_le_bytes());
        hasher.write(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(version: u64) -> Head<'static> {
        Head {
            entity: "pool",
            key: "engines",
            version: Version(version),
            prev: Position(version - 1),
            at: Time(1_000 + version),
            due: Time::NEVER,
            schema: 1,
        }
    }

    fn decided(version: u64) -> Record<'static> {
        Record::Decided(Decided {
            head: head(version),
            caller: "",
            cause: Cause::Id("a-1"),
            command: "lease",
            fingerprint: 7,
            events_count: 1,
            events: Raw(&[1, 2, 3]),
            reply: Raw(&[4]),
            timers: Raw(&[]),
            effects: Raw(&[]),
            closes: false,
        })
    }

    fn chunk() -> Chunk {
        let mut builder = ChunkBuilder::new(Position(5));
        for version in 1..=3 {
            builder.push(&decided(version));
        }
        builder.seal()
    }

    #[test]
    fn a_chunk_gives_back_its_records_with_their_positions() {
        let chunk = chunk();
        let read: Result<Vec<_>, _> = records(&chunk).unwrap().collect();
        let positions = [Position(5), Position(6), Position(7)];
        let expected: Vec<_> = positions.into_iter().zip((1..=3).map(decided)).collect();
        assert_eq!(read.unwrap(), expected);
        assert_eq!(record_at(&chunk, Position(6)).unwrap(), decided(2));
        assert!(record_at(&chunk, Position(8)).is_err());
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let chunk = chunk();
        for index in 0..chunk.bytes.len() {
            let mut bytes = chunk.bytes.to_vec();
            bytes[index] ^= 0x40;
            let broken = Chunk { bytes: bytes.into(), ..chunk.clone() };
            assert!(records(&broken).is_err(), "byte {index} changed unnoticed");
        }
    }

    #[test]
    fn hashes_keep_neighbouring_texts_apart() {
        assert_ne!(entity_hash("ab", "c"), entity_hash("a", "bc"));
        assert_ne!(id_hash(1, "ab", "c"), id_hash(1, "a", "bc"));
    }
}
