//! Two others are watched while they play each other. The judge is the server's own record of their battles.

use interlock_battles::{
    domain::run::{Mode, Plan},
    fake::Faults,
    fleet::{Fleet, FleetSettings, Report, counter::Counter, logs::Logs},
    io::{Account, Client, Event, Events, Room},
    limits,
};
use interlock_kernel::ids::Key;

use crate::{
    joined::{Home, TOKEN, any_port},
    support::{Ground, is_exact, settings},
};

const FORMAT: &str = "gen9randombattle";

/// The plan of a run that watches Ann and Bob.
fn watch(ground: &Ground, target: u64) -> Plan {
    let pair = ["Ann".to_owned(), "Bob".to_owned()];
    Plan { shares: None, ..ground.plan(target, 1, Mode::Watch(pair)) }
}

/// So many workers of one machine, who watch as a guest.
fn guest(prefix: &str, workers: u32, folder: &std::path::Path) -> FleetSettings {
    FleetSettings { accounts: vec![Account::Guest], ..settings(prefix, workers, &[], folder) }
}

/// Waits until the server's record says so.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

/// Somebody who plays by hand.
struct User {
    client: Client,
    events: Events,
}

impl User {
    async fn come(ground: &Ground, name: &str) -> Self {
        let account = Account::unregistered(name);
        let (client, events) = Client::connect(&ground.server.url(), &account).await.unwrap();
        Self { client, events }
    }

    async fn hears<T>(&mut self, wanted: impl Fn(Event) -> Option<T>) -> T {
        loop {
            let event = self.events.recv().await.expect("the server is there");
            if let Some(heard) = wanted(event) {
                return heard;
            }
        }
    }

    /// Challenges another user, and is accepted.
    async fn meet(&mut self, other: &mut Self) -> Room {
        self.client.challenge(other.client.name(), FORMAT).await.unwrap();
        other.hears(|event| matches!(event, Event::Challenge { .. }).then_some(())).await;
        other.client.accept(self.client.name()).await.unwrap();
        // Who challenges comes first.
        let begins = format!("{} vs. ", self.client.name());
        let is_ours = |room: &Room| room.title().starts_with(&begins);
        self.hears(|event| {
            if let Event::Battle(room) = event { Some(room) } else { None }.filter(is_ours)
        })
        .await
    }
}

#[tokio::test]
async fn of_two_machines_that_watch_one_battle_the_second_leaves_it_and_says_nothing_there() {
    let mut ground = Ground::new(Faults::default(), 30).await;
    let (plan, away) = (watch(&ground, 2), tempfile::tempdir().unwrap());
    let runtime = ground.runtime().await;
    ground.open(&runtime, &plan).await;
    let home = Home::start(&runtime, any_port()).await;
    let machine = async |process, prefix, folder| {
        let counter = home.counter(Some(TOKEN), process);
        Fleet::start(counter, guest(prefix, 1, folder)).await.unwrap()
    };
    let here = machine(1, "a", ground.folder.path()).await;
    let there = machine(2, "b", away.path()).await;

    let (mut ann, mut bob) = (User::come(&ground, "Ann").await, User::come(&ground, "Bob").await);
    let first = ann.meet(&mut bob).await;
    until(|| ground.server.left() + ground.server.heckles() > 0).await;
    assert_eq!(ground.server.heckles(), 0);
    let view = ground.view(&runtime).await;
    assert_eq!(view.live.iter().filter(|battle| battle.room.is_some()).count(), 1);
    first.say("/forfeit").await.unwrap();
    let second = bob.meet(&mut ann).await;
    second.say("/forfeit").await.unwrap();
    for machine in [here, there] {
        let report = machine.ended().await.unwrap();
        is_exact(&report, 2, ground.truth("ann"));
    }
}

/// A server on which more happens than anybody can look into.
#[tokio::test]
async fn what_a_flood_of_strangers_hides_is_counted_as_unread_and_told_afterwards_as_well() {
    let mut ground = Ground::new(Faults { double: Some(3), ..Faults::default() }, 31).await;
    ground.server.open_strangers(FORMAT, 2);
    let plan = watch(&ground, 1);
    let runtime = ground.runtime().await;
    ground.open(&runtime, &plan).await;
    let counter = Counter::new(&runtime, Key::new("test").unwrap());
    let folder = ground.folder.path();
    let watching = Fleet::start(counter, guest("w", 1, folder)).await.unwrap();
    until(|| ground.server.looks() > 0).await;
    let many = 2 * usize::try_from(limits::NUMBERS_LOOKED_INTO).unwrap();
    // Those that go on are shown, so that the flood is seen at all.
    ground.server.open_strangers(FORMAT, many);
    until(|| ground.server.looks() > 1).await;
    let (mut ann, mut bob) = (User::come(&ground, "Ann").await, User::come(&ground, "Bob").await);
    ann.meet(&mut bob).await.say("/forfeit").await.unwrap();
    let report = watching.ended().await.unwrap();
    is_exact(&report, 1, ground.truth("ann"));
    // Every second one of those that are too many was shown.
    assert_eq!(report.unread, Some(limits::NUMBERS_LOOKED_INTO / 2));
    let (view, logs) = (ground.view(&runtime).await, Logs::new(folder.to_owned()));
    assert_eq!(Report::of("test", &view, &logs).unwrap().unread, report.unread);
}
