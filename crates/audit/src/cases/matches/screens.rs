//! A deck that is saved, and the screen that shows it.
//!
//! As found, the handler that draws runs beside the one that saves; after the document's repair it runs
//! behind it, and not at all when any writer throws. In the twins, a writer that fails is asked again, then
//! parked as a dead letter with all that follows it; when it works again, both phases run.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use futures_util::future::join;
use interlock_kernel::{
    barrier::{Arrived, Revised},
    bus::{HandlerError, On, Origin, Reaction, Read, RowChange, Write},
    ids::Party,
    json::Json,
    time::Millis,
};
use interlock_runtime::{dispatch::dead::Letter, env::World};

use super::{
    BarrierEntity, BarrierHandlers, Itself, PLAYERS, arrive, comes, lock, open, party, start, text,
};
use crate::{
    cases::{Case, Flaw},
    node::Node,
    stage::{Actor, Stage},
};

pub(super) const EARLY: Case = Case {
    name: "a screen is drawn before the deck is committed",
    document: "004",
    as_found: &side_by_side,
    repaired: &|stage| two_phases(stage, Flaw::Absent),
    interlock: &|stage| interlock(stage, false),
};

pub(super) const UNDRAWN: Case = Case {
    name: "a writer that throws leaves the screen undrawn",
    document: "004",
    as_found: &|stage| two_phases(stage, Flaw::Present),
    repaired: &|stage| two_phases(stage, Flaw::Absent),
    interlock: &|stage| interlock(stage, true),
};

#[derive(Default)]
struct Found {
    saved: Option<&'static str>,
    screen: Option<&'static str>,
}

fn setting(stage: &Stage) -> Arc<Mutex<Found>> {
    let found = Arc::new(Mutex::new(Found::default()));
    let state = found.clone();
    stage.show(move || {
        let Found { saved, screen } = *lock(&state);
        format!("saved: {}; screen: {}", saved.unwrap_or("-"), screen.unwrap_or("-"))
    });
    found
}

fn check(stage: &Stage, found: &Mutex<Found>) {
    let Found { saved, screen } = *lock(found);
    let stale = || {
        let [saved, screen] = [saved, screen].map(|deck| deck.unwrap_or("no deck"));
        format!("{saved} is saved, and the screen shows {screen}")
    };
    stage.check(screen == saved, stale);
}

/// As it was found: `Task.WhenAll` over all handlers.
async fn side_by_side(stage: Stage) {
    let found = setting(&stage);
    stage.actor("Core.GameHandler", |actor| {
        let found = found.clone();
        async move { save(&actor, &found).await }
    });
    stage.actor("DiscBot.GameHandler", |actor| {
        let found = found.clone();
        async move { draw(&actor, &found).await }
    });
    stage.all_done().await;
    check(&stage, &found);
}

/// As it was repaired: `Task.WhenAll` over the writers, then over the readers. Without the flaw that this has, the
/// readers come whatever a writer threw.
async fn two_phases(stage: Stage, flaw: Flaw) {
    let found = setting(&stage);
    let saved = found.clone();
    stage.actor("PublishAsync", |actor| async move {
        let handlers = ["Core.GameHandler", "Core.MatchHandler", "DiscBot.GameHandler"];
        let [core, log, bot] = handlers.map(|name| actor.stage().extra(name));
        actor.says(|| "publishes PlayerDeckSubmitted".to_owned());
        let ((), noted) = join(save(&core, &saved), note(&log)).await;
        if noted.is_err() && flaw.is_present() {
            return actor.says(|| "throws what a writer threw, and is over".to_owned());
        }
        draw(&bot, &saved).await;
    });
    stage.all_done().await;
    check(&stage, &found);
}

/// A writer: the deck.
async fn save(actor: &Actor, found: &Mutex<Found>) {
    actor.step().await;
    actor.says(|| "copies the snapshot".to_owned());
    actor.step().await;
    lock(found).saved = Some("deck A");
    actor.says(|| "commits deck A".to_owned());
}

/// Another writer, which may throw.
async fn note(actor: &Actor) -> Result<(), ()> {
    actor.step().await;
    if actor.stage().world().fault(1) == 1 {
        actor.says(|| "throws".to_owned());
        return Err(());
    }
    actor.says(|| "notes it".to_owned());
    Ok(())
}

/// A reader: the screen.
async fn draw(actor: &Actor, found: &Mutex<Found>) {
    actor.step().await;
    let read = lock(found).saved;
    actor.says(|| format!("reads {}", read.unwrap_or("no deck")));
    actor.step().await;
    lock(found).screen = read;
    actor.says(|| format!("draws {}", read.unwrap_or("no deck")));
}

/// The table that writers fill and readers read.
const TABLE: &str = "decks";

/// What the screen shows, by player, and whether a writer fails.
#[derive(Clone)]
struct Game {
    bot: Actor,
    itself: Itself,
    screen: Arc<Mutex<BTreeMap<Party, Json>>>,
    is_broken: Arc<AtomicBool>,
    /// Which process draws, of so many.
    process: u32,
    processes: Arc<AtomicU32>,
}

impl Game {
    /// The handlers of one event.
    fn on<Event: 'static>(&self, told: fn(&Event) -> (&Party, &Json)) -> On<Event> {
        let save = Write::new("save", move |event: &Event, _: &Origin| {
            let (player, deck) = told(event);
            let (key, value) = (player.as_str().into(), deck.as_str().into());
            Ok(Reaction::none().row(RowChange::Put { table: TABLE.to_owned(), key, value }))
        });
        let is_broken = self.is_broken.clone();
        let note = Write::new("note", move |_: &Event, _: &Origin| {
            if is_broken.load(Ordering::Relaxed) {
                return Err(HandlerError("it throws".to_owned()));
            }
            Ok(Reaction::none())
        });
        let game = self.clone();
        let draw = Read::later("draw", move |event: &Event, _: &Origin| {
            let (player, deck) = told(event);
            game.clone().draw(player.clone(), deck.clone())
        });
        On { write: vec![save, note], read: vec![draw] }
    }

    /// Draws what the table says.
    async fn draw(self, player: Party, deck: Json) -> Result<(), HandlerError> {
        let stage = self.bot.stage();
        let early = || format!("the screen of {player} is drawn although a writer fails");
        stage.check(!self.is_broken.load(Ordering::Relaxed), early);
        if self.process < self.processes.load(Ordering::Relaxed) {
            // What it would look at is its successor's.
            return Err(HandlerError("another process has its place".to_owned()));
        }
        let store = self.itself.node().runtime().await.env().store().clone();
        let row = store.row(TABLE, player.as_str().as_bytes()).await;
        let row = row.map_err(|error| HandlerError(error.to_string()))?;
        let read = row.and_then(|row| Json::parse(str::from_utf8(&row).ok()?).ok());
        let stale = || format!("{player} has {deck:?}, and the screen reads {read:?}");
        stage.check(read.as_ref() == Some(&deck), stale);
        self.bot.step().await;
        self.bot.says(|| format!("draws {} of {player}", deck.as_str()));
        lock(&self.screen).extend(read.map(|read| (player, read)));
        Ok(())
    }
}

fn shown(screen: &BTreeMap<Party, Json>) -> String {
    let one = |name| screen.get(&party(name)).map_or("-", Json::as_str);
    format!("screen: {}", PLAYERS.map(one).join(", "))
}

async fn interlock(stage: Stage, is_broken: bool) {
    let (bot, screen) = (stage.extra("bot"), Arc::new(Mutex::new(BTreeMap::new())));
    let state = screen.clone();
    stage.show(move || shown(&lock(&state)));
    let is_broken = Arc::new(AtomicBool::new(is_broken));
    let (drawn, fails) = (screen.clone(), is_broken.clone());
    let processes = Arc::new(AtomicU32::new(0));
    let node = start(&stage, move |builder, itself| {
        let (bot, screen, is_broken) = (bot.clone(), drawn.clone(), fails.clone());
        let processes = processes.clone();
        let process = processes.fetch_add(1, Ordering::Relaxed) + 1;
        let game = Game { bot, itself, screen, is_broken, process, processes };
        let arrived = game.on(|event: &Arrived| (&event.party, &event.value));
        let revised = game.on(|event: &Revised| (&event.party, &event.value));
        let handlers = BarrierHandlers { arrived, revised, ..BarrierHandlers::nobody() };
        builder.entity_with::<BarrierEntity, _>(handlers, None)
    });
    let mut core = node.client(&stage.extra("core"), "core");
    let [one, other] = PLAYERS;
    open(&mut core, &stage, "game-1", &[one, other, "referee"]).await;
    for (player, decks) in PLAYERS.into_iter().zip([["A1", "A2"], ["B1", "B2"]]) {
        let mut client = node.client(&stage.extra(player), &player.replace(' ', "-"));
        stage.actor(player, |actor| async move {
            for deck in decks {
                arrive(&mut client, &actor, "game-1", player, deck).await;
            }
        });
    }
    if is_broken.load(Ordering::Relaxed) {
        let node = node.clone();
        stage.actor("operator", |actor| repair(actor, node, is_broken));
    }
    stage.all_done().await;
    let wanted: BTreeMap<Party, Json> = PLAYERS
        .into_iter()
        .zip(["A2", "B2"])
        .map(|(name, deck)| (party(name), text(deck)))
        .collect();
    let came = comes(&stage, async || *lock(&screen) == wanted).await;
    stage.check(came, || format!("at the end: {}", shown(&lock(&screen))));
    let letters = letters(&stage, &node).await;
    stage.check(letters.is_empty(), || format!("there are {letters:?}"));
}

/// All dead letters.
async fn letters(stage: &Stage, node: &Node) -> Vec<Letter> {
    loop {
        if let Ok(letters) = node.runtime().await.dead_letters().await {
            return letters;
        }
        // It crashes: it will be there again.
        stage.world().sleep(Millis(100).as_duration()).await;
    }
}

/// Waits for the dead letter, repairs the writer, and lets it try again.
async fn repair(actor: Actor, node: Node, is_broken: Arc<AtomicBool>) {
    loop {
        if let Some(letter) = letters(actor.stage(), &node).await.first() {
            if is_broken.swap(false, Ordering::Relaxed) {
                actor.says(|| format!("finds the dead letter of {}, repairs it", letter.handler));
            }
            // A crash may come before the answer: then the letter may still be there.
            if node.retry_dead_letter(letter).await {
                actor.says(|| "lets it try again".to_owned());
            }
        } else if !is_broken.load(Ordering::Relaxed) {
            return;
        }
        actor.sleep(Millis(100)).await;
    }
}
