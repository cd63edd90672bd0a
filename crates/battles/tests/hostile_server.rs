//! A server that lies: what one battle suffers, the others do not notice, and nothing is said twice.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use interlock_battles::{
    domain::{
        chance::Chance,
        log::{self, End},
        run,
    },
    io::{
        Account, Client, ConnectError, Event, Events, Finished, PlayError, Room, Searches,
        Settings, play, watch,
    },
    limits,
    players::{Bounds, Budget, Candidate, Player, Position, Random, Thinkers},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, accept_async, tungstenite::Message};

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), what).await.expect("it happens soon")
}

/// The server's end of a connection.
struct Liar(WebSocketStream<TcpStream>);

impl Liar {
    async fn say(&mut self, text: impl Into<String>) {
        self.0.send(Message::text(text.into())).await.unwrap();
    }

    async fn hears(&mut self) -> String {
        let message =
            timeout(Duration::from_secs(20), self.0.next()).await.expect("it says something");
        message.unwrap().unwrap().into_text().unwrap().as_str().to_owned()
    }

    /// The same, however long it takes by a clock that is moved.
    async fn hears_long(&mut self) -> String {
        loop {
            if let Message::Text(text) = self.0.next().await.unwrap().unwrap() {
                return text.as_str().to_owned();
            }
        }
    }

    /// Opens a room and gives it time to be joined: its player turns the timer on.
    async fn open(&mut self, room: &str, events: &mut Events) -> Room {
        self.say(format!(">{room}\n|init|battle\n|title|<script>alert(1)</script>|/choose move 1"))
            .await;
        let Some(Event::Battle(joined)) = soon(events.recv()).await else {
            panic!("a battle begins")
        };
        assert_eq!(joined.id(), room);
        joined
    }

    /// Opens a room in which this player sits, with the timer on.
    async fn seats(
        &mut self,
        room: &str,
        events: &mut Events,
        player: impl Player + 'static,
    ) -> Playing {
        let joined = self.open(room, events).await;
        let playing = start(joined, settings(player));
        assert_eq!(self.hears().await, format!("{room}|/timer on"));
        playing
    }

    /// Opens a room and says too much in it before its player has come.
    async fn floods(&mut self, room: &str, events: &mut Events) -> Room {
        let flooded = self.open(room, events).await;
        for number in 0..limits::ROOM_FRAMES + 10 {
            self.say(format!(">{room}\n|c|☆Eve|{number}")).await;
        }
        flooded
    }

    /// Has us win.
    async fn gives_up(&mut self, room: &str, playing: Playing) -> Finished {
        self.say(format!(">{room}\n|win|Bot")).await;
        assert_eq!(self.hears().await, format!("{room}|/leave"));
        soon(playing).await.unwrap().unwrap()
    }

    async fn asks(&mut self, room: &str, rqid: u64) {
        let team: Vec<String> = ["A", "B", "C"]
            .iter()
            .map(|name| {
                let active = *name == "A";
                format!(r#"{{"ident":"p1: {name}","details":"Newmon","condition":"9/9","active":{active}}}"#)
            })
            .collect();
        let side = format!(r#"{{"name":"Bot","id":"p1","pokemon":[{}]}}"#, team.join(","));
        self.say(format!(
            ">{room}\n|request|{{\"rqid\":{rqid},\"forceSwitch\":[true],\"side\":{side}}}"
        ))
        .await;
    }
}

async fn met(name: &str, reply: &str) -> (Liar, Result<(Client, Events), ConnectError>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/showdown/websocket", listener.local_addr().unwrap());
    let account = Account::unregistered(name);
    let client = tokio::spawn(async move { Client::connect(&url, &account).await });
    let mut liar = Liar(accept_async(listener.accept().await.unwrap().0).await.unwrap());
    liar.say("|updateuser| Guest 1|0|1|{}\n|challstr|4|ab").await;
    assert_eq!(liar.hears().await, format!("|/trn {name},0,"));
    liar.say(reply).await;
    (liar, client.await.unwrap())
}

async fn meet() -> (Liar, Client, Events) {
    let (liar, client) = met("Bot", "|updateuser|☆Bot|1|1|{}").await;
    let (client, events) = client.unwrap();
    assert_eq!(client.name(), "Bot");
    (liar, client, events)
}

fn settings(player: impl Player + 'static) -> Settings {
    let thinkers = Arc::new(Thinkers::on_all_cores());
    Settings { player: Arc::new(player), thinkers, budget: Budget::Iterations(1), seed: 1 }
}

fn won(winner: &str) -> End {
    End::Won { winner: winner.to_owned(), forfeited: None }
}

type Playing = tokio::task::JoinHandle<Result<Finished, PlayError>>;

fn start(room: Room, settings: Settings) -> Playing {
    tokio::spawn(async move { play(room, &settings, |_| ()).await })
}

#[tokio::test]
async fn a_name_that_is_taken_is_said_so() {
    let (_liar, client) = met("Bot", "|nametaken|Bot|Someone is already using the name").await;
    let Err(ConnectError::NameTaken { name, .. }) = client else { panic!("it is taken") };
    assert_eq!(name, "Bot");
}

#[tokio::test]
async fn lies_about_numbers_are_answered_once_or_not_at_all() {
    let (mut liar, _client, mut events) = meet().await;
    let playing = liar.seats("battle-lies-1", &mut events, Random).await;
    for nonsense in [
        "|request|{",
        "|request|[1]",
        "|turn|banana",
        "|switch|p7q: |",
        "|error|[Invalid choice] No",
    ] {
        liar.say(format!(">battle-lies-1\n{nonsense}")).await;
    }
    for rqid in [7, 7, 3] {
        liar.asks("battle-lies-1", rqid).await;
    }
    liar.say(">battle-lies-1\n|error|[Invalid choice] Sorry, too late to make a different move")
        .await;
    let first = liar.hears().await;
    liar.asks("battle-lies-1", 9).await;
    let second = liar.hears().await;
    assert!(first.starts_with("battle-lies-1|/choose switch ") && first.ends_with("|7"), "{first}");
    assert!(
        second.starts_with("battle-lies-1|/choose switch ") && second.ends_with("|9"),
        "{second}"
    );
    assert_eq!(liar.gives_up("battle-lies-1", playing).await.end, won("bot"));
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_answered_all_the_same() {
    let (mut liar, _client, mut events) = meet().await;
    let playing = liar.seats("battle-odd-1", &mut events, Random).await;
    for request in [r#"{"rqid":5,"active":[{},{}]}"#, r#"{"rqid":7,"side":3}"#] {
        liar.say(format!(">battle-odd-1\n|request|{request}\n|request|{request}")).await;
    }
    assert_eq!(liar.hears().await, "battle-odd-1|/choose default|5");
    assert_eq!(liar.hears().await, "battle-odd-1|/choose default|7");
    assert_eq!(liar.gives_up("battle-odd-1", playing).await.end, won("bot"));
}

/// Whoever counts the battle relies on its end.
#[tokio::test]
async fn a_battle_that_is_over_has_an_end_whatever_is_said_before_and_after() {
    let (mut liar, _client, mut events) = meet().await;
    let playing = liar.seats("battle-end-1", &mut events, Random).await;
    let chat = "x".repeat(limits::MESSAGE_BYTES - 100);
    for _ in 0..3 {
        liar.say(format!(">battle-end-1\n|-message|{chat} forfeited.\n|-message|Eve forfeited."))
            .await;
    }
    liar.say(">battle-end-1\n|win|Bot").await;
    assert_eq!(liar.hears().await, "battle-end-1|/leave");
    liar.say(">battle-end-1\n|init|battle\n|win|Eve").await;
    liar.say(">battle-end-1\n|deinit").await;
    let finished = soon(playing).await.unwrap().unwrap();
    assert_eq!(finished.end.outcome("bot"), log::end(&finished.log).unwrap().outcome("bot"));
    assert_eq!(finished.end.outcome("eve"), run::Outcome::Forfeit);
}

#[tokio::test]
async fn what_goes_on_is_told_and_nonsense_is_not() {
    let (mut liar, _client, mut events) = meet().await;
    for json in ["{", "7", r#"{"games":7}"#, r#"{"searching":[],"games":null}"#] {
        liar.say(format!("|updatesearch|{json}")).await;
    }
    liar.say(r#"|updatesearch|{"searching":["gen9ou"],"games":{"battle-x-1":"A vs. B"}}"#).await;
    let Some(Event::Searches(none)) = soon(events.recv()).await else { panic!("nothing goes on") };
    assert_eq!(none, Searches::default());
    let Some(Event::Searches(some)) = soon(events.recv()).await else {
        panic!("something goes on")
    };
    assert_eq!((&*some.searching[0], &*some.games["battle-x-1"]), ("gen9ou", "A vs. B"));
}

/// Thinks until it is allowed to stop.
struct Stuck(Arc<Semaphore>);

impl Player for Stuck {
    fn think(&self, _: Position<'_>, _: Bounds, _: &mut Chance) -> Vec<Candidate> {
        while self.0.available_permits() == 0 {
            std::thread::yield_now();
        }
        Vec::new()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_in_one_battle_leaves_the_others_alone() {
    let (mut liar, _client, mut events) = meet().await;
    let flooded = liar.floods("battle-flood-1", &mut events).await;
    let calm = liar.open("battle-calm-2", &mut events).await;
    let playing = start(calm, settings(Random));
    assert_eq!(liar.hears().await, "battle-calm-2|/timer on");
    liar.asks("battle-calm-2", 5).await;
    assert!(liar.hears().await.starts_with("battle-calm-2|/choose switch "));
    liar.say(">battle-calm-2\n|tie").await;
    assert_eq!(soon(playing).await.unwrap().unwrap().end, End::Tied);
    let drowned = soon(start(flooded, settings(Random))).await.unwrap();
    assert!(matches!(drowned, Err(PlayError::Gone { .. })));
}

/// Who is in a room gets no answer to a wish to join it.
#[tokio::test]
async fn a_watched_battle_that_is_lost_in_a_flood_is_left_to_be_joined_again() {
    let (mut liar, client, mut events) = meet().await;
    let flooded = liar.floods("battle-flood-1", &mut events).await;
    // What comes after the flood on the connection is heard after it.
    liar.say("|popup|x").await;
    assert!(matches!(soon(events.recv()).await, Some(Event::Popup(_))));
    let lost = soon(watch(flooded, |_| ())).await;
    assert!(matches!(lost, Err(PlayError::Gone { .. })));
    client.join("battle-flood-1").await.unwrap();
    assert_eq!(liar.hears().await, "battle-flood-1|/leave");
    assert_eq!(liar.hears().await, "|/join battle-flood-1");
}

/// A player that thinks heeds what is said meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_battle_that_ends_while_its_player_thinks_is_over() {
    let (mut liar, _client, mut events) = meet().await;
    let release = Arc::new(Semaphore::new(0));
    let playing = liar.seats("battle-short-1", &mut events, Stuck(release.clone())).await;
    liar.asks("battle-short-1", 1).await;
    liar.say(">battle-short-1\n|-message|Eve forfeited.\n|win|Bot").await;
    assert_eq!(liar.hears().await, "battle-short-1|/leave");
    assert_eq!(soon(playing).await.unwrap().unwrap().end.outcome("bot"), run::Outcome::Win);
    release.add_permits(1);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_asked_and_then_given_up() {
    let (liar, _client, mut events) = meet().await;
    // Its end of the connection stays open, and nobody reads there.
    tokio::time::pause();
    let event = timeout(Duration::from_secs(600), events.recv()).await;
    assert!(event.expect("it is given up").is_none());
    drop(liar);
}

/// Says when it is asked, and thinks until it is allowed to stop.
struct Dawdler {
    asked: mpsc::UnboundedSender<()>,
    thinks: Stuck,
}

impl Player for Dawdler {
    fn think(&self, position: Position<'_>, bounds: Bounds, chance: &mut Chance) -> Vec<Candidate> {
        self.asked.send(()).unwrap();
        self.thinks.think(position, bounds, chance)
    }
}

/// How long a player that thinks for ever has thought when something is chosen, if the server says this meanwhile.
async fn patience(says: &str) -> Duration {
    let (mut liar, _client, mut events) = meet().await;
    let (asked, mut thinking) = mpsc::unbounded_channel();
    let release = Arc::new(Semaphore::new(0));
    let playing = liar
        .seats("battle-slow-1", &mut events, Dawdler { asked, thinks: Stuck(release.clone()) })
        .await;
    liar.asks("battle-slow-1", 7).await;
    thinking.recv().await.unwrap();
    liar.say(format!(">battle-slow-1\n{says}")).await;
    // What comes after it on the connection is heard after it.
    liar.say("|popup|x").await;
    assert!(matches!(soon(events.recv()).await, Some(Event::Popup(_))));
    tokio::task::yield_now().await;
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    assert!(liar.hears_long().await.starts_with("battle-slow-1|/choose switch "));
    let took = before.elapsed();
    tokio::time::resume();
    release.add_permits(1);
    liar.gives_up("battle-slow-1", playing).await;
    took
}

#[tokio::test]
async fn who_thinks_for_too_long_loses_its_say_well_before_the_servers_time_is_over() {
    for (says, at_most) in [
        ("|inactive|Time left: 12 sec this turn | 150 sec total", 12 - 5),
        ("|inactive|Bot has 10 seconds left this turn.", 10 - 5),
        ("|inactive|Bot has 20 seconds left.\n|inactive|Bot has 15 seconds left.", 15 - 5),
        ("|inactive|Time left: 150 sec this turn | 150 sec total", 25),
        ("|c|☆Eve||inactive|Bot has 10 seconds left this turn.", 25),
    ] {
        let took = patience(says).await;
        // Some of it had passed when the clock was stopped.
        let span = Duration::from_secs(at_most - 1)..=Duration::from_millis(at_most * 1000 + 100);
        assert!(span.contains(&took), "{took:?} after {says}");
    }
}

#[tokio::test]
async fn a_message_that_the_server_throws_away_is_said_to_be() {
    let (mut liar, _client, mut events) = meet().await;
    let says = "Your message was not sent because you've been typing too quickly.";
    liar.say(format!("|raw|<strong class=\"message-throttle-notice\">{says}</strong>")).await;
    let Some(Event::Popup(told)) = soon(events.recv()).await else { panic!("it is told") };
    assert_eq!(told, says);
}

#[tokio::test]
async fn what_is_no_room_is_skipped_and_challenges_cannot_say_more() {
    let (mut liar, client, mut events) = meet().await;
    for hostile in [
        ">battle-1|/logout\n|init|battle",
        ">BATTLE-1\n|init|battle",
        ">\n|init|battle",
        ">battle-2\n|win|Bot",
    ] {
        liar.say(hostile).await;
    }
    liar.say("|pm|☆Bot|☆Eve|/challenge gen9randombattle|x|||").await; // our own, come back
    liar.say("|pm|☆Eve|☆Bot|/challenge gen9randombattle|x|||").await;
    let Some(Event::Challenge { from, format }) = soon(events.recv()).await else {
        panic!("a challenge")
    };
    assert_eq!(format, "gen9randombattle");
    client.accept(&from).await.unwrap();
    client.challenge("Eve,ou\n|/logout", "gen9\n|/logout").await.unwrap();
    client.team(Some("a\n|/logout")).await.unwrap();
    // The sign of a rank is no part of an id.
    assert_eq!(liar.hears().await, "|/accept eve");
    assert_eq!(liar.hears().await, "|/challenge eveoulogout,gen9logout");
    assert_eq!(liar.hears().await, "|/utm a |/logout");
}
