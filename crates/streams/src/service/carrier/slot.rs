//! A stream's slot on an engine: waited for, kept, given back.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use interlock_kernel::{
    ids::Member,
    pool::{LeaseId, PoolRefusal},
};
use interlock_runtime::SendError;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::{
    super::{
        PlayError, Shared,
        line::Place,
        live::{Live, Slot},
    },
    Unplayed,
};
use crate::domain::engines::{Asker, Command, Ending, Grant, Reply, Session};

/// Tries to tell the engines' entity that a use is over, before its lease's end has to do.
const RELEASE_ATTEMPTS: u32 = 20;
/// The pause between them.
const RELEASE_PAUSE: Duration = Duration::from_millis(250);
/// How much of a lease may pass before its holder stops by itself.
const SAFE_PART: f64 = 0.8;

/// A slot on an engine that was not tried, and when it was asked for; `None` when all were tried. Waits only
/// for a slot that will be free, and that nobody ahead needs.
pub(super) async fn acquire(
    shared: &Shared,
    live: &Arc<Live>,
    tried: &BTreeSet<Member>,
) -> Result<Option<(Grant, Instant)>, Unplayed> {
    let asker = Asker { stream: live.name.clone(), avoid: tried.clone() };
    let mut players = live.hub.players();
    let mut standing: Option<Standing<'_>> = None;
    loop {
        // Listen before asking, so that a slot that is freed in between is not missed.
        let freed = shared.freed.0.notified();
        let asked = Instant::now();
        let place = standing.as_ref().map(|standing| standing.place);
        match shared.ask(shared.acquisition(asker.clone(), place)).await {
            Ok(Reply::Granted(grant)) => return Ok(Some((grant, asked))),
            Ok(Reply::AllTried) => return Ok(None),
            Ok(Reply::Soon { .. }) if standing.is_none() => {
                // Others may have been told the same: from its place it asks again.
                standing = Some(Standing::last(shared, asker.clone()));
                continue;
            }
            Ok(Reply::Soon { gives_way }) => {
                gives_way.into_iter().for_each(|lease| shared.streams().ask_to_give_way(lease));
            }
            Ok(Reply::Done) => unreachable!("an acquisition is granted or not"),
            Err(SendError::Rejected { rejection: PoolRefusal::Full { retry_after }, .. }) => {
                return Err(PlayError::Full { retry_after }.into());
            }
            Err(SendError::Stopping) => return Err(PlayError::Stopping.into()),
            Err(error) => return Err(PlayError::Unavailable(error.to_string()).into()),
        }
        tokio::select! {
            biased;
            () = freed => {}
            () = shared.stops() => return Err(PlayError::Stopping.into()),
            () = live.out_of_time() => {
                return Err(PlayError::OutOfTime("no slot became free".to_owned()).into());
            }
            _ = players.wait_for(|count| *count == 0) => {
                if shared.leave_if_unwatched(live) {
                    return Err(Unplayed::Abandoned);
                }
            }
        }
    }
}

impl Shared {
    /// Asks for a slot, from this place in the line or from behind it.
    fn acquisition(&self, asker: Asker, place: Option<Place>) -> Command {
        let streams = self.streams();
        // Of those ahead, no more than there are slots can be dealt one.
        let slots = self.config.engines.iter().map(|engine| engine.limit as usize).sum();
        let ahead = streams.line.ahead_of(place).take(slots).cloned().collect();
        Command::Acquire { asker, ahead, unwatched: streams.unwatched() }
    }
}

/// A place in the line. Whoever leaves it lets those behind look again.
pub(super) struct Standing<'a> {
    shared: &'a Shared,
    place: Place,
}

impl<'a> Standing<'a> {
    /// At the end of the line.
    pub(super) fn last(shared: &'a Shared, asker: Asker) -> Self {
        Self { shared, place: shared.streams().line.stand(asker) }
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.shared.streams().line.leave(self.place);
        self.shared.freed.ring();
    }
}

/// The slot that a carrier holds, if any.
pub(super) struct Held<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) live: &'a Arc<Live>,
    lease: Mutex<Option<LeaseId>>,
}

impl<'a> Held<'a> {
    pub(super) fn none(shared: &'a Arc<Shared>, live: &'a Arc<Live>) -> Self {
        Self { shared, live, lease: Mutex::new(None) }
    }

    pub(super) fn take(&self, grant: &Grant) {
        let slot = Slot { engine: grant.engine.clone(), live: self.live.clone() };
        self.shared.streams().held.insert(grant.lease, slot);
        *self.lease.lock().expect("held for a moment only") = Some(grant.lease);
    }

    /// Releases the slot, if one is held.
    pub(super) async fn release(&self, ending: Ending, session: Session) {
        let lease = self.lease.lock().expect("held for a moment only").take();
        let Some(lease) = lease else { return };
        for _ in 0..RELEASE_ATTEMPTS {
            let command = Command::Release { lease, ending: ending.clone(), session };
            match self.shared.ask(command).await {
                Err(SendError::Unavailable(_) | SendError::Busy) => sleep(RELEASE_PAUSE).await,
                Ok(_) | Err(_) => break,
            }
        }
        self.shared.streams().held.remove(&lease);
    }
}

/// Renews the lease for as long as it is needed, which was last asked for at `renewed`; returns when it
/// could not be renewed in time, a little before it ends.
pub(super) async fn keep(shared: &Shared, lease: LeaseId, mut renewed: Instant) {
    let ttl = shared.config.lease_ttl.as_duration();
    loop {
        sleep_until(renewed + ttl / 3).await;
        let asked = Instant::now();
        let safe_until = renewed + ttl.mul_f64(SAFE_PART);
        match timeout_at(safe_until, shared.ask(Command::Renew { lease })).await {
            Ok(Ok(_)) => renewed = asked,
            Ok(Err(SendError::Busy | SendError::Unavailable(_))) => sleep(ttl / 20).await,
            Ok(Err(_)) | Err(_) => return,
        }
    }
}
