//! The fleet: many workers on one run, on one account or several.
//!
//! ```text
//!  worker ──claim──► run          (durable: one of so many)
//!         ──find───► session      (one search at a time; a room)
//!         ──begin──► run          (durable: this room is that claim)
//!         ──play───► room         (think, answer, until the server names a winner)
//!         ──log────► disk         (durable: the independent record)
//!         ──end────► run          (durable: counted, once)
//! ```
//!
//! Whatever dies between two of these steps, the next life goes on from what is durable: a claim without a room
//! comes back; a room is asked for again, and plays on, or its log says how it ended, or it is void. If there is no
//! next life, others of the run take it up ([`doubts`]).

pub mod counter;
mod doubts;
mod earlier;
mod fleets;
pub mod host;
pub mod logs;
pub mod pairs;
mod report;
pub mod session;
pub mod thoughts;
mod tracker;
mod uncounted;
mod worker;

use std::{io, path::PathBuf, sync::Arc};

use interlock_kernel::ids::Worker;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};

pub use self::fleets::{Drift, Fleets};
pub use self::report::{Part, Percentiles, Report, WorkerReport};
pub use self::tracker::{Tracker, Watched};
use self::{
    counter::{CountError, Counter},
    earlier::{Earlier, give_back},
    logs::{Logs, SaveReplay},
    session::{Match, NotFound, Session, SessionSettings, Stage},
    uncounted::spar,
    worker::Hand,
};
pub use crate::domain::{fleet::Team, overhead::Overhead};
use crate::{
    domain::{
        id::id,
        protocol::room_id,
        run::{Mode, Plan},
    },
    io::{Account, ConnectError, Settings},
    limits,
};

/// What a fleet is to do. The run's plan says what is played; this says by whom and how.
#[derive(Clone)]
pub struct FleetSettings {
    /// The server's socket, where it is not the one of the plan: a local server has another one each time.
    pub server: Option<String>,
    /// Whose accounts; workers take turns in this order. Playing against oneself takes pairs: the battles of the
    /// second one of each are not counted. The first of a pair challenges the second, in every other pair it is
    /// challenged.
    pub accounts: Vec<Account>,
    /// The workers' names, each once.
    pub workers: Vec<Worker>,
    /// The teams, dealt to workers in turn; none where the server deals them.
    pub teams: Vec<Team>,
    /// Who thinks, where and how long.
    pub playing: Settings,
    /// The same for the other side of a bot that plays against itself; `None`: it plays alike.
    pub partner: Option<Settings>,
    /// Where logs and replays are kept.
    pub folder: PathBuf,
    /// Of which battles a replay is saved.
    pub save: SaveReplay,
}

/// Why a fleet does not go on.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The server cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The run does not count any more.
    #[error(transparent)]
    Count(#[from] CountError),
    /// The server refuses what is to be played.
    #[error(transparent)]
    Refused(NotFound),
    /// The logs cannot be read.
    #[error("the logs cannot be read: {0}")]
    Logs(#[from] io::Error),
    /// Playing against oneself takes two.
    #[error("self-play takes pairs of accounts, with names")]
    NoPairs,
    /// Tournaments are held in rooms.
    #[error("{0} is no name of a room")]
    NoRoom(String),
    /// Nobody here knows the password.
    #[error(
        "its password was in the memory of a process that has ended: start it again with the password, or name a \
         variable of the server's environment instead"
    )]
    Forgotten,
    /// The password is not where it should be.
    #[error("the server's environment has no {0}")]
    NoVariable(String),
    /// A worker broke down.
    #[error("a worker broke down: {0}")]
    Panicked(#[from] JoinError),
}

/// A fleet at work.
pub struct Fleet {
    counter: Counter,
    logs: Logs,
    tracker: Arc<Tracker>,
    brake: Brake,
    hands: JoinSet<Result<(), FleetError>>,
    /// Who plays against them, where we do; they go on until the hands are done.
    partners: JoinSet<Result<(), FleetError>>,
    /// Who watches, where we do not play.
    watcher: Option<Watcher>,
}

/// Who watches, and how many battles could not be read.
struct Watcher {
    session: Session,
    /// In earlier lives.
    before: u64,
    /// What was kept last.
    kept: u64,
}

impl Watcher {
    fn new(session: Session, logs: &Logs) -> io::Result<Self> {
        let before = logs.unread()?;
        Ok(Self { session, before, kept: before })
    }

    /// Keeps their number, if it has changed.
    fn keep(&mut self, logs: &Logs) -> io::Result<()> {
        let unread = self.before.saturating_add(self.session.unread().unwrap_or_default());
        if unread != self.kept {
            logs.keep_unread(unread)?;
            self.kept = unread;
        }
        Ok(())
    }
}

/// Tells a fleet to end. Clones are the same.
#[derive(Debug, Clone)]
pub struct Brake(Arc<watch::Sender<Stage>>);

impl Default for Brake {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Stage::Playing)))
    }
}

impl Brake {
    /// Finish what is in play, begin nothing new.
    pub fn drain(&self) {
        self.0.send_if_modified(|stage| {
            let before = *stage;
            *stage = before.max(Stage::Draining);
            before != *stage
        });
    }

    /// Give up what is in play.
    pub fn forfeit(&self) {
        self.0.send_replace(Stage::Forfeiting);
    }
}

impl Fleet {
    /// Puts all hands to work on a run that is open. What an earlier life of theirs had begun comes first.
    ///
    /// # Errors
    /// When the server cannot be reached, or the run cannot be read.
    pub async fn start(counter: Counter, settings: FleetSettings) -> Result<Self, FleetError> {
        Self::start_with(counter, settings, Brake::default()).await
    }

    /// The same, with a brake that others may have pulled already: then only what was begun is finished.
    ///
    /// # Errors
    /// As for [`Self::start`].
    pub async fn start_with(
        counter: Counter,
        settings: FleetSettings,
        brake: Brake,
    ) -> Result<Self, FleetError> {
        let view = give_back(counter.view().await?, &counter, &settings.workers).await?;
        let (earlier, staged) = (Earlier::of(&view, &settings)?, brake.0.subscribe());
        let sessions = connect(&view.plan, &settings, &earlier, &staged).await?;
        Self::man(counter, settings, brake, earlier, sessions)
    }

    /// Opens a run, or goes on with it, and plays. A run that was not there before is opened only when all accounts
    /// are on the server: a mistyped address or password leaves no run behind that could be played nowhere else.
    ///
    /// # Errors
    /// As for [`Self::start`], and when the run was opened with another plan.
    pub async fn open(
        counter: Counter,
        plan: Plan,
        settings: FleetSettings,
        brake: Brake,
    ) -> Result<Self, FleetError> {
        if counter.plan().await?.is_some() {
            counter.open(plan, limits::CLAIM_TTL, crate::RETENTION).await?;
            return Self::start_with(counter, settings, brake).await;
        }
        let (earlier, staged) = (Earlier::none(&plan.mode, &settings), brake.0.subscribe());
        let sessions = connect(&plan, &settings, &earlier, &staged).await?;
        counter.open(plan, limits::CLAIM_TTL, crate::RETENTION).await?;
        Self::man(counter, settings, brake, earlier, sessions)
    }

    /// Gives every worker its session and what was begun there.
    fn man(
        counter: Counter,
        settings: FleetSettings,
        brake: Brake,
        mut earlier: Earlier,
        sessions: Sessions,
    ) -> Result<Self, FleetError> {
        let logs = Logs::new(settings.folder.clone());
        settings.workers.iter().try_for_each(|worker| logs.judge(worker))?;
        let tracker = Arc::new(Tracker::default());
        let all: Arc<[Session]> = sessions.counted.iter().cloned().collect();
        let (mut hands, mut partners) = (JoinSet::new(), JoinSet::new());
        for (number, name) in settings.workers.iter().enumerate() {
            let seat = number % sessions.counted.len();
            let session = sessions.counted[seat].clone();
            let left = (settings.workers.len() - number).div_ceil(sessions.counted.len());
            let begun = earlier.take(session.me(), left);
            let team = settings.teams.get(number % settings.teams.len().max(1)).cloned();
            let hand = Hand {
                name: name.clone(),
                counter: counter.clone(),
                session,
                sessions: Arc::clone(&all),
                doubts: earlier.doubts.clone(),
                team: team.clone(),
                playing: settings.playing.clone(),
                logs: logs.clone(),
                save: settings.save,
                tracker: Arc::clone(&tracker),
                stage: brake.0.subscribe(),
            };
            hands.spawn(hand.work(begun));
            if let Some(partner) = sessions.partners.get(seat) {
                let playing = settings.partner.as_ref().unwrap_or(&settings.playing).clone();
                partners.spawn(spar(partner.clone(), team, playing));
            }
        }
        let watcher = sessions.counted.into_iter().find(Session::is_watching);
        let watcher = watcher.map(|session| Watcher::new(session, &logs)).transpose()?;
        Ok(Self { counter, logs, tracker, brake, hands, partners, watcher })
    }

    /// Tells it to end.
    #[must_use]
    pub fn brake(&self) -> Brake {
        self.brake.clone()
    }

    /// What it is doing.
    #[must_use]
    pub fn tracker(&self) -> Arc<Tracker> {
        Arc::clone(&self.tracker)
    }

    /// Returns when all hands are done: the target is reached, or the fleet has drained.
    ///
    /// # Errors
    /// The first that kept a hand from going on; the others go on until they are done.
    pub async fn ended(mut self) -> Result<Report, FleetError> {
        let (mut trouble, mut news) = (None, self.tracker.news());
        loop {
            let done = tokio::select! {
                Ok(()) = news.changed(), if self.watcher.is_some() => {
                    // A full disk may have room at the end.
                    if let Err(error) = self.keep_unread() {
                        tracing::warn!(%error, "how much could not be read cannot be kept yet");
                    }
                    continue;
                }
                done = self.hands.join_next() => match done {
                    Some(done) => done,
                    None => break,
                },
                Some(done) = self.partners.join_next() => done,
            };
            if let Err(error) = done.map_err(FleetError::from).flatten() {
                tracing::error!(%error, "a worker stops");
                trouble.get_or_insert(error);
                self.brake.drain();
            }
        }
        if let Some(error) = trouble {
            return Err(error);
        }
        self.keep_unread()?;
        let view = self.counter.view().await?;
        Ok(Report::of(self.counter.run().as_str(), &view, &self.logs)?)
    }

    fn keep_unread(&mut self) -> io::Result<()> {
        self.watcher.as_mut().map_or(Ok(()), |watcher| watcher.keep(&self.logs))
    }
}

/// The accounts' sessions.
#[derive(Default)]
struct Sessions {
    counted: Vec<Session>,
    /// The other sides of a bot that plays against itself, in the same order; else none.
    partners: Vec<Session>,
}

async fn connect(
    plan: &Plan,
    settings: &FleetSettings,
    earlier: &Earlier,
    stage: &watch::Receiver<Stage>,
) -> Result<Sessions, FleetError> {
    let session = |account: &Account, matching: Match, known: Vec<String>, stage| {
        let settings = SessionSettings {
            url: settings.server.as_ref().unwrap_or(&plan.server).clone(),
            account: account.clone(),
            format: plan.format.clone(),
            matching,
        };
        Session::start(settings, known, stage)
    };
    let matching = match &plan.mode {
        Mode::Ladder => Match::Ladder,
        Mode::Challenge(user) => Match::Challenge(user.clone()),
        Mode::Accept(user) => Match::Accept(user.clone()),
        Mode::SelfPlay => {
            let (pairs, []) = settings.accounts.as_chunks::<2>() else {
                return Err(FleetError::NoPairs);
            };
            let mut sessions = Sessions::default();
            for (number, [one, two]) in pairs.iter().enumerate() {
                let [mine, theirs] = pairing(number, one, two).ok_or(FleetError::NoPairs)?;
                let counted = session(one, mine, earlier.of_account(one), stage.clone()).await?;
                sessions.counted.push(counted);
                // Its battles of an earlier life come to whoever searches.
                let partner = session(two, theirs, Vec::new(), patient(stage.clone())).await?;
                sessions.partners.push(partner);
            }
            return Ok(sessions);
        }
        Mode::Tournament(room) => {
            let id = room_id(room).ok_or_else(|| FleetError::NoRoom(room.clone()))?;
            Match::Tournament(id)
        }
        Mode::Watch(pair) => {
            let found = earlier.found.clone();
            let matching = Match::Watch { pair: pair.each_ref().map(|name| id(name)), found };
            let account = settings.accounts.first().unwrap_or(&Account::Guest);
            let known = earlier.rooms(&id(&pair[0]));
            let counted = vec![session(account, matching, known, stage.clone()).await?];
            return Ok(Sessions { counted, partners: Vec::new() });
        }
    };
    let mut counted = Vec::new();
    for account in &settings.accounts {
        let rooms = earlier.of_account(account);
        counted.push(session(account, matching.clone(), rooms, stage.clone()).await?);
    }
    Ok(Sessions { counted, partners: Vec::new() })
}

/// The same stages for those who never give up, so that a fleet that does loses, and does not win by its other self.
fn patient(mut stage: watch::Receiver<Stage>) -> watch::Receiver<Stage> {
    let (told, patient) = watch::channel(Stage::Playing);
    tokio::spawn(async move {
        if stage.wait_for(|stage| *stage > Stage::Playing).await.is_ok() {
            told.send_replace(Stage::Draining);
        }
        // Who is told nothing more ends, as the fleet does.
        while stage.changed().await.is_ok() {}
    });
    patient
}

/// How the two of a pair find each other. Who challenges is the server's first player, so they take turns.
fn pairing(number: usize, one: &Account, two: &Account) -> Option<[Match; 2]> {
    let [one, two] = [one.name()?.to_owned(), two.name()?.to_owned()];
    Some(match number % 2 {
        0 => [Match::Challenge(two), Match::Accept(Some(one))],
        _ => [Match::Accept(Some(two)), Match::Challenge(one)],
    })
}
