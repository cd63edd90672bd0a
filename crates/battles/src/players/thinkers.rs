//! The threads on which bots think: as many as there are cores, shared by all battles.
//!
//! Whoever must answer first is served first; those with the same deadline in the order in which they came. When
//! more wait than can be served in time, everybody gets less time rather than some of them none: a search is
//! told how long it may take when its turn comes.
//!
//! A search that panics is its battle's own trouble; one whose battle has gone is not begun.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

/// The threads, and who waits for one. Dropped, they end what they are at and go.
pub struct Thinkers {
    line: Arc<Line>,
}

/// The search did not come to an end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the search broke down")]
pub struct BrokeDown;

type Search = Box<dyn FnOnce(Duration) + Send>;

struct Waiting {
    /// The longest that it wants.
    wants: Duration,
    search: Search,
    /// Whether anybody waits for its result.
    is_wanted: Box<dyn Fn() -> bool + Send>,
}

struct Line {
    threads: NonZeroUsize,
    waiting: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// By deadline, then in the order of arrival.
    waiting: BTreeMap<(Instant, u64), Waiting>,
    arrived: u64,
    is_over: bool,
}

impl Thinkers {
    /// So many threads.
    #[must_use]
    pub fn new(threads: NonZeroUsize) -> Self {
        let line = Line { threads, waiting: Mutex::default(), changed: Condvar::new() };
        let line = Arc::new(line);
        for number in 0..threads.get() {
            let line = Arc::clone(&line);
            let named = thread::Builder::new().name(format!("search-{number}"));
            named.spawn(move || line.serve()).expect("the machine has room for a thread a core");
        }
        Self { line }
    }

    /// A thread for each core.
    #[must_use]
    pub fn on_all_cores() -> Self {
        Self::new(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// Thinkers for at most `wants`, and has the result by the deadline unless there is no way to.
    ///
    /// # Errors
    /// If the search panics.
    pub async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        wants: Duration,
        search: impl FnOnce(Duration) -> T + Send + 'static,
    ) -> Result<T, BrokeDown> {
        let (sender, receiver) = oneshot::channel();
        let sender = Arc::new(Mutex::new(Some(sender)));
        let watched = Arc::clone(&sender);
        let is_wanted = move || lock(&watched).as_ref().is_some_and(|sender| !sender.is_closed());
        let search = move |time: Duration| {
            let found = catch_unwind(AssertUnwindSafe(|| search(time)));
            let sender = lock(&sender).take().expect("a search runs once");
            // Whoever asked may have gone.
            let _ = sender.send(found.map_err(|_| BrokeDown));
        };
        let is_wanted = Box::new(is_wanted);
        self.line.join(deadline, Waiting { wants, search: Box::new(search), is_wanted });
        receiver.await.unwrap_or(Err(BrokeDown))
    }
}

impl Drop for Thinkers {
    fn drop(&mut self) {
        self.line.lock().is_over = true;
        self.line.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code panics while it holds the lock")
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.waiting)
    }

    fn join(&self, deadline: Instant, waiting: Waiting) {
        let mut state = self.lock();
        state.arrived += 1;
        let place = (deadline, state.arrived);
        state.waiting.insert(place, waiting);
        drop(state);
        self.changed.notify_one();
    }

    fn serve(&self) {
        let mut state = self.lock();
        loop {
            if state.is_over {
                return;
            }
            let Some(((deadline, _), next)) = state.waiting.pop_first() else {
                state = self.changed.wait(state).expect("no code panics while it holds the lock");
                continue;
            };
            let behind = state.waiting.len();
            drop(state);
            if (next.is_wanted)() {
                (next.search)(self.share(deadline, behind).min(next.wants));
            }
            state = self.lock();
        }
    }

    /// The time until the deadline, shared among those who wait.
    fn share(&self, deadline: Instant, behind: usize) -> Duration {
        let left = deadline.saturating_duration_since(Instant::now());
        let threads = u32::try_from(self.threads.get()).unwrap_or(u32::MAX);
        let rounds = u32::try_from(behind + 1).unwrap_or(u32::MAX).div_ceil(threads);
        left / rounds
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const ONE: NonZeroUsize = NonZeroUsize::MIN;

    fn at(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    /// Keeps the only thread busy until it is let go.
    fn occupied(
        thinkers: &Thinkers,
    ) -> (impl Future<Output = Result<(), BrokeDown>>, mpsc::Sender<()>) {
        let (go, wait) = mpsc::channel();
        let busy = thinkers.run(at(0), Duration::ZERO, move |_| wait.recv().expect("it is let go"));
        (busy, go)
    }

    #[tokio::test]
    async fn whoever_must_answer_first_is_served_first() {
        let thinkers = Thinkers::new(ONE);
        let (busy, go) = occupied(&thinkers);
        let (sender, served) = mpsc::channel();
        let search = |name: &'static str, seconds| {
            let sender = sender.clone();
            thinkers
                .run(at(seconds), Duration::ZERO, move |_| sender.send(name).expect("read below"))
        };
        let all =
            async { tokio::join!(search("late", 90), search("soon", 30), search("later", 120)) };
        let free = async { go.send(()).expect("it waits") };
        let (busy, (), all) =
            tokio::join!(biased; busy, async { tokio::task::yield_now().await; free.await }, all);
        assert_eq!((busy, all), (Ok(()), (Ok(()), Ok(()), Ok(()))));
        assert_eq!(served.try_iter().collect::<Vec<_>>(), ["soon", "late", "later"]);
    }

    #[tokio::test]
    async fn a_search_that_panics_disturbs_nobody() {
        let thinkers = Thinkers::new(ONE);
        let broken = thinkers.run(at(9), Duration::ZERO, |_| -> u8 { panic!("on purpose") });
        assert_eq!(broken.await, Err(BrokeDown));
        assert_eq!(thinkers.run(at(9), Duration::ZERO, |_| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_search_that_nobody_waits_for_is_not_begun() {
        let thinkers = Thinkers::new(ONE);
        let (busy, go) = occupied(&thinkers);
        let (sender, begun) = mpsc::channel();
        let mut gone = Box::pin(thinkers.run(at(9), Duration::ZERO, move |_| sender.send(())));
        let mut busy = Box::pin(busy);
        tokio::select! {
            biased;
            _ = &mut busy => unreachable!("it is kept busy"),
            _ = &mut gone => unreachable!("the only thread is busy"),
            () = async {} => {}
        }
        drop(gone);
        go.send(()).unwrap();
        busy.await.unwrap();
        assert_eq!(thinkers.run(at(9), Duration::ZERO, |_| 7).await, Ok(7));
        assert!(begun.try_recv().is_err(), "it was begun");
    }

    #[test]
    fn the_time_that_is_left_is_shared_among_those_who_wait() {
        let line = Line {
            threads: NonZeroUsize::new(2).unwrap(),
            waiting: Mutex::default(),
            changed: Condvar::new(),
        };
        let alone = line.share(at(30), 0);
        let crowded = line.share(at(30), 9);
        assert!(alone > Duration::from_secs(29) && alone <= Duration::from_secs(30));
        assert!(crowded > Duration::from_millis(5_900) && crowded <= Duration::from_secs(6));
        assert_eq!(line.share(Instant::now(), 9), Duration::ZERO);
    }
}
