//! The fleets of a process: what they are doing, where their logs are, and how far their counts are from these.
//!
//! A fleet is either the process's own (`interlock battles run`) or hosted for somebody who asked over HTTP or on a
//! page; see [`host`](super::host). Here they meet: each run has at most one of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

use interlock_kernel::ids::Key;
use tokio::sync::{self, Notify, watch};

use super::{
    Brake, Tracker,
    logs::{self, Logs, Recount},
};
use crate::{domain::run::RunView, io::Password, limits, players::Thinkers};

/// The fleets of a process. Clones are the same.
#[derive(Clone)]
pub struct Fleets(Arc<Shared>);

struct Shared {
    folder: PathBuf,
    known: Mutex<BTreeMap<Key, Known>>,
    /// The threads of all hosted fleets: they share the cores.
    thinkers: OnceLock<Arc<Thinkers>>,
    /// Runs whose fleet somebody should look at.
    rung: Mutex<BTreeSet<Key>>,
    bell: Notify,
    hosting: AtomicBool,
    /// Held from before a fleet is started until its password is here.
    passwords: sync::Mutex<()>,
    /// Counts starts, ends and troubles.
    news: watch::Sender<u64>,
}

#[derive(Default)]
struct Known {
    tracker: Option<Arc<Tracker>>,
    /// That of the process's own fleet.
    own: Option<Brake>,
    /// What hosted fleets prove their names with, if they were told here.
    password: Option<Password>,
    /// Why a hosted fleet does not play yet.
    trouble: Option<String>,
    /// When the logs were counted, what the run had counted then, and what they said.
    recounted: Option<(Instant, Counted, Recount)>,
}

/// How many battles a run has finished, and how many of all were settled by others than who began them.
type Counted = (u64, usize);

/// What the logs here say about a run's counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drift {
    /// How far the counts are from them: 0.
    pub battles: u64,
    /// How many battles count that are judged on other machines, whose workers played them.
    pub elsewhere: u64,
}

impl Drift {
    fn of(view: &RunView, recount: &Recount) -> Self {
        Self { battles: logs::drift(view, recount), elsewhere: logs::elsewhere(view, recount) }
    }
}

impl Fleets {
    /// Fleets whose logs are in this data folder.
    #[must_use]
    pub fn new(data: &std::path::Path) -> Self {
        Self(Arc::new(Shared {
            folder: data.join("battles"),
            known: Mutex::default(),
            thinkers: OnceLock::new(),
            rung: Mutex::default(),
            bell: Notify::new(),
            hosting: AtomicBool::new(false),
            passwords: sync::Mutex::default(),
            news: watch::Sender::new(0),
        }))
    }

    /// Where the logs of a run are.
    #[must_use]
    pub fn folder(&self, run: &Key) -> PathBuf {
        self.0.folder.join(run.as_str())
    }

    /// The process plays for this run by itself, with this brake: no fleet is hosted for it.
    pub fn add_own(&self, run: &Key, brake: Brake) {
        self.with(run, |known| known.own = Some(brake));
    }

    /// The brake of the process's own fleet, if it plays for this run.
    #[must_use]
    pub fn own(&self, run: &Key) -> Option<Brake> {
        self.lock().get(run).and_then(|known| known.own.clone())
    }

    /// What the fleet of this run is doing, if it is one of this process.
    #[must_use]
    pub fn tracker(&self, run: &Key) -> Option<Arc<Tracker>> {
        self.lock().get(run).and_then(|known| known.tracker.clone())
    }

    /// Why a hosted fleet does not play yet, if it has any trouble.
    #[must_use]
    pub fn trouble(&self, run: &Key) -> Option<String> {
        self.lock().get(run).and_then(|known| known.trouble.clone())
    }

    /// Changes when a fleet starts or ends here, or is in trouble.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<u64> {
        self.0.news.subscribe()
    }

    /// Remembers the password of this run's accounts, until the process ends. No other place has it.
    pub fn confide(&self, run: &Key, password: Password) {
        self.with(run, |known| known.password = Some(password));
    }

    /// Waits until every fleet that was started has its password here; none is added meanwhile.
    pub(crate) async fn passwords(&self) -> sync::MutexGuard<'_, ()> {
        self.0.passwords.lock().await
    }

    pub(crate) fn password(&self, run: &Key) -> Option<Password> {
        self.lock().get(run).and_then(|known| known.password.clone())
    }

    /// The fleet of this run plays, or plays no more.
    pub fn note(&self, run: &Key, tracker: Option<Arc<Tracker>>) {
        self.with(run, |known| (known.tracker, known.trouble) = (tracker, None));
    }

    pub(super) fn note_trouble(&self, run: &Key, trouble: String) {
        self.with(run, |known| known.trouble = Some(trouble));
    }

    pub(super) fn thinkers(&self) -> &Arc<Thinkers> {
        self.0.thinkers.get_or_init(|| Arc::new(Thinkers::on_all_cores()))
    }

    /// Whether fleets are hosted here: see [`Host`](super::host::Host).
    #[must_use]
    pub fn is_hosting(&self) -> bool {
        self.0.hosting.load(Relaxed)
    }

    pub(crate) fn set_hosting(&self, hosting: bool) {
        self.0.hosting.store(hosting, Relaxed);
    }

    /// Somebody should look at this run's fleet.
    pub(crate) fn ring(&self, run: &Key) {
        self.rung_runs().insert(run.clone());
        self.0.bell.notify_one();
    }

    /// A run whose fleet is to be looked at, as soon as there is one.
    pub async fn rung(&self) -> Key {
        loop {
            if let Some(run) = self.rung_runs().pop_first() {
                return run;
            }
            self.0.bell.notified().await;
        }
    }

    /// How far a run's counts are from its logs here, recounted now and then. Blocks while it reads.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub fn drift(&self, run: &Key, view: &RunView) -> io::Result<Drift> {
        let counted = (view.total.finished(), view.taken_up.len());
        if let Some((at, of, recount)) = self.lock().get(run).and_then(|it| it.recounted.as_ref())
            // A battle that ended since is in both, or will be: what is stale is not judged.
            && at.elapsed() < limits::RECOUNT_EVERY && *of == counted
        {
            return Ok(Drift::of(view, recount));
        }
        let recount = Logs::new(self.folder(run)).recount(&view.taken_up)?;
        let drift = Drift::of(view, &recount);
        let recounted = Some((Instant::now(), counted, recount));
        self.lock().entry(run.clone()).or_default().recounted = recounted;
        Ok(drift)
    }

    fn with(&self, run: &Key, change: impl FnOnce(&mut Known)) {
        change(self.lock().entry(run.clone()).or_default());
        self.0.news.send_modify(|news| *news += 1);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Known>> {
        self.0.known.lock().expect("no code panics while it holds what is known")
    }

    fn rung_runs(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        self.0.rung.lock().expect("no code panics while it holds the runs")
    }
}
