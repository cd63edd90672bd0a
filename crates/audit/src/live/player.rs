//! What one client does: a little of everything, with what it holds, on entities that all of them share.
//!
//! It survives every kill of the server, and so do its claims, runs and leases, unless their time runs out: they are
//! short, so that many do. It often asks for what it cannot have: refusals are answers that are checked, too.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
};

use interlock_kernel::{
    ids::{Holder, Member, Party, Token, Version, Worker},
    job::RunId,
    pool::LeaseId,
    quota::ClaimId,
    time::Millis,
};
use serde_json::{Value, json};

use super::calls::{self, Call, OfClaim, OfLease};
use crate::world::mix;

/// Entities of each type that are used at once.
const KEYS: u64 = 3;
/// How many claims a quota has. When all are settled, everybody goes on with the next quota.
const QUOTA: u64 = 12;
/// Members of a pool, and leases of each at once.
const MEMBERS: [&str; 2] = ["m0", "m1"];
const MEMBER_LIMIT: u32 = 1;
/// How long claims, runs and leases last: many outlive a kill, many do not.
const TTL: Millis = Millis(400);
/// The shortest time between the starts of a job.
const MIN_INTERVAL: Millis = Millis(2);

pub(super) struct Player {
    name: String,
    parties: BTreeSet<Party>,
    random: u64,
    quota: u64,
    barrier: u64,
    /// Entities that it has set up.
    known: BTreeSet<String>,
    claims: Vec<(String, ClaimId)>,
    runs: Vec<(String, RunId)>,
    leases: Vec<(String, LeaseId, Token)>,
    /// The newest version that it was told, by entity.
    versions: BTreeMap<String, u64>,
}

fn name(number: u64) -> String {
    format!("w{number}")
}

impl Player {
    /// One of so many.
    pub(super) fn new(number: u64, players: u64, seed: u64) -> Self {
        let party = |number| Party::new(&name(number)).expect("a valid name");
        Self {
            name: name(number),
            parties: (0..players).map(party).collect(),
            random: mix(seed ^ mix(number)),
            quota: 0,
            barrier: 0,
            known: BTreeSet::new(),
            claims: Vec::new(),
            runs: Vec::new(),
            leases: Vec::new(),
            versions: BTreeMap::new(),
        }
    }

    /// A random number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.random = mix(self.random.wrapping_add(0x9e37_79b9_7f4a_7c15));
        self.random % end
    }

    /// What it asks next.
    pub(super) fn next(&mut self) -> Call {
        match self.below(6) {
            0 => self.quota(),
            1 => self.turn(),
            2 => self.job(),
            3 => self.value(),
            4 => self.pool(),
            _ => self.barrier(),
        }
    }

    /// Takes one out, most often none.
    fn one_of<T: Clone>(&mut self, held: impl Fn(&mut Self) -> &mut Vec<T>) -> Option<T> {
        let count = held(self).len() as u64;
        let place = self.below(count + 1);
        let place = usize::try_from(place).expect("fewer than are held");
        (place < held(self).len()).then(|| held(self).swap_remove(place))
    }

    fn key(&mut self, letter: char) -> String {
        format!("{letter}{}", self.below(KEYS))
    }

    fn quota(&mut self) -> Call {
        if let Some((key, claim)) = self.one_of(|player| &mut player.claims) {
            let what = match self.below(4) {
                0 => OfClaim::Start,
                1 => OfClaim::Renew,
                2 => OfClaim::Settle,
                _ => OfClaim::Abandon,
            };
            // One that has ended is asked about again now and then.
            if matches!(what, OfClaim::Start | OfClaim::Renew) || self.below(8) == 0 {
                self.claims.push((key.clone(), claim));
            }
            return calls::of_claim(&key, claim, what);
        }
        let key = format!("q{}", self.quota);
        if self.known.insert(key.clone()) {
            return calls::put_quota(&key, QUOTA, TTL);
        }
        calls::claim(&key, &Worker::new(&self.name).expect("a valid name"))
    }

    fn turn(&mut self) -> Call {
        let key = self.key('t');
        let won = self.version(&format!("turn/{key}"));
        // The turn after the last that it knows of; now and then that one again, or one that is too far ahead.
        let turn = match self.below(10) {
            0 => won,
            1 => won + 7,
            _ => won + 1,
        };
        let turn = NonZeroU64::new(turn).unwrap_or(NonZeroU64::MIN);
        calls::post(&key, turn, &json!({"by": self.name, "number": self.below(1_000)}))
    }

    fn job(&mut self) -> Call {
        if let Some((key, run)) = self.one_of(|player| &mut player.runs) {
            if self.below(3) > 0 {
                return calls::finish_run(&key, run);
            }
            self.runs.push((key.clone(), run));
            return calls::renew_run(&key, run);
        }
        let (key, holder) = (self.key('j'), Holder::new(&self.name).expect("a valid name"));
        calls::start_run(&key, &holder, MIN_INTERVAL, TTL)
    }

    fn value(&mut self) -> Call {
        let key = self.key('v');
        let seen = Some(self.version(&format!("value/{key}"))).filter(|seen| *seen > 0);
        let content = json!({"by": self.name, "number": self.below(1_000)});
        calls::put_value(&key, seen.map(Version), content)
    }

    fn pool(&mut self) -> Call {
        if let Some((key, lease, token)) = self.one_of(|player| &mut player.leases) {
            let what = match self.below(4) {
                0 => OfLease::Confirm,
                1 => OfLease::Renew,
                _ => OfLease::Release,
            };
            if what != OfLease::Release || self.below(8) == 0 {
                self.leases.push((key.clone(), lease, token));
            }
            return calls::of_lease(&key, lease, token, what);
        }
        let key = self.key('p');
        for member in MEMBERS {
            if self.known.insert(format!("{key}/{member}")) {
                let member = Member::new(member).expect("a valid name");
                return calls::put_member(&key, &member, MEMBER_LIMIT);
            }
        }
        calls::lease(&key, &Holder::new(&self.name).expect("a valid name"), TTL)
    }

    fn barrier(&mut self) -> Call {
        let key = format!("b{}", self.barrier);
        if self.known.insert(key.clone()) {
            return calls::put_barrier(&key, &self.parties);
        }
        // Mostly it goes on with the next; else it comes a second time.
        self.barrier += u64::from(self.below(4) > 0);
        let party = Party::new(&self.name).expect("a valid name");
        calls::arrive(&key, &party, &json!(self.below(1_000)))
    }

    fn version(&self, entity: &str) -> u64 {
        self.versions.get(entity).copied().unwrap_or(0)
    }

    /// Takes in an answer.
    pub(super) fn learns(&mut self, call: &Call, status: u16, body: &Value) {
        let (_, key) = call.entity.split_once('/').expect("it is made of both");
        let text = |field: &str| body[field].as_str();
        if status == 201 {
            let token = || body["token"].as_u64().map(Token);
            if let Some(claim) = text("claim").and_then(ClaimId::parse) {
                self.claims.push((key.to_owned(), claim));
            } else if let Some(run) = text("run").and_then(RunId::parse) {
                self.runs.push((key.to_owned(), run));
            } else if let (Some(lease), Some(token)) =
                (text("lease").and_then(LeaseId::parse), token())
            {
                self.leases.push((key.to_owned(), lease, token));
            }
        }
        let is_used_up = text("code") == Some("quota_exhausted");
        if is_used_up && key == format!("q{}", self.quota) {
            self.quota += 1;
        }
        if let Some(version) = body["version"].as_u64() {
            let newest = self.versions.entry(call.entity.clone()).or_default();
            *newest = version.max(*newest);
        }
    }
}
