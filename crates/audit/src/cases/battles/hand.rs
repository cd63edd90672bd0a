//! A worker of a fleet, which does what `crates/battles/src/fleet/worker.rs` does, in simulated time: it claims a
//! battle, finds it, begins it, plays it, keeps its log, ends it; and so on until nothing is left. While it searches
//! and plays, its claim's heart beats.
//!
//! It may be killed at any await, and starts again knowing nothing but its name: what it had begun it finds in the
//! run, and plays on; what it had claimed and not begun it gives back. Each is a machine of its own, which keeps logs of
//! its own: what another has begun and left in doubt it sees to its end when nothing is left to claim.

use std::{collections::BTreeSet, convert::Infallible, pin::pin};

use futures_util::future::{Either, select};
use interlock_battles::{
    domain::{
        log,
        overhead::Overheads,
        run::{
            Ending, LiveBattle, Room, Run, RunCommand, RunRejection, RunReply, RunView, Settlement,
        },
    },
    limits,
};
use interlock_kernel::{
    ids::{Key, Worker},
    quota::{ClaimId, QuotaRefusal},
    time::{Millis, Time},
};
use interlock_runtime::SendError;

use super::showdown::{Fate, Showdown};
use crate::{
    cases::parts::unexpected,
    node::{Client, Node},
    stage::Actor,
};

/// How long an opponent is searched for, and how long a battle goes on.
const SEARCHES: Millis = Millis::from_secs(15);
const PLAYS: Millis = Millis::from_secs(30);
/// How long a claim lasts of which nobody knows it.
const UNKNOWN_TTL: Millis = Millis::from_secs(60);

/// How often in a row a worker hears that all is claimed. What is in doubt for good is void after a tenth of it.
const WAITS: u32 = 100;

/// What a worker works with, whichever of its lives it is.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) actor: Actor,
    pub(crate) node: Node,
    pub(crate) run: Key,
    pub(crate) worker: Worker,
    /// The account that it plays on.
    pub(crate) account: String,
    pub(crate) showdown: Showdown,
    /// How its battles may end.
    pub(crate) fates: &'static [Fate],
    /// How many the run is to have, as it is meant in the end.
    pub(crate) target: u64,
}

/// A worker in one of its lives.
pub(crate) struct Hand {
    bench: Bench,
    client: Client,
    /// What no other life's clients are called.
    name: String,
    hearts: u32,
    /// Battles in doubt whose room is gone.
    gone: BTreeSet<ClaimId>,
}

/// A battle that is claimed and begun.
#[derive(Clone)]
struct Begun {
    /// For whom it counts.
    worker: Worker,
    claim: ClaimId,
    room: Room,
    /// How long nobody had known what became of it.
    in_doubt: Millis,
}

impl Begun {
    fn of(battle: LiveBattle) -> Option<Self> {
        let LiveBattle { worker, claim, room, in_doubt_ms, .. } = battle;
        Some(Self { worker, claim, room: room?, in_doubt: in_doubt_ms.unwrap_or_default() })
    }

    /// Whether whoever may know how it ended has had the time to say so.
    fn may_be_void(&self) -> bool {
        self.in_doubt.as_duration() >= limits::DOUBT
    }
}

/// A claim, and how long it lasts.
#[derive(Clone, Copy)]
struct Claim {
    claim: ClaimId,
    ttl: Millis,
}

impl Hand {
    /// `name`: what no other life of any worker is called.
    pub(crate) fn new(bench: &Bench, name: String) -> Self {
        let client = bench.node.client(&bench.actor, &name);
        Self { bench: bench.clone(), client, name, hearts: 0, gone: BTreeSet::new() }
    }

    fn says(&self, words: impl FnOnce() -> String) {
        self.bench.actor.says(words);
    }

    /// Finishes what it had begun, then plays until nothing is left.
    pub(crate) async fn works(mut self) {
        for begun in self.earlier().await {
            self.says(|| format!("finds {} in {}", begun.claim, begun.room.id));
            self.take_up(&begun).await;
        }
        while let Some(claim) = self.claim().await {
            self.battle(claim).await;
        }
    }

    /// What was begun on its account. What it had only claimed is given back.
    async fn earlier(&mut self) -> Vec<Begun> {
        'seen: loop {
            let mut begun = Vec::new();
            for battle in self.view().await.live {
                let is_claimed = battle.room.is_none() && battle.worker == self.bench.worker;
                if is_claimed && !self.give_back(battle.claim).await {
                    continue 'seen;
                }
                let its = Begun::of(battle);
                begun.extend(its.filter(|begun| begun.room.account == self.bench.account));
            }
            return begun;
        }
    }

    /// Claims a battle; while there is none, settles what others have left in doubt. `None`: nothing is left to do.
    async fn claim(&mut self) -> Option<Claim> {
        let mut waits = 0;
        loop {
            let (may_come_back, retry_after) = match self.try_claim().await {
                Ok(claim) => return Some(claim),
                Err(QuotaRefusal::Exhausted) => {
                    self.says(|| "finds nothing left".to_owned());
                    return None;
                }
                Err(QuotaRefusal::WorkerQuotaReached(_)) => (false, UNKNOWN_TTL),
                Err(
                    QuotaRefusal::AllClaimed { retry_after }
                    | QuotaRefusal::WorkerQuotaClaimed { retry_after, .. },
                ) => (true, retry_after),
                Err(refusal) => unreachable!("a claim is granted or none is left, not {refusal}"),
            };
            let live = self.view().await.live;
            let doubts: Vec<_> = live.into_iter().filter(|it| it.in_doubt_ms.is_some()).collect();
            if doubts.is_empty() && !may_come_back {
                self.says(|| "has played its share".to_owned());
                return None;
            }
            let mut begun = doubts.into_iter().filter_map(Begun::of);
            let is_due = |it: &Begun| it.may_be_void() || !self.gone.contains(&it.claim);
            let due = begun.find(is_due);
            if let Some(begun) = due {
                self.says(|| format!("takes {} of {} up", begun.claim, begun.worker));
                self.take_up(&begun).await;
                continue;
            }
            self.says(|| "finds all claimed".to_owned());
            waits += 1;
            if waits > WAITS {
                self.bench.actor.stage().violation("a worker waits for ever".to_owned());
                return None;
            }
            self.bench.actor.sleep(retry_after).await;
        }
    }

    async fn try_claim(&mut self) -> Result<Claim, QuotaRefusal> {
        let claim = RunCommand::Claim { worker: self.bench.worker.clone(), team: None };
        match self.ask(claim).await {
            Ok((RunReply::Claimed(grant), at)) => {
                self.says(|| format!("claims battle {}", grant.claim));
                Ok(Claim { claim: grant.claim, ttl: grant.expires_at.since(at) })
            }
            Err(RunRejection::Refused(refusal)) => Err(refusal),
            other => unreachable!("a claim is granted or refused by its quota, not {other:?}"),
        }
    }

    /// One battle, from the search to the count.
    async fn battle(&mut self, Claim { claim, ttl }: Claim) {
        let heart = self.heart(claim, Some(ttl));
        let room = alive(heart, self.search()).await;
        let (worker, in_doubt) = (self.bench.worker.clone(), Millis(0));
        let mut battle = Begun { worker, claim, room, in_doubt };
        let mut ttl = ttl;
        while let Err(refusal) = self.begin(&battle).await {
            let is_over = matches!(
                refusal,
                RunRejection::Refused(QuotaRefusal::ClaimExpired(_) | QuotaRefusal::ClaimOver(_))
            );
            if !is_over {
                return self.stops(&refusal);
            }
            self.says(|| format!("comes too late for {}", battle.claim));
            // The battle is there, and its claim is not: it needs another one, or is given up.
            let Some(again) = self.claim().await else {
                self.bench.showdown.ends(&battle.room, Fate::Forfeit);
                self.bench.showdown.leave(&battle.room);
                return self.says(|| format!("gives {} up", battle.room.id));
            };
            (battle.claim, ttl) = (again.claim, again.ttl);
        }
        let heart = self.heart(battle.claim, Some(ttl));
        alive(heart, self.finish(&battle)).await;
    }

    async fn search(&self) -> Room {
        self.bench.actor.sleep(SEARCHES).await;
        let room = self.bench.showdown.finds(&self.bench.account);
        self.says(|| format!("finds {}", room.id));
        room
    }

    async fn begin(&mut self, Begun { claim, room, .. }: &Begun) -> Result<(), RunRejection> {
        self.ask(RunCommand::Begin { claim: *claim, room: room.clone() }).await?;
        self.says(|| format!("begins {claim} in {}", room.id));
        Ok(())
    }

    /// Settles a battle that somebody has begun. Its claim is renewed only if its room is there.
    async fn take_up(&mut self, battle: &Begun) {
        if self.bench.showdown.has(&battle.room) {
            let heart = self.heart(battle.claim, None);
            alive(heart, self.finish(battle)).await;
        } else {
            self.finish_unseen(battle).await;
        }
    }

    /// Plays a battle to its end, or watches another's, keeps its log, and counts it.
    async fn finish(&mut self, battle: &Begun) {
        let Begun { worker, claim, room, .. } = battle;
        self.bench.actor.sleep(PLAYS).await;
        let Bench { actor, showdown, fates, target, worker: me, account, .. } = &self.bench;
        let fate = if room.account == *account {
            fates[actor.stage().world().fault(fates.len() - 1)]
        } else {
            // Nobody moves for a player that has vanished.
            Fate::Loss
        };
        let Some(text) = showdown.ends(room, fate) else {
            return self.finish_unseen(&Begun { in_doubt: Millis(0), ..battle.clone() }).await;
        };
        let end = log::end(&text).expect("it has ended");
        actor.step().await;
        showdown.keep(me, worker, *claim, room, text);
        let played = showdown.played();
        let over = || format!("{played} battles are played instead of {target}");
        actor.stage().check(played <= *target, over);
        self.count(battle, Ending::Of(end.outcome(&room.account))).await;
    }

    /// Settles a battle whose room is gone, if it is known how, or if nobody else will ever know.
    async fn finish_unseen(&mut self, battle: &Begun) {
        let Begun { worker, claim, room, .. } = battle;
        // An earlier life may have kept its log, and was killed before it was counted.
        let kept = self.bench.showdown.kept(&self.bench.worker, worker, *claim, room);
        match kept {
            Some(end) => self.count(battle, Ending::Of(end.outcome(&room.account))).await,
            None if *worker == self.bench.worker || battle.may_be_void() => {
                self.count(battle, Ending::Void).await;
            }
            None => {
                self.says(|| format!("finds {} gone, and leaves {claim}", room.id));
                self.gone.insert(*claim);
            }
        }
    }

    /// Counts a battle, for the worker that had begun it.
    async fn count(&mut self, battle: &Begun, ending: Ending) {
        let Begun { worker, claim, room, .. } = battle;
        self.says(|| format!("has {claim} played: {}", ending.word()));
        let by = Some(self.bench.worker.clone()).filter(|by| by != worker);
        let (claim, overheads) = (*claim, Overheads::default());
        let end = Settlement { claim, ending, rating: None, overheads, by };
        match self.ask(RunCommand::End(end)).await {
            Ok(_) => self.says(|| format!("ends {claim}")),
            Err(RunRejection::Refused(
                QuotaRefusal::ClaimOver(_) | QuotaRefusal::ClaimSettled { .. },
            )) => self.says(|| format!("hears that others have settled {claim}")),
            Err(refusal) => self.stops(&refusal),
        }
        if room.account == self.bench.account {
            self.bench.showdown.leave(room);
        }
    }

    /// False: there is a battle, by a request of an earlier life that was long on its way.
    async fn give_back(&mut self, claim: ClaimId) -> bool {
        match self.ask(RunCommand::GiveBack { claim }).await {
            // Its time ran out: it came back by itself.
            Ok(_) | Err(RunRejection::Refused(QuotaRefusal::ClaimExpired(_))) => {
                self.says(|| format!("gives {claim} back"));
            }
            Err(RunRejection::Begun(_)) => {
                self.says(|| format!("finds that {claim} has begun"));
                return false;
            }
            Err(refusal) => self.stops(&refusal),
        }
        true
    }

    /// A refusal that nobody expects stops a whole fleet.
    fn stops(&self, refusal: &RunRejection) {
        self.bench.actor.stage().violation(format!("a fleet stops: {refusal}"));
    }

    /// Renews a claim for as long as it is polled. Where nobody has said how long it lasts, the run is asked first.
    fn heart(
        &mut self,
        claim: ClaimId,
        mut ttl: Option<Millis>,
    ) -> impl Future<Output = Infallible> + Send + use<> {
        self.hearts += 1;
        let Bench { actor, node, run, .. } = self.bench.clone();
        let mut client = node.client(&actor, &format!("{}-heart-{}", self.name, self.hearts));
        async move {
            loop {
                if let Some(ttl) = ttl {
                    actor.sleep(Millis(ttl.0 / 3)).await;
                }
                match client.send::<Run>(&run, RunCommand::Renew { claim }).await {
                    Ok(told) => {
                        let RunReply::Extended(extended) = told.reply else {
                            unreachable!("a renewal is answered by an expiry")
                        };
                        ttl = Some(extended.expires_at.since(told.at));
                    }
                    Err(SendError::Rejected { rejection, .. }) => {
                        actor.says(|| format!("cannot renew {claim}: {rejection}"));
                        ttl = ttl.or(Some(UNKNOWN_TTL));
                    }
                    Err(error) => unexpected(&error),
                }
            }
        }
    }

    async fn view(&self) -> RunView {
        match self.client.view::<Run>(&self.bench.run).await {
            Ok(view) => view.state.ledger().expect("it is open").view(view.now),
            Err(error) => unexpected(&error),
        }
    }

    /// The run's answer, and when it was decided; another kind of "no" than the run's own may not come.
    async fn ask(&mut self, command: RunCommand) -> Result<(RunReply, Time), RunRejection> {
        match self.client.send::<Run>(&self.bench.run, command).await {
            Ok(told) => Ok((told.reply, told.at)),
            Err(SendError::Rejected { rejection, .. }) => Err(rejection),
            Err(error) => unexpected(&error),
        }
    }
}

/// Does something while a heart beats.
async fn alive<T>(heart: impl Future<Output = Infallible>, work: impl Future<Output = T>) -> T {
    match select(pin!(work), pin!(heart)).await {
        Either::Left((done, _)) => done,
        Either::Right((never, _)) => match never {},
    }
}
