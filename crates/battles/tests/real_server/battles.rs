use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use interlock_battles::{
    domain::{id::id, log::End, run::Outcome},
    io::{BattleEvent, Client, Event, Events, Room, Settings, play},
    players::{Bounds, Budget, Candidate, Greedy, Mcts, Player, Position, Random},
};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::{
    support::{FORMAT, Seen, Server, duel, duel_in, settings, side},
    witness::Witness,
};

/// Both saw the same end, and it is the one that the server's own log says.
fn agree(sides: &[Seen; 2], names: [&str; 2]) {
    let [one, two] = sides;
    assert_eq!(one.finished.room, two.finished.room);
    assert_eq!(one.finished.end, two.finished.end);
    let last = |seen: &Seen| {
        let ends = |line: &&str| line.starts_with("|win|") || *line == "|tie";
        seen.finished.log.lines().find(ends).unwrap().to_owned()
    };
    assert_eq!(last(one), last(two));
    match &one.finished.end {
        End::Won { winner, .. } => {
            let name = names.into_iter().find(|name| id(name) == *winner).expect("one of them");
            assert_eq!(last(one), format!("|win|{name}"));
        }
        End::Tied => assert_eq!(last(one), "|tie"),
    }
    for seen in sides {
        assert!(seen.finished.turns > 0 && !seen.events.is_empty());
        let refused = |event: &&BattleEvent| matches!(event, BattleEvent::Refused { .. });
        assert_eq!(seen.events.iter().filter(refused).count(), 0, "{}", seen.finished.log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn battles_that_are_played_at_once_all_end_and_both_sides_agree() {
    let server = std::sync::Arc::new(Server::start().await);
    let mut battles = JoinSet::new();
    for number in 0..6 {
        let server = server.clone();
        battles.spawn(async move {
            let names = [format!("One {number}"), format!("Two {number}")];
            let names = [&*names[0], &*names[1]];
            let sides = duel(&server, names, [pick(number), settings(Random, number)]).await;
            agree(&sides, names);
            sides[0].finished.room.clone()
        });
    }
    let rooms: BTreeSet<String> = battles.join_all().await.into_iter().collect();
    assert_eq!(rooms.len(), 6);
}

fn pick(number: u64) -> Settings {
    match number % 3 {
        0 => settings(Random, 100 + number),
        1 => settings(Greedy, number),
        _ => settings(Mcts::new(1), number),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fold_agrees_with_the_server_about_the_own_team() {
    let server = std::sync::Arc::new(Server::start().await);
    let witness = Witness::default();
    let mut battles = JoinSet::new();
    for number in 0..12 {
        let (server, witness) = (server.clone(), witness.clone());
        battles.spawn(async move {
            let names = [format!("One {number}"), format!("Two {number}")];
            let names = [&*names[0], &*names[1]];
            let players =
                [settings(witness.clone(), number), settings(witness.clone(), 1000 + number)];
            let sides = duel(&server, names, players).await;
            agree(&sides, names);
        });
        if battles.len() >= 4 {
            battles.join_next().await.unwrap().unwrap();
        }
    }
    battles.join_all().await;
    assert!(*witness.compared.lock().unwrap() > 500);
    assert_eq!(*witness.contradictions.lock().unwrap(), [""; 0]);
}

/// Panics, or says what is not legal, whenever it is asked.
struct Hopeless;

impl Player for Hopeless {
    fn think(
        &self,
        position: Position<'_>,
        _: Bounds,
        _: &mut interlock_battles::domain::chance::Chance,
    ) -> Vec<Candidate> {
        assert!(position.battle.turn.is_multiple_of(2), "odd turns are too much");
        Vec::new()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_that_panics_still_plays_legally_to_the_end() {
    let server = Server::start().await;
    let names = ["Hopeless", "Random"];
    let sides = duel(&server, names, [settings(Hopeless, 1), settings(Random, 2)]).await;
    agree(&sides, names);
}

async fn first_battle(events: &mut Events) -> Room {
    loop {
        let event = timeout(Duration::from_secs(60), events.recv()).await.expect("a battle begins");
        match event.expect("the connection stays") {
            Event::Battle(room) => return room,
            Event::Searches(_) => (),
            other @ (Event::Challenge { .. }
            | Event::NoRoom(_)
            | Event::Tournament { .. }
            | Event::Listing(_)
            | Event::Popup(_)) => {
                panic!("{other:?}")
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_search_meet_and_one_gives_up() {
    let server = Server::start().await;
    let [(one, mut one_events), (two, two_events)] =
        [server.enter("Seeker").await, server.enter("Finder").await];
    for client in [&one, &two] {
        client.team(None).await.unwrap();
        client.search(FORMAT).await.unwrap();
    }
    let winner = tokio::spawn(side(two, two_events, settings(Random, 1)));
    let room = first_battle(&mut one_events).await;
    let id = room.id().to_owned();
    one.forfeit(&id).await.unwrap();
    // It asks for nothing more once it is over, and hears the end all the same.
    let lost = play(room, &settings(Random, 2), |_| ()).await.unwrap();
    assert_eq!(lost.end.outcome("seeker"), Outcome::Forfeit);
    assert_eq!(winner.await.unwrap().finished.end, lost.end);
}

/// Plays until it has decided so often, then leaves without a word, as a program that is killed does.
async fn vanish(client: Client, mut events: Events, decisions: usize) {
    let room = first_battle(&mut events).await;
    let (decided, mut enough) = mpsc::channel(100);
    let settings = settings(Random, 1);
    let playing = play(room, &settings, |event| decided.try_send(event).unwrap());
    let counting = async {
        for _ in 0..decisions {
            enough.recv().await.unwrap();
        }
    };
    tokio::select! {
        _ = playing => panic!("a battle is longer"),
        () = counting => drop((client, events)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_battle_goes_on_after_the_connection_was_lost() {
    let server = Server::start().await;
    let names = ["Faithful", "Vanishing"];
    let (faithful, events) = server.enter(names[0]).await;
    faithful.team(None).await.unwrap();
    let opponent = tokio::spawn(side(faithful.clone(), events, settings(Random, 2)));
    let (vanishing, events) = server.enter(names[1]).await;
    vanishing.team(None).await.unwrap();
    vanishing.challenge(names[0], FORMAT).await.unwrap();
    vanish(vanishing, events, 3).await;

    let (back, events) = server.enter(names[1]).await;
    let returned = side(back, events, settings(Random, 3)).await;
    let sides = [opponent.await.unwrap(), returned];
    agree(&sides, names);
    // The log that came whole after the return is the one that the other side heard line by line.
    let told = |seen: &Seen| {
        let moves = |line: &&str| line.starts_with("|move|") || line.starts_with("|turn|");
        seen.finished.log.lines().filter(moves).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(told(&sides[0]), told(&sides[1]));
}

/// Thinks for no time, and remembers the longest that it may.
#[derive(Clone, Default)]
struct Hurried(Arc<Mutex<Vec<Duration>>>);

impl Player for Hurried {
    fn think(
        &self,
        position: Position<'_>,
        bounds: Bounds,
        chance: &mut interlock_battles::domain::chance::Chance,
    ) -> Vec<Candidate> {
        self.0.lock().unwrap().push(bounds.time);
        Random.think(position, bounds, chance)
    }
}

/// Fifteen seconds a turn are less than a search could take.
#[tokio::test(flavor = "multi_thread")]
async fn a_blitz_leaves_a_search_less_time_than_the_servers_timer_has() {
    let server = Server::start().await;
    let hurried = Hurried::default();
    let patient = || Settings {
        budget: Budget::Time(interlock_battles::limits::SEARCH),
        ..settings(hurried.clone(), 1)
    };
    let names = ["Quick", "Swift"];
    let format = "gen9randombattleblitz";
    let sides = duel_in(&server, format, names, [patient(), patient()]).await;
    agree(&sides, names);
    let mut spans = hurried.0.lock().unwrap().clone();
    assert!(spans.len() > 10, "{spans:?}");
    // The first is asked before the timer is on.
    spans.sort();
    spans.truncate(spans.len() - 2);
    let longest = spans.last().unwrap();
    assert!(*longest <= Duration::from_secs(15 - 5), "{spans:?}");
}
