//! The streams that are being carried, all under one lock: who joins, who leaves, who gives way.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use interlock_kernel::{ids::Member, pool::LeaseId};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

use super::{PlayError, Shared, line::Line, stream_name};
use crate::io::{
    engine::StreamKey,
    hub::{Feed, Hub, hub},
};

/// The streams that are being carried, by their key.
#[derive(Default)]
pub(super) struct Streams {
    pub(super) live: BTreeMap<String, Arc<Live>>,
    /// Slots whose use this process began, until their end is committed: what the drift gauge holds the
    /// pool against.
    pub(super) held: BTreeMap<LeaseId, Slot>,
    /// Those who wait for a slot.
    pub(super) line: Line,
    /// Carriers that are not done.
    pub(super) carriers: usize,
    pub(super) stopping: bool,
}

/// A slot in use.
pub(super) struct Slot {
    pub(super) engine: Member,
    pub(super) live: Arc<Live>,
}

/// A stream that is being carried.
pub(super) struct Live {
    pub(super) name: String,
    pub(super) key: StreamKey,
    pub(super) hub: Hub,
    pub(super) phase: watch::Sender<Phase>,
    /// When its last player left, if it flows without any.
    pub(super) unwatched_since: Mutex<Option<Instant>>,
    /// It was asked to end, since nobody watches it. Only changed under the lock on all streams.
    pub(super) asked: AtomicBool,
    /// Rings when it is asked.
    pub(super) give_way: Notify,
    /// How long its players wait for it: the latest deadline of them all.
    deadline: Mutex<Instant>,
}

#[derive(Debug, Clone)]
pub(super) enum Phase {
    Starting,
    Flowing { engine: Member, stat_url: String },
    Failed(PlayError),
}

impl Live {
    /// A stream that is to begin, and the feed of its hub.
    pub(super) fn new(key: &StreamKey, deadline: Instant) -> (Self, Feed) {
        let (feed, hub) = hub();
        let live = Self {
            name: stream_name(key),
            key: key.clone(),
            hub,
            phase: watch::Sender::new(Phase::Starting),
            unwatched_since: Mutex::new(None),
            asked: AtomicBool::new(false),
            give_way: Notify::new(),
            deadline: Mutex::new(deadline),
        };
        (live, feed)
    }

    pub(super) fn is_unwatched(&self) -> bool {
        *self.hub.players().borrow() == 0
    }

    /// Somebody joined who waits so long.
    pub(super) fn goes_on_until(&self, deadline: Instant) {
        let mut latest = self.deadline.lock().expect("held for a moment only");
        *latest = deadline.max(*latest);
    }

    pub(super) fn is_out_of_time(&self) -> bool {
        *self.deadline.lock().expect("held for a moment only") <= Instant::now()
    }

    /// Returns when nobody's time goes on.
    pub(super) async fn out_of_time(&self) {
        while !self.is_out_of_time() {
            let deadline = *self.deadline.lock().expect("held for a moment only");
            sleep_until(deadline).await;
        }
    }

    /// In which order streams that nobody watches give way: those that are about to, then the longest
    /// unwatched, then starts that nobody waits for, which end when their engines answer.
    fn turn_to_go(&self) -> impl Ord + use<> {
        let since = *self.unwatched_since.lock().expect("held for a moment only");
        (since.is_none(), !self.asked.load(Relaxed), since)
    }
}

impl Streams {
    /// From now on nobody joins this stream.
    pub(super) fn forget(&mut self, live: &Arc<Live>) {
        if self.live.get(&live.name).is_some_and(|known| Arc::ptr_eq(known, live)) {
            self.live.remove(&live.name);
        }
    }

    /// The slots of streams that nobody watches, in the order in which they give way.
    pub(super) fn unwatched(&self) -> Vec<LeaseId> {
        let unwatched = self.held.iter().filter(|(_, slot)| slot.live.is_unwatched());
        let mut unwatched: Vec<_> =
            unwatched.map(|(lease, slot)| (slot.live.turn_to_go(), *lease)).collect();
        unwatched.sort();
        unwatched.into_iter().map(|(_, lease)| lease).collect()
    }

    /// Asks the stream that has this slot to end, unless somebody watches it.
    pub(super) fn ask_to_give_way(&self, lease: LeaseId) {
        let slot = self.held.get(&lease).filter(|slot| slot.live.is_unwatched());
        if let Some(Slot { live, .. }) = slot
            && !live.asked.swap(true, Relaxed)
        {
            live.give_way.notify_one();
        }
    }
}

impl Shared {
    /// From now on nobody joins this stream, if nobody watches it.
    pub(super) fn leave_if_unwatched(&self, live: &Arc<Live>) -> bool {
        let mut streams = self.streams();
        let unwatched = live.is_unwatched();
        if unwatched {
            streams.forget(live);
        }
        unwatched
    }

    /// The same, if it was asked to end besides.
    pub(super) fn leave_if_asked(&self, live: &Arc<Live>) -> bool {
        let mut streams = self.streams();
        let leaves = live.is_unwatched() && live.asked.load(Relaxed);
        if leaves {
            streams.forget(live);
        }
        leaves
    }
}
