//! Where a fleet's battles are counted: the run, from a worker's side.
//!
//! Every command has an id and is sent until it is answered, so that neither a full inbox nor a full disk loses
//! or doubles a battle. What comes back is the run's own answer, or its "no".

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use interlock_kernel::{
    ids::{CommandId, Key, Worker},
    quota::{ClaimId, Grant},
    time::Millis,
};
use interlock_runtime::{Handle, Meta, Runtime, SendError};

use crate::domain::run::{Ending, Plan, Room, Run, RunCommand, RunRejection, RunReply, RunView};

/// The pause after the first answer that was none; it doubles up to the longest.
const FIRST_PAUSE: Millis = Millis(50);
const LONGEST_PAUSE: Millis = Millis::from_secs(5);

/// A run, to be counted by. A clone is the same.
#[derive(Clone)]
pub struct Counter {
    run: Key,
    handle: Handle<Run>,
    ids: Arc<Ids>,
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
    #[error(transparent)]
    Refused(#[from] RunRejection),
    /// The run cannot be asked any more.
    #[error("{0}")]
    Gone(String),
}

impl Counter {
    /// The run of this name.
    #[must_use]
    pub fn new(runtime: &Runtime, run: Key) -> Self {
        let ids = Ids { process: runtime.env().random(), next: AtomicU64::new(0) };
        Self { run, handle: runtime.handle(), ids: Arc::new(ids) }
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
        let RunReply::Open { created } = self.send(command).await? else {
            unreachable!("opening is answered by whether it was new")
        };
        Ok(created)
    }

    /// Claims a battle.
    ///
    /// # Errors
    /// If none is left, for this worker or at all.
    pub async fn claim(&self, worker: Worker, team: Option<String>) -> Result<Grant, CountError> {
        let RunReply::Claimed(grant) = self.send(RunCommand::Claim { worker, team }).await? else {
            unreachable!("a claim is answered by a grant")
        };
        Ok(grant)
    }

    /// The server has named the battle's room.
    ///
    /// # Errors
    /// If the claim's time had run out, or the room is played for another.
    pub async fn begin(&self, claim: ClaimId, room: Room) -> Result<(), CountError> {
        self.send(RunCommand::Begin { claim, room }).await.map(|_| ())
    }

    /// Begins a claim's time anew.
    ///
    /// # Errors
    /// If it had run out.
    pub async fn renew(&self, claim: ClaimId) -> Result<(), CountError> {
        self.send(RunCommand::Renew { claim }).await.map(|_| ())
    }

    /// The battle is over. Once more, it changes nothing.
    ///
    /// # Errors
    /// If it was said to have ended otherwise.
    pub async fn end(
        &self,
        claim: ClaimId,
        ending: Ending,
        rating: Option<u32>,
    ) -> Result<(), CountError> {
        self.send(RunCommand::End { claim, ending, rating }).await.map(|_| ())
    }

    /// There was no battle. A claim whose time has run out is back already.
    ///
    /// # Errors
    /// If there was.
    pub async fn give_back(&self, claim: ClaimId) -> Result<(), CountError> {
        match self.send(RunCommand::GiveBack { claim }).await {
            Ok(_) | Err(CountError::Refused(RunRejection::Refused(_))) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The run as it stands.
    ///
    /// # Errors
    /// If it was never opened.
    pub async fn view(&self) -> Result<RunView, CountError> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.handle.view(&self.run).await {
                Ok(view) => {
                    let ledger = view.state.ledger().ok_or(RunRejection::Unknown)?;
                    return Ok(ledger.view(view.now));
                }
                Err(error) => self.wait_out(error, &mut pause).await?,
            }
        }
    }

    async fn send(&self, command: RunCommand) -> Result<RunReply, CountError> {
        let number = self.ids.next.fetch_add(1, Relaxed);
        let id = CommandId::new(&format!("{:016x}-{number}", self.ids.process));
        let id = id.expect("digits and a hyphen");
        let mut pause = FIRST_PAUSE;
        loop {
            match self.handle.send(&self.run, command.clone(), Meta::id(id.clone())).await {
                Ok(receipt) => return Ok(receipt.reply),
                Err(error) => self.wait_out(error, &mut pause).await?,
            }
        }
    }

    /// Waits if asking again may help.
    async fn wait_out(
        &self,
        error: SendError<RunRejection>,
        pause: &mut Millis,
    ) -> Result<(), CountError> {
        match error {
            SendError::Rejected { rejection, .. } => return Err(CountError::Refused(rejection)),
            SendError::Busy => {}
            SendError::Unavailable(error) => {
                tracing::warn!(run = %self.run, %error, "a battle cannot be counted yet");
            }
            SendError::Closed { .. }
            | SendError::IdReused
            | SendError::Poisoned { .. }
            | SendError::TooLarge { .. }
            | SendError::Stopping => return Err(CountError::Gone(error.to_string())),
        }
        self.handle.sleep(*pause).await;
        *pause = Millis((pause.0 * 2).min(LONGEST_PAUSE.0));
        Ok(())
    }
}
