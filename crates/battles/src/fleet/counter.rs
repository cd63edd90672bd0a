//! Where a fleet's battles are counted: the run, from a worker's side.
//!
//! Every command has an id and is sent until it is answered, so that neither a full inbox nor a full disk loses
//! or doubles a battle, nor a server that is away. What comes back is the run's own answer, or its "no".
//!
//! The run is of this process, or of another machine's server ([`Api`]): workers see no difference.

mod api;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use interlock_kernel::{
    ids::{CommandId, Key, Worker},
    quota::{ClaimId, QuotaRefusal},
    time::{Millis, Time},
};
use interlock_runtime::{Handle, Meta, Runtime, SendError};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

pub use self::api::{Api, BadAddress};

use crate::{
    domain::run::{Plan, Room, Run, RunCommand, RunRejection, RunReply, RunView, Settlement},
    limits,
};

/// A run, to be counted by. A clone is the same.
#[derive(Clone)]
pub struct Counter {
    run: Key,
    at: At,
    ids: Arc<Ids>,
    /// Told when a claim ends here: another may be granted.
    ended: Arc<watch::Sender<()>>,
}

/// Where the run is.
#[derive(Clone)]
enum At {
    Here(Handle<Run>),
    There(Api),
}

/// A battle that was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Its id.
    pub claim: ClaimId,
    /// How long it lasts without a sign of life.
    pub ttl: Millis,
}

/// What a run said.
struct Answer {
    reply: RunReply,
    /// When it was decided, by the run's clock; `None`: that was not told.
    at: Option<Time>,
}

/// Why there is no answer.
enum Trouble {
    /// Asking again may help.
    Passing(String),
    /// It will not.
    Lasting(CountError),
}

/// How long somebody has asked in vain, and when to ask again.
struct Patience {
    since: Instant,
    pause: Duration,
}

impl Patience {
    fn new() -> Self {
        Self { since: Instant::now(), pause: limits::FIRST_ANSWER_PAUSE }
    }
}

/// Command ids that no other process makes.
struct Ids {
    process: u64,
    next: AtomicU64,
}

/// Why something is not counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CountError {
    /// The run says no.
    #[error("{says}")]
    Refused {
        /// What a worker can make of it.
        why: Why,
        /// In words.
        says: String,
    },
    /// The run cannot be asked any more.
    #[error("{0}")]
    Gone(String),
}

/// Why a run says no, as far as workers care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No battle is left.
    UsedUp,
    /// No battle of this worker's share is left.
    ShareUsed,
    /// None is left now, at all or of this worker's share; one may come back.
    AllClaimed {
        /// When to ask again.
        retry_after: Option<Millis>,
    },
    /// The room is played for another claim.
    RoomTaken,
    /// The claim has ended by itself, or was given back.
    Over,
    /// It was settled, and otherwise.
    Settled,
    /// The claim has a room: it cannot be as if it had not.
    Begun,
    /// It was never opened.
    Unknown,
    /// What no worker can do anything about.
    Other,
}

impl Counter {
    /// The run of this name, in this process.
    #[must_use]
    pub fn new(runtime: &Runtime, run: Key) -> Self {
        Self::at(At::Here(runtime.handle()), run, runtime.env().random())
    }

    /// The run of this name on another server. `process` is a number that no other process has.
    #[must_use]
    pub fn joined(api: Api, run: Key, process: u64) -> Self {
        Self::at(At::There(api), run, process)
    }

    fn at(at: At, run: Key, process: u64) -> Self {
        let ids = Arc::new(Ids { process, next: AtomicU64::new(0) });
        Self { run, at, ids, ended: Arc::new(watch::Sender::new(())) }
    }

    /// Changes when a claim ends in this process.
    pub(super) fn ended(&self) -> watch::Receiver<()> {
        self.ended.subscribe()
    }

    /// The run's name.
    #[must_use]
    pub fn run(&self) -> &Key {
        &self.run
    }

    /// Opens the run, or goes on with it. True: it was not there before.
    ///
    /// # Errors
    /// If it was opened with another plan.
    pub async fn open(
        &self,
        plan: Plan,
        claim_ttl_ms: Millis,
        retention_ms: Millis,
    ) -> Result<bool, CountError> {
        let command = RunCommand::Open { plan, claim_ttl_ms, retention_ms };
        let RunReply::Open { created } = self.send(command).await?.reply else {
            unreachable!("opening is answered by whether it was new")
        };
        Ok(created)
    }

    /// Claims a battle.
    ///
    /// # Errors
    /// If none is left, for this worker or at all.
    pub async fn claim(&self, worker: Worker, team: Option<String>) -> Result<Claim, CountError> {
        let Answer { reply, at } = self.send(RunCommand::Claim { worker, team }).await?;
        let RunReply::Claimed(grant) = reply else {
            unreachable!("a claim is answered by a grant")
        };
        Ok(Claim { claim: grant.claim, ttl: ttl(grant.expires_at, at) })
    }

    /// The server has named the battle's room.
    ///
    /// # Errors
    /// If the claim's time had run out, or the room is played for another.
    pub async fn begin(&self, claim: ClaimId, room: Room) -> Result<(), CountError> {
        self.send(RunCommand::Begin { claim, room }).await.map(|_| ())
    }

    /// Begins a claim's time anew, and says how long that is.
    ///
    /// # Errors
    /// If it had run out.
    pub async fn renew(&self, claim: ClaimId) -> Result<Millis, CountError> {
        let Answer { reply, at } = self.send(RunCommand::Renew { claim }).await?;
        let RunReply::Extended(extended) = reply else {
            unreachable!("a renewal is answered by an expiry")
        };
        Ok(ttl(extended.expires_at, at))
    }

    /// The battle is over. Once more, it changes nothing.
    ///
    /// # Errors
    /// If it was said to have ended otherwise.
    pub async fn end(&self, settlement: Settlement) -> Result<(), CountError> {
        self.send(RunCommand::End(settlement)).await?;
        self.ended.send_replace(());
        Ok(())
    }

    /// There was no battle. A claim whose time has run out is back already.
    ///
    /// # Errors
    /// If there was.
    pub async fn give_back(&self, claim: ClaimId) -> Result<(), CountError> {
        match self.send(RunCommand::GiveBack { claim }).await {
            Ok(_) | Err(CountError::Refused { why: Why::Over, .. }) => {}
            Err(error) => return Err(error),
        }
        self.ended.send_replace(());
        Ok(())
    }

    /// The run as it stands.
    ///
    /// # Errors
    /// If it was never opened.
    pub async fn view(&self) -> Result<RunView, CountError> {
        let mut patience = Patience::new();
        loop {
            match self.try_view().await {
                Ok(view) => return Ok(view),
                Err(trouble) => self.wait_out(trouble, &mut patience).await?,
            }
        }
    }

    /// What the run is to play; `None`: it was never opened.
    ///
    /// # Errors
    /// If nobody can say.
    pub async fn plan(&self) -> Result<Option<Plan>, CountError> {
        match self.view().await {
            Ok(view) => Ok(Some(view.plan)),
            Err(CountError::Refused { why: Why::Unknown, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn try_view(&self) -> Result<RunView, Trouble> {
        match &self.at {
            At::Here(handle) => {
                let view = handle.view(&self.run).await?;
                let ledger = view.state.ledger().ok_or(RunRejection::Unknown);
                let ledger = ledger.map_err(|no| Trouble::Lasting(no.into()))?;
                Ok(ledger.view(view.now))
            }
            At::There(api) => api.view(&self.run).await,
        }
    }

    async fn send(&self, command: RunCommand) -> Result<Answer, CountError> {
        let number = self.ids.next.fetch_add(1, Relaxed);
        let id = CommandId::new(&format!("{:016x}-{number}", self.ids.process));
        let id = id.expect("digits and a hyphen");
        let mut patience = Patience::new();
        loop {
            match self.try_send(&command, &id).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => self.wait_out(trouble, &mut patience).await?,
            }
        }
    }

    async fn try_send(&self, command: &RunCommand, id: &CommandId) -> Result<Answer, Trouble> {
        match &self.at {
            At::Here(handle) => {
                let sent = handle.send(&self.run, command.clone(), Meta::id(id.clone())).await;
                let receipt = sent?;
                Ok(Answer { reply: receipt.reply, at: Some(receipt.at) })
            }
            At::There(api) => api.send(&self.run, command, id).await,
        }
    }

    /// Waits if asking again may help: here for ever, since nobody can play on without this process; elsewhere for a
    /// limited time.
    async fn wait_out(&self, trouble: Trouble, patience: &mut Patience) -> Result<(), CountError> {
        let why = match trouble {
            Trouble::Lasting(error) => return Err(error),
            Trouble::Passing(why) => why,
        };
        if matches!(self.at, At::There(_)) && patience.since.elapsed() >= limits::HOME_AWAY {
            let seconds = limits::HOME_AWAY.as_secs();
            let says = "what was played is in the logs here, and the same command goes on with it";
            return Err(CountError::Gone(format!("{why}; no answer for {seconds} s: {says}")));
        }
        tracing::warn!(run = %self.run, why, "there is no answer yet");
        sleep(patience.pause).await;
        patience.pause = (patience.pause * 2).min(limits::LONGEST_ANSWER_PAUSE);
        Ok(())
    }
}

/// How long a claim lasts whose end was said at this time. By the run's clock alone, which may differ from ours.
fn ttl(expires_at: Time, at: Option<Time>) -> Millis {
    at.map_or(limits::CLAIM_TTL, |at| expires_at.since(at))
}

impl Why {
    /// What an error code of the run says.
    fn of(code: &str, retry_after: Option<Millis>) -> Self {
        match code {
            "quota_exhausted" => Self::UsedUp,
            "worker_quota_reached" => Self::ShareUsed,
            "quota_all_claimed" | "worker_quota_claimed" => Self::AllClaimed { retry_after },
            "room_taken" => Self::RoomTaken,
            "claim_expired" | "claim_over" => Self::Over,
            "claim_settled" => Self::Settled,
            "begun" => Self::Begun,
            "unknown_run" => Self::Unknown,
            _ => Self::Other,
        }
    }
}

impl From<RunRejection> for CountError {
    fn from(rejection: RunRejection) -> Self {
        let refusal =
            if let RunRejection::Refused(refusal) = &rejection { Some(refusal) } else { None };
        let retry_after = refusal.and_then(QuotaRefusal::retry_after);
        let why = Why::of(rejection.code(), retry_after);
        Self::Refused { why, says: rejection.to_string() }
    }
}

impl From<SendError<RunRejection>> for Trouble {
    fn from(error: SendError<RunRejection>) -> Self {
        match error {
            SendError::Rejected { rejection, .. } => Self::Lasting(rejection.into()),
            SendError::Busy | SendError::Unavailable(_) => Self::Passing(error.to_string()),
            SendError::Closed { .. }
            | SendError::IdReused
            | SendError::Poisoned { .. }
            | SendError::TooLarge { .. }
            | SendError::Stopping => Self::Lasting(CountError::Gone(error.to_string())),
        }
    }
}
