//! One line of a log in a sentence.

use super::{Said, named};
use crate::{
    domain::{
        battle::Battle,
        id::id,
        protocol::{BattleLine, BoostChange, Cause, Condition, Ident, Line, Slot, Status},
    },
    limits,
};

/// Speaks of a battle as it was before the line.
pub(super) struct Speaker<'a> {
    pub battle: &'a Battle,
    /// To whom; `None`: to nobody who plays in it.
    pub me: Option<Slot>,
}

impl Speaker<'_> {
    /// What a line tells; `None`: nothing.
    pub(super) fn say(&self, text: &str, line: &Line<'_>) -> Option<Said> {
        // The server itself shows these to nobody.
        if text.ends_with("|[silent]") {
            return None;
        }
        let (by, text) = match line {
            Line::Battle(line) => self.happens(line)?,
            Line::Other(text) => self.aside(text)?,
            Line::Challstr(_)
            | Line::UpdateUser { .. }
            | Line::NameTaken { .. }
            | Line::UpdateSearch(_)
            | Line::Formats(_)
            | Line::Answer { .. }
            | Line::Pm { .. }
            | Line::Popup(_)
            | Line::Init(_)
            | Line::Title(_)
            | Line::NoInit
            | Line::Deinit
            | Line::Error(_)
            | Line::Tournament(_)
            | Line::Request(_) => return None,
        };
        Some(Said { by, text: cut(&begin(&text), limits::SAID_CHARS) })
    }

    fn happens(&self, line: &BattleLine<'_>) -> Option<(Option<Slot>, String)> {
        Some(match line {
            BattleLine::Win(name) => {
                let winner = self.battle.slot_of(&id(name));
                (winner, format!("{} won the battle.", name_of(name)))
            }
            BattleLine::Tie => (None, "The battle ended in a tie.".to_owned()),
            BattleLine::Weather { upkeep: true, .. } => return None,
            BattleLine::Weather { name: "none", .. } => (None, "The weather cleared.".to_owned()),
            BattleLine::Weather { name, upkeep: false, cause } => {
                (None, format!("The weather became {}{}.", effect(name), because(cause)))
            }
            BattleLine::Field { effect: name, began, cause } => {
                let what = if *began { "began" } else { "ended" };
                (None, format!("{} {what}{}.", effect(name), because(cause)))
            }
            BattleLine::SideCondition { slot, effect: name, began } => {
                let (name, side) = (effect(name), self.player(*slot));
                let text = match began {
                    true => format!("{name} began on {side}'s side."),
                    false => format!("{name} ended on {side}'s side."),
                };
                (None, text)
            }
            BattleLine::SwapSideConditions => {
                (None, "The sides' conditions changed places.".to_owned())
            }
            BattleLine::ClearAllBoosts => (None, "All stat changes were removed.".to_owned()),
            BattleLine::Player { .. }
            | BattleLine::TeamSize { .. }
            | BattleLine::Gen(_)
            | BattleLine::Start
            | BattleLine::Turn(_)
            | BattleLine::Upkeep => return None,
            BattleLine::Switch { who, details, condition, .. } => {
                let name = match id(who.name) == id(details.species) {
                    true => name_of(who.name),
                    false => format!("{} ({})", name_of(who.name), name_of(details.species)),
                };
                let hp = match condition.percent() {
                    100 => String::new(),
                    hp => format!(" at {hp}\u{a0}%"),
                };
                (Some(who.slot), format!("{} sent out {name}{hp}.", self.player(who.slot)))
            }
            BattleLine::Move { who, name, cause } => {
                let text = format!("{} used {}{}.", self.who(who), name_of(name), because(cause));
                (Some(who.slot), text)
            }
            BattleLine::Replace { who, .. }
            | BattleLine::Forme { who, .. }
            | BattleLine::Transform { who, .. }
            | BattleLine::Faint(who)
            | BattleLine::Cant { who, .. }
            | BattleLine::Hp { who, .. }
            | BattleLine::Status { who, .. }
            | BattleLine::CureStatus(who)
            | BattleLine::CureTeam(who)
            | BattleLine::Boost { who, .. }
            | BattleLine::SetBoost { who, .. }
            | BattleLine::Boosts { who, .. }
            | BattleLine::VolatileStart { who, .. }
            | BattleLine::VolatileEnd { who, .. }
            | BattleLine::Activate { who, .. }
            | BattleLine::Single { who, .. }
            | BattleLine::Item { who, .. }
            | BattleLine::EndItem { who, .. }
            | BattleLine::Ability { who, .. }
            | BattleLine::Immune { who, .. }
            | BattleLine::Terastallize { who, .. } => (Some(who.slot), self.befalls(who, line)?),
        })
    }

    /// What happens to a Pokémon.
    fn befalls(&self, ident: &Ident<'_>, line: &BattleLine<'_>) -> Option<String> {
        let who = self.who(ident);
        Some(match line {
            BattleLine::Replace { .. } => format!("{who} had been in disguise."),
            BattleLine::Forme { species, .. } => {
                format!("{who} changed into {}.", name_of(species))
            }
            BattleLine::Transform { into, .. } => {
                format!("{who} transformed into {}.", self.who(into))
            }
            BattleLine::Faint(_) => format!("{who} fainted."),
            BattleLine::Cant { reason, .. } => format!("{who} {}.", held_up(reason)),
            BattleLine::Hp { condition, cause, .. } => self.hp(ident, *condition, cause),
            BattleLine::Status { status, cause, .. } => {
                format!("{who} {}{}.", came_down(*status), because(cause))
            }
            BattleLine::CureStatus(_) => format!("{who} is healthy again."),
            BattleLine::CureTeam(_) => {
                format!("{}'s whole team is healthy again.", self.player(ident.slot))
            }
            BattleLine::Boost { stat, by, cause, .. } => {
                let how = moved(*by);
                format!("{who}'s {} {how}{}.", effect(stat), because(cause))
            }
            BattleLine::SetBoost { stat, to, .. } => {
                format!("{who}'s {} is at {to:+}.", effect(stat))
            }
            BattleLine::Boosts { change, .. } => self.boosts(&who, change),
            BattleLine::VolatileStart { effect: name, argument, cause, .. } => {
                let about = match (*name, *argument) {
                    ("typechange", types) => format!("type {}", name_of(types)),
                    (name, "") => effect(name),
                    (name, argument) => format!("{}, {}", effect(name), effect(argument)),
                };
                format!("{who}: {about}{}.", because(cause))
            }
            BattleLine::VolatileEnd { effect: name, .. } => {
                format!("{who}: no longer {}.", effect(name))
            }
            BattleLine::Activate { effect: "", .. } => return None,
            BattleLine::Activate { effect: name, .. } | BattleLine::Single { effect: name, .. } => {
                format!("{who}: {}.", effect(name))
            }
            BattleLine::Item { item, cause, .. } => {
                format!("{who} has its {}{}.", name_of(item), because(cause))
            }
            BattleLine::EndItem { item, .. } => {
                format!("{who}'s {} is gone.", name_of(item))
            }
            BattleLine::Ability { ability, .. } => format!("{who}: {}.", effect(ability)),
            BattleLine::Immune { cause, .. } => {
                format!("It does not affect {who}{}.", because(cause))
            }
            BattleLine::Terastallize { tera, .. } => {
                format!("{who} terastallized: {}.", name_of(tera))
            }
            BattleLine::Player { .. }
            | BattleLine::TeamSize { .. }
            | BattleLine::Gen(_)
            | BattleLine::Start
            | BattleLine::Turn(_)
            | BattleLine::Upkeep
            | BattleLine::Win(_)
            | BattleLine::Tie
            | BattleLine::Switch { .. }
            | BattleLine::Move { .. }
            | BattleLine::ClearAllBoosts
            | BattleLine::Weather { .. }
            | BattleLine::Field { .. }
            | BattleLine::SideCondition { .. }
            | BattleLine::SwapSideConditions => return None,
        })
    }

    fn boosts(&self, who: &str, change: &BoostChange<'_>) -> String {
        match change {
            BoostChange::Clear => format!("{who}'s stat changes were removed."),
            BoostChange::ClearNegative => format!("{who}'s lowered stats came back."),
            BoostChange::ClearPositive => format!("{who}'s raised stats were lost."),
            BoostChange::Invert => format!("{who}'s stat changes were inverted."),
            BoostChange::CopyFrom(other) => {
                format!("{who} copied the stat changes of {}.", self.who(other))
            }
            BoostChange::Swap(other, _) => {
                format!("{who} swapped stat changes with {}.", self.who(other))
            }
        }
    }

    fn hp(&self, ident: &Ident<'_>, condition: Condition, cause: &Cause<'_>) -> String {
        let (who, why) = (self.who(ident), because(cause));
        let now = condition.percent();
        let side = self.battle.side(ident.slot);
        let before = side.place(ident.name).map(|place| side.team[place].hp_percent());
        match before {
            Some(before) if before < now => {
                format!("{who} recovered from {before} to {now}\u{a0}%{why}.")
            }
            Some(before) if before > now => {
                format!("{who} fell from {before} to {now}\u{a0}%{why}.")
            }
            Some(_) | None => format!("{who} is at {now}\u{a0}%{why}."),
        }
    }

    /// What is no battle line of its own: how a move went, and what people say.
    fn aside(&self, text: &str) -> Option<(Option<Slot>, String)> {
        let (kind, rest) = text.strip_prefix('|')?.split_once('|')?;
        let mut args = rest.split('|');
        let first = args.next().unwrap_or("");
        let fixed = match kind {
            "-supereffective" => "It is super effective.",
            "-resisted" => "It is not very effective.",
            "-crit" => "A critical hit.",
            "-miss" => "It missed.",
            "-fail" => "It failed.",
            "-block" => "It was blocked.",
            "-notarget" => "There was no target.",
            "-nothing" => "Nothing happened.",
            "-ohko" => "A knock-out at once.",
            "-hitcount" => {
                let times: u8 = args.next()?.parse().ok()?;
                return Some((None, format!("It hit {times} times.")));
            }
            "-fieldactivate" => return Some((None, format!("{}.", effect(first)))),
            "-message" | "message" => return Some((None, cut(rest, limits::SAID_CHARS))),
            "c" => {
                let (_, words) = rest.split_once('|')?;
                let name = name_of(first.trim_start_matches(|char: char| !char.is_alphanumeric()));
                let words = cut(words, limits::SAID_CHARS / 2);
                return Some((self.battle.slot_of(&id(&name)), format!("{name} says: “{words}”")));
            }
            _ => return None,
        };
        Some((None, fixed.to_owned()))
    }

    fn who(&self, Ident { slot, name }: &Ident<'_>) -> String {
        let name = name_of(name);
        match self.me {
            Some(me) if me == *slot => name,
            Some(_) => format!("the opposing {name}"),
            None => format!("{}'s {name}", self.player(*slot)),
        }
    }

    fn player(&self, slot: Slot) -> String {
        name_of(&self.battle.side(slot).player)
    }
}

/// Why somebody does not act.
fn held_up(reason: &str) -> String {
    match reason {
        "slp" => "is asleep".to_owned(),
        "par" => "is paralysed, and cannot move".to_owned(),
        "frz" => "is frozen".to_owned(),
        "flinch" => "flinched".to_owned(),
        "recharge" => "must recharge".to_owned(),
        reason => format!("cannot move: {}", effect(reason)),
    }
}

/// How far a stat went.
fn moved(by: i8) -> &'static str {
    match by {
        ..=-3 => "fell severely",
        -2 => "fell harshly",
        -1 => "fell",
        0 => "cannot change any more",
        1 => "rose",
        2 => "rose sharply",
        3.. => "rose drastically",
    }
}

fn came_down(status: Status) -> &'static str {
    match status {
        Status::Burn => "was burned",
        Status::Paralysis => "was paralysed",
        Status::Sleep => "fell asleep",
        Status::Freeze => "was frozen",
        Status::Poison => "was poisoned",
        Status::Toxic => "was badly poisoned",
    }
}

/// ` (Leftovers)`: what something comes from; nothing where nobody says so.
fn because(cause: &Cause<'_>) -> String {
    // That a move goes on is no reason to tell.
    let from = cause.from.filter(|from| *from != "lockedmove");
    from.map_or_else(String::new, |from| format!(" ({})", effect(from)))
}

/// An effect without its kind, "Stealth Rock" for "move: Stealth Rock", by its name if it is given as an id.
fn effect(effect: &str) -> String {
    let name = effect.split_once(": ").map_or(effect, |(_, name)| name);
    match named(&id(name)) {
        known if known != id(name) => known.to_owned(),
        _ => name_of(name),
    }
}

fn name_of(name: &str) -> String {
    cut(name, limits::SAID_NAME_CHARS)
}

fn cut(text: &str, chars: usize) -> String {
    let mut kept: String = text.chars().filter(|char| is_shown(*char)).take(chars).collect();
    if text.chars().count() > chars {
        kept.push('…');
    }
    kept
}

/// Not what would turn the text around it.
fn is_shown(char: char) -> bool {
    !char.is_control() && !matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Sentences begin with a capital letter. Names are as they are.
fn begin(text: &str) -> String {
    text.strip_prefix("the ").map_or_else(|| text.to_owned(), |rest| format!("The {rest}"))
}
