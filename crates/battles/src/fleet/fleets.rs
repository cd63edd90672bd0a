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

use super::{Tracker, logs::Logs};
use crate::domain::{log, run::Tally};

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
    /// When, and what, the logs were counted.
    recounted: Option<(Instant, Tally)>,
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

    /// How far a run's counts are from its logs, recounted now and then. Blocks while it reads.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub fn drift(&self, run: &Key, counted: Tally) -> io::Result<u64> {
        let known = self.lock().get(run).and_then(|known| known.recounted);
        let fresh = known.filter(|(at, _)| at.elapsed() < RECOUNT_EVERY);
        // A battle that ended since is in both, or will be: what is stale is not judged.
        if let Some((_, logged)) =
            fresh.filter(|(_, logged)| logged.finished() == counted.finished())
        {
            return Ok(log::drift(counted, logged));
        }
        let logged = Logs::new(self.folder(run)).recount()?;
        self.lock().entry(run.clone()).or_default().recounted = Some((Instant::now(), logged));
        Ok(log::drift(counted, logged))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Known>> {
        self.0.known.lock().expect("no code panics while it holds what is known")
    }
}
