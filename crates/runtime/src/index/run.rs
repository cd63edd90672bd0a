//! A run: an immutable sorted list of entries, stored as pages. In memory are only the fences (the first
//! hash of each page) and the filters that say which pages are worth reading.
//!
//! Pages come in groups, and each group has a filter of its own, sized to what it holds. So a run can be
//! written from a stream of unknown length, group by group, without ever knowing all its hashes at once.

use std::sync::Arc;

use interlock_kernel::{ids::Position, time::Time};
use serde::{Deserialize, Serialize};

use super::{
    filter::{Filter, Needle},
    tables::{self, RunId, Tables, damaged, piece_key},
};
use crate::store::StoreError;

/// The version of the stored form of runs, groups and pages. A change raises it, adds a fixture and keeps
/// the old reader.
const FORMAT: u8 = 1;
const FENCE_BYTES: usize = size_of::<u128>();
/// Groups read in one go: about 8 MB of the usual shape.
const READ_GROUPS: usize = 256;

/// What the manifest says of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunRow {
    /// The newest flush in it; orders the runs by age.
    pub generation: RunId,
    /// How often its entries have been merged, roughly.
    pub level: u8,
    /// The newest record that it covers was decided then.
    pub newest_at: Time,
    /// It and the older runs cover all records below.
    pub end: Position,
    /// Its entries, tombstones included.
    pub entries: u64,
    /// Its groups, numbered from 0.
    pub groups: u32,
}

impl RunRow {
    /// A run before its first entry.
    pub(super) fn empty(generation: RunId, level: u8, newest_at: Time, end: Position) -> Self {
        Self { generation, level, newest_at, end, entries: 0, groups: 0 }
    }

    /// The stored form: the version, then the fields.
    pub(super) fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("writing to memory cannot fail")
    }

    fn read(table: &str, key: &[u8], row: &bytes::Bytes) -> Result<Self, StoreError> {
        // The version first: a newer one may have another kind of checksum.
        if let Some(&version) = row.first().filter(|version| **version > FORMAT) {
            let why = format!("{table} has format {version}, this binary knows {FORMAT}");
            return Err(StoreError::Newer(why));
        }
        match tables::body(table, key, row)?.split_first() {
            Some((&FORMAT, fields)) => postcard::from_bytes(fields)
                .map_err(|error| damaged(table, key, &error.to_string())),
            Some(_) | None => Err(damaged(table, key, "no known version")),
        }
    }
}

/// Some pages of a run that follow each other.
pub(super) struct Group {
    first_page: u32,
    fences: Box<[u128]>,
    filter: Filter,
}

impl Group {
    /// A group of pages with these first hashes.
    pub(super) fn new(first_page: u32, fences: Vec<u128>, filter: Filter) -> Self {
        assert!(!fences.is_empty(), "a group has pages");
        Self { first_page, fences: fences.into_boxed_slice(), filter }
    }

    /// The number of the page after its last.
    pub(super) fn end_page(&self) -> u32 {
        self.first_page + u32::try_from(self.fences.len()).expect("Shape bounds a group's pages")
    }

    /// The stored form: `pages u32 LE | first hash of each page, 16 bytes BE | filter`.
    pub(super) fn encode(&self) -> Vec<u8> {
        let pages = self.end_page() - self.first_page;
        let mut row = pages.to_le_bytes().to_vec();
        row.extend(self.fences.iter().flat_map(|fence| fence.to_be_bytes()));
        self.filter.encode_into(&mut row);
        row
    }

    fn decode(first_page: u32, row: &[u8]) -> Option<Self> {
        let (pages, rest) = row.split_first_chunk()?;
        let pages = usize::try_from(u32::from_le_bytes(*pages)).ok().filter(|pages| *pages > 0)?;
        let (fences, filter) = rest.split_at_checked(pages.checked_mul(FENCE_BYTES)?)?;
        let fences: Box<[u128]> =
            fences.as_chunks().0.iter().map(|fence| u128::from_be_bytes(*fence)).collect();
        first_page.checked_add(u32::try_from(pages).ok()?)?;
        Some(Self { first_page, fences, filter: Filter::decode(filter)? })
    }
}

/// A sorted list of entries in the store.
pub(super) struct Run {
    pub id: RunId,
    pub row: RunRow,
    /// The first hash of each group.
    starts: Box<[u128]>,
    groups: Box<[Group]>,
}

impl Run {
    pub(super) fn new(id: RunId, row: RunRow, groups: Vec<Group>) -> Self {
        let starts = groups.iter().map(|group| group.fences[0]).collect();
        Self { id, row, starts, groups: groups.into_boxed_slice() }
    }

    /// All runs of the manifest, newest first, with their fences and filters.
    pub(super) async fn load_all(tables: &Tables) -> Result<Vec<Arc<Self>>, StoreError> {
        let mut runs = Vec::new();
        for (key, row) in tables.manifest().await? {
            let id = tables::parse_run_key(&tables.runs, &key)?;
            let row = RunRow::read(&tables.runs, &key, &row)?;
            runs.push(Arc::new(Self::load(tables, id, row).await?));
        }
        runs.sort_by_key(|run| std::cmp::Reverse(run.row.generation));
        Ok(runs)
    }

    async fn load(tables: &Tables, id: RunId, row: RunRow) -> Result<Self, StoreError> {
        let mut groups: Vec<Group> = Vec::new();
        let mut next_page = 0;
        let mut number = 0;
        while number < row.groups {
            let rows = tables.pieces(&tables.groups, (id, number), READ_GROUPS).await?;
            if rows.is_empty() {
                return Err(damaged(&tables.groups, &piece_key(id, number), "missing"));
            }
            for (key, row) in rows {
                if key != piece_key(id, number) {
                    return Err(damaged(&tables.groups, &piece_key(id, number), "missing"));
                }
                let body = tables::body(&tables.groups, &key, &row)?;
                let group = Group::decode(next_page, body)
                    .ok_or_else(|| damaged(&tables.groups, &key, "no group"))?;
                next_page = group.end_page();
                groups.push(group);
                number += 1;
            }
        }
        Ok(Self::new(id, row, groups))
    }

    /// The one page that could hold the hash; `None`: the run certainly does not hold it. `needle` is of the
    /// same hash.
    #[inline]
    pub(super) fn page_for(&self, hash: u128, needle: &Needle) -> Option<u32> {
        let group = &self.groups[self.group_for(hash)?];
        if !group.filter.may_hold(needle) {
            return None;
        }
        let page = group.fences.partition_point(|fence| *fence <= hash) - 1;
        Some(
            group.first_page
                + u32::try_from(page).expect("a group's pages were counted in 32 bits"),
        )
    }

    /// The last group that starts at or before the hash. Hashes are spread evenly and groups hold about the
    /// same number, so the first guess is at most a step or two off.
    #[inline]
    fn group_for(&self, hash: u128) -> Option<usize> {
        let mut group = (((hash >> 64) * self.starts.len() as u128) >> 64) as usize;
        while *self.starts.get(group)? > hash {
            group = group.checked_sub(1)?;
        }
        while self.starts.get(group + 1).is_some_and(|start| *start <= hash) {
            group += 1;
        }
        Some(group)
    }

    /// Its pages, numbered from 0.
    pub(super) fn pages(&self) -> u32 {
        self.groups.last().map_or(0, Group::end_page)
    }

    /// What it costs in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let group = |group: &Group| {
            size_of::<Group>() + FENCE_BYTES * (group.fences.len() + 1) + group.filter.bytes()
        };
        size_of::<Self>() + self.groups.iter().map(group).sum::<usize>()
    }
}
