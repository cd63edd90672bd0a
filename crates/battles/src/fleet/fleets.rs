//! The fleets of a process, for its pages: what they are doing, where their logs are, and how far their counts
//! are from these.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use interlock_kernel::ids::Key;

use super::{
    Tracker,
    logs::{self, Logs, Recount},
};
use crate::domain::run::RunView;

/// How long a recount is good for: it reads every log of its run.
const RECOUNT_EVERY: Duration = Duration::from_secs(10);

/// The fleets of a process. Clones are the same.
#[derive(Debug, Clone)]
pub struct Fleets(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    known: Mutex<BTreeMap<Key, Known>>,
}

#[derive(Debug, Default)]
struct Known {
    tracker: Option<Arc<Tracker>>,
    /// When the logs were counted, how many battles the run had finished then, and what they said.
    recounted: Option<(Instant, u64, Recount)>,
}

impl Fleets {
    /// Fleets whose logs are in this data folder.
    #[must_use]
    pub fn new(data: &std::path::Path) -> Self {
        let folder = data.join("battles");
        Self(Arc::new(Shared { folder, known: Mutex::default() }))
    }

    /// Where the logs of a run are.
    #[must_use]
    pub fn folder(&self, run: &Key) -> PathBuf {
        self.0.folder.join(run.as_str())
    }

    /// A fleet plays for this run.
    pub fn add(&self, run: &Key, tracker: Arc<Tracker>) {
        self.lock().entry(run.clone()).or_default().tracker = Some(tracker);
    }

    /// What the fleet of this run is doing, if it is one of this process.
    #[must_use]
    pub fn tracker(&self, run: &Key) -> Option<Arc<Tracker>> {
        self.lock().get(run).and_then(|known| known.tracker.clone())
    }

    /// How far a run's counts are from its logs here, recounted now and then. Blocks while it reads.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub fn drift(&self, run: &Key, view: &RunView) -> io::Result<u64> {
        let finished = view.total.finished();
        if let Some((at, of, recount)) = self.lock().get(run).and_then(|it| it.recounted.as_ref())
            // A battle that ended since is in both, or will be: what is stale is not judged.
            && at.elapsed() < RECOUNT_EVERY && *of == finished
        {
            return Ok(logs::drift(view, recount));
        }
        let recount = Logs::new(self.folder(run)).recount()?;
        let drift = logs::drift(view, &recount);
        let recounted = Some((Instant::now(), finished, recount));
        self.lock().entry(run.clone()).or_default().recounted = recounted;
        Ok(drift)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Known>> {
        self.0.known.lock().expect("no code panics while it holds what is known")
    }
}
