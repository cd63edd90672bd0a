//! The battles on Interlock: each is claimed from a quota, noted in the battles' own records, started, played, and
//! settled with its outcome.
//!
//! A worker may be killed at any await, and starts again knowing nothing. What it had claimed comes back with the
//! claim's time; what it had begun is in doubt, until somebody looks into the records: what they say was played is
//! settled, what was not is given up, in the records first, where whoever comes too late is refused.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{Arc, Mutex},
};

use interlock_kernel::{
    ids::{Key, Outcome, Version, Worker},
    quota::{CLAIM_TTL, ClaimId, Limit, QuotaChange, QuotaRefusal},
    time::Millis,
};
use interlock_primitives::domain::quota::{
    QuotaCommand, QuotaEntity, QuotaRejection, QuotaReply, QuotaView,
};
use interlock_runtime::{SendError, env::World};

use super::{Lets, Run, lock};
use crate::{
    cases::parts::{lives, unexpected},
    node::{Client, Faults, Node},
    stage::{Actor, Stage},
};

/// What the battles' records say of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Record {
    /// It may be played.
    Noted,
    /// It was, and ended so.
    Played(&'static str),
    /// It never will be.
    GivenUp,
}

#[derive(Default)]
struct Records(Mutex<BTreeMap<ClaimId, Record>>);

impl Records {
    /// How many battles were really played, by their outcome.
    fn played(&self) -> BTreeMap<&'static str, u64> {
        let mut played = BTreeMap::new();
        for record in lock(&self.0).values() {
            match record {
                Record::Played(fate) => *played.entry(*fate).or_default() += 1,
                Record::Noted | Record::GivenUp => {}
            }
        }
        played
    }
}

pub(super) async fn play(stage: Stage, run: Run) {
    let records = Arc::new(Records::default());
    let state = records.clone();
    stage.show(move || format!("played {:?}", state.played()));
    let node = Node::start(&stage, Faults::ONE, |builder| builder.entity::<QuotaEntity>());
    let key = Key::new("battles").expect("a valid key");
    let day = Millis::from_secs(86_400);
    let change = QuotaChange {
        limit: Some(Limit::Of(run.battles.into())),
        // No number switches the shares off.
        workers: NonZeroU32::new(run.workers).filter(|_| run.is_split()),
        ..QuotaChange::keep(day)
    };
    let mut owner = node.client(&stage.extra("run"), "run");
    let put = owner.send::<QuotaEntity>(&key, QuotaCommand::Put(change)).await;
    stage.check(put.is_ok(), || format!("the quota cannot be put: {put:?}"));
    for number in 1..=run.workers {
        let (node, key, records) = (node.clone(), key.clone(), records.clone());
        stage.actor(&format!("worker {number}"), |actor| async move {
            let life = |life| {
                let client = node.client(&actor, &format!("w{number}-{life}"));
                let name = Worker::new(&format!("w{number}")).expect("a valid name");
                let (actor, key, records) = (actor.clone(), key.clone(), records.clone());
                Player { actor, client, key, name, run, records }.plays()
            };
            lives(&actor, life).await;
        });
    }
    stage.all_done().await;
    let view = node.state::<QuotaEntity>(&key).await.view(Version(0), stage.world().wall());
    let Ok(QuotaView { settled, outcomes, claimed, in_doubt, .. }) = view else {
        return stage.violation("the quota is gone".to_owned());
    };
    let played = records.played();
    let counted = outcomes.iter().map(|(outcome, count)| (outcome.as_str(), *count));
    let same = counted.eq(played.iter().map(|(outcome, count)| (*outcome, *count)));
    let all = settled == u64::from(run.battles) && claimed + in_doubt == 0;
    stage.check(same && all, || format!("{played:?} are played, {outcomes:?} are counted"));
}

/// A worker.
struct Player {
    actor: Actor,
    client: Client,
    key: Key,
    name: Worker,
    run: Run,
    records: Arc<Records>,
}

impl Player {
    async fn plays(mut self) {
        loop {
            match self.ask(QuotaCommand::Claim { worker: self.name.clone() }).await {
                Ok(QuotaReply::Claimed(grant)) => {
                    self.actor.says(|| format!("claims battle {}", grant.claim));
                    self.battle(grant.claim).await;
                    continue;
                }
                Err(QuotaRefusal::Exhausted) => {
                    return self.actor.says(|| "finds nothing left".to_owned());
                }
                Err(QuotaRefusal::WorkerQuotaReached(_)) if self.is_done().await => {
                    return self.actor.says(|| "has played its share".to_owned());
                }
                // What a life before held, or somebody else holds, comes back or is in the records.
                Err(QuotaRefusal::WorkerQuotaReached(_)) => {
                    self.actor.says(|| "finds its share claimed".to_owned());
                    self.actor.sleep(CLAIM_TTL).await;
                }
                Err(QuotaRefusal::AllClaimed { retry_after }) => {
                    self.actor.says(|| "finds all claimed".to_owned());
                    self.actor.sleep(retry_after).await;
                }
                other => return self.wrong("claim", &other),
            }
            self.reconcile().await;
        }
    }

    async fn battle(&mut self, claim: ClaimId) {
        lock(&self.records.0).insert(claim, Record::Noted);
        match self.ask(QuotaCommand::Start { claim: Some(claim) }).await {
            Ok(_) => {}
            // Its time ran out, or somebody gave it up: by now it is somebody else's.
            Err(QuotaRefusal::ClaimExpired(_) | QuotaRefusal::ClaimOver(_)) => {
                return self.actor.says(|| format!("comes too late for {claim}"));
            }
            other => return self.wrong("start", &other),
        }
        let fate = self.fate();
        let before = {
            let mut records = lock(&self.records.0);
            let record = records.get_mut(&claim).expect("it was noted");
            let before = *record;
            if before == Record::Noted {
                *record = Record::Played(fate);
            }
            before
        };
        if before != Record::Noted {
            return self.actor.says(|| format!("comes too late for {claim}: {before:?}"));
        }
        self.actor.says(|| format!("plays {claim}: {fate}"));
        let (played, battles) = (self.records.played().values().sum::<u64>(), self.run.battles);
        let over = || format!("{played} battles are played instead of {battles}");
        self.actor.stage().check(played <= battles.into(), over);
        self.actor.step().await;
        self.settle(claim, fate).await;
    }

    /// Looks into the records for what nobody knows. Again, it changes nothing.
    async fn reconcile(&mut self) {
        let records = lock(&self.records.0).clone();
        for (claim, record) in records {
            if let Record::Played(fate) = record {
                self.settle(claim, fate).await;
                continue;
            }
            let record = {
                let mut records = lock(&self.records.0);
                let record = records.get_mut(&claim).expect("records stay");
                if *record == Record::Noted {
                    *record = Record::GivenUp;
                }
                *record
            };
            match record {
                Record::Played(fate) => self.settle(claim, fate).await,
                Record::Noted | Record::GivenUp => self.give_up(claim).await,
            }
        }
    }

    async fn settle(&mut self, claim: ClaimId, fate: &str) {
        let outcome = Outcome::new(fate).expect("a valid name");
        match self.ask(QuotaCommand::Settle { claim: Some(claim), outcome }).await {
            Ok(_) => self.actor.says(|| format!("settles {claim}")),
            other => self.wrong("settle", &other),
        }
    }

    async fn give_up(&mut self, claim: ClaimId) {
        match self.ask(QuotaCommand::Abandon { claim: Some(claim) }).await {
            Ok(_) => self.actor.says(|| format!("gives {claim} up")),
            // It came back by itself.
            Err(QuotaRefusal::ClaimExpired(_)) => {}
            other => self.wrong("abandon", &other),
        }
    }

    fn fate(&self) -> &'static str {
        match self.run.flaw {
            Lets::TieIsUnknown => ["win", "tie"][self.actor.stage().world().fault(1)],
            Lets::MagicNumber | Lets::ZeroIsNoLimit | Lets::CountIsLate | Lets::RecordingFails => {
                "win"
            }
        }
    }

    /// Whether the worker's share is settled, all of it. One without a share has nothing to do.
    async fn is_done(&self) -> bool {
        let view = match self.client.view::<QuotaEntity>(&self.key).await {
            Ok(view) => view,
            Err(error) => unexpected(&error),
        };
        let quota = view.state.view(view.version, view.now);
        let own = quota.ok().and_then(|mut quota| quota.workers.remove(&self.name));
        own.is_none_or(|own| own.quota.is_none_or(|share| own.settled >= share))
    }

    /// The quota's answer; another kind of "no" than a refusal is a violation.
    async fn ask(&mut self, command: QuotaCommand) -> Result<QuotaReply, QuotaRefusal> {
        match self.client.send::<QuotaEntity>(&self.key, command).await {
            Ok(receipt) => Ok(receipt.reply),
            Err(SendError::Rejected { rejection: QuotaRejection::Refused(refusal), .. }) => {
                Err(refusal)
            }
            Err(error) => {
                self.actor.stage().violation(error.to_string());
                Err(QuotaRefusal::Exhausted)
            }
        }
    }

    fn wrong(&self, command: &str, answer: &Result<QuotaReply, QuotaRefusal>) {
        self.actor.stage().violation(format!("{command} is answered with {answer:?}"));
    }
}
