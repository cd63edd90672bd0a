//! One worker: claims a battle, finds it, plays it, keeps its log, counts it; and so on.

use std::sync::Arc;

use futures_util::future::try_join_all;
use interlock_kernel::{ids::Worker, quota::ClaimId, time::Millis};
use tokio::{sync::watch, time::sleep};

use super::{
    FleetError, Team,
    counter::{Claim, CountError, Counter, Why},
    doubts::{Doubts, Held},
    logs::{LogName, Logs, SaveReplay},
    session::{NotFound, Session, Stage},
    thoughts::Thoughts,
    tracker::Tracker,
    uncounted::play_along,
};
use crate::{
    domain::{
        log,
        overhead::Overheads,
        run::{Ending, LiveBattle, Outcome, Room, Settlement},
    },
    io::{self, BattleEvent, Finished, PlayError, Settings},
    limits,
};

/// A worker and what it works with.
pub(super) struct Hand {
    pub name: Worker,
    pub counter: Counter,
    pub session: Session,
    /// The fleet's other accounts, and this one: what others have left may be of any.
    pub sessions: Arc<[Session]>,
    pub doubts: Doubts,
    pub team: Option<Team>,
    pub playing: Settings,
    pub logs: Logs,
    pub save: SaveReplay,
    pub tracker: Arc<Tracker>,
    pub stage: watch::Receiver<Stage>,
}

/// A battle that somebody has claimed and begun.
pub(super) struct Begun {
    /// For whom it is counted.
    pub worker: Worker,
    pub claim: ClaimId,
    /// The id of the account that plays it.
    pub account: String,
    pub room: String,
    pub opponent: Option<String>,
    /// How long nobody had known what became of it.
    in_doubt: Millis,
    /// No other hand has it.
    held: Held,
}

impl Begun {
    /// Takes a battle in hand; `None`: it has not begun, or somebody here has it already.
    pub(super) fn of(battle: &LiveBattle, doubts: &Doubts) -> Option<Self> {
        let Room { id, account, opponent } = battle.room.clone()?;
        Some(Self {
            held: doubts.hold_begun(battle.claim, &id)?,
            worker: battle.worker.clone(),
            claim: battle.claim,
            account,
            room: id,
            opponent,
            in_doubt: battle.in_doubt_ms.unwrap_or_default(),
        })
    }

    fn log_name(&self) -> LogName<'_> {
        let Self { worker, account, claim, room, .. } = self;
        LogName { worker, account, claim: *claim, room }
    }
}

/// A claim that this hand has, and how long it lasts.
struct Claimed {
    claim: ClaimId,
    ttl: Millis,
    held: Held,
}

impl Hand {
    /// Finishes what it had begun, then plays until there is nothing left to claim, or the fleet drains.
    pub(super) async fn work(self, begun: Vec<Begun>) -> Result<(), FleetError> {
        // All at once: an opponent waits in each.
        try_join_all(begun.iter().map(|it| self.take_up(it))).await?;
        while *self.stage.borrow() == Stage::Playing {
            let Some(claim) = self.claim().await? else { break };
            if !self.battle(claim).await? {
                break;
            }
        }
        Ok(())
    }

    /// Claims a battle; while there is none, settles what others have left in doubt. `None`: nothing is left to do, or
    /// the fleet drains.
    async fn claim(&self) -> Result<Option<Claimed>, FleetError> {
        let (mut ended, mut stage) = (self.counter.ended(), self.stage.clone());
        loop {
            ended.mark_unchanged();
            let team = self.team.as_ref().map(|team| team.name.clone());
            let (may_come_back, retry_after) =
                match self.counter.claim(self.name.clone(), team).await {
                    Ok(Claim { claim, ttl }) => {
                        let held = self.doubts.hold(claim).expect("a claim is granted once");
                        return Ok(Some(Claimed { claim, ttl, held }));
                    }
                    Err(CountError::Refused { why: Why::UsedUp, .. }) => return Ok(None),
                    Err(CountError::Refused { why: Why::ShareUsed, .. }) => (false, None),
                    Err(CountError::Refused { why: Why::AllClaimed { retry_after }, .. }) => {
                        (true, retry_after)
                    }
                    Err(error) => return Err(error.into()),
                };
            if *stage.borrow() > Stage::Playing {
                return Ok(None);
            }
            if self.doubts.is_time()
                && let Some(battle) = self.doubts.take_up(&self.counter.view().await?)
            {
                let (room, worker) = (&battle.room, battle.worker.as_str());
                tracing::info!(claim = %battle.claim, room, worker, "a battle in doubt is taken up");
                self.take_up(&battle).await?;
                continue;
            }
            if !may_come_back && !self.doubts.is_any() {
                return Ok(None);
            }
            // Something may come back, here or elsewhere.
            let pause = retry_after.map_or(limits::CLAIM_AGAIN, Millis::as_duration);
            let pause = pause.min(limits::CLAIM_AGAIN);
            tokio::select! {
                () = sleep(pause) => {}
                _ = ended.changed() => {}
                _ = stage.wait_for(|stage| *stage > Stage::Playing) => return Ok(None),
            }
        }
    }

    /// Does something while a claim is kept alive. Where nobody has said how long it lasts, the run is asked first.
    async fn alive<T>(
        &self,
        claim: ClaimId,
        mut ttl: Option<Millis>,
        work: impl Future<Output = T>,
    ) -> T {
        let beat = async {
            loop {
                if let Some(ttl) = ttl {
                    sleep((ttl.as_duration() / 3).max(limits::SHORTEST_BEAT)).await;
                }
                match self.counter.renew(claim).await {
                    Ok(anew) => ttl = Some(anew),
                    Err(error) => {
                        // What has begun stays counted; what has not is claimed anew when it begins.
                        tracing::warn!(%claim, %error, "a claim cannot be renewed");
                        ttl = ttl.or(Some(limits::CLAIM_TTL));
                    }
                }
            }
        };
        tokio::select! {
            done = work => done,
            () = beat => unreachable!("a heart beats until it is stopped"),
        }
    }

    /// One battle, from the search to the count. False: there are no more.
    async fn battle(&self, Claimed { claim, ttl, held }: Claimed) -> Result<bool, FleetError> {
        let packed = self.team.as_ref().map(|team| team.packed.clone());
        let room = match self.alive(claim, Some(ttl), self.session.find(packed)).await {
            Ok(room) => room,
            Err(refused) => {
                self.counter.give_back(claim).await?;
                return match refused {
                    NotFound::Draining => Ok(false),
                    NotFound::BadTeam(_)
                    | NotFound::BadFormat(_)
                    | NotFound::NoRoom(_)
                    | NotFound::Broken(_) => Err(FleetError::Refused(refused)),
                };
            }
        };
        let _sits = self.doubts.sit_in(room.id());
        let account = self.session.me().to_owned();
        let (worker, opponent) = (self.name.clone(), room.opponent(&account));
        let (id, in_doubt) = (room.id().to_owned(), Millis(0));
        let mut battle = Begun { worker, claim, account, room: id, opponent, in_doubt, held };
        let mut ttl = ttl;
        while let Err(error) = self.begin(&battle).await {
            let CountError::Refused { why, says } = &error else { return Err(error.into()) };
            tracing::warn!(claim = %battle.claim, room = battle.room, says, "a battle is not claimed");
            match why {
                // Another machine watches it.
                Why::RoomTaken if self.session.is_watching() => {
                    self.leave(&battle, &room).await;
                    self.counter.give_back(battle.claim).await?;
                    return Ok(true);
                }
                Why::RoomTaken => {
                    let along = self.sit_opposite(&battle, room);
                    return self.alive(battle.claim, Some(ttl), along).await.map(|()| true);
                }
                // The battle is there, and its claim is not: it needs another one, which may be over by then, too.
                Why::Over => match self.claim().await? {
                    Some(again) => {
                        (battle.claim, battle.held, ttl) = (again.claim, again.held, again.ttl);
                    }
                    None => {
                        // Others have played what was left.
                        self.leave(&battle, &room).await;
                        return Ok(true);
                    }
                },
                Why::UsedUp
                | Why::ShareUsed
                | Why::AllClaimed { .. }
                | Why::Settled
                | Why::Begun
                | Why::Unknown
                | Why::Other => {
                    return Err(error.into());
                }
            }
        }
        let finish = self.finish(&battle, room);
        self.alive(battle.claim, Some(ttl), finish).await.map(|()| true)
    }

    async fn begin(&self, battle: &Begun) -> Result<(), CountError> {
        let Begun { claim, account, room, opponent, .. } = battle;
        let (id, account, opponent) = (room.clone(), account.clone(), opponent.clone());
        self.counter.begin(*claim, Room { id, account, opponent }).await
    }

    /// Nothing more about a battle that does not count for us. Who plays it gives it up; who watches has no say in it.
    async fn leave(&self, battle: &Begun, room: &io::Room) {
        let word = if self.session.is_watching() { "/leave" } else { "/forfeit" };
        let _gone = room.say(word).await;
        self.session.done(&battle.room).await;
    }

    /// Another of the run's accounts sits opposite, and counts the battle; it cannot play alone.
    async fn sit_opposite(&self, battle: &Begun, room: io::Room) -> Result<(), FleetError> {
        let (name, opponent) = (battle.room.clone(), battle.opponent.clone());
        play_along(&self.session, name, opponent, room, &self.playing).await?;
        Ok(self.counter.give_back(battle.claim).await?)
    }

    /// Settles a battle that somebody has begun. Its claim is renewed as soon as its room is there.
    async fn take_up(&self, battle: &Begun) -> Result<(), FleetError> {
        let entered = self.unless_left(battle, self.enter(battle, None)).await;
        match entered.transpose()? {
            Some(Some(room)) => self.alive(battle.claim, None, self.finish(battle, room)).await,
            Some(None) => self.finish_unseen(battle, battle.in_doubt).await,
            None => Ok(()),
        }
    }

    /// Does something about a battle. `None`: the fleet ends, and the battle goes on without us; a later life finds out
    /// how it ended, or whoever had begun it.
    async fn unless_left<T>(&self, battle: &Begun, work: impl Future<Output = T>) -> Option<T> {
        if self.is_played(battle) {
            return Some(work.await);
        }
        let leaves = if self.session.is_watching() { Stage::Forfeiting } else { Stage::Draining };
        let mut stage = self.stage.clone();
        tokio::select! {
            done = work => Some(done),
            _ = stage.wait_for(|stage| *stage >= leaves) => None,
        }
    }

    /// Plays a battle to its end, or watches another's, keeps its log, and counts it.
    async fn finish(&self, battle: &Begun, room: io::Room) -> Result<(), FleetError> {
        let (mut overheads, mut thoughts) = (Overheads::default(), Thoughts::default());
        let seen = if self.is_played(battle) {
            self.play(battle, room, &mut overheads, &mut thoughts).await?
        } else {
            let watched = self.unless_left(battle, self.watch(battle, room)).await;
            let Some(watched) = watched else { return Ok(()) };
            watched?
        };
        let Some(Finished { end, log, .. }) = seen else {
            return self.finish_unseen(battle, Millis(0)).await;
        };
        let outcome = end.outcome(&battle.account);
        self.keep(&battle.log_name(), &log, outcome).await;
        self.keep_thoughts(&battle.log_name(), &thoughts).await;
        let rating = log::rating(&log, &battle.account);
        self.count(battle, Ending::Of(outcome), rating, overheads).await
    }

    /// Settles a battle whose room is gone, if it is known how, or if nobody else will ever know.
    async fn finish_unseen(&self, battle: &Begun, in_doubt: Millis) -> Result<(), FleetError> {
        // An earlier life may have kept its log and died before it was counted.
        let ending = match self.logs.end(&battle.log_name())? {
            Some(end) => Ending::Of(end.outcome(&battle.account)),
            None if self.logs.judges(&battle.worker) => Ending::Void,
            None if in_doubt.as_duration() >= limits::DOUBT => Ending::Void,
            None => {
                let (room, worker) = (&battle.room, battle.worker.as_str());
                tracing::info!(
                    room,
                    worker,
                    "a battle's room is gone: its worker may know how it ended"
                );
                self.doubts.note_gone(battle.claim);
                self.let_go(battle).await;
                return Ok(());
            }
        };
        self.count(battle, ending, None, Overheads::default()).await
    }

    /// Counts a battle, for the worker that had begun it.
    async fn count(
        &self,
        battle: &Begun,
        ending: Ending,
        rating: Option<u32>,
        overheads: Overheads,
    ) -> Result<(), FleetError> {
        let by = (!self.logs.judges(&battle.worker)).then(|| self.name.clone());
        let settlement = Settlement { claim: battle.claim, ending, rating, overheads, by };
        match self.counter.end(settlement).await {
            Err(CountError::Refused { why: Why::Over | Why::Settled, says }) => {
                let (room, ending) = (&battle.room, ending.word());
                tracing::warn!(
                    room,
                    ending,
                    says,
                    "others have settled a battle: it counts as they said"
                );
            }
            counted => counted?,
        }
        self.let_go(battle).await;
        Ok(())
    }

    /// Nobody here has anything more to do with it.
    async fn let_go(&self, battle: &Begun) {
        self.tracker.over(battle.claim);
        // Not before it is counted: a restarted server may give the room's name to the next battle.
        self.session_of(battle).done(&battle.room).await;
    }

    /// The session of the account that plays a battle; if that is none of the fleet's, this hand's own looks on.
    fn session_of(&self, battle: &Begun) -> &Session {
        let its_own = self.sessions.iter().find(|session| session.me() == battle.account);
        its_own.unwrap_or(&self.session)
    }

    fn is_played(&self, battle: &Begun) -> bool {
        let session = self.session_of(battle);
        session.me() == battle.account && !session.is_watching()
    }

    /// Plays it, on as many connections as it takes. `None`: there is no such battle any more.
    async fn play(
        &self,
        battle: &Begun,
        room: io::Room,
        overheads: &mut Overheads,
        thoughts: &mut Thoughts,
    ) -> Result<Option<Finished>, FleetError> {
        let mut room = Some(room);
        loop {
            let Some(here) = self.enter(battle, room.take()).await? else { return Ok(None) };
            if *self.stage.borrow() == Stage::Forfeiting {
                let _gone = here.say("/forfeit").await;
            }
            let seed = battle.claim.number();
            let settings = Settings { seed: self.playing.seed ^ seed, ..self.playing.clone() };
            let watch = |event| {
                if let BattleEvent::Decided { cost, .. } = &event {
                    overheads.add(cost.overhead(), 1);
                }
                thoughts.note(&event);
                self.tracker.note(&self.name, battle.claim, event);
            };
            match io::play(here, &settings, watch).await {
                Ok(finished) => return Ok(Some(finished)),
                Err(error @ (PlayError::Gone { .. } | PlayError::Silent { .. })) => {
                    tracing::info!(%error, "a battle is asked for once more");
                }
            }
        }
    }

    /// Watches it, on as many connections as it takes. `None`: there is no such battle any more.
    async fn watch(&self, battle: &Begun, room: io::Room) -> Result<Option<Finished>, FleetError> {
        let mut room = Some(room);
        while let Some(here) = self.enter(battle, room.take()).await? {
            let tell = |event| self.tracker.note(&self.name, battle.claim, event);
            match io::watch(here, tell).await {
                Ok(finished) => return Ok(Some(finished)),
                Err(error) => tracing::info!(%error, "a battle is asked for once more"),
            }
        }
        Ok(None)
    }

    /// The room of a battle, asked for once more if it is not at hand. `None`: there is none any more.
    async fn enter(
        &self,
        battle: &Begun,
        room: Option<io::Room>,
    ) -> Result<Option<io::Room>, FleetError> {
        if room.is_some() {
            return Ok(room);
        }
        let (session, opponent) = (self.session_of(battle), battle.opponent.as_deref());
        let again = session.again(&battle.room, &battle.account, opponent);
        again.await.map_err(FleetError::Refused)
    }

    /// Keeps a log, however long the disk is full: a battle without a log cannot be judged. A replay is saved if it can
    /// be.
    async fn keep(&self, name: &LogName<'_>, log: &str, outcome: Outcome) {
        let mut pause = limits::FIRST_RECONNECT_PAUSE;
        while let Err(error) = self.write(name, log, |logs, name, log| logs.keep(name, log)).await {
            tracing::error!(%error, room = name.room, "a log cannot be kept yet");
            sleep(pause).await;
            pause = (pause * 2).min(limits::LONGEST_RECONNECT_PAUSE);
        }
        if self.save.wants(outcome) {
            let saved = self.write(name, log, |logs, name, log| logs.save_replay(name, log)).await;
            if let Err(error) = saved {
                tracing::error!(%error, room = name.room, "a replay cannot be saved; the log is kept");
            }
        }
    }

    /// Keeps what was thought, if it can be kept.
    async fn keep_thoughts(&self, name: &LogName<'_>, thoughts: &Thoughts) {
        let Some(lines) = thoughts.lines() else { return };
        let write = |logs: &Logs, name: &LogName<'_>, lines: &str| logs.keep_thoughts(name, lines);
        if let Err(error) = self.write(name, &lines, write).await {
            tracing::warn!(%error, room = name.room, "thoughts cannot be kept; the log is");
        }
    }

    /// Writes something on a thread that may block.
    async fn write<T: Send + 'static>(
        &self,
        name: &LogName<'_>,
        log: &str,
        write: impl FnOnce(&Logs, &LogName<'_>, &str) -> std::io::Result<T> + Send + 'static,
    ) -> std::io::Result<T> {
        let (logs, log) = (self.logs.clone(), log.to_owned());
        let (worker, account) = (name.worker.clone(), name.account.to_owned());
        let (claim, room) = (name.claim, name.room.to_owned());
        let written = tokio::task::spawn_blocking(move || {
            let name = LogName { worker: &worker, account: &account, claim, room: &room };
            write(&logs, &name, &log)
        });
        written.await.expect("writing a log does not panic")
    }
}
