//! `/battles/runs`: runs for workers anywhere. What [`crate::fleet`] does within a process, any program can do
//! from outside: claim, begin, renew, end. [`fleet`] has this very server play for a run.

pub mod fleet;

use std::{num::NonZeroU32, time::Duration};

use axum::{extract::State, http::StatusCode};
use interlock_kernel::{
    ids::{Key, Worker},
    limits::{QUOTA_LIMIT, QUOTA_WORKERS, TTL_MS},
    quota::{ClaimId, Limit, QuotaRefusal},
    time::{Millis, Time},
};
use interlock_runtime::{Receipt, Runtime};
use interlock_web::{
    command::Command,
    endpoint::{Endpoint, Routes},
    path::{Id, Path},
    problem::Problem,
    reply::Reply,
    request,
    request::Nothing,
    runtime, schema,
    shape::{integer, integer_or, list, name, object, one_of, optional, text},
};
use serde::Serialize;
use serde_json::json;

use crate::{
    domain::{
        formats::NoFormat,
        id::id,
        lineup::check_socket,
        overhead::{self, Overheads},
        run::{
            Ending, Mode, Outcome, Plan, Room, Run, RunCommand, RunRejection, RunReply, Settlement,
        },
    },
    history, io, limits,
};

/// How opponents are found, as a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModeWord {
    /// By the server's ladder.
    Ladder,
    /// By challenging a user.
    Challenge,
    /// By accepting challenges.
    Accept,
    /// By playing against oneself.
    SelfPlay,
    /// By the tournaments of a room.
    Tournament,
}

const MODES: &[(&str, ModeWord)] = &[
    ("ladder", ModeWord::Ladder),
    ("challenge", ModeWord::Challenge),
    ("accept", ModeWord::Accept),
    ("self-play", ModeWord::SelfPlay),
    ("tournament", ModeWord::Tournament),
];

const ENDINGS: &[(&str, Ending)] = &[
    ("win", Ending::Of(Outcome::Win)),
    ("loss", Ending::Of(Outcome::Loss)),
    ("tie", Ending::Of(Outcome::Tie)),
    ("forfeit", Ending::Of(Outcome::Forfeit)),
    ("void", Ending::Void),
];

request! {
    /// What a run is to play.
    pub struct Setup {
        /// The server's address.
        pub server: String = text(1..=limits::TEXT_CHARS),
        /// The format: `gen9randombattle`.
        pub format: String = text(1..=limits::TEXT_CHARS),
        /// How opponents are found.
        pub mode: ModeWord = one_of(MODES),
        /// Whom to challenge or whose challenges to accept, or the room of the tournaments.
        pub name: Option<String> = optional(text(1..=limits::TEXT_CHARS)),
        /// How many battles.
        pub target: Option<u64> = integer_or("unlimited", 0..=QUOTA_LIMIT),
        /// Among how many workers they are split; not at all unless told.
        pub shares: Option<u32> = optional(integer(1..=u64::from(QUOTA_WORKERS))),
        /// How long a claim lasts without a sign of life, in milliseconds; a minute unless told.
        pub claim_ttl_ms: Option<Millis> = optional(integer(TTL_MS)),
    }
}

request! {
    /// A battle to be claimed.
    pub struct NewBattle {
        /// For whom.
        pub worker: Worker = name(),
        /// With which team.
        pub team: Option<String> = optional(text(1..=limits::TEXT_CHARS)),
    }
}

request! {
    /// Where a battle is played.
    pub struct Begun {
        /// The room's id.
        pub room: String = text(1..=limits::TEXT_CHARS),
        /// The id of the account that plays.
        pub account: String = text(1..=limits::TEXT_CHARS),
        /// The opponent's id.
        pub opponent: Option<String> = optional(text(1..=limits::TEXT_CHARS)),
    }
}

request! {
    /// The end of a battle.
    pub struct Ended {
        /// How it ended.
        pub ending: Ending = one_of(ENDINGS),
        /// The player's rating after it.
        pub rating: Option<u32> = optional(integer(0..=100_000)),
        /// What the decisions in it cost beside waiting and thinking.
        pub overheads: Option<Vec<Cost>> = optional(list(object(), 0..=overhead::BUCKETS)),
        /// Who settles what another worker had begun, on another machine, where its log is.
        pub by: Option<Worker> = optional(name()),
    }
}

request! {
    /// Decisions that cost the same.
    pub struct Cost {
        /// How much, in microseconds.
        pub micros: u32 = integer(0..=u64::from(u32::MAX)),
        /// How many they are.
        pub decisions: u64 = integer(limits::DECISIONS),
    }
}

/// The service's endpoints, over a runtime that was built with [`crate::register`] and this retention.
#[must_use]
pub fn routes(runtime: Runtime, retention: Millis) -> Routes {
    of_runs(retention).and(of_battles()).with_state(runtime)
}

fn of_runs(retention: Millis) -> Routes<Runtime> {
    let run = || schema::object([("version", schema::integer())]);
    Routes::new()
        .on(
            Endpoint::get("/api/v1/battles/runs", "The runs that were opened last")
                .tag("battles")
                .answers(
                    200,
                    "Newest first.",
                    schema::object([("runs", schema::array(&schema::any()))]),
                )
                .refuses(503, &["store_unavailable"]),
            runs,
        )
        .on(
            Endpoint::put("/api/v1/battles/runs/{run}", "Open a run, or go on with it")
                .tag("battles")
                .command::<Setup>()
                .answers(200, "It goes on.", run())
                .answers(201, "It is open.", run())
                .refuses(400, &["bad_field", "bad_format", "unknown_format"])
                .refuses(409, &["plan_differs", "limit_below_used", "quota_started"]),
            async move |runtime: State<Runtime>, key: Path<Key>, command: Command<Setup>| {
                open(runtime, key, command, retention).await
            },
        )
        .on(
            Endpoint::get("/api/v1/battles/runs/{run}", "How a run stands")
                .tag("battles")
                .answers(200, "finished + claimed + in_doubt + remaining = target.", schema::any())
                .refuses(404, &["unknown_run"]),
            show,
        )
        .on(
            Endpoint::delete(
                "/api/v1/battles/runs/{run}/workers/{worker}",
                "Retire a worker: the next new name takes over its share",
            )
            .tag("battles")
            .command::<Nothing>()
            .answers(200, "Its name is refused from now on.", run())
            .refuses(404, &["unknown_run", "unknown_worker"]),
            retire,
        )
}

fn of_battles() -> Routes<Runtime> {
    Routes::new()
        .on(
            Endpoint::post(
                "/api/v1/battles/runs/{run}/claims",
                "Claim a battle, before it is searched for",
            )
            .tag("battles")
            .command::<NewBattle>()
            .answers(201, "It is claimed.", schema::any())
            .refuses(404, &["unknown_run"])
            .refuses(409, &["quota_exhausted", "quota_all_claimed"])
            .refuses(409, &["worker_quota_reached", "worker_quota_claimed"])
            .refuses(409, &["too_many_workers", "worker_retired"]),
            claim,
        )
        .on(
            of_claim(
                "/api/v1/battles/runs/{run}/claims/{claim}/begin",
                "The server has named its room",
            )
            .command::<Begun>()
            .answers(200, "Its expiry makes it in doubt from now on.", schema::any())
            .refuses(409, &["claim_over", "claim_expired", "other_room", "room_taken"]),
            begin,
        )
        .on(
            of_claim("/api/v1/battles/runs/{run}/claims/{claim}/renew", "Begin its time anew")
                .command::<Nothing>()
                .answers(200, "It has more time, and is in doubt no more.", schema::any())
                .refuses(409, &["claim_over", "claim_expired"]),
            renew,
        )
        .on(
            of_claim("/api/v1/battles/runs/{run}/claims/{claim}/end", "It is over")
                .command::<Ended>()
                .answers(200, "It is counted.", schema::any())
                .refuses(409, &["claim_over", "claim_expired", "not_begun"]),
            end,
        )
        .on(
            of_claim("/api/v1/battles/runs/{run}/claims/{claim}/give-back", "There was no battle")
                .command::<Nothing>()
                .answers(200, "It can be claimed anew.", schema::any())
                .refuses(409, &["claim_expired", "begun"]),
            give_back,
        )
}

/// An endpoint about one claim.
fn of_claim(path: &'static str, summary: &'static str) -> Endpoint {
    Endpoint::post(path, summary)
        .tag("battles")
        .id("claim")
        .refuses(404, &["unknown_run", "unknown_claim"])
        .refuses(409, &["claim_settled"])
}

async fn runs(State(runtime): State<Runtime>) -> Result<Reply, Problem> {
    let runs = history::runs(&runtime, limits::RUNS_SHOWN).await;
    let runs = runs.map_err(|error| {
        tracing::warn!(%error, "the runs cannot be read");
        Problem::store_unavailable()
    })?;
    Ok(Reply::json(StatusCode::OK, &json!({"runs": runs})))
}

async fn open(
    State(runtime): State<Runtime>,
    Path(run): Path<Key>,
    command: Command<Setup>,
    retention_ms: Millis,
) -> Result<Reply, Problem> {
    let opening = command.body.clone().opening(retention_ms)?;
    check_format(&runtime, &run, &command.body).await?;
    let receipt = command.send::<Run>(&runtime, &run, |_| opening).await?;
    Ok(answer(&receipt))
}

/// Asks the server that a new run names whether it has the format, so that a mistyped one spoils no name. One that
/// cannot be asked from here may be another machine's to play on.
async fn check_format(runtime: &Runtime, run: &Key, setup: &Setup) -> Result<(), Problem> {
    let known = runtime::view::<Run>(runtime, run).await?;
    if known.state.ledger().is_none()
        && check_socket(&setup.server).is_ok()
        && let Some(formats) = io::formats(&setup.server).await
    {
        let refused = |no: NoFormat| {
            Problem::new(StatusCode::BAD_REQUEST, "unknown_format", no.to_string()).field("format")
        };
        formats.check(&id(&setup.format)).map_err(refused)?;
    }
    Ok(())
}

impl Setup {
    /// The command that opens such a run, or goes on with it.
    ///
    /// # Errors
    /// When the mode needs a name, and there is none.
    pub fn opening(self, retention_ms: Millis) -> Result<RunCommand, Problem> {
        let plan = Plan {
            mode: mode(self.mode, self.name.as_deref())?,
            server: self.server,
            format: self.format,
            target: self.target.map_or(Limit::Unlimited, Limit::Of),
            shares: self.shares.and_then(NonZeroU32::new),
        };
        let claim_ttl_ms = self.claim_ttl_ms.unwrap_or(limits::CLAIM_TTL);
        Ok(RunCommand::Open { plan, claim_ttl_ms, retention_ms })
    }
}

fn mode(word: ModeWord, name: Option<&str>) -> Result<Mode, Problem> {
    let needed = |what: &str| {
        let says = format!("name is required: {what}");
        Problem::new(StatusCode::BAD_REQUEST, "missing_field", says)
    };
    let name = name.map(str::to_owned);
    Ok(match word {
        ModeWord::Ladder => Mode::Ladder,
        ModeWord::SelfPlay => Mode::SelfPlay,
        ModeWord::Accept => Mode::Accept(name),
        ModeWord::Challenge => Mode::Challenge(name.ok_or_else(|| needed("whom to challenge"))?),
        ModeWord::Tournament => {
            Mode::Tournament(name.ok_or_else(|| needed("the room of the tournaments"))?)
        }
    })
}

async fn show(State(runtime): State<Runtime>, Path(run): Path<Key>) -> Result<Reply, Problem> {
    let view = runtime::view::<Run>(&runtime, &run).await?;
    let ledger = view.state.ledger().ok_or(RunRejection::Unknown)?;
    Ok(Reply::json(StatusCode::OK, &ledger.view(view.now)).version(view.version))
}

async fn retire(
    State(runtime): State<Runtime>,
    Path((run, worker)): Path<(Key, Worker)>,
    command: Command<Nothing>,
) -> Result<Reply, Problem> {
    let say = |Nothing| RunCommand::Retire { worker };
    command.send::<Run>(&runtime, &run, say).await.map(|receipt| answer(&receipt))
}

async fn claim(
    State(runtime): State<Runtime>,
    Path(run): Path<Key>,
    command: Command<NewBattle>,
) -> Result<Reply, Problem> {
    let say = |NewBattle { worker, team }| RunCommand::Claim { worker, team };
    command.send::<Run>(&runtime, &run, say).await.map(|receipt| answer(&receipt))
}

async fn begin(
    State(runtime): State<Runtime>,
    Path((run, claim)): Path<(Key, Id)>,
    command: Command<Begun>,
) -> Result<Reply, Problem> {
    let claim = known(&claim)?;
    let say = |Begun { room: id, account, opponent }| {
        let room = Room { id, account, opponent };
        RunCommand::Begin { claim, room }
    };
    command.send::<Run>(&runtime, &run, say).await.map(|receipt| answer(&receipt))
}

async fn renew(
    State(runtime): State<Runtime>,
    Path((run, claim)): Path<(Key, Id)>,
    command: Command<Nothing>,
) -> Result<Reply, Problem> {
    let claim = known(&claim)?;
    let say = |Nothing| RunCommand::Renew { claim };
    command.send::<Run>(&runtime, &run, say).await.map(|receipt| answer(&receipt))
}

async fn end(
    State(runtime): State<Runtime>,
    Path((run, claim)): Path<(Key, Id)>,
    command: Command<Ended>,
) -> Result<Reply, Problem> {
    let claim = known(&claim)?;
    let say = |Ended { ending, rating, overheads: costs, by }| {
        let mut overheads = Overheads::default();
        for Cost { micros, decisions } in costs.into_iter().flatten() {
            overheads.add(Duration::from_micros(micros.into()), decisions);
        }
        RunCommand::End(Settlement { claim, ending, rating, overheads, by })
    };
    command.send::<Run>(&runtime, &run, say).await.map(|receipt| answer(&receipt))
}

async fn give_back(
    State(runtime): State<Runtime>,
    Path((run, claim)): Path<(Key, Id)>,
    command: Command<Nothing>,
) -> Result<Reply, Problem> {
    let claim = known(&claim)?;
    let say = |Nothing| RunCommand::GiveBack { claim };
    command.send::<Run>(&runtime, &run, say).await.map(|receipt| answer(&receipt))
}

/// A claim's id, if a run may ever have written it.
fn known(claim: &Id) -> Result<ClaimId, RunRejection> {
    ClaimId::parse(&claim.0).ok_or(RunRejection::Refused(QuotaRefusal::UnknownClaim))
}

fn answer(receipt: &Receipt<RunReply>) -> Reply {
    #[derive(Serialize)]
    struct Nothing {}
    #[derive(Serialize)]
    struct Over {
        claim: ClaimId,
    }
    /// With the time of the run's clock, so that whoever hears it knows how long a claim lasts.
    #[derive(Serialize)]
    struct Dated<'a, B> {
        #[serde(flatten)]
        body: &'a B,
        at: Time,
    }
    let at = receipt.at;
    match &receipt.reply {
        RunReply::Open { created } => {
            let status = if *created { StatusCode::CREATED } else { StatusCode::OK };
            runtime::reply(status, &Nothing {}, receipt)
        }
        RunReply::Claimed(grant) => {
            runtime::reply(StatusCode::CREATED, &Dated { body: grant, at }, receipt)
        }
        RunReply::Extended(claim) => {
            runtime::reply(StatusCode::OK, &Dated { body: claim, at }, receipt)
        }
        RunReply::Over { claim } => {
            runtime::reply(StatusCode::OK, &Over { claim: *claim }, receipt)
        }
        RunReply::Done => runtime::reply(StatusCode::OK, &Nothing {}, receipt),
    }
}

impl From<RunRejection> for Problem {
    fn from(rejection: RunRejection) -> Self {
        let status = match rejection {
            RunRejection::Refused(refusal) => return refusal.into(),
            RunRejection::BadText(_) | RunRejection::BadFormat(_) => StatusCode::BAD_REQUEST,
            RunRejection::Unknown => StatusCode::NOT_FOUND,
            RunRejection::PlanDiffers(_)
            | RunRejection::OtherRoom { .. }
            | RunRejection::RoomTaken { .. }
            | RunRejection::NotBegun(_)
            | RunRejection::Begun(_) => StatusCode::CONFLICT,
        };
        Problem::new(status, rejection.code(), rejection.to_string())
    }
}
