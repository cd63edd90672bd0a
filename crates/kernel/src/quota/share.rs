//! Who shares a quota, and how much of it is whose.
//!
//! With a split among W workers, share i is ⌊limit / W⌋, plus one for the first limit mod W shares. A worker
//! gets the next free share with its first granted claim. Everything a worker uses counts against its
//! share, and goes on doing so after it is retired: so its successor's quota is the share less what those
//! before it used or still hold, and what they give back later is the successor's at once.
//!
//! A new name takes the share of the worker that retired first, unless nothing of it is left; then the next
//! one, then a share that nobody had. So nothing is stranded behind a retired worker's used-up share.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroU32,
};

use serde::{Deserialize, Serialize};

use super::Limit;
use crate::{ids::Worker, limits};

/// Claims that count, by how they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Open or started.
    pub claimed: u64,
    /// Started, and nobody knows what became of them.
    pub in_doubt: u64,
    /// Ended with an outcome.
    pub settled: u64,
}

/// What one worker uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerUse {
    /// How many it may use; `None` without a split or without a limit. A retired worker's quota is what it
    /// used or still holds: the rest is its successor's.
    pub quota: Option<u64>,
    /// What it uses.
    pub counts: Counts,
    /// Whether its name is refused.
    pub retired: bool,
}

/// One of the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Claimed,
    InDoubt,
    Settled,
}

/// What comes back by expiries that are not recorded yet.
#[derive(Debug, Default)]
pub(super) struct Freed {
    pub total: u64,
    by_share: BTreeMap<u32, u64>,
}

/// Why a worker's next claim counts against no share.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoShare {
    /// Every share has its worker.
    OneTooMany,
    /// Nothing is left of these, which are all that could be this worker's.
    Full(Vec<u32>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Workers {
    split: Option<NonZeroU32>,
    by_name: BTreeMap<Worker, Record>,
    /// In the order of their first granted claims.
    shares: Vec<Share>,
    /// Shares whose worker retired and has no successor, in the order of retirement.
    vacant: VecDeque<u32>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    counts: Counts,
    share: Option<u32>,
    retired: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Share {
    /// By everyone who ever had it.
    used: u64,
    /// Who has it now.
    worker: Option<Worker>,
}

impl Counts {
    /// All that count against the limit.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.claimed + self.in_doubt + self.settled
    }

    pub(super) fn add(&mut self, count: Count) {
        *self.count(count) += 1;
    }

    pub(super) fn remove(&mut self, count: Count) {
        let count = self.count(count);
        *count = count.checked_sub(1).expect("what is taken off a count was counted");
    }

    fn count(&mut self, count: Count) -> &mut u64 {
        match count {
            Count::Claimed => &mut self.claimed,
            Count::InDoubt => &mut self.in_doubt,
            Count::Settled => &mut self.settled,
        }
    }
}

impl Freed {
    pub fn add(&mut self, share: Option<u32>) {
        self.total += 1;
        if let Some(share) = share {
            *self.by_share.entry(share).or_default() += 1;
        }
    }

    fn of_share(&self, share: u32) -> u64 {
        self.by_share.get(&share).copied().unwrap_or(0)
    }
}

impl Workers {
    pub fn new(split: Option<NonZeroU32>) -> Self {
        Self { split, by_name: BTreeMap::new(), shares: Vec::new(), vacant: VecDeque::new() }
    }

    pub fn split(&self) -> Option<NonZeroU32> {
        self.split
    }

    pub fn set_split(&mut self, split: Option<NonZeroU32>) {
        assert!(split == self.split || self.by_name.is_empty(), "a split in use stays");
        self.split = split;
    }

    pub fn knows(&self, worker: &Worker) -> bool {
        self.by_name.contains_key(worker)
    }

    pub fn is_retired(&self, worker: &Worker) -> bool {
        self.by_name.get(worker).is_some_and(|record| record.retired)
    }

    pub fn share_of(&self, worker: &Worker) -> Option<u32> {
        self.by_name.get(worker)?.share
    }

    pub fn iter(&self, limit: Limit) -> impl Iterator<Item = (&Worker, WorkerUse)> {
        self.by_name.iter().map(move |(name, record)| {
            let Record { counts, share, retired } = *record;
            let size = share.and_then(|share| Some((share, self.size(share, limit)?)));
            let quota = size.map(|(share, size)| match retired {
                true => counts.used(),
                false => {
                    let before = self.shares[share as usize].used - counts.used();
                    size.saturating_sub(before)
                }
            });
            (name, WorkerUse { quota, counts, retired })
        })
    }

    /// The share that a worker's next claim counts against; `None` without a split.
    pub fn place(
        &self,
        worker: &Worker,
        limit: Limit,
        freed: &Freed,
    ) -> Result<Option<u32>, NoShare> {
        let has_room = |share: &u32| {
            let used = self.shares.get(*share as usize).map_or(0, |share| share.used);
            self.size(*share, limit).is_none_or(|size| used - freed.of_share(*share) < size)
        };
        if let Some(record) = self.by_name.get(worker) {
            let full = record.share.filter(|share| !has_room(share));
            return full.map_or(Ok(record.share), |share| Err(NoShare::Full(vec![share])));
        }
        if self.by_name.len() >= limits::QUOTA_NAMES {
            return Err(NoShare::OneTooMany);
        }
        let Some(split) = self.split else { return Ok(None) };
        let taken = u32::try_from(self.shares.len()).expect("no more shares than a u32 can split");
        let fresh = (taken < split.get()).then_some(taken);
        if self.vacant.is_empty() && fresh.is_none() {
            return Err(NoShare::OneTooMany);
        }
        let free = self.vacant.iter().copied().chain(fresh);
        let share = free.clone().find(has_room);
        share.map(Some).ok_or_else(|| NoShare::Full(free.collect()))
    }

    /// Whether something of a share may come back: it is claimed or in doubt.
    pub fn is_outstanding(&self, share: u32, freed: &Freed) -> bool {
        let used = self.shares.get(share as usize).map_or(0, |share| share.used);
        let its = self.by_name.values().filter(|record| record.share == Some(share));
        used - freed.of_share(share) > its.map(|record| record.counts.settled).sum()
    }

    /// A worker was granted a claim.
    pub fn claimed(&mut self, worker: &Worker, share: Option<u32>, limit: Limit) {
        if !self.by_name.contains_key(worker) {
            if let Some(share) = share {
                self.occupy(share, worker);
            }
            self.by_name.insert(worker.clone(), Record { share, ..Record::default() });
        }
        let record = self.by_name.get_mut(worker).expect("it was there or is now");
        assert!(!record.retired, "a retired worker gets no claims");
        assert_eq!(record.share, share, "a worker keeps its share");
        record.counts.add(Count::Claimed);
        if let Some(share) = share {
            let used = &mut self.shares[share as usize].used;
            *used += 1;
            let used = *used;
            assert!(self.size(share, limit).is_none_or(|size| used <= size), "no share is overrun");
        }
    }

    /// A worker's claim stands differently now; `None`: it came back.
    pub fn moved(&mut self, worker: &Worker, from: Count, to: Option<Count>) {
        let record = self.by_name.get_mut(worker).expect("whoever has a claim is known");
        record.counts.remove(from);
        match (to, record.share) {
            (Some(to), _) => record.counts.add(to),
            (None, Some(share)) => {
                let used = &mut self.shares[share as usize].used;
                *used = used.checked_sub(1).expect("a share counts what its workers use");
            }
            (None, None) => {}
        }
    }

    /// A worker's name is refused from now on.
    pub fn retire(&mut self, worker: &Worker) {
        let record = self.by_name.get_mut(worker).expect("only a known worker is retired");
        assert!(!record.retired, "a worker is retired once");
        record.retired = true;
        if let Some(share) = record.share {
            self.shares[share as usize].worker = None;
            self.vacant.push_back(share);
        }
    }

    /// Recounts everything; `live` are the claims that have not ended.
    pub fn check(&self, totals: Counts, live: impl Iterator<Item = (Worker, Count)>) {
        let mut recount: BTreeMap<Worker, Counts> = BTreeMap::new();
        live.for_each(|(worker, count)| recount.entry(worker).or_default().add(count));
        let mut sum = Counts::default();
        let mut shares = vec![0; self.shares.len()];
        for (name, Record { counts, share, retired }) in &self.by_name {
            let live = recount.remove(name).unwrap_or_default();
            assert_eq!(live, Counts { settled: 0, ..*counts }, "worker {name} is counted right");
            sum.claimed += counts.claimed;
            sum.in_doubt += counts.in_doubt;
            sum.settled += counts.settled;
            assert_eq!(share.is_some(), self.split.is_some(), "with a split, everyone has a share");
            if let Some(share) = share {
                shares[*share as usize] += counts.used();
                let has_it = self.shares[*share as usize].worker.as_ref() == Some(name);
                assert_eq!(has_it, !retired, "a share belongs to one worker, until it retires");
            }
        }
        assert!(recount.is_empty(), "whoever has a claim is known");
        assert_eq!(sum, totals, "the sums over the workers are the totals");
        let used: Vec<u64> = self.shares.iter().map(|share| share.used).collect();
        assert_eq!(used, shares, "a share counts what its workers use");
        let vacant = self.shares.iter().filter(|share| share.worker.is_none()).count();
        assert_eq!(vacant, self.vacant.len(), "a share without a worker is vacant");
    }

    fn occupy(&mut self, share: u32, worker: &Worker) {
        if share as usize == self.shares.len() {
            self.shares.push(Share::default());
        } else {
            let index = self.vacant.iter().position(|vacant| *vacant == share);
            self.vacant.remove(index.expect("only a vacant share has a successor"));
        }
        self.shares[share as usize].worker = Some(worker.clone());
    }

    /// How much of the limit a share is; `None`: as much as anyone likes.
    fn size(&self, share: u32, limit: Limit) -> Option<u64> {
        let (split, limit) = (u64::from(self.split?.get()), limit.number()?);
        Some(limit / split + u64::from(u64::from(share) < limit % split))
    }
}
