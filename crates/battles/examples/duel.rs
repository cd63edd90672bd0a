//! Lets two players meet on a server, again and again, and counts who wins.
//!
//!     cargo run -p interlock-battles --example duel -- ws://127.0.0.1:8000/showdown/websocket mcts:100 greedy 20
//!
//! Players: `random`, `greedy`, `mcts:MILLISECONDS`. Two battles are played at once.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "an example, for people")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use interlock_battles::{
    domain::battle::Outcome,
    io::{Account, Client, Event, Events, Finished, Settings, play},
    players::{Budget, Greedy, Mcts, Player, Random, Thinkers},
};

const FORMAT: &str = "gen9randombattle";
const AT_ONCE: u64 = 2;

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, one, two, battles] = &args[..] else { panic!("duel URL PLAYER PLAYER BATTLES") };
    let (players, battles) = ([settings(one), settings(two)], battles.parse::<u64>().unwrap());
    let (next, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let pairs = (0..AT_ONCE).map(|pair| {
        let (url, players, next) = (url.clone(), players.clone(), next.clone());
        tokio::spawn(async move { pair_up(&url, pair, players, &next, battles).await })
    });
    let mut score = [0_u32; 3];
    for pair in pairs.collect::<Vec<_>>() {
        let counted = pair.await.unwrap();
        score.iter_mut().zip(counted).for_each(|(sum, count)| *sum += count);
    }
    let [wins, losses, ties] = score;
    let seconds = began.elapsed().as_secs_f64() / battles as f64;
    println!(
        "{one} against {two}: {wins} wins, {losses} losses, {ties} ties; {seconds:.1} s a battle"
    );
}

fn settings(player: &str) -> Settings {
    let (name, time) = player.split_once(':').unwrap_or((player, "0"));
    let player: Arc<dyn Player> = match name {
        "random" => Arc::new(Random),
        "greedy" => Arc::new(Greedy),
        "mcts" => Arc::new(Mcts::default()),
        _ => panic!("no such player: {name}"),
    };
    let budget = Budget::Time(Duration::from_millis(time.parse().unwrap()));
    Settings { player, thinkers: Arc::new(Thinkers::on_all_cores()), budget, seed: 0 }
}

/// Two accounts that battle each other until enough battles were begun: wins and losses of the first, and ties.
async fn pair_up(
    url: &str,
    pair: u64,
    players: [Settings; 2],
    next: &AtomicU64,
    battles: u64,
) -> [u32; 3] {
    let names = [format!("First {pair}"), format!("Second {pair}")];
    let connect = |name: &String| {
        let account = Account::Unproven(name.clone());
        async move { Client::connect(url, &account).await.unwrap() }
    };
    let (mut one, mut two) = (connect(&names[0]).await, connect(&names[1]).await);
    let mut score = [0; 3];
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= battles {
            return score;
        }
        one.0.team(None).await.unwrap();
        one.0.challenge(&names[1], FORMAT).await.unwrap();
        let [first, second] = players.clone().map(|player| Settings { seed, ..player });
        let (finished, _) = tokio::join!(one_battle(&mut one, first), one_battle(&mut two, second));
        println!("{}: {:?} in turn {}", finished.room, finished.outcome, finished.turns);
        let place = match finished.outcome {
            Outcome::Won(name) => usize::from(name != names[0]),
            Outcome::Tie => 2,
        };
        score[place] += 1;
    }
}

async fn one_battle((client, events): &mut (Client, Events), settings: Settings) -> Finished {
    loop {
        match events.recv().await.expect("the server stays") {
            Event::Challenge { from, .. } => {
                client.team(None).await.unwrap();
                client.accept(&from).await.unwrap();
            }
            Event::Battle(room) => return play(room, &settings, |_| ()).await.unwrap(),
            Event::Searches(_) => (),
            Event::Popup(text) => println!("the server says: {text}"),
            Event::NoRoom(_) => (),
        }
    }
}
