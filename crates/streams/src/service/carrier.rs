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
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::FutureExt;
use interlock_kernel::{ids::Member, pool::{LeaseId, PoolRefusal}, time::Millis};
use interlock_runtime::SendError;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Live, Phase, PlayError, Shared, Streams};
use crate::{
    domain::engines::{Command, Ending, Engines, Grant, Reply, Session},
    io::{
        engine::{Engine, EngineUrl},
        fault::Fault,
        hub::Feed,
        pull::{Pull, PullEnd},
    },
};

/// Tries to tell the engines' entity that a use is over, before its lease's end has to do.
const RELEASE_ATTEMPTS: u32 = 20;
/// The pause between them.
const RELEASE_PAUSE: Duration = Duration::from_millis(250);

/// Carries a stream to its end.
pub(super) async fn carry(shared: &Arc<Shared>, live: Arc<Live>, feed: Feed) {
    let held = Held { shared: shared.clone(), lease: Mutex::new(None) };
    let run = AssertUnwindSafe(run(shared, &live, feed, &held)).catch_unwind();
    let ended = run.await.unwrap_or_else(|_| {
        tracing::error!(stream = live.name, "carrying a stream panicked");
        let error = PlayError::NoEngine("an internal error".to_owned());
        Err(error)
    });
    shared.leave(&live);
    if let Err(error) = ended {
        tracing::info!(stream = live.name, %error, "a stream did not start");
        live.phase.send_replace(Phase::Failed(error));
    }
    live.hub.close();
    let why = "carrying it panicked".to_owned();
    held.release(Ending::Failed { why, unreachable: false }, Session::Perhaps).await;
}

/// The slot that a carrier holds, if any.
struct Held {
    shared: Arc<Shared>,
    lease: Mutex<Option<LeaseId>>,
}

impl Held {
    fn take(&self, grant: &Grant) {
        self.shared.streams().held.insert(grant.lease, grant.engine.clone());
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
        let mut streams = self.shared.streams();
        streams.held.remove(&lease);
        streams.ending.remove(&lease);
    }
}

impl Streams {
    /// From now on nobody joins this stream; its slot, if it has one, is on its way to be free.
    fn forget(&mut self, live: &Arc<Live>) {
        if self.live.get(&live.name).is_some_and(|known| Arc::ptr_eq(known, live)) {
            self.live.remove(&live.name);
        }
        self.ending.extend(live.lease.get().copied());
    }
}

impl Shared {
    /// From now on nobody joins this stream.
    fn leave(&self, live: &Arc<Live>) {
        self.streams().forget(live);
    }

    /// From now on nobody joins this stream, if nobody watches it.
    fn leave_if_unwatched(&self, live: &Arc<Live>) -> bool {
        let mut streams = self.streams();
        if *live.hub.players().borrow() > 0 {
            return false;
        }
        streams.forget(live);
        true
    }
}

/// What came of asking one engine.
enum Tried {
    Flows { session: crate::io::engine::Session, pull: Pull },
    Failed { why: String, unreachable: bool, session: Session },
    /// All who waited have gone; the engine answered meanwhile.
    Unwanted,
    LeaseLost,
}

async fn run(
    shared: &Arc<Shared>,
    live: &Arc<Live>,
    mut feed: Feed,
    held: &Held,
) -> Result<(), PlayError> {
    let config = &shared.config;
    let deadline = Instant::now() + config.start_deadline.as_duration();
    let mut tried: BTreeSet<Member> = BTreeSet::new();
    let mut last = String::from("there is no engine");
    for _ in 0..config.start_attempts {
        let grant = match acquire(shared, live, &tried, deadline).await {
            Ok(grant) => grant,
            Err(PlayError::Full { .. }) if !tried.is_empty() => break,
            Err(error) => return Err(error),
        };
        held.take(&grant);
        tried.insert(grant.engine.clone());
        match start(shared, live, &grant, deadline).await {
            Tried::Flows { session, pull } => {
                let engine = grant.engine.clone();
                // A carrier flows once.
                let _ = live.lease.set(grant.lease);
                let flowing = Phase::Flowing { engine, stat_url: session.stat_url };
                live.phase.send_replace(flowing);
                let ending = feed_players(shared, live, &grant, pull, &mut feed).await;
                shared.leave(live);
                drop(feed);
                held.release(ending, Session::Perhaps).await;
                return Ok(());
            }
            Tried::Failed { why, unreachable, session } => {
                last = why.clone();
                held.release(Ending::Failed { why, unreachable }, session).await;
            }
            Tried::Unwanted => {
                held.release(Ending::Cancelled, Session::Perhaps).await;
                return Err(PlayError::NoEngine("nobody waits for it any more".to_owned()));
            }
            Tried::LeaseLost => {
                held.release(Ending::LeaseLost, Session::Perhaps).await;
                return Err(PlayError::Unavailable("the slot could not be kept".to_owned()));
            }
        }
        if shared.streams().stopping {
            return Err(PlayError::Stopping);
        }
        if Instant::now() >= deadline {
            return Err(PlayError::OutOfTime(last));
        }
        if shared.leave_if_unwatched(live) {
            return Err(PlayError::NoEngine("nobody waits for it any more".to_owned()));
        }
    }
    Err(PlayError::NoEngine(last))
}

/// A slot on an engine that was not tried. When all are taken, a stream that nobody watches gives way.
async fn acquire(
    shared: &Shared,
    live: &Live,
    tried: &BTreeSet<Member>,
    deadline: Instant,
) -> Result<Grant, PlayError> {
    let mut waits = false;
    loop {
        // Listen before asking, so that a slot that is freed in between is not missed.
        let freed = shared.freed.0.notified();
        let command = Command::Acquire { stream: live.name.clone(), avoid: tried.clone() };
        let retry_after = match shared.ask(command).await {
            Ok(Reply::Granted(grant)) => return Ok(grant),
            Ok(Reply::Done) => unreachable!("an acquisition is granted or refused"),
            Err(SendError::Rejected { rejection: PoolRefusal::Full { retry_after }, .. }) => {
                retry_after
            }
            Err(SendError::Stopping) => return Err(PlayError::Stopping),
            Err(error) => return Err(PlayError::Unavailable(error.to_string())),
        };
        let full = PlayError::Full { retry_after };
        // A slot that was asked for is on its way as long as it is closing.
        let comes = shared.make_way() || (waits && shared.any_closing().await);
        if !tried.is_empty() || !comes {
            return Err(full);
        }
        waits = true;
        tokio::select! {
            biased;
            () = freed => {}
            () = sleep_until(deadline) => return Err(full),
        }
    }
}

impl Shared {
    /// Asks a stream that nobody watches to end. False: there is none.
    fn make_way(&self) -> bool {
        let streams = self.streams();
        let lingers = |live: &&Arc<Live>| {
            matches!(&*live.phase.borrow(), Phase::Flowing { .. })
                && *live.hub.players().borrow() == 0
        };
        let lingering = streams.live.values().find(lingers);
        lingering.inspect(|live| live.give_way.notify_one()).is_some()
    }

    /// Whether some slot is over and not yet free.
    async fn any_closing(&self) -> bool {
        let view = self.engines.view(&self.main).await;
        let closing = |view: interlock_runtime::View<Engines>| {
            view.state.pool().members().values().any(|member| member.in_use.closing > 0)
        };
        view.is_ok_and(closing) || !self.streams().ending.is_empty()
    }
}

/// Asks one engine, keeping the slot meanwhile.
async fn start(shared: &Shared, live: &Live, grant: &Grant, deadline: Instant) -> Tried {
    let own = Instant::now() + shared.config.start_timeout.as_duration();
    let ask = ask_engine(shared, live, grant, own.min(deadline));
    tokio::select! {
        biased;
        tried = ask => tried,
        () = keep(shared, grant.lease) => Tried::LeaseLost,
        () = shared.stops() => failed("the server is stopping".to_owned(), false, Session::Perhaps),
    }
}

async fn ask_engine(shared: &Shared, live: &Live, grant: &Grant, deadline: Instant) -> Tried {
    let url: EngineUrl = match grant.url.parse() {
        Ok(url) => url,
        Err(error) => return failed(format!("{error}"), false, Session::None),
    };
    let engine = Engine::new(url);
    // Unique per session: an engine stops the older of two sessions with one pid.
    let pid = format!("interlock-{:x}-{}", std::process::id(), grant.lease);
    let session = match engine.start(&live.key, &pid, deadline).await {
        Ok(session) => session,
        Err(error) => return of_fault(&error.fault, error.to_string()),
    };
    let told = Command::Started {
        lease: grant.lease,
        command_url: session.command_url.clone(),
        stat_url: session.stat_url.clone(),
    };
    if let Err(error) = shared.ask(told).await {
        // Its URL is not durable, so nobody may see its bytes; it is stopped right here, and if that fails
        // too, by the engine's own idle time-out.
        drop(engine.stop(&session.command_url, deadline).await);
        return failed(error.to_string(), false, Session::Perhaps);
    }
    if *live.hub.players().borrow() == 0 {
        return Tried::Unwanted;
    }
    let pull = match engine.open(&session, deadline).await {
        Ok(pull) => pull,
        Err(error) => return failed(error.to_string(), is_unreachable(&error.fault), Session::Perhaps),
    };
    match shared.ask(Command::Flowing { lease: grant.lease }).await {
        Ok(_) => Tried::Flows { session, pull },
        Err(_) => Tried::LeaseLost,
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
        Fault::TimedOut(_)
        | Fault::NotTransportStream(_)
        | Fault::BadAnswer(_)
        | Fault::Ended(_) => Session::Perhaps,
    };
    failed(why, is_unreachable(fault), session)
}

/// Renews the lease for as long as it is needed; returns when it could not be renewed in time, a little
/// before it ends.
async fn keep(shared: &Shared, lease: LeaseId) {
    let ttl = shared.config.lease_ttl.as_duration();
    let mut safe_until = Instant::now() + ttl.mul_f64(0.8);
    loop {
        sleep(ttl / 3).await;
        let asked = Instant::now();
        match tokio::time::timeout_at(safe_until, shared.ask(Command::Renew { lease })).await {
            Ok(Ok(_)) => safe_until = asked + ttl.mul_f64(0.8),
            Ok(Err(SendError::Busy | SendError::Unavailable(_))) if Instant::now() < safe_until => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

/// Moves bytes until the stream ends, nobody watches it, or its slot is wanted.
async fn feed_players(
    shared: &Shared,
    live: &Arc<Live>,
    grant: &Grant,
    pull: Pull,
    feed: &mut Feed,
) -> Ending {
    let silence = shared.config.start_timeout.as_duration();
    tokio::select! {
        biased;
        ending = unwatched(shared, live) => ending,
        () = keep(shared, grant.lease) => Ending::LeaseLost,
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
    let linger = shared.config.linger;
    loop {
        if players.wait_for(|count| *count == 0).await.is_err() {
            return Ending::Stopping;
        }
        tokio::select! {
            biased;
            // Somebody came back.
            _ = players.wait_for(|count| *count > 0) => {}
            () = live.give_way.notified() => {
                if shared.leave_if_unwatched(live) {
                    return Ending::GaveWay;
                }
            }
            () = sleep(Duration::from_millis(linger.max(Millis(1)).0)) => {
                if shared.leave_if_unwatched(live) {
                    return Ending::Unwatched;
                }
            }
        }
    }
}
