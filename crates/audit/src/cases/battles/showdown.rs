//! What lasts outside of Interlock when battles are played: the Showdown server, and the logs that workers keep of
//! battles that are over.
//!
//! A battle goes on whoever comes and goes, its room is there until it is left, and whoever enters is told all of it.
//! Only a restart of the server ends it without an end; then rooms are named anew, from the first.

use std::collections::{BTreeMap, BTreeSet};

use interlock_battles::{
    domain::{
        log::{self, End},
        run::{Room, TakenUp},
    },
    fleet::logs::Recount,
};
use interlock_kernel::{ids::Worker, quota::ClaimId};

use crate::cases::parts::Shared;

/// How a battle ends, as the server says it: to be on the safe side, it says it twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Win,
    Loss,
    Tie,
    /// The player gives it up.
    Forfeit,
}

impl Fate {
    fn lines(self, player: &str) -> String {
        match self {
            Self::Win => format!("|win|{player}\n|win|{player}\n"),
            Self::Loss => "|win|rival\n|win|rival\n".to_owned(),
            Self::Tie => "|tie\n|tie\n".to_owned(),
            Self::Forfeit => format!("|-message|{player} forfeited.\n|win|rival\n"),
        }
    }
}

/// A clone is the same.
#[derive(Clone, Default)]
pub(crate) struct Showdown {
    server: Shared<Server>,
    logs: Shared<BTreeMap<LogName, Log>>,
}

#[derive(Default)]
struct Server {
    /// Since it started.
    battles: u32,
    /// Rooms that nobody has left, with what is said there.
    rooms: BTreeMap<String, Log>,
}

/// Whose machine keeps a log, and which battle it is of, as its file is called.
type LogName = (Worker, Worker, ClaimId, String);

/// Whose, and what was said.
#[derive(Clone)]
struct Log {
    player: String,
    text: String,
}

impl Log {
    fn end(&self) -> Option<End> {
        log::end(&self.text)
    }
}

impl Showdown {
    /// The server has found an opponent, and names the room.
    pub(crate) fn finds(&self, player: &str) -> Room {
        let mut server = self.server.lock();
        server.battles += 1;
        let id = format!("battle-gen9randombattle-{}", server.battles);
        let text = format!("|player|p1|{player}|\n|player|p2|rival|\n|start\n");
        server.rooms.insert(id.clone(), Log { player: player.to_owned(), text });
        Room { id, account: player.to_owned(), opponent: Some("rival".to_owned()) }
    }

    /// A battle comes to its end, if it has not yet, and this is its log. `None`: there is no such battle of this
    /// player any more.
    pub(crate) fn ends(&self, room: &Room, fate: Fate) -> Option<String> {
        let mut server = self.server.lock();
        let log = server.rooms.get_mut(&room.id).filter(|log| log.player == room.account)?;
        if log.end().is_none() {
            log.text.push_str(&fate.lines(&room.account));
        }
        Some(log.text.clone())
    }

    /// A player leaves a room for good.
    pub(crate) fn leave(&self, room: &Room) {
        let mut server = self.server.lock();
        if server.rooms.get(&room.id).is_some_and(|log| log.player == room.account) {
            server.rooms.remove(&room.id);
        }
    }

    /// The server loses all battles.
    pub(crate) fn restarts(&self) {
        *self.server.lock() = Server::default();
    }

    /// Whether this battle goes on, or its room is still there.
    pub(crate) fn has(&self, room: &Room) -> bool {
        let server = self.server.lock();
        server.rooms.get(&room.id).is_some_and(|log| log.player == room.account)
    }

    /// A machine keeps the log of a worker's battle.
    pub(crate) fn keep(
        &self,
        machine: &Worker,
        worker: &Worker,
        claim: ClaimId,
        room: &Room,
        text: String,
    ) {
        let log = Log { player: room.account.clone(), text };
        let name = (machine.clone(), worker.clone(), claim, room.id.clone());
        self.logs.lock().insert(name, log);
    }

    /// How a battle ended, if its log was kept there.
    pub(crate) fn kept(
        &self,
        machine: &Worker,
        worker: &Worker,
        claim: ClaimId,
        room: &Room,
    ) -> Option<End> {
        let name = (machine.clone(), worker.clone(), claim, room.id.clone());
        self.logs.lock().get(&name)?.end()
    }

    /// Counts all battles of a machine from its logs alone, but for those that others have settled.
    pub(crate) fn recount(&self, machine: &Worker, taken_up: &[TakenUp]) -> Recount {
        let mut recount = Recount::default();
        recount.workers.entry(machine.clone()).or_default();
        for ((keeper, worker, claim, _), log) in self.logs.lock().iter() {
            let outcome = log.end().expect("what is kept is over").outcome(&log.player);
            let is_taken_up = || taken_up.iter().any(|battle| battle.claim == *claim);
            if keeper != machine {
                continue;
            } else if worker != machine {
                recount.taken_up.insert(*claim, outcome);
            } else if is_taken_up() {
                recount.late.insert(*claim, outcome);
            } else {
                recount.add(worker, outcome);
            }
        }
        recount
    }

    /// Who keeps logs.
    pub(crate) fn machines(&self) -> BTreeSet<Worker> {
        self.logs.lock().keys().map(|(machine, ..)| machine.clone()).collect()
    }

    /// How many battles have a log.
    pub(crate) fn played(&self) -> u64 {
        let logs = self.logs.lock();
        logs.keys().map(|(_, _, claim, _)| claim).collect::<BTreeSet<_>>().len() as u64
    }
}
