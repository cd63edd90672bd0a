//! What others have left in doubt, and which of a fleet's hands has what in hand.
//!
//! A battle is in doubt when whoever began it has given no sign of life for as long as a claim lasts. Whoever has
//! nothing left to claim takes up such battles, one after the other, until none is in doubt that can be settled: so a
//! run ends though workers of it never come back. The battle counts for the worker that had begun it:
//!
//! - of an account of this fleet, it is played to its end;
//! - of another's account, its room is entered, and what the server says is counted;
//! - if the room is gone, a log that is kept here says how it ended. Without one it is void, at once if this machine
//!   would have the log, else after [`limits::DOUBT`]: until then, whoever has it may come back.
//!
//! A battle that is taken up is renewed, and so claimed again for all other machines. Two that take up one at the same
//! moment see the same end, and it counts once. Within a fleet each battle is in one hand.
//!
//! What holds by how opponents are found:
//! - Ladder, challenges and tournaments: as above. Nobody moves for a player that has vanished; the timer, which every
//!   player of ours turns on, ends its battle.
//! - Self-play: both sides are of one fleet. If it is of this one, both play on; else the timer ends it.
//! - A match is such a run, whatever it plays, or it watches.
//! - Battles that are watched: whoever watches the same two enters the room and reads the end there.
//! - Machines that joined look at the run over its API, and take up what any other has left; and so does its home.
//! - Shares: what is left of the share of a worker that never comes back is nobody else's, until it is retired.
//!
//! Who drains takes nothing up, and leaves what it only looks at.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
};

use interlock_kernel::quota::ClaimId;
use tokio::time::Instant;

use super::worker::Begun;
use crate::{
    domain::run::{LiveBattle, Room, RunView},
    limits,
};

/// What a fleet knows of it. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Doubts(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    held: BTreeSet<Matter>,
    /// Battles whose room was asked for in vain.
    gone: BTreeSet<ClaimId>,
    /// When to look again; until then, what was seen is good enough.
    look: Option<Instant>,
    /// Whether something was in doubt that nobody here had in hand.
    is_any: bool,
}

/// What one hand of a fleet has in hand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Matter {
    Battle(ClaimId),
    /// Where it sits. A restarted server may have given the room's name to another battle.
    Room(String),
}

/// No other hand of the fleet has it while this lives.
pub(super) struct Held {
    matters: Vec<Matter>,
    doubts: Doubts,
}

impl Doubts {
    /// Takes a claim in hand; `None`: somebody here has it already.
    pub(super) fn hold(&self, claim: ClaimId) -> Option<Held> {
        self.hold_all(vec![Matter::Battle(claim)])
    }

    /// The same for a room.
    pub(super) fn sit_in(&self, room: &str) -> Option<Held> {
        self.hold_all(vec![Matter::Room(room.to_owned())])
    }

    /// The same for a battle that has begun: for both.
    pub(super) fn hold_begun(&self, claim: ClaimId, room: &str) -> Option<Held> {
        self.hold_all(vec![Matter::Battle(claim), Matter::Room(room.to_owned())])
    }

    fn hold_all(&self, matters: Vec<Matter>) -> Option<Held> {
        let mut known = self.lock();
        if matters.iter().any(|matter| known.held.contains(matter)) {
            return None;
        }
        known.held.extend(matters.iter().cloned());
        Some(Held { matters, doubts: self.clone() })
    }

    /// Whether it is time to look. Whoever asks and hears yes looks for all.
    pub(super) fn is_time(&self) -> bool {
        let (mut known, now) = (self.lock(), Instant::now());
        let is_time = known.look.is_none_or(|look| look <= now);
        if is_time {
            known.look = Some(now + limits::LOOK_FOR_DOUBTS);
        }
        is_time
    }

    /// Whether something was in doubt, at the last look, that nobody here had in hand.
    pub(super) fn is_any(&self) -> bool {
        self.lock().is_any
    }

    /// Takes one battle in hand that is in doubt and may be settled now.
    pub(super) fn take_up(&self, view: &RunView) -> Option<Begun> {
        let mut known = self.lock();
        let is_held = |it: &&LiveBattle| {
            let in_room = |room: &Room| known.held.contains(&Matter::Room(room.id.clone()));
            known.held.contains(&Matter::Battle(it.claim)) || it.room.as_ref().is_some_and(in_room)
        };
        let free: Vec<&LiveBattle> =
            view.live.iter().filter(|it| it.in_doubt_ms.is_some() && !is_held(it)).collect();
        known.is_any = !free.is_empty();
        known.gone.retain(|claim| free.iter().any(|it| it.claim == *claim));
        let is_due = |it: &&&LiveBattle| {
            let is_old = it.in_doubt_ms.is_some_and(|span| span.as_duration() >= limits::DOUBT);
            is_old || !known.gone.contains(&it.claim)
        };
        let due = free.iter().find(is_due).copied();
        drop(known);
        due.and_then(|battle| Begun::of(battle, self))
    }

    /// The room of a battle is not there, and nobody here knows how it ended.
    pub(super) fn note_gone(&self, claim: ClaimId) {
        self.lock().gone.insert(claim);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().expect("no code panics while it holds what is known")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut known = self.doubts.lock();
        self.matters.iter().for_each(|matter| _ = known.held.remove(matter));
    }
}
