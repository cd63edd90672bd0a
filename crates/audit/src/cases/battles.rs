//! Document 000: workers play battles until as many are played as were asked for.
//!
//! As found, a worker has a quota of its own, unless a magic number switches it off; before each battle it
//! looks at a count that all share, and it raises that count after the battle. So the count is late, and what
//! is not recorded is not counted.
//!
//! The twins claim each battle from a quota before they play it, and settle it with its outcome.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard},
};

use interlock_kernel::{
    ids::{Key, Outcome, Version, Worker},
    quota::{ClaimId, Limit, QuotaChange, QuotaRefusal},
    time::Millis,
};
use interlock_primitives::domain::quota::{
    QuotaCommand, QuotaEntity, QuotaRejection, QuotaReply, QuotaView,
};
use interlock_runtime::{SendError, env::World};

use super::{Case, Repaired};
use crate::{
    node::{Client, Faults, Node},
    stage::{Actor, Stage},
};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a magic number switches the quotas off",
        document: "000",
        as_found: &|stage| as_found(stage, MAGIC),
        interlock: &|stage| interlock(stage, MAGIC),
    },
    Case {
        name: "every worker looks at the count and starts the last battle",
        document: "000",
        as_found: &|stage| as_found(stage, LAST),
        interlock: &|stage| interlock(stage, LAST),
    },
    Case {
        name: "a battle is lost to the count when its recording fails",
        document: "000",
        as_found: &|stage| as_found(stage, UNRECORDED),
        interlock: &|stage| interlock(stage, UNRECORDED),
    },
    Case {
        name: "a tie is counted nowhere",
        document: "000",
        as_found: &|stage| as_found(stage, TIED),
        interlock: &|stage| interlock(stage, TIED),
    },
];

pub(super) const REPAIRED_MODELS: &[Repaired] = &[
    Repaired {
        name: "a magic number switches the quotas off",
        model: &|stage| as_found(stage, Run { quotas_up_to: u32::MAX, ..MAGIC }),
    },
    Repaired {
        name: "a battle is lost to the count when its recording fails",
        model: &|stage| as_found(stage, Run { trouble: Trouble::None, ..UNRECORDED }),
    },
    Repaired {
        name: "a tie is counted nowhere",
        model: &|stage| as_found(stage, Run { trouble: Trouble::None, ..TIED }),
    },
];

/// What the workers are asked for.
#[derive(Clone, Copy)]
struct Run {
    battles: u32,
    workers: u32,
    /// Workers have quotas in runs of up to so many battles.
    quotas_up_to: u32,
    /// What may happen once.
    trouble: Trouble,
    /// Battles too many that are not reported: another case shows them.
    tolerated: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    /// The stats cannot be written: the exception ends the worker.
    RecordingFails,
    /// Nobody wins.
    Tie,
}

/// One battle more than the quotas are made for. The document's number is 999,999; two battles show it.
const MAGIC: Run =
    Run { battles: 2, workers: 2, quotas_up_to: 1, trouble: Trouble::None, tolerated: 0 };
/// One battle is left for three workers; as many as two too many are played.
const LAST: Run =
    Run { battles: 1, workers: 3, quotas_up_to: 0, trouble: Trouble::None, tolerated: 1 };
const UNRECORDED: Run = Run { trouble: Trouble::RecordingFails, ..TIED };
const TIED: Run =
    Run { battles: 2, workers: 2, quotas_up_to: 999_999, trouble: Trouble::Tie, tolerated: 0 };

impl Run {
    fn has_quotas(self) -> bool {
        self.battles <= self.quotas_up_to
    }

    /// The workers' quotas; 0 is none.
    fn quotas(self) -> impl Iterator<Item = u32> {
        let (base, remainder) = (self.battles / self.workers, self.battles % self.workers);
        let quota = move |worker| base + u32::from(worker < remainder);
        (0..self.workers).map(move |worker| if self.has_quotas() { quota(worker) } else { 0 })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds the lock")
}

#[derive(Default)]
struct Found {
    /// Battles that were started.
    played: u32,
    /// `BattleStats`.
    wins: u32,
    losses: u32,
    troubles: u32,
}

impl Found {
    fn counted(&self) -> u32 {
        self.wins + self.losses
    }

    /// Whether the trouble comes now.
    fn strikes(&mut self, actor: &Actor, run: Run, trouble: Trouble) -> bool {
        let may = run.trouble == trouble && self.troubles == 0;
        let strikes = may && actor.stage().world().fault(1) == 1;
        self.troubles += u32::from(strikes);
        strikes
    }
}

async fn as_found(stage: Stage, run: Run) {
    let found = Arc::new(Mutex::new(Found::default()));
    let state = found.clone();
    stage.show(move || {
        let Found { played, wins, losses, .. } = *lock(&state);
        format!("played {played}, wins {wins}, losses {losses}")
    });
    let Run { battles, quotas_up_to, tolerated, .. } = run;
    if quotas_up_to > 0 && !run.has_quotas() {
        let says = || {
            format!("{battles} battles, here more than {quotas_up_to} (found: 999,999): no quotas")
        };
        stage.extra("run").says(says);
    }
    for (number, quota) in (1..).zip(run.quotas()) {
        let name = format!("worker {number}");
        stage.actor(&name, |actor| worker(actor, found.clone(), run, quota));
    }
    stage.all_done().await;
    let Found { played, .. } = *lock(&found);
    let counted = lock(&found).counted();
    let holds = played == counted && played <= battles + tolerated;
    stage.check(holds, || sums(battles, played, counted));
}

fn sums(battles: u32, played: u32, counted: u32) -> String {
    format!("of {battles} battles {played} are played, and {counted} are counted")
}

async fn worker(actor: Actor, found: Arc<Mutex<Found>>, run: Run, quota: u32) {
    let mut own = 0;
    while quota == 0 || own < quota {
        // await stats.get_battles_run()
        actor.step().await;
        let counted = lock(&found).counted();
        actor.says(|| format!("looks: {counted} of {} are counted", run.battles));
        if counted >= run.battles {
            return;
        }
        let number = {
            let mut found = lock(&found);
            found.played += 1;
            found.played
        };
        actor.says(|| format!("starts battle {number}"));
        actor.step().await;
        if lock(&found).strikes(&actor, run, Trouble::Tie) {
            actor.says(|| "ties: neither a win nor a loss".to_owned());
            continue;
        }
        // await stats.record_win()
        actor.step().await;
        if lock(&found).strikes(&actor, run, Trouble::RecordingFails) {
            return actor.says(|| "wins, cannot record it, and stops".to_owned());
        }
        lock(&found).wins += 1;
        actor.says(|| "wins, and records it".to_owned());
        own += 1;
    }
    actor.says(|| format!("has played its quota of {quota}"));
}

/// Battles that were really played, by their outcome.
type Played = BTreeMap<&'static str, u32>;

/// The battles' own records: their claims, and how they ended.
type Records = Vec<(ClaimId, &'static str)>;

async fn interlock(stage: Stage, run: Run) {
    let played = Arc::new(Mutex::new(Played::new()));
    let state = played.clone();
    stage.show(move || format!("played {:?}", lock(&state)));
    let node = Node::start(&stage, Faults::ONE, |builder| builder.entity::<QuotaEntity>());
    let key = Key::new("battles").expect("a valid key");
    let day = Millis::from_secs(86_400);
    let change = QuotaChange {
        limit: Some(Limit::Of(run.battles.into())),
        // Split, but for those who never had quotas; no number switches it off.
        workers: NonZeroU32::new(run.workers).filter(|_| run.quotas_up_to > 0),
        ..QuotaChange::keep(day)
    };
    let mut owner = node.client(&stage.extra("run"), "run");
    let put = owner.send::<QuotaEntity>(&key, QuotaCommand::Put(change)).await;
    stage.check(put.is_ok(), || format!("the quota cannot be put: {put:?}"));
    let records = Arc::new(Mutex::new(Records::new()));
    for number in 1..=run.workers {
        let (node, key) = (node.clone(), key.clone());
        let (played, records) = (played.clone(), records.clone());
        stage.actor(&format!("worker {number}"), |actor| async move {
            let client = node.client(&actor, &format!("w{number}"));
            let worker = Worker::new(&format!("w{number}")).expect("a valid name");
            Player { actor, client, key, run, played, records }.plays(worker).await;
        });
    }
    stage.all_done().await;
    // Whoever died last, nobody was left to come upon its claim.
    let actor = stage.extra("afterwards");
    let client = node.client(&actor, "afterwards");
    let (played_by_all, quota) = (played.clone(), key.clone());
    let mut last = Player { actor, client, key: quota, run, played: played_by_all, records };
    last.reconcile().await;
    let view = node.state::<QuotaEntity>(&key).await.view(Version(0), stage.world().wall());
    let Ok(QuotaView { settled, outcomes, claimed, in_doubt, .. }) = view else {
        return stage.violation("the quota is gone".to_owned());
    };
    let really = lock(&played).clone();
    let counted = outcomes.iter().map(|(outcome, count)| (outcome.as_str(), *count));
    let same = counted.eq(really.iter().map(|(outcome, count)| (*outcome, u64::from(*count))));
    let all = settled == u64::from(run.battles) && claimed + in_doubt == 0;
    stage.check(same && all, || format!("{really:?} are played, {outcomes:?} are counted"));
}

/// A worker of the twin.
struct Player {
    actor: Actor,
    client: Client,
    key: Key,
    run: Run,
    played: Arc<Mutex<Played>>,
    records: Arc<Mutex<Records>>,
}

/// Whether a worker goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lives,
    Dies,
}

impl Player {
    async fn plays(mut self, worker: Worker) {
        loop {
            let claim = QuotaCommand::Claim { worker: worker.clone() };
            match self.ask(claim).await {
                Ok(QuotaReply::Claimed(grant)) => {
                    self.actor.says(|| format!("claims battle {}", grant.claim));
                    if self.battle(grant.claim).await == Fate::Dies {
                        return;
                    }
                }
                Err(QuotaRefusal::Exhausted | QuotaRefusal::WorkerQuotaReached(_)) => {
                    return self.actor.says(|| "finds nothing left".to_owned());
                }
                Err(QuotaRefusal::AllClaimed { retry_after }) => {
                    self.actor.says(|| "finds all claimed".to_owned());
                    self.actor.sleep(retry_after).await;
                    self.reconcile().await;
                }
                other => return self.wrong("claim", &other),
            }
        }
    }

    async fn battle(&mut self, claim: ClaimId) -> Fate {
        match self.ask(QuotaCommand::Start { claim: Some(claim) }).await {
            Ok(_) => {}
            // Its time ran out: it is somebody else's by now.
            Err(QuotaRefusal::ClaimExpired(_)) => {
                self.actor.says(|| format!("comes too late for {claim}"));
                return Fate::Lives;
            }
            other => {
                self.wrong("start", &other);
                return Fate::Dies;
            }
        }
        let fate = if self.run.trouble == Trouble::Tie { self.fate() } else { "win" };
        *lock(&self.played).entry(fate).or_default() += 1;
        lock(&self.records).push((claim, fate));
        let (played, battles) = (lock(&self.played).values().sum::<u32>(), self.run.battles);
        self.actor.says(|| format!("plays {claim}: {fate}"));
        let over = || format!("{played} battles are played instead of {battles}");
        self.actor.stage().check(played <= battles, over);
        self.actor.step().await;
        if self.run.trouble == Trouble::RecordingFails && self.actor.stage().world().fault(1) == 1 {
            self.actor.says(|| format!("dies before it settles {claim}"));
            return Fate::Dies;
        }
        self.settle(claim, fate).await;
        Fate::Lives
    }

    /// Settles what was played, by the battles' own records. Again, it changes nothing.
    async fn reconcile(&mut self) {
        let records = lock(&self.records).clone();
        for (claim, fate) in records {
            self.settle(claim, fate).await;
        }
    }

    async fn settle(&mut self, claim: ClaimId, fate: &str) {
        let outcome = Outcome::new(fate).expect("a valid name");
        match self.ask(QuotaCommand::Settle { claim: Some(claim), outcome }).await {
            Ok(_) => self.actor.says(|| format!("settles {claim}")),
            other => self.wrong("settle", &other),
        }
    }

    fn fate(&self) -> &'static str {
        ["win", "tie"][self.actor.stage().world().fault(1)]
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
