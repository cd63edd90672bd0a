//! One stream's carrier: from the first player's request to the free slot.
//!
//! ```text
//! acquire ─► start ─► open ─► flowing ─► (last player gone, linger) ─► release
//!    ▲         └─ failed: release, next engine ─┘
//! ```
//!
//! Whatever happens, the slot is released: on every way out of [`carry`], panics included. While it holds a
//! slot the carrier renews its lease; if it cannot, it stops by itself before the lease ends.

use std::{
    collections::BTreeSet,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, Mutex, atomic::Ordering::Relaxed},
    time::Duration,
};

use futures_util::FutureExt;
use interlock_kernel::{
    ids::Member,
    pool::{LeaseId, PoolRefusal},
};
use interlock_runtime::SendError;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::{Live, Phase, PlayError, Shared, Slot, Streams};
use crate::{
    domain::engines::{Command, Ending, Grant, Reply, Session},
    io::{
        engine::{self, Engine, EngineUrl},
        fault::Fault,
        hub::Feed,
        pull::{Pull, PullEnd},
    },
};

/// Tries to tell the engines' entity that a use is over, before its lease's end has to do.
const RELEASE_ATTEMPTS: u32 = 20;
/// The pause between them.
const RELEASE_PAUSE: Duration = Duration::from_millis(250);
/// How much of a lease may pass before its holder stops by itself.
const SAFE_PART: f64 = 0.8;

/// Carries a stream to its end.
pub(super) async fn carry(shared: &Arc<Shared>, live: Arc<Live>, feed: Feed) {
    let held = Held { shared, live: &live, lease: Mutex::new(None) };
    to_its_end(&held, run(shared, &live, feed, &held)).await;
}

/// Runs a carrier; afterwards nobody waits for it, and it holds nothing.
async fn to_its_end(held: &Held<'_>, run: impl Future<Output = Result<(), PlayError>>) {
    let Held { shared, live, .. } = held;
    let ended = AssertUnwindSafe(run).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(stream = live.name, "carrying a stream panicked");
        Err(PlayError::NoEngine("an internal error".to_owned()))
    });
    shared.streams().forget(live);
    if let Err(error) = ended {
        tracing::info!(stream = live.name, %error, "a stream did not start");
        live.phase.send_replace(Phase::Failed(error));
    }
    live.hub.close();
    // Only a panic leaves a slot behind.
    held.release(Ending::Panicked, Session::Unanswered).await;
}

/// The slot that a carrier holds, if any.
struct Held<'a> {
    shared: &'a Arc<Shared>,
    live: &'a Arc<Live>,
    lease: Mutex<Option<LeaseId>>,
}

impl Held<'_> {
    fn take(&self, grant: &Grant) {
        let slot = Slot { engine: grant.engine.clone(), live: self.live.clone() };
        self.shared.streams().held.insert(grant.lease, slot);
        *self.lease.lock().expect("held for a moment only") = Some(grant.lease);
    }

    /// Releases the slot, if one is held.
    async fn release(&self, ending: Ending, session: Session) {
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

impl Streams {
    /// From now on nobody joins this stream.
    fn forget(&mut self, live: &Arc<Live>) {
        if self.live.get(&live.name).is_some_and(|known| Arc::ptr_eq(known, live)) {
            self.live.remove(&live.name);
        }
    }
}

impl Live {
    fn is_unwatched(&self) -> bool {
        *self.hub.players().borrow() == 0
    }
}

impl Shared {
    /// From now on nobody joins this stream, if nobody watches it.
    fn leave_if_unwatched(&self, live: &Arc<Live>) -> bool {
        let mut streams = self.streams();
        let unwatched = live.is_unwatched();
        if unwatched {
            streams.forget(live);
        }
        unwatched
    }

    /// The same, if it was asked to end besides.
    fn leave_if_asked(&self, live: &Arc<Live>) -> bool {
        let mut streams = self.streams();
        let leaves = live.is_unwatched() && live.asked.load(Relaxed);
        if leaves {
            streams.forget(live);
        }
        leaves
    }
}

/// What came of asking one engine.
#[expect(clippy::large_enum_variant, reason = "one value per start, moved once")]
enum Tried {
    Flows {
        session: engine::Session,
        pull: Pull,
        confirmed: Instant,
    },
    Failed {
        why: String,
        unreachable: bool,
        session: Session,
    },
    /// The engine may be as it should; it ended for another reason.
    Dropped {
        ending: Ending,
        session: Session,
        error: PlayError,
    },
}

async fn run(
    shared: &Arc<Shared>,
    live: &Arc<Live>,
    mut feed: Feed,
    held: &Held<'_>,
) -> Result<(), PlayError> {
    let config = &shared.config;
    let deadline = Instant::now() + config.start_deadline.as_duration();
    let mut tried: BTreeSet<Member> = BTreeSet::new();
    let mut last = String::from("there is no engine");
    for _ in 0..config.start_attempts {
        let (grant, granted) = match acquire(shared, live, &tried, deadline).await {
            Ok(granted) => granted,
            Err(PlayError::Full { .. }) if !tried.is_empty() => break,
            Err(error) => return Err(error),
        };
        held.take(&grant);
        tried.insert(grant.engine.clone());
        match start(shared, live, &grant, granted, deadline).await {
            Tried::Flows { session, pull, confirmed } => {
                let engine = grant.engine.clone();
                live.phase.send_replace(Phase::Flowing { engine, stat_url: session.stat_url });
                let ending = feed_players(shared, live, &grant, confirmed, pull, &mut feed).await;
                shared.streams().forget(live);
                drop(feed);
                held.release(ending, Session::Perhaps).await;
                return Ok(());
            }
            Tried::Failed { why, unreachable, session } => {
                last = why.clone();
                held.release(Ending::Failed { why, unreachable }, session).await;
            }
            Tried::Dropped { ending, session, error } => {
                held.release(ending, session).await;
                return Err(error);
            }
        }
        if Instant::now() >= deadline {
            return Err(PlayError::OutOfTime(last));
        }
        if shared.leave_if_unwatched(live) {
            return Err(nobody_waits());
        }
    }
    Err(PlayError::NoEngine(last))
}

fn nobody_waits() -> PlayError {
    PlayError::NoEngine("nobody waits for it any more".to_owned())
}

/// A slot on an engine that was not tried, and when it was asked for. When all are taken, a stream that
/// nobody watches gives way.
async fn acquire(
    shared: &Shared,
    live: &Arc<Live>,
    tried: &BTreeSet<Member>,
    deadline: Instant,
) -> Result<(Grant, Instant), PlayError> {
    let mut players = live.hub.players();
    loop {
        // Listen before asking, so that a slot that is freed in between is not missed.
        let freed = shared.freed.0.notified();
        let asked = Instant::now();
        let command = Command::Acquire { stream: live.name.clone(), avoid: tried.clone() };
        let retry_after = match shared.ask(command).await {
            Ok(Reply::Granted(grant)) => return Ok((grant, asked)),
            Ok(Reply::Done) => unreachable!("an acquisition is granted or refused"),
            Err(SendError::Rejected { rejection: PoolRefusal::Full { retry_after }, .. }) => {
                retry_after
            }
            Err(SendError::Stopping) => return Err(PlayError::Stopping),
            Err(error) => return Err(PlayError::Unavailable(error.to_string())),
        };
        // A slot goes from held to closing to free: looked for in this order, it is not missed.
        if !shared.ask_to_give_way(tried) {
            match shared.outlook(tried).await {
                Outlook::Room => continue,
                Outlook::Closing => {}
                Outlook::Full => return Err(PlayError::Full { retry_after }),
            }
        }
        tokio::select! {
            biased;
            () = freed => {}
            () = shared.stops() => return Err(PlayError::Stopping),
            () = sleep_until(deadline) => return Err(PlayError::Full { retry_after }),
            _ = players.wait_for(|count| *count == 0) => {
                if shared.leave_if_unwatched(live) {
                    return Err(nobody_waits());
                }
            }
        }
    }
}

impl Shared {
    /// Asks the stream to end that flows and was not watched for longest. True: some stream that nobody
    /// watches will end, or tell otherwise.
    fn ask_to_give_way(&self, avoid: &BTreeSet<Member>) -> bool {
        let streams = self.streams();
        let unwatched = || {
            let slots = streams.held.values().filter(|slot| !avoid.contains(&slot.engine));
            slots.map(|slot| &slot.live).filter(|live| live.is_unwatched())
        };
        let since = |live: &Live| *live.unwatched_since.lock().expect("held for a moment only");
        let lingering = unwatched().filter(|live| !live.asked.load(Relaxed));
        let lingering = lingering.filter_map(|live| since(live).map(|since| (since, live)));
        if let Some((_, longest)) = lingering.min_by_key(|(since, _)| *since) {
            longest.asked.store(true, Relaxed);
            longest.give_way.notify_one();
        }
        unwatched().next().is_some()
    }

    /// What the engines that could be used look like.
    async fn outlook(&self, avoid: &BTreeSet<Member>) -> Outlook {
        let Ok(view) = self.engines.view(&self.main).await else { return Outlook::Full };
        let members = view.state.pool().members().iter();
        let usable = members.filter(|(name, member)| {
            !avoid.contains(*name) && member.aside_until.is_none() && !member.leaving
        });
        let outlook = usable.map(|(_, member)| match member.in_use {
            in_use if in_use.total() < member.limit => Outlook::Room,
            in_use if in_use.closing > 0 => Outlook::Closing,
            _ => Outlook::Full,
        });
        outlook.min().unwrap_or(Outlook::Full)
    }
}

/// What may become of a request for a slot that was refused a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outlook {
    /// A slot became free meanwhile.
    Room,
    /// A slot is over, and not yet free.
    Closing,
    /// All are in use.
    Full,
}

/// Asks one engine, keeping the slot meanwhile.
async fn start(
    shared: &Shared,
    live: &Arc<Live>,
    grant: &Grant,
    granted: Instant,
    deadline: Instant,
) -> Tried {
    let own = Instant::now() + shared.config.start_timeout.as_duration();
    let dropped = |ending, error| Tried::Dropped { ending, session: Session::Unanswered, error };
    tokio::select! {
        biased;
        tried = ask_engine(shared, live, grant, own.min(deadline)) => tried,
        () = keep(shared, grant.lease, granted) => dropped(Ending::LeaseLost, slot_lost()),
        () = shared.stops() => dropped(Ending::Stopping, PlayError::Stopping),
    }
}

fn slot_lost() -> PlayError {
    PlayError::Unavailable("the slot could not be kept".to_owned())
}

/// The engine's answer is waited for even when nobody waits for the stream any more: only then can its
/// session be stopped, and the slot be free.
async fn ask_engine(shared: &Shared, live: &Arc<Live>, grant: &Grant, deadline: Instant) -> Tried {
    let url: EngineUrl = match grant.url.parse() {
        Ok(url) => url,
        Err(error) => return failed(format!("{error}"), false, Session::None),
    };
    let engine = Engine::new(url);
    // Unique per session: an engine stops the older of two sessions with one pid.
    let pid = format!("interlock-{:x}-{}", shared.tag, grant.lease);
    let session = match engine.start(&live.key, &pid, deadline).await {
        Ok(session) => session,
        Err(error) => return of_fault(&error.fault, error.to_string()),
    };
    let told = Command::Started {
        lease: grant.lease,
        command_url: session.command_url.clone(),
        stat_url: session.stat_url.clone(),
    };
    if shared.ask(told).await.is_err() {
        // Its URL is not durable, so nobody may see its bytes: it is stopped right here, and if that fails
        // too, by the engine's own idle time-out.
        let stopped = engine.stop(&session.command_url, deadline).await;
        let session = if stopped.is_ok() { Session::None } else { Session::Perhaps };
        return Tried::Dropped { ending: Ending::LeaseLost, session, error: slot_lost() };
    }
    if shared.leave_if_unwatched(live) {
        let (ending, session) = (Ending::Cancelled, Session::Perhaps);
        return Tried::Dropped { ending, session, error: nobody_waits() };
    }
    let pull = match engine.open(&session, deadline).await {
        Ok(pull) => pull,
        Err(error) => {
            return failed(error.to_string(), is_unreachable(&error.fault), Session::Perhaps);
        }
    };
    let confirmed = Instant::now();
    match shared.ask(Command::Flowing { lease: grant.lease }).await {
        Ok(_) => Tried::Flows { session, pull, confirmed },
        Err(_) => {
            let (ending, session) = (Ending::LeaseLost, Session::Perhaps);
            Tried::Dropped { ending, session, error: slot_lost() }
        }
    }
}

fn failed(why: String, unreachable: bool, session: Session) -> Tried {
    Tried::Failed { why, unreachable, session }
}

fn is_unreachable(fault: &Fault) -> bool {
    matches!(fault, Fault::Refused(_))
}

/// What a failed start may have left at the engine.
fn of_fault(fault: &Fault, why: String) -> Tried {
    let session = match fault {
        Fault::Refused(_) | Fault::Said(_) => Session::None,
        Fault::TimedOut(_) => Session::Unanswered,
        Fault::NotTransportStream(_) | Fault::BadAnswer(_) | Fault::Ended(_) => Session::Perhaps,
    };
    failed(why, is_unreachable(fault), session)
}

/// Renews the lease for as long as it is needed, which was last asked for at `renewed`; returns when it
/// could not be renewed in time, a little before it ends.
async fn keep(shared: &Shared, lease: LeaseId, mut renewed: Instant) {
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

/// Moves bytes until the stream ends, nobody watches it, or its slot is wanted.
async fn feed_players(
    shared: &Shared,
    live: &Arc<Live>,
    grant: &Grant,
    confirmed: Instant,
    pull: Pull,
    feed: &mut Feed,
) -> Ending {
    let silence = shared.config.start_timeout.as_duration();
    tokio::select! {
        biased;
        ending = unwatched(shared, live) => ending,
        () = keep(shared, grant.lease, confirmed) => {
            tracing::error!(stream = live.name, "a stream was given up: its slot could not be kept");
            Ending::LeaseLost
        }
        end = pull.feed(feed, silence) => match end {
            PullEnd::Over => Ending::EngineEnded,
            PullEnd::Closed => Ending::Stopping,
            PullEnd::Failed(error) => {
                tracing::warn!(stream = live.name, %error, "a stream broke off");
                Ending::EngineEnded
            }
        },
    }
}

/// Returns once the stream has had no players for the linger time, or none when its slot was wanted.
async fn unwatched(shared: &Shared, live: &Arc<Live>) -> Ending {
    let mut players = live.hub.players();
    let since = |since: Option<Instant>| {
        *live.unwatched_since.lock().expect("held for a moment only") = since;
    };
    loop {
        // The hub, and with it the count, lives as long as the stream.
        let _ = players.wait_for(|count| *count == 0).await;
        since(Some(Instant::now()));
        let mut lingered = pin!(sleep(shared.config.linger.as_duration()));
        loop {
            tokio::select! {
                biased;
                // Somebody came back.
                _ = players.wait_for(|count| *count > 0) => break,
                () = live.give_way.notified() => {
                    if shared.leave_if_asked(live) {
                        return Ending::GaveWay;
                    }
                }
                () = lingered.as_mut() => {
                    if shared.leave_if_unwatched(live) {
                        return Ending::Unwatched;
                    }
                    break;
                }
            }
        }
        since(None);
    }
}

#[cfg(test)]
mod tests;
