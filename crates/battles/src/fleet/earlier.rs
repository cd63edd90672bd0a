//! What an earlier life of a fleet has left in its run: claims that never became battles, which are given back, and
//! battles that are played on.

use std::{collections::BTreeMap, io};

use interlock_kernel::ids::Worker;

use super::{
    FleetSettings,
    counter::{CountError, Counter, Why},
    doubts::Doubts,
    logs::Logs,
    worker::Begun,
};
use crate::{
    domain::{
        id::id,
        run::{LiveBattle, Mode, RunView},
    },
    io::Account,
};

/// Gives back what an earlier life of these workers had claimed and not begun, by the run as it was seen. Returns how
/// it stands. Other workers may be on other machines: what is theirs comes back, or is in doubt, without us.
pub(super) async fn give_back(
    mut view: RunView,
    counter: &Counter,
    workers: &[Worker],
) -> Result<RunView, CountError> {
    let is_claimed =
        |battle: &&LiveBattle| battle.room.is_none() && workers.contains(&battle.worker);
    'seen: loop {
        for battle in view.live.iter().filter(is_claimed) {
            match counter.give_back(battle.claim).await {
                // That life's last request was long on its way: there is a battle.
                Err(CountError::Refused { why: Why::Begun, .. }) => {
                    view = counter.view().await?;
                    continue 'seen;
                }
                given => given?,
            }
        }
        return Ok(view);
    }
}

/// What an earlier life had begun on these accounts: by account, since nobody else can play it.
pub(super) struct Earlier {
    begun: BTreeMap<String, Vec<Begun>>,
    /// The rooms of battles that are begun or over, where somebody may find them again.
    pub(super) found: Vec<String>,
    /// Who of the fleet has what in hand: these are in the hands to come.
    pub(super) doubts: Doubts,
}

impl Earlier {
    /// Of a run that is new.
    pub(super) fn none(mode: &Mode, settings: &FleetSettings) -> Self {
        let named = settings.accounts.iter().filter_map(Account::name);
        let players: Vec<String> = match mode {
            Mode::Watch([one, _]) => vec![id(one)],
            Mode::Ladder
            | Mode::Challenge(_)
            | Mode::Accept(_)
            | Mode::SelfPlay
            | Mode::Tournament(_) => named.map(id).collect(),
        };
        let begun = players.into_iter().map(|player| (player, Vec::new())).collect();
        Self { begun, found: Vec::new(), doubts: Doubts::default() }
    }

    /// Reads it from the run.
    pub(super) fn of(view: &RunView, settings: &FleetSettings) -> io::Result<Self> {
        let Self { mut begun, mut found, doubts } = Self::none(&view.plan.mode, settings);
        // Who watches might find them again, but for a server that is a new one each time, and numbers anew.
        if let (Mode::Watch(_), None) = (&view.plan.mode, &settings.server) {
            found = Logs::new(settings.folder.clone()).rooms()?;
            let rooms = view.live.iter().filter_map(|battle| battle.room.as_ref());
            found.extend(rooms.map(|room| room.id.clone()));
        }
        for battle in &view.live {
            if let Some(room) = &battle.room
                && let Some(begun) = begun.get_mut(&room.account)
            {
                begun.extend(Begun::of(battle, &doubts));
            }
        }
        Ok(Self { begun, found, doubts })
    }

    pub(super) fn of_account(&self, account: &Account) -> Vec<String> {
        account.name().map(|name| self.rooms(&id(name))).unwrap_or_default()
    }

    /// Those of the player with this id.
    pub(super) fn rooms(&self, player: &str) -> Vec<String> {
        let begun = self.begun.get(player);
        begun.into_iter().flatten().map(|begun| begun.room.clone()).collect()
    }

    /// The part of one of so many hands of this account.
    pub(super) fn take(&mut self, account: &str, hands: usize) -> Vec<Begun> {
        let Some(begun) = self.begun.get_mut(account) else { return Vec::new() };
        begun.split_off(begun.len() - begun.len().div_ceil(hands))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use interlock_kernel::{ids::Key, quota::Limit};
    use interlock_runtime::{
        Builder, Runtime,
        env::{Env, tokio::Tokio},
        store::memory::MemoryStore,
    };

    use super::*;
    use crate::{
        domain::{
            contestant::Contestant,
            fleet::SaveReplay,
            run::{Plan, Room},
        },
        fleet::Fleets,
        io::Settings,
        limits,
        players::Thinkers,
    };

    /// A run of three battles, and the runtime that keeps it.
    async fn open(server: &str, mode: Mode) -> (Runtime, Counter) {
        let env = Env::new(Tokio::current(), Arc::new(MemoryStore::new()));
        let fleets = Fleets::new(std::path::Path::new(""));
        let runtime = crate::register(Builder::new(env), &fleets).start().await.unwrap();
        let counter = Counter::new(&runtime, Key::new("test").unwrap());
        let plan = Plan {
            server: server.to_owned(),
            format: "gen9randombattle".to_owned(),
            mode,
            target: Limit::Of(3),
            shares: None,
        };
        counter.open(plan, limits::CLAIM_TTL, crate::RETENTION).await.unwrap();
        (runtime, counter)
    }

    #[tokio::test]
    async fn what_was_found_on_a_server_that_is_new_each_time_is_not_known_there() {
        let watches = Mode::Watch(["Ann".to_owned(), "Bob".to_owned()]);
        let (_runtime, counter) = open("local", watches).await;
        let worker = Worker::new("w0").unwrap();
        let claim = counter.claim(worker.clone(), None).await.unwrap().claim;
        let id = "battle-gen9randombattle-7";
        let room = Room { id: id.to_owned(), account: "ann".to_owned(), opponent: None };
        counter.begin(claim, room).await.unwrap();
        let view = counter.view().await.unwrap();

        let thinkers = Arc::new(Thinkers::on_all_cores());
        let settings = |server: Option<&str>| FleetSettings {
            server: server.map(str::to_owned),
            accounts: vec![Account::Guest],
            workers: vec![worker.clone()],
            teams: Vec::new(),
            playing: Settings::of(Contestant::Random, &thinkers, 1),
            partner: None,
            folder: "nowhere".into(),
            save: SaveReplay::Never,
        };
        for (server, found) in [(None, vec![id]), (Some("ws://127.0.0.1:1/"), vec![])] {
            let earlier = Earlier::of(&view, &settings(server)).unwrap();
            assert_eq!(earlier.found, found);
            assert_eq!(earlier.rooms("ann"), [id], "its worker asks for it");
        }
    }

    #[tokio::test]
    async fn a_battle_that_began_behind_the_back_of_who_gives_it_back_is_played() {
        let (_runtime, counter) = open("ws://127.0.0.1:1/", Mode::Ladder).await;
        let workers = ["w0", "w1", "w2"].map(|name| Worker::new(name).unwrap());
        let mut claims = Vec::new();
        for worker in &workers {
            claims.push(counter.claim(worker.clone(), None).await.unwrap().claim);
        }
        let seen = counter.view().await.unwrap();
        let room = Room { id: "battle-x-1".to_owned(), account: "bot".to_owned(), opponent: None };
        counter.begin(claims[1], room.clone()).await.unwrap();

        let view = give_back(seen, &counter, &workers[..2]).await.unwrap();
        assert_eq!(view.live.iter().find_map(|battle| battle.room.clone()), Some(room));
        let left = counter.view().await.unwrap().live;
        let left: Vec<_> = left.iter().map(|battle| battle.claim).collect();
        assert_eq!(left, claims[1..], "another machine's is left to it");
    }
}
