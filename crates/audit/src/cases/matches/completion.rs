//! The screen of a game whose end completes its match.
//!
//! As found, the screen of the game is drawn beside the check that completes the match, and overwrites the
//! newer one. In the twin the match decides in phase 1, and the screens, in phase 2, all see it.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use interlock_kernel::{
    barrier::Completed,
    bus::{On, Origin, Reaction, Read, Write},
    entity::{Context, Decision, Entity, Never, Verdict},
};
use interlock_runtime::env::World;
use serde::{Deserialize, Serialize};

use super::{
    BarrierEntity, BarrierHandlers, Itself, PLAYERS, arrive, comes, key, lock, open, start,
};
use crate::{
    cases::{Case, Flaw},
    stage::{Actor, Stage},
};

pub(super) const OVERTAKEN: Case = Case {
    name: "the completion of a match overtakes the screen of its game",
    document: "004",
    as_found: &|stage| as_found(stage, Flaw::Present),
    repaired: &|stage| as_found(stage, Flaw::Absent),
    interlock: &interlock,
};

const GOES_ON: &str = "the match goes on";
const IS_WON: &str = "the match is won";

fn words(is_won: bool) -> &'static str {
    if is_won { IS_WON } else { GOES_ON }
}

struct Found {
    is_won: bool,
    screen: &'static str,
}

/// `Task.WhenAll` over both handlers. Without the flaw, over the one that writes, then over the one that reads.
async fn as_found(stage: Stage, flaw: Flaw) {
    let found = Arc::new(Mutex::new(Found { is_won: false, screen: GOES_ON }));
    let state = found.clone();
    stage.show(move || {
        let Found { is_won, screen } = *lock(&state);
        format!("{}; screen: {screen}", words(is_won))
    });
    let (core, bot) = (found.clone(), found.clone());
    match flaw {
        Flaw::Present => {
            stage.actor("Core.MatchHandler", |actor| complete(actor, core));
            stage.actor("DiscBot.GameHandler", |actor| draw(actor, bot));
        }
        Flaw::Absent => stage.actor("PublishAsync", |actor| async move {
            complete(actor.clone(), core).await;
            draw(actor, bot).await;
        }),
    }
    stage.all_done().await;
    let Found { is_won, screen } = *lock(&found);
    let stale = || format!("{}, and the screen says for good that {screen}", words(is_won));
    stage.check(screen == words(is_won), stale);
}

/// Checks whether the game wins the match, and completes it; the bot then draws that.
async fn complete(actor: Actor, found: Arc<Mutex<Found>>) {
    actor.step().await;
    actor.says(|| "checks the victory: game 1 decides".to_owned());
    actor.step().await;
    lock(&found).is_won = true;
    actor.says(|| "completes the match".to_owned());
    draw(actor, found).await;
}

/// Reads the match, and shows it.
async fn draw(actor: Actor, found: Arc<Mutex<Found>>) {
    actor.step().await;
    let read = words(lock(&found).is_won);
    actor.says(|| format!("reads: {read}"));
    // A call to Discord.
    actor.step().await;
    lock(&found).screen = read;
    actor.says(|| format!("draws: {read}"));
}

/// A match of one game.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Match {
    is_won: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct EndGame;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Won;

#[derive(Debug, Clone, Serialize, Deserialize)]
enum MatchEvent {
    Won(Won),
}

interlock_kernel::handlers! {
    /// Who reacts to a match.
    struct MatchHandlers for Match {
        MatchEvent::Won => won: Won,
    }
}

impl Entity for Match {
    const TYPE: &'static str = "match";
    type Command = EndGame;
    type Event = MatchEvent;
    type Reply = ();
    type Rejection = Infallible;
    type Effect = Never;

    fn decide(&self, _: &EndGame, _: &Context<'_>) -> Verdict<Self> {
        Ok(Decision::event(MatchEvent::Won(Won), ()))
    }

    fn apply(&mut self, _: &MatchEvent) {
        self.is_won = true;
    }

    fn command_name(_: &EndGame) -> &'static str {
        "end_game"
    }

    fn event_name(_: &MatchEvent) -> &'static str {
        "won"
    }
}

/// A screen that every read handler draws on.
#[derive(Clone)]
struct Screen {
    bot: Actor,
    itself: Itself,
    shows: Arc<Mutex<Vec<&'static str>>>,
}

impl Screen {
    /// Draws the match when something happened to it or to one of its games.
    fn read<Event>(&self, name: &'static str) -> Read<Event> {
        let screen = self.clone();
        Read::later(name, move |_: &Event, _: &Origin| {
            let Screen { bot, itself, shows } = screen.clone();
            async move {
                let read = words(itself.node().state::<Match>(&key("match-1")).await.is_won);
                bot.step().await;
                lock(&shows).push(read);
                bot.says(|| format!("{name}: draws that {read}"));
                Ok(())
            }
        })
    }
}

async fn interlock(stage: Stage) {
    let shows = Arc::new(Mutex::new(Vec::new()));
    let (bot, drawn) = (stage.extra("bot"), shows.clone());
    let node = start(&stage, move |builder, itself| {
        let screen = Screen { bot: bot.clone(), itself, shows: drawn.clone() };
        let end = Write::new("end", |_: &Completed, _: &Origin| {
            Ok(Reaction::none().send::<Match>(key("match-1"), EndGame))
        });
        let completed = On { write: vec![end], read: vec![screen.read("game over")] };
        let won = On { write: vec![], read: vec![screen.read("match over")] };
        let games = BarrierHandlers { completed, ..BarrierHandlers::nobody() };
        builder
            .entity_with::<BarrierEntity, _>(games, None)
            .entity_with::<Match, _>(MatchHandlers { won }, None)
    });
    let mut core = node.client(&stage.extra("core"), "core");
    open(&mut core, &stage, "game-1", &PLAYERS).await;
    for player in PLAYERS {
        let mut client = node.client(&stage.extra(player), &player.replace(' ', "-"));
        stage.actor(player, |actor| async move {
            arrive(&mut client, &actor, "game-1", player, "replay").await;
        });
    }
    stage.all_done().await;
    let came = comes(&stage, async || lock(&shows).len() >= 2).await;
    stage.check(came, || "a screen is not drawn".to_owned());
    stage.world().sleep(std::time::Duration::from_secs(10)).await;
    let stale = lock(&shows).contains(&GOES_ON);
    stage.check(!stale, || format!("{IS_WON}, and a screen says that {GOES_ON}"));
}
