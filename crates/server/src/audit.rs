//! The audit of this very program, run when somebody asks for it on its page.
//!
//! It is some seconds of one core, on a thread of its own, and touches nothing of what the server keeps: it
//! plays in simulated worlds. Its results stay until the next one, or the server's end.

use std::sync::{Arc, Mutex, MutexGuard};

use interlock_audit::{
    cases, own,
    report::{Effort, Line, OwnLine, Report},
};
use tokio::{sync::watch, task::spawn_blocking};
use tracing::subscriber::NoSubscriber;

/// The audit, its last results, and whoever waits for more of them.
#[derive(Default)]
pub struct Audit {
    results: Mutex<Results>,
    /// Counts what there is to see.
    news: watch::Sender<u64>,
}

/// What an audit has come to so far.
#[derive(Debug, Clone, Default)]
pub struct Results {
    /// One for each race, as far as it has come.
    pub lines: Vec<Arc<Line>>,
    /// One for each promise of Interlock's own, as far as it has come.
    pub own: Vec<Arc<OwnLine>>,
    /// Whether there are more to come.
    pub is_running: bool,
    /// How long it took, once it is over.
    pub seconds: Option<f64>,
}

impl Results {
    /// How many races and promises there are.
    #[must_use]
    pub fn scenarios() -> usize {
        cases::all().count() + own::all().count()
    }
}

impl Audit {
    /// What it has come to.
    #[must_use]
    pub fn results(&self) -> Results {
        self.lock().clone()
    }

    /// Changes whenever there is something new to see.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Runs it on a thread of its own, unless it runs already; ends early once `stopping` is true.
    pub fn run(self: &Arc<Self>, stopping: watch::Receiver<bool>) {
        {
            let mut results = self.lock();
            if results.is_running {
                return;
            }
            *results = Results { is_running: true, ..Results::default() };
        }
        self.tell();
        let audit = Running(Arc::clone(self));
        spawn_blocking(move || {
            // What goes wrong in simulated worlds is no news of this server.
            let _silence = tracing::subscriber::set_default(NoSubscriber::default());
            let cases = cases::all().take_while(|_| !*stopping.borrow());
            let promises = own::all().take_while(|_| !*stopping.borrow());
            let report = Report::of(cases, Effort::default(), |line| {
                audit.0.lock().lines.push(Arc::new(line.clone()));
                audit.0.tell();
            });
            let report = report.and_own(promises, Effort::default(), |line| {
                audit.0.lock().own.push(Arc::new(line.clone()));
                audit.0.tell();
            });
            audit.0.lock().seconds = Some(report.seconds);
        });
    }

    fn tell(&self) {
        self.news.send_modify(|news| *news += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Results> {
        self.results.lock().expect("nothing panics while it holds the results")
    }
}

/// An audit that runs; however it ends, it runs no more.
struct Running(Arc<Audit>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lock().is_running = false;
        self.0.tell();
    }
}
