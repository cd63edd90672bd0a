//! The stand-in's game: two Pokémon a side, and chance.

use serde_json::{Value, json};

use crate::domain::chance::Chance;

/// What each side brings: names, HP and moves that a real server would deal.
const TEAM: [(&str, u16, [&str; 2]); 2] =
    [("Pikachu", 180, ["thunderbolt", "surf"]), ("Snorlax", 380, ["bodyslam", "earthquake"])];

/// Which side: 0 is `p1`.
pub(super) type Side = usize;

/// A battle.
pub(super) struct Battle {
    pub sides: [Player; 2],
    /// What both were told.
    pub log: Vec<String>,
    turn: u32,
    rqid: u64,
    pub end: Option<End>,
}

/// One who plays.
pub(super) struct Player {
    /// The name, as it is shown.
    pub name: String,
    /// The account behind it; `None`: the server's own rival, who is never late.
    pub user: Option<String>,
    hp: [u16; 2],
    active: usize,
    /// The id of the request that is to be answered; `None`: nothing is asked.
    asked: Option<u64>,
    chosen: Option<Choice>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Won { by: Side, forfeit: bool },
    Tied,
}

#[derive(Debug, Clone, Copy)]
enum Choice {
    Move(usize),
    Switch,
}

impl Player {
    fn new(name: String, user: Option<String>) -> Self {
        let hp = TEAM.map(|(_, hp, _)| hp);
        Self { name, user, hp, active: 0, asked: None, chosen: None }
    }

    fn other_lives(&self) -> bool {
        self.hp[1 - self.active] > 0
    }

    fn condition(&self, place: usize) -> String {
        match self.hp[place] {
            0 => "0 fnt".to_owned(),
            hp => format!("{hp}/{}", TEAM[place].1),
        }
    }

    fn must_switch(&self) -> bool {
        self.hp[self.active] == 0
    }
}

impl Battle {
    /// `began`: when, in the server's seconds.
    pub(super) fn new(players: [(String, Option<String>); 2], format: &str, began: u64) -> Self {
        let sides = players.map(|(name, user)| Player::new(name, user));
        let log = Vec::new();
        let mut battle = Self { sides, log, turn: 0, rqid: 0, end: None };
        battle.say(&format!("|t:|{began}\n|gametype|singles"));
        for side in 0..2 {
            battle.say(&format!("|player|p{}|{}|1|1000", side + 1, battle.sides[side].name));
            battle.say(&format!("|teamsize|p{}|2", side + 1));
        }
        battle.say(&format!("|gen|9\n|tier|{format}\n|rated|\n|\n|start"));
        (0..2).for_each(|side| battle.come_in(side));
        battle.next_turn();
        battle
    }

    fn say(&mut self, lines: &str) {
        self.log.extend(lines.split('\n').map(str::to_owned));
    }

    fn ident(side: Side, place: usize) -> String {
        format!("p{}a: {}", side + 1, TEAM[place].0)
    }

    fn come_in(&mut self, side: Side) {
        let (player, place) = (&self.sides[side], self.sides[side].active);
        let (ident, condition) = (Self::ident(side, place), player.condition(place));
        self.say(&format!("|switch|{ident}|{}, L88, M|{condition}", TEAM[place].0));
    }

    fn next_turn(&mut self) {
        self.turn += 1;
        self.say(&format!("|turn|{}", self.turn));
        self.ask([true, true]);
    }

    /// New requests: for those who must answer with ids of their own.
    fn ask(&mut self, who: [bool; 2]) {
        for (player, is_asked) in self.sides.iter_mut().zip(who) {
            self.rqid += 1 + self.rqid % 3;
            player.asked = is_asked.then_some(self.rqid);
            player.chosen = None;
        }
    }

    /// The request of a side, as JSON; `stale`: with the id of an earlier one.
    pub(super) fn request(&self, side: Side, stale: bool) -> Option<String> {
        if self.end.is_some() {
            return None;
        }
        let player = &self.sides[side];
        let order = [player.active, 1 - player.active];
        let pokemon = order.map(|place| {
            let (name, _, moves) = TEAM[place];
            json!({
                "ident": format!("p{}: {name}", side + 1), "details": format!("{name}, L88, M"),
                "condition": player.condition(place), "active": place == player.active,
                "stats": {"atk": 200, "def": 200, "spa": 200, "spd": 200, "spe": 200}, "moves": moves,
                "baseAbility": "static", "item": "leftovers", "pokeball": "pokeball",
                "ability": "static", "teraType": "Fire", "terastallized": "",
            })
        });
        let mut request = json!({"side": {
            "name": player.name, "id": format!("p{}", side + 1), "pokemon": pokemon,
        }});
        let rqid = player.asked.unwrap_or(self.rqid);
        request["rqid"] = json!(if stale { rqid.saturating_sub(1) } else { rqid });
        if player.asked.is_none() || player.chosen.is_some() {
            request["wait"] = Value::Bool(true);
        } else if player.must_switch() {
            request["forceSwitch"] = json!([true]);
        } else {
            let moves = TEAM[player.active].2.map(|id| {
                json!({"move": id, "id": id, "pp": 24, "maxpp": 24, "target": "normal", "disabled": false})
            });
            request["active"] = json!([{"moves": moves, "canTerastallize": "Fire"}]);
        }
        Some(request.to_string())
    }

    /// Takes a choice; the error is what the server says to it.
    pub(super) fn choose(
        &mut self,
        side: Side,
        choice: &str,
        rqid: Option<u64>,
    ) -> Result<(), &'static str> {
        let player = &mut self.sides[side];
        if self.end.is_some() || player.asked.is_none() {
            return Err("[Invalid choice] There's nothing to choose");
        }
        if rqid.is_some() && rqid != player.asked {
            return Err(
                "[Invalid choice] Sorry, too late to make a different move; the next turn \
                        has already started",
            );
        }
        let (word, place) = choice.split_once(' ').unwrap_or((choice, ""));
        let place = place.split(' ').next().and_then(|place| place.parse::<usize>().ok());
        let switch = player.other_lives().then_some(Choice::Switch);
        let chosen = match (word, place) {
            ("default", _) if player.must_switch() => switch,
            ("default", _) => Some(Choice::Move(0)),
            ("move", Some(place @ 1..=2)) if !player.must_switch() => Some(Choice::Move(place - 1)),
            ("switch", Some(2)) => switch,
            (_, _) => None,
        };
        player.chosen = Some(chosen.ok_or("[Invalid choice] Can't do that")?);
        Ok(())
    }

    pub(super) fn forfeit(&mut self, side: Side) {
        if self.end.is_none() {
            self.say(&format!("|-message|{} forfeited.", self.sides[side].name));
            self.finish(End::Won { by: 1 - side, forfeit: true });
        }
    }

    pub(super) fn time_out(&mut self, side: Side) {
        if self.end.is_none() {
            self.say(&format!("|-message|{} lost due to inactivity.", self.sides[side].name));
            self.finish(End::Won { by: 1 - side, forfeit: false });
        }
    }

    /// Plays the turn if everybody has chosen. Says whether it did.
    pub(super) fn play(&mut self, chance: &mut Chance) -> bool {
        for player in self.sides.iter_mut().filter(|player| player.user.is_none()) {
            let chosen = if player.must_switch() { Choice::Switch } else { Choice::Move(0) };
            player.chosen = player.asked.map(|_| chosen);
        }
        let is_ready = |player: &Player| player.asked.is_none() || player.chosen.is_some();
        if self.end.is_some() || !self.sides.iter().all(is_ready) {
            return false;
        }
        self.say("|");
        for side in 0..2 {
            match self.sides[side].chosen.take() {
                Some(Choice::Switch) => {
                    self.sides[side].active = 1 - self.sides[side].active;
                    self.come_in(side);
                }
                Some(Choice::Move(place)) => self.strike(side, place, chance),
                None => {}
            }
        }
        self.settle(chance);
        true
    }

    fn strike(&mut self, side: Side, place: usize, chance: &mut Chance) {
        let other = 1 - side;
        let (by, at) = (&self.sides[side], &self.sides[other]);
        if by.must_switch() || at.must_switch() {
            return;
        }
        let (ident, target) = (Self::ident(side, by.active), Self::ident(other, at.active));
        let name = TEAM[by.active].2[place];
        let share = 20 + u16::try_from(chance.below(40)).expect("below 40");
        let at = &mut self.sides[other];
        let damage = TEAM[at.active].1 * share / 100;
        at.hp[at.active] = at.hp[at.active].saturating_sub(damage);
        let condition = at.condition(at.active);
        let fainted = at.must_switch();
        self.say(&format!("|move|{ident}|{name}|{target}\n|-damage|{target}|{condition}"));
        if fainted {
            self.say(&format!("|faint|{target}"));
        }
    }

    /// What comes after the moves: an end, a switch, or a turn.
    fn settle(&mut self, chance: &mut Chance) {
        let lost = [0, 1].map(|side| {
            let player: &Player = &self.sides[side];
            player.must_switch() && !player.other_lives()
        });
        let must_switch = [0, 1].map(|side| self.sides[side].must_switch());
        match lost {
            // Now and then both fall by the same blow.
            [true, false] | [false, true] if chance.below(12) == 0 => self.finish(End::Tied),
            [true, _] => self.finish(End::Won { by: 1, forfeit: false }),
            [_, true] => self.finish(End::Won { by: 0, forfeit: false }),
            [false, false] if must_switch.contains(&true) => {
                self.say("|upkeep");
                self.ask(must_switch);
            }
            [false, false] => {
                self.say("|upkeep");
                self.next_turn();
            }
        }
    }

    fn finish(&mut self, end: End) {
        self.end = Some(end);
        self.say("|");
        match end {
            End::Won { by, .. } => self.say(&format!("|win|{}", self.sides[by].name)),
            End::Tied => self.say("|tie"),
        }
        for side in 0..2 {
            let name = self.sides[side].name.clone();
            let rating = match end {
                End::Won { by, .. } if by == side => 1045,
                End::Won { .. } | End::Tied => 1000,
            };
            self.say(&format!("|raw|{name}'s rating: 1000 &rarr; <strong>{rating}</strong><br />"));
        }
    }
}
