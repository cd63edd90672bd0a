//! Document 000: workers play battles until as many are played as were asked for.
//!
//! As found, a worker has a quota of its own, unless a magic number switches it off; before each battle it
//! looks at a count that all share, and it raises that count after the battle. So the count is late, and what
//! is not recorded is not counted.
//!
//! The twins ([`twin`]) claim each battle from a run of the battles service before they search for it, and end it with
//! its outcome.

pub(crate) mod hand;
pub(crate) mod showdown;
pub(crate) mod twin;

use std::sync::{Arc, Mutex, MutexGuard};

use super::{Case, Flaw};
use crate::stage::{Actor, Stage};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a magic number switches the quotas off",
        document: "000",
        as_found: &|stage| as_found(stage, MAGIC, Flaw::Present),
        repaired: &|stage| as_found(stage, MAGIC, Flaw::Absent),
        interlock: &|stage| twin::play(stage, MAGIC),
    },
    Case {
        name: "a worker whose share is zero has no limit",
        document: "000",
        as_found: &|stage| as_found(stage, ZERO_SHARE, Flaw::Present),
        repaired: &|stage| as_found(stage, ZERO_SHARE, Flaw::Absent),
        interlock: &|stage| twin::play(stage, ZERO_SHARE),
    },
    Case {
        name: "every worker looks at the count and starts the last battle",
        document: "000",
        as_found: &|stage| as_found(stage, LAST, Flaw::Present),
        repaired: &|stage| as_found(stage, LAST, Flaw::Absent),
        interlock: &|stage| twin::play(stage, LAST),
    },
    Case {
        name: "a battle is lost to the count when its recording fails",
        document: "000",
        as_found: &|stage| as_found(stage, UNRECORDED, Flaw::Present),
        repaired: &|stage| as_found(stage, UNRECORDED, Flaw::Absent),
        interlock: &|stage| twin::play(stage, UNRECORDED),
    },
    Case {
        name: "a tie is counted nowhere",
        document: "000",
        as_found: &|stage| as_found(stage, TIED, Flaw::Present),
        repaired: &|stage| as_found(stage, TIED, Flaw::Absent),
        interlock: &|stage| twin::play(stage, TIED),
    },
];

/// What the workers are asked for.
#[derive(Clone, Copy)]
struct Asked {
    battles: u32,
    workers: u32,
    flaw: Lets,
    /// Battles too many that are not reported: another case shows them.
    tolerated: u32,
}

/// The one thing that lets a run go wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lets {
    /// Section 7, bug 1: more battles than [`MAGIC_NUMBER`], and nobody has a quota.
    MagicNumber,
    /// Section 4: "`per_worker_quota=0` means \"no limit\"", and it is also the share of the last workers where there
    /// are fewer battles than workers.
    ZeroIsNoLimit,
    /// Section 6, pattern 2: without quotas, the count that is looked at before a battle is raised after it.
    CountIsLate,
    /// Section 7, "If `record_win()` fails": the exception ends the worker.
    RecordingFails,
    /// Section 2: there are `record_win` and `record_loss`, and nobody wins.
    TieIsUnknown,
}

/// The document's number is 999,999; one shows it.
const MAGIC_NUMBER: u32 = 1;

const MAGIC: Asked = Asked { battles: 2, workers: 2, flaw: Lets::MagicNumber, tolerated: 0 };
const ZERO_SHARE: Asked = Asked { battles: 1, flaw: Lets::ZeroIsNoLimit, ..MAGIC };
/// One battle is left for three workers; as many as two too many are played.
const LAST: Asked = Asked { battles: 1, workers: 3, flaw: Lets::CountIsLate, tolerated: 1 };
const UNRECORDED: Asked = Asked { flaw: Lets::RecordingFails, ..MAGIC };
const TIED: Asked = Asked { flaw: Lets::TieIsUnknown, ..MAGIC };

impl Asked {
    /// The workers' quotas; `None` is no limit.
    fn quotas(self, flaw: Flaw) -> impl Iterator<Item = Option<u32>> {
        let (base, remainder) = (self.battles / self.workers, self.battles % self.workers);
        let magic = flaw.is_present() && self.flaw == Lets::MagicNumber;
        let has_quotas = self.is_split() && !(magic && self.battles > MAGIC_NUMBER);
        let zero_is_none = flaw.is_present() && self.flaw == Lets::ZeroIsNoLimit;
        let share = move |worker| base + u32::from(worker < remainder);
        let is_limit = move |share: &u32| has_quotas && !(zero_is_none && *share == 0);
        (0..self.workers).map(move |worker| Some(share(worker)).filter(is_limit))
    }

    /// Whether each worker has a share of its own.
    fn is_split(self) -> bool {
        self.flaw != Lets::CountIsLate
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
    ties: u32,
    troubles: u32,
}

impl Found {
    fn counted(&self) -> u32 {
        self.wins + self.losses + self.ties
    }

    /// Whether what may happen once happens now.
    fn strikes(&mut self, actor: &Actor) -> bool {
        let strikes = self.troubles == 0 && actor.stage().world().fault(1) == 1;
        self.troubles += u32::from(strikes);
        strikes
    }
}

async fn as_found(stage: Stage, run: Asked, flaw: Flaw) {
    let found = Arc::new(Mutex::new(Found::default()));
    let state = found.clone();
    stage.show(move || {
        let Found { played, wins, losses, ties, .. } = *lock(&state);
        let ties = if ties > 0 { format!(", ties {ties}") } else { String::new() };
        format!("played {played}, wins {wins}, losses {losses}{ties}")
    });
    for (number, quota) in (1..).zip(run.quotas(flaw)) {
        let name = format!("worker {number}");
        stage.actor(&name, |actor| worker(actor, found.clone(), run, flaw, quota));
    }
    stage.all_done().await;
    let Found { played, .. } = *lock(&found);
    let counted = lock(&found).counted();
    stage.check(played == counted, || format!("battles played: {played}, counted: {counted}"));
}

async fn worker(
    actor: Actor,
    found: Arc<Mutex<Found>>,
    run: Asked,
    flaw: Flaw,
    quota: Option<u32>,
) {
    let mut own = 0;
    while quota.is_none_or(|quota| own < quota) {
        // await stats.get_battles_run()
        actor.step().await;
        let is_late = flaw.is_present() || run.flaw != Lets::CountIsLate;
        let counted = if is_late { lock(&found).counted() } else { lock(&found).played };
        let limit = quota.map_or("no limit".to_owned(), |quota| format!("a quota of {quota}"));
        actor.says(|| format!("has {limit}; counted: {counted} of {}", run.battles));
        if counted >= run.battles {
            return;
        }
        let number = {
            let mut found = lock(&found);
            found.played += 1;
            found.played
        };
        actor.says(|| format!("starts battle {number}"));
        let Asked { battles, tolerated, .. } = run;
        let over = || format!("battles asked for: {battles}, started: {number}");
        actor.stage().check(number <= battles + tolerated, over);
        actor.step().await;
        if run.flaw == Lets::TieIsUnknown && lock(&found).strikes(&actor) {
            actor.says(|| "ties: neither a win nor a loss".to_owned());
            if !flaw.is_present() {
                lock(&found).ties += 1;
                own += 1;
            }
            continue;
        }
        // await stats.record_win()
        actor.step().await;
        let may_fail = flaw.is_present() && run.flaw == Lets::RecordingFails;
        if may_fail && lock(&found).strikes(&actor) {
            return actor.says(|| "wins, cannot record it, and stops".to_owned());
        }
        lock(&found).wins += 1;
        actor.says(|| "wins, and records it".to_owned());
        own += 1;
    }
    actor.says(|| format!("has played its quota of {own}"));
}
