//! The stand-in's tournaments: eliminations in one room, each begun when it has enough players, one after the other.
//! Rivals of the server's own join at once, and are never late.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    battle::{End, Side},
    world::World,
};
use crate::domain::{id::id, protocol::LOBBY};

/// Where tournaments are held, and the one that is held now.
pub(super) struct Tournaments {
    pub room: String,
    pub format: String,
    /// Players of each tournament, and how many of these are rivals.
    pub size: usize,
    pub rivals: usize,
    /// Accounts in the room.
    pub present: BTreeSet<String>,
    now: Tournament,
}

#[derive(Default)]
struct Tournament {
    entrants: Vec<Entrant>,
    is_started: bool,
    matches: Vec<Match>,
    /// Who has won in this round, or had nobody to play.
    winners: Vec<usize>,
}

struct Entrant {
    name: String,
    /// `None`: a rival.
    user: Option<String>,
    is_out: bool,
}

/// A match of this round.
struct Match {
    /// Who challenges, and who accepts.
    sides: [usize; 2],
    is_challenged: bool,
    room: Option<String>,
}

impl Tournaments {
    pub(super) fn new(room: &str, format: &str, size: usize, rivals: usize) -> Self {
        let (room, format) = (room.to_owned(), format.to_owned());
        let mut held = Self {
            room,
            format,
            size,
            rivals,
            present: BTreeSet::new(),
            now: Tournament::default(),
        };
        held.create();
        held
    }

    fn create(&mut self) {
        let rival = |number| {
            let name = format!("Rival T{number}");
            Entrant { name, user: None, is_out: false }
        };
        let entrants = (0..self.rivals).map(rival).collect();
        self.now = Tournament { entrants, ..Tournament::default() };
    }

    /// The server has restarted.
    pub(super) fn forget(&mut self) {
        self.present.clear();
        self.create();
    }

    pub(super) fn enter(&mut self, world: &mut World, me: &str) {
        self.present.insert(me.to_owned());
        self.say(world, me, "|init|chat\n|title|Tournaments");
        self.show(world, me);
    }

    /// `/tournament COMMAND`
    pub(super) fn hear(&mut self, world: &mut World, me: &str, command: &str) {
        let (word, argument) = command.split_once(' ').unwrap_or((command, ""));
        let refusal = match word {
            "join" => self.join(world, me),
            "leave" => self.leave(world, me),
            "challenge" => self.challenge(world, me, argument),
            "acceptchallenge" => self.accept(world, me),
            "cancelchallenge" => self.cancel(me),
            _ => None,
        };
        match refusal {
            Some(why) => self.say(world, me, &format!("|tournament|error|{why}")),
            None => self.show_all(world),
        }
    }

    fn place(&self, me: &str) -> Option<usize> {
        let is_me = |entrant: &Entrant| !entrant.is_out && entrant.user.as_deref() == Some(me);
        self.now.entrants.iter().position(is_me)
    }

    fn join(&mut self, world: &mut World, me: &str) -> Option<&'static str> {
        if self.place(me).is_some() {
            return Some("UserAlreadyAdded");
        }
        if self.now.is_started {
            return Some("BracketFrozen");
        }
        let user = Some(me.to_owned());
        self.now.entrants.push(Entrant { name: world.name_of(me), user, is_out: false });
        if self.now.entrants.len() == self.size {
            self.now.is_started = true;
            self.pair((0..self.size).collect(), world);
        }
        None
    }

    /// The next round; those who are left over have won it. Who is alone has won the tournament.
    fn pair(&mut self, mut left: Vec<usize>, world: &mut World) {
        while left.len() > 1 {
            for pair in left.chunks(2) {
                let is_rival = |place: &usize| self.now.entrants[*place].user.is_none();
                match pair {
                    [one, two] if is_rival(one) && is_rival(two) => {
                        let [winner, loser] =
                            if world.flip() { [*one, *two] } else { [*two, *one] };
                        self.now.entrants[loser].is_out = true;
                        self.now.winners.push(winner);
                    }
                    [one, two] => {
                        let is_challenged = is_rival(one);
                        let sides = [*one, *two];
                        self.now.matches.push(Match { sides, is_challenged, room: None });
                    }
                    lucky => self.now.winners.extend(lucky),
                }
            }
            if !self.now.matches.is_empty() {
                return;
            }
            left = std::mem::take(&mut self.now.winners);
        }
        for user in self.present.clone() {
            self.say(world, &user, "|tournament|end|{}");
        }
        self.create();
    }

    fn challenge(&mut self, world: &mut World, me: &str, whom: &str) -> Option<&'static str> {
        let from = self.place(me);
        let entrants = &self.now.entrants;
        let is_it = |it: &&mut Match| {
            let [one, two] = it.sides;
            let is_free = it.room.is_none() && !it.is_challenged;
            is_free && Some(one) == from && id(&entrants[two].name) == id(whom)
        };
        let Some(found) = self.now.matches.iter_mut().find(is_it) else {
            return Some("InvalidMatch");
        };
        found.is_challenged = true;
        if entrants[found.sides[1]].user.is_none() {
            begin(found, entrants, &self.format, world);
        }
        None
    }

    fn accept(&mut self, world: &mut World, me: &str) -> Option<&'static str> {
        let to = self.place(me);
        let is_it =
            |it: &&mut Match| it.room.is_none() && it.is_challenged && Some(it.sides[1]) == to;
        if let Some(found) = self.now.matches.iter_mut().find(is_it) {
            begin(found, &self.now.entrants, &self.format, world);
        }
        None
    }

    fn cancel(&mut self, me: &str) -> Option<&'static str> {
        let from = self.place(me);
        let is_it = |it: &&mut Match| it.room.is_none() && Some(it.sides[0]) == from;
        if let Some(found) = self.now.matches.iter_mut().find(is_it) {
            found.is_challenged = false;
        }
        None
    }

    fn leave(&mut self, world: &mut World, me: &str) -> Option<&'static str> {
        let Some(place) = self.place(me) else { return Some("UserNotAdded") };
        if !self.now.is_started {
            self.now.entrants.remove(place);
            return None;
        }
        self.now.entrants[place].is_out = true;
        self.now.winners.retain(|winner| *winner != place);
        if let Some(at) = self.now.matches.iter().position(|it| it.sides.contains(&place)) {
            let Match { sides, room, .. } = self.now.matches.remove(at);
            if let Some(room) = room {
                world.forfeit(me, &room);
            }
            let winner = if sides[0] == place { sides[1] } else { sides[0] };
            self.won(winner, world);
        }
        None
    }

    fn won(&mut self, winner: usize, world: &mut World) {
        self.now.winners.push(winner);
        if self.now.matches.is_empty() {
            let left = std::mem::take(&mut self.now.winners);
            self.pair(left, world);
        }
    }

    /// A battle has ended, which may be one of ours.
    pub(super) fn over(&mut self, world: &mut World, room: &str, end: End) {
        let is_it = |it: &Match| it.room.as_deref() == Some(room);
        let Some(at) = self.now.matches.iter().position(is_it) else { return };
        match end {
            // It is played again.
            End::Tied => {
                let it = &mut self.now.matches[at];
                it.room = None;
                it.is_challenged = self.now.entrants[it.sides[0]].user.is_none();
            }
            End::Won { by, .. } => {
                let Match { sides, .. } = self.now.matches.remove(at);
                self.now.entrants[sides[1 - by]].is_out = true;
                self.won(sides[by], world);
            }
        }
        self.show_all(world);
    }

    fn show_all(&self, world: &mut World) {
        self.present.iter().for_each(|user| self.show(world, user));
    }

    /// All that one player is told.
    fn show(&self, world: &mut World, me: &str) {
        let place = self.place(me);
        let now = &self.now;
        let of = |side: Side, is_challenged: bool| {
            let is_it = move |it: &&Match| {
                it.room.is_none()
                    && it.is_challenged == is_challenged
                    && Some(it.sides[side]) == place
            };
            let other = now.matches.iter().find(is_it).map(|it| it.sides[1 - side]);
            other.map(|other| now.entrants[other].name.clone())
        };
        let all = json!({
            "format": "[Gen 9] Random Battle", "teambuilderFormat": self.format,
            "generator": "Single Elimination", "isStarted": now.is_started, "isJoined": place.is_some(),
        });
        self.say(world, me, &format!("|tournament|update|{all}"));
        let challenges = json!({
            "challenges": Vec::from_iter(of(0, false)), "challengeBys": Vec::from_iter(of(1, false)),
            "challenging": of(0, true), "challenged": of(1, true),
        });
        self.say(world, me, &format!("|tournament|update|{challenges}"));
        self.say(world, me, "|tournament|updateEnd");
    }

    fn say(&self, world: &mut World, user: &str, text: &str) {
        let is_lobby = self.room == LOBBY;
        let frame = if is_lobby { text.to_owned() } else { format!(">{}\n{text}", self.room) };
        world.tell(user, frame);
    }
}

fn begin(found: &mut Match, entrants: &[Entrant], format: &str, world: &mut World) {
    let player = |place: usize| (entrants[place].name.clone(), entrants[place].user.clone());
    found.room = Some(world.open(format, found.sides.map(player)));
}
