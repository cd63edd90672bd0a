//! Who is connected, who searches, and which battles there are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tokio::sync::mpsc::UnboundedSender;

use super::{
    Faults,
    battle::{Battle, End, Side},
    tournaments::Tournaments,
};
use crate::domain::{chance::Chance, id::id, protocol::BattleRoom, run::Outcome};

/// A connection's number.
pub(super) type Connection = u64;

/// What the server knows of a battle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// Its room. A restarted server names its rooms anew.
    pub room: String,
    /// The accounts that played, by id; rivals of the server's own are not among them.
    pub players: Vec<String>,
    /// How it ended for each of them; `None`: it did not.
    pub outcomes: Option<Vec<Outcome>>,
}

/// The server's whole state.
pub(super) struct World {
    faults: Faults,
    chance: Chance,
    connections: BTreeMap<Connection, UnboundedSender<String>>,
    connected: Connection,
    /// By id.
    pub(super) users: BTreeMap<String, User>,
    pub(super) rooms: BTreeMap<String, Room>,
    opened: u64,
    /// In seconds: one goes by between two battles.
    clock: u64,
    rivals: u64,
    /// See [`super::Fake::looks`].
    pub(super) looks: u64,
    /// See [`super::Fake::left`].
    pub(super) left: u64,
    /// See [`super::Fake::heckles`].
    pub(super) heckles: u64,
    /// Rooms that were asked for in vain.
    pub(super) missed: u64,
    pub(super) tournaments: Option<Tournaments>,
    /// Of servers before the last restart.
    past: Vec<Played>,
}

/// Somebody who was here.
pub(super) struct User {
    name: String,
    connection: Option<Connection>,
    searching: BTreeSet<String>,
    /// Nobody comes back as a guest.
    is_guest: bool,
}

/// The room of a battle.
pub(super) struct Room {
    number: u64,
    pub(super) battle: Battle,
    /// Lines of the log that were told already.
    told: usize,
    /// Accounts that hear of it.
    present: BTreeSet<String>,
}

impl World {
    pub(super) fn new(faults: Faults, seed: u64) -> Self {
        Self {
            faults,
            chance: Chance::new(seed),
            connections: BTreeMap::new(),
            connected: 0,
            users: BTreeMap::new(),
            rooms: BTreeMap::new(),
            opened: 0,
            clock: 0,
            rivals: 0,
            looks: 0,
            left: 0,
            heckles: 0,
            missed: 0,
            tournaments: None,
            past: Vec::new(),
        }
    }

    pub(super) fn connect(&mut self, outbox: UnboundedSender<String>) -> Connection {
        self.connected += 1;
        // Its owner has just made it.
        let _ = outbox.send(self.welcome(self.connected));
        let _ = outbox.send("|challstr|4|0123456789abcdef".to_owned());
        self.connections.insert(self.connected, outbox);
        self.connected
    }

    pub(super) fn disconnect(&mut self, connection: Connection) {
        self.connections.remove(&connection);
        for user in self.users.values_mut().filter(|user| user.connection == Some(connection)) {
            user.connection = None;
            user.searching.clear();
            let me = id(&user.name);
            if let Some(held) = &mut self.tournaments {
                held.present.remove(&me);
            }
            for room in self.rooms.values_mut() {
                room.present.remove(&me);
            }
        }
        self.users.retain(|_, user| !user.is_guest || user.connection.is_some());
    }

    pub(super) fn drop_all(&mut self) {
        for connection in self.connections.keys().copied().collect::<Vec<_>>() {
            self.disconnect(connection);
        }
    }

    pub(super) fn restart(&mut self) {
        self.past = self.played();
        self.drop_all();
        self.users.clear();
        self.rooms.clear();
        self.opened = 0;
        self.tournaments.iter_mut().for_each(Tournaments::forget);
    }

    pub(super) fn played(&self) -> Vec<Played> {
        let mut rooms: Vec<_> = self.rooms.iter().collect();
        rooms.sort_by_key(|(_, room)| room.number);
        let now = rooms.into_iter().map(|(name, room)| room.played(name));
        self.past.iter().cloned().chain(now).collect()
    }

    fn strikes(&mut self, odds: Option<u32>) -> bool {
        odds.is_some_and(|odds| self.chance.below(odds as usize) == 0)
    }

    /// Says something on a connection, or loses it.
    fn send(&mut self, connection: Connection, frame: String) {
        if self.strikes(self.faults.drop) {
            return self.disconnect(connection);
        }
        if let Some(outbox) = self.connections.get(&connection) {
            // It may be closing.
            let _ = outbox.send(frame);
        }
    }

    pub(super) fn tell(&mut self, user: &str, frame: String) {
        if let Some(connection) = self.users.get(user).and_then(|user| user.connection) {
            self.send(connection, frame);
        }
    }

    /// Takes a message: `ROOM|COMMAND`.
    pub(super) fn hear(&mut self, connection: Connection, message: &str) {
        let Some((room, command)) = message.split_once('|') else { return };
        let (command, argument) = command.split_once(' ').unwrap_or((command, ""));
        if command == "/trn" {
            return self.name(connection, argument);
        }
        let is_theirs = |user: &&User| user.connection == Some(connection);
        let Some(user) = self.users.values().find(is_theirs) else { return };
        let me = id(&user.name);
        let plays = |room: &Room| room.side(&me).is_some();
        if self.rooms.get(room).is_some_and(|room| !plays(room)) {
            *if command == "/leave" { &mut self.left } else { &mut self.heckles } += 1;
        }
        match command {
            "/search" => self.search(&me, argument),
            "/cancelsearch" => {
                self.user(&me).searching.clear();
                self.update_search(&me);
            }
            "/challenge" => self.challenge(&me, argument),
            "/accept" => self.accept(&me, argument),
            "/join" => self.join(&me, argument),
            "/cmd" if argument == "roomlist" => self.list_rooms(&me),
            "/leave" => {
                let room = if argument.is_empty() { room } else { argument }.to_owned();
                if self.rooms.get_mut(&room).is_some_and(|room| room.present.remove(&me)) {
                    self.tell(&me, format!(">{room}\n|deinit"));
                }
            }
            "/tournament" => self.hold(|held, world| {
                if held.room == room {
                    held.hear(world, &me, argument);
                }
            }),
            "/choose" => self.choose(&me, room, argument),
            "/forfeit" => self.forfeit(&me, room),
            // /utm, /timer, /savereplay and all that is not known.
            _ => {}
        }
    }

    /// Does something with the tournaments, if there are any.
    fn hold(&mut self, act: impl FnOnce(&mut Tournaments, &mut Self)) {
        if let Some(mut held) = self.tournaments.take() {
            act(&mut held, self);
            self.tournaments = Some(held);
        }
    }

    pub(super) fn flip(&mut self) -> bool {
        self.chance.below(2) == 0
    }

    pub(super) fn name_of(&mut self, me: &str) -> String {
        self.user(me).name.clone()
    }

    fn user(&mut self, me: &str) -> &mut User {
        self.users.get_mut(me).expect("users are never forgotten while one speaks")
    }

    /// `/trn NAME,0,ASSERTION`
    fn name(&mut self, connection: Connection, argument: &str) {
        let name = argument.split(',').next().unwrap_or("").trim().to_owned();
        let me = id(&name);
        let is_used = self.users.get(&me).is_some_and(|user| user.connection.is_some());
        if is_used || self.strikes(self.faults.name_taken) {
            let frame = format!("|nametaken|{name}|Someone is already using the name \"{name}\".");
            return self.send(connection, frame);
        }
        self.users.retain(|_, user| !user.is_guest || user.connection != Some(connection));
        let fresh = || User::new(&name);
        self.users.entry(me.clone()).or_insert_with(fresh).connection = Some(connection);
        self.update_search(&me);
        self.tell(&me, format!("|updateuser| {name}|1|1|{{}}"));
        // Back in all rooms.
        let games: Vec<String> = self.games(&me).map(str::to_owned).collect();
        games.iter().for_each(|room| self.show_room(&me, room));
    }

    fn games(&self, me: &str) -> impl Iterator<Item = &str> {
        let plays = |room: &&Room| room.battle.end.is_none() && room.side(me).is_some();
        let mine = self.rooms.iter().filter(move |(_, room)| plays(room));
        mine.map(|(name, _)| name.as_str())
    }

    fn update_search(&mut self, me: &str) {
        let games: serde_json::Map<_, _> =
            self.games(me).map(|room| (room.to_owned(), json!("Random Battle*"))).collect();
        let games = if games.is_empty() { json!(null) } else { json!(games) };
        let searching = &self.user(me).searching;
        let says = json!({"searching": searching, "games": games});
        self.tell(me, format!("|updatesearch|{says}"));
    }

    fn popup(&mut self, me: &str, says: &str) {
        self.tell(me, format!("|popup|{says}"));
    }

    fn search(&mut self, me: &str, format: &str) {
        if self.strikes(self.faults.throttle) {
            return self.popup(
                me,
                "Due to high load, you are limited to 12 battles and team validations every 3 minutes.",
            );
        }
        if self.faults.games.is_some_and(|most| self.games(me).count() >= most) {
            return self
                .popup(me, "Due to high load, you are limited to 5 games at the same time.");
        }
        if !self.user(me).searching.insert(format.to_owned()) {
            return self.popup(
                me,
                &format!("Couldn't search: You are already searching for a {format} battle."),
            );
        }
        self.update_search(me);
        self.user(me).searching.remove(format);
        self.rivals += 1;
        let number = self.rivals;
        let rival = match self.faults.hostile {
            true => format!("<img src=x onerror=alert({number})>"),
            false => format!("Rival {number}"),
        };
        let mine = (self.user(me).name.clone(), Some(me.to_owned()));
        self.open(format, [mine, (rival, None)]);
    }

    /// `/challenge USER, FORMAT`. Whoever is called a rival accepts at once.
    fn challenge(&mut self, me: &str, argument: &str) {
        let (whom, format) = argument.split_once(',').unwrap_or((argument, ""));
        let (whom, format) = (id(whom), format.trim().to_owned());
        let name = self.user(me).name.clone();
        if whom.starts_with("rival") {
            self.open(&format, [(name, Some(me.to_owned())), (whom, None)]);
            return;
        }
        let Some(other) = self.users.get(&whom) else {
            return self.popup(me, &format!("The user '{whom}' was not found."));
        };
        let frame = format!("|pm| {name}| {}|/challenge {format}|{format}|||", other.name);
        self.tell(&whom, frame.clone());
        self.tell(me, frame);
        self.user(me).searching.insert(format!("challenge {whom} {format}"));
    }

    fn accept(&mut self, me: &str, whom: &str) {
        let (whom, mark) = (id(whom), format!("challenge {me} "));
        let Some(other) = self.users.get_mut(&whom) else { return };
        let Some(challenge) = other.searching.iter().find(|it| it.starts_with(&mark)).cloned()
        else {
            return self.popup(me, &format!("{whom} is not challenging you."));
        };
        other.searching.remove(&challenge);
        let name = other.name.clone();
        let mine = self.user(me).name.clone();
        let format = challenge[mark.len()..].to_owned();
        self.open(&format, [(name, Some(whom)), (mine, Some(me.to_owned()))]);
    }

    pub(super) fn open(&mut self, format: &str, players: [(String, Option<String>); 2]) -> String {
        self.opened += 1;
        let name = BattleRoom { format: &id(format), number: self.opened }.to_string();
        let present: BTreeSet<String> =
            players.iter().filter_map(|(_, user)| user.clone()).collect();
        self.clock += 1;
        let mut battle = Battle::new(players, format, self.clock);
        if self.faults.hostile {
            let name = &battle.sides[1].name;
            battle.log.push(format!("|c|☆{name}|{name}"));
        }
        let told = battle.log.len();
        let room = Room { number: self.opened, battle, told, present: present.clone() };
        self.rooms.insert(name.clone(), room);
        for user in present {
            self.update_search(&user);
            self.show_room(&user, &name);
        }
        name
    }

    /// Everything from the beginning, and the request.
    fn show_room(&mut self, me: &str, name: &str) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.present.insert(me.to_owned());
        let [one, two] = [0, 1].map(|side: Side| room.battle.sides[side].name.clone());
        let log = room.battle.log.join("\n");
        let frame = format!(">{name}\n|init|battle\n|title|{one} vs. {two}\n|j|☆{one}\n{log}");
        self.tell(me, frame);
        self.ask(me, name);
    }

    fn ask(&mut self, me: &str, name: &str) {
        let Some(room) = self.rooms.get(name) else { return };
        let Some(side) = room.side(me) else { return };
        let Some(request) = room.battle.request(side, false) else { return };
        let stale = room.battle.request(side, true);
        self.tell(me, format!(">{name}\n|request|{request}"));
        if self.strikes(self.faults.stale) {
            let request = stale.expect("there is a request");
            self.tell(me, format!(">{name}\n|request|{request}"));
        }
    }

    fn join(&mut self, me: &str, name: &str) {
        if self.rooms.contains_key(name) {
            return self.show_room(me, name);
        }
        if self.tournaments.as_ref().is_some_and(|held| held.room == name) {
            return self.hold(|held, world| held.enter(world, me));
        }
        self.missed += 1;
        let says = format!(">{name}\n|noinit|nonexistent|The room \"{name}\" does not exist.");
        self.tell(me, says);
    }

    /// `/choose CHOICE|RQID`
    fn choose(&mut self, me: &str, name: &str, argument: &str) {
        if self.strikes(self.faults.lose) {
            let says = format!("|inactive|{} has 30 seconds left.", self.name_of(me));
            return self.tell(me, format!(">{name}\n{says}"));
        }
        let Some(room) = self.rooms.get_mut(name) else { return };
        let Some(side) = room.side(me) else { return };
        let (choice, rqid) = argument.split_once('|').unwrap_or((argument, ""));
        if let Err(error) = room.battle.choose(side, choice, rqid.parse().ok()) {
            return self.tell(me, format!(">{name}\n|error|{error}"));
        }
        if !self.faults.idle {
            self.play_on(name);
        }
    }

    pub(super) fn wake_rivals(&mut self) {
        self.faults.idle = false;
        for name in self.rooms.keys().cloned().collect::<Vec<_>>() {
            self.play_on(&name);
        }
    }

    /// Plays what can be played without another word.
    fn play_on(&mut self, name: &str) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        let mut played = false;
        // A rival who must switch keeps nobody waiting.
        while room.battle.play(&mut self.chance) {
            played = true;
        }
        if played {
            self.tell_on(name);
        }
    }

    pub(super) fn run_timers_out(&mut self) {
        let is_away = |user: &Option<String>| {
            user.as_ref().is_some_and(|user| self.users[user].connection.is_none())
        };
        let mut late = Vec::new();
        for (name, room) in &self.rooms {
            let away = (0..2).find(|side| is_away(&room.battle.sides[*side].user));
            late.extend(away.map(|side| (name.clone(), side)));
        }
        for (name, side) in late {
            let room = self.rooms.get_mut(&name).expect("it was just there");
            room.battle.time_out(side);
            self.tell_on(&name);
        }
    }

    pub(super) fn forfeit(&mut self, me: &str, name: &str) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        let Some(side) = room.side(me) else { return };
        room.battle.forfeit(side);
        self.tell_on(name);
    }

    /// What is new in a room, and what is asked now.
    fn tell_on(&mut self, name: &str) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        let news = room.battle.log[room.told..].join("\n");
        room.told = room.battle.log.len();
        let (present, end) = (room.present.clone(), room.battle.end);
        for user in present {
            let frame = format!(">{name}\n{news}");
            if self.strikes(self.faults.double) {
                self.tell(&user, frame.clone());
            }
            self.tell(&user, frame);
            if end.is_some() {
                self.update_search(&user);
            }
            self.ask(&user, name);
        }
        if let Some(end) = end {
            self.hold(|held, world| held.over(world, name, end));
        }
    }
}

impl User {
    fn new(name: &str) -> Self {
        let name = name.to_owned();
        Self { name, connection: None, searching: BTreeSet::new(), is_guest: false }
    }

    pub(super) fn guest(name: &str, connection: Connection) -> Self {
        Self { connection: Some(connection), is_guest: true, ..Self::new(name) }
    }
}

impl Room {
    fn side(&self, me: &str) -> Option<Side> {
        self.battle.sides.iter().position(|player| player.user.as_deref() == Some(me))
    }

    fn played(&self, name: &str) -> Played {
        let accounts = (0..2).filter_map(|side| {
            let user = self.battle.sides[side].user.clone();
            user.map(|user| (side, user))
        });
        let (sides, players): (Vec<Side>, Vec<String>) = accounts.unzip();
        let outcomes = self.battle.end.map(|end| {
            let outcome = |side: &Side| match end {
                End::Tied => Outcome::Tie,
                End::Won { by, .. } if by == *side => Outcome::Win,
                End::Won { forfeit: true, .. } => Outcome::Forfeit,
                End::Won { forfeit: false, .. } => Outcome::Loss,
            };
            sides.iter().map(outcome).collect()
        });
        Played { room: name.to_owned(), players, outcomes }
    }
}
