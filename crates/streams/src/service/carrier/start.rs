//! One try to start a stream, on one engine.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    super::{PlayError, Shared, live::Live},
    Unplayed,
    slot::keep,
};
use crate::{
    domain::engines::{Command, Ending, Grant, Session},
    io::{
        engine::{self, Engine, EngineUrl},
        fault::{EngineError, Fault},
        pull::Pull,
    },
};

/// What came of asking one engine.
#[expect(clippy::large_enum_variant, reason = "one value per start, moved once")]
pub(super) enum Tried {
    Flows {
        session: engine::Session,
        pull: Pull,
        confirmed: Instant,
    },
    Failed {
        why: String,
        /// The same, as players may know it.
        said: String,
        unreachable: bool,
        session: Session,
    },
    /// The engine may be as it should; it ended for another reason.
    Dropped {
        ending: Ending,
        session: Session,
        error: Unplayed,
    },
}

/// Asks one engine, keeping the slot meanwhile.
pub(super) async fn start(
    shared: &Shared,
    live: &Arc<Live>,
    grant: &Grant,
    granted: Instant,
) -> Tried {
    let deadline = Instant::now() + shared.config.start_timeout.as_duration();
    let dropped = |ending, error| Tried::Dropped { ending, session: Session::Unanswered, error };
    tokio::select! {
        biased;
        tried = ask_engine(shared, live, grant, deadline) => tried,
        () = keep(shared, grant.lease, granted) => dropped(Ending::LeaseLost, slot_lost()),
        () = shared.stops() => dropped(Ending::Stopping, PlayError::Stopping.into()),
        () = live.out_of_time() => Tried::Failed {
            why: "the players' time was over".to_owned(),
            said: format!("{} was still starting it", grant.engine),
            unreachable: false,
            session: Session::Unanswered,
        },
    }
}

fn slot_lost() -> Unplayed {
    PlayError::Unavailable("the slot could not be kept".to_owned()).into()
}

/// The engine's answer is waited for even when nobody waits for the stream any more: only then can its
/// session be stopped, and the slot be free.
async fn ask_engine(shared: &Shared, live: &Arc<Live>, grant: &Grant, deadline: Instant) -> Tried {
    let url: EngineUrl = match grant.url.parse() {
        Ok(url) => url,
        Err(error) => {
            return Tried::Failed {
                why: format!("{error}"),
                said: format!("{} has no address", grant.engine),
                unreachable: false,
                session: Session::None,
            };
        }
    };
    let engine = Engine::new(url);
    // Unique per session: an engine stops the older of two sessions with one pid.
    let pid = format!("interlock-{:x}-{}", shared.tag, grant.lease);
    let session = match engine.start(&live.key, &pid, deadline).await {
        Ok(session) => session,
        Err(error) => return failed(grant, &error, left_by(&error.fault)),
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
        return Tried::Dropped { ending, session, error: Unplayed::Abandoned };
    }
    let pull = match engine.open(&session, deadline).await {
        Ok(pull) => pull,
        Err(error) => return failed(grant, &error, Session::Perhaps),
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

fn failed(grant: &Grant, error: &EngineError, session: Session) -> Tried {
    Tried::Failed {
        why: error.to_string(),
        said: format!("{} {}", grant.engine, error.fault.in_brief()),
        unreachable: matches!(error.fault, Fault::Refused(_)),
        session,
    }
}

/// What a request to start that failed may have left at the engine.
fn left_by(fault: &Fault) -> Session {
    match fault {
        Fault::Refused(_) | Fault::Said(_) => Session::None,
        Fault::TimedOut(_) => Session::Unanswered,
        Fault::NotTransportStream(_) | Fault::BadAnswer(_) | Fault::Ended(_) => Session::Perhaps,
    }
}
