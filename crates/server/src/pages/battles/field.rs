//! Both sides of a battle: who is on the field, what is known of the teams, and what lies around.

use std::collections::BTreeSet;

use interlock_battles::domain::{
    battle::{Battle, Boosts, Pokemon, Side, Stat},
    id::id,
    protocol::{Slot, Status},
    request::OwnSide,
    words::named,
};
use interlock_web::page::{Tone, badge};
use maud::{Markup, html};

use crate::{limits, pages::figures::bar};

/// Both sides; the own one first, if one is.
pub fn sides(battle: &Battle, me: Option<Slot>, own: Option<&OwnSide>) -> Markup {
    let first = me.unwrap_or(Slot::P1);
    html! {
        div class="pair" {
            (side(battle, first, own.filter(|own| own.slot() == Some(first)), me.is_some()))
            (side(battle, first.other(), None, false))
        }
    }
}

/// The weather, and what else is everywhere, each with how long it has lasted.
pub fn around(battle: &Battle) -> [Markup; 2] {
    let lasting = |(id, since): (&str, u16)| {
        let turns = battle.turns_since(since);
        html! {
            (cut(named(id)))
            @if turns > 0 { " " span class="badge" { (turns) @if turns == 1 { " turn" } @else { " turns" } } }
        }
    };
    let known = |it: &Option<(String, u16)>| it.as_ref().map(|(id, since)| lasting((id, *since)));
    let none = || html! { span class="quiet" { "none" } };
    let room = battle.trick_room.map(|since| lasting(("trickroom", since)));
    let field = [known(&battle.terrain), room].into_iter().flatten().collect::<Vec<_>>();
    [
        known(&battle.weather).unwrap_or_else(none),
        html! {
            @if field.is_empty() { (none()) }
            @for it in &field { div { (it) } }
        },
    ]
}

fn side(battle: &Battle, slot: Slot, own: Option<&OwnSide>, is_bot: bool) -> Markup {
    let side = battle.side(slot);
    let conditions = side.conditions.iter().map(|(id, layers)| match layers.count {
        0 | 1 => named(id).to_owned(),
        count => format!("{} ×{count}", named(id)),
    });
    html! {
        div class="card" {
            h3 {
                (cut(&side.player))
                @if is_bot { " " span class="quiet" { "our bot" } }
            }
            @match side.active() {
                Some(active) => (on_field(active)),
                None => p class="quiet" { "Nobody is on the field yet." },
            }
            @if !side.conditions.is_empty() {
                p { @for condition in conditions { (badge(Tone::Plain, &cut(&condition))) " " } }
            }
            (team(side, own))
        }
    }
}

fn on_field(one: &Pokemon) -> Markup {
    let percent = one.hp_percent();
    html! {
        p class="who" {
            strong { (name(one)) } " "
            span class="quiet" { "L" (one.level) }
            span class="number" { (percent) " %" }
        }
        (bar(percent, &format!("{percent} % HP")))
        p class="badges" {
            @if one.fainted() { (badge(Tone::Bad, "fainted")) " " }
            @if let Some(status) = one.status { (badge(Tone::Warn, ails(status))) " " }
            @if let Some(tera) = one.tera.as_ref().filter(|_| one.terastallized) {
                (badge(Tone::Plain, &format!("Tera: {}", cut(tera)))) " "
            }
            (boosts(&one.stint.boosts))
            @for volatile in one.stint.volatiles.keys() {
                (badge(Tone::Plain, &cut(named(volatile)))) " "
            }
        }
    }
}

fn boosts(boosts: &Boosts) -> Markup {
    html! {
        @for (stat, stage) in Stat::ALL.map(|stat| (stat, boosts.of(stat))) {
            @if stage != 0 {
                @let tone = if stage > 0 { Tone::Good } else { Tone::Bad };
                @let stage = format!("{stage:+}").replace('-', "−");
                (badge(tone, &format!("{} {stage}", named(stat.id())))) " "
            }
        }
    }
}

/// All that are known of a team: those that were shown, then those that only the own player knows.
fn team(side: &Side, own: Option<&OwnSide>) -> Markup {
    let shown: BTreeSet<&str> = side.team.iter().map(|one| one.name.as_str()).collect();
    let unseen = own.into_iter().flat_map(|own| &own.pokemon);
    let unseen: Vec<_> = unseen.filter(|one| !shown.contains(one.name())).collect();
    let known = side.team.len() + unseen.len();
    let hidden = usize::from(side.team_size).clamp(known, limits::TEAM_SHOWN.max(known)) - known;
    html! {
        ul class="team" {
            @for one in &side.team { (member(&name(one), one.hp_percent(), one.status, true)) }
            @for one in &unseen {
                @let condition = one.condition();
                (member(&cut(one.name()), condition.percent(), condition.status, false))
            }
            @if hidden > 0 { li class="quiet" { (hidden) " not shown yet" } }
        }
    }
}

fn member(name: &str, percent: u16, status: Option<Status>, is_shown: bool) -> Markup {
    html! {
        li {
            @if percent == 0 { s { (name) } } @else { (name) }
            " "
            span class="quiet" {
                @if percent == 0 { "fainted" } @else { (percent) " %" }
                @if let Some(status) = status { ", " (ails(status)) }
                @if !is_shown { ", not shown yet" }
            }
        }
    }
}

/// A Pokémon's name, with its species where that is another word.
fn name(one: &Pokemon) -> String {
    let forme = one.forme();
    // Formes begin with their species' name.
    match forme.starts_with(&id(&one.name)) {
        true => cut(&one.name),
        false => format!("{} ({})", cut(&one.name), cut(forme)),
    }
}

fn ails(status: Status) -> &'static str {
    match status {
        Status::Burn => "burned",
        Status::Paralysis => "paralysed",
        Status::Sleep => "asleep",
        Status::Freeze => "frozen",
        Status::Poison => "poisoned",
        Status::Toxic => "badly poisoned",
    }
}

fn cut(name: &str) -> String {
    name.chars().take(limits::NAME_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use interlock_battles::domain::{protocol::Line, request::Request};

    use super::*;

    const BEGIN: &str = "|player|p1|Rival|1|\n|player|p2|Bot|2|\n|teamsize|p1|6\n|teamsize|p2|2\n|start\n\
        |switch|p1a: Fluffy|Dragonite, L80, M|50/100 par\n|switch|p2a: Basculegion|Basculegion-F, L80|30/300\n|turn|1\n";

    fn battle(log: &str) -> Battle {
        let mut battle = Battle::default();
        format!("{BEGIN}{log}").lines().for_each(|line| battle.fold(&Line::parse(line)));
        battle
    }

    /// What is to be seen, without its marks.
    fn check(log: &str, own: Option<&OwnSide>, expect: &[&str]) {
        let shown = sides(&battle(log), Some(Slot::P2), own).0;
        let text: Vec<&str> = shown.split(['<', '>']).skip(2).step_by(2).collect();
        let text = text.concat();
        for words in expect {
            assert!(text.contains(words), "{words}: {text}");
        }
        let mine = text.find("our bot").expect("ours is marked");
        assert!(mine < text.find("Rival").expect("the other is there"), "ours comes first");
    }

    #[test]
    fn each_side_shows_who_is_on_its_field_and_how_it_fares() {
        let log = "|-boost|p1a: Fluffy|atk|2\n|-unboost|p1a: Fluffy|spe|1\n|-start|p1a: Fluffy|confusion\n\
                   |-terastallize|p2a: Basculegion|Water\n|-sidestart|p2: Bot|Spikes\n|-sidestart|p2: Bot|Spikes\n";
        let expect = [
            "Fluffy (dragonite)",
            "paralysed",
            "50 %",
            "Attack +2",
            "Speed −1",
            "confused",
            "Basculegion L8010 %",
            "Tera: water",
            "Spikes ×2",
            "5 not shown yet",
        ];
        check(log, None, &expect);
    }

    #[test]
    fn the_own_team_is_known_whole_and_the_fainted_are_struck_out() {
        let json = r#"{"rqid":1,"side":{"name":"Bot","id":"p2","pokemon":[
            {"ident":"p2: Basculegion","details":"Basculegion-F, L80","condition":"30/300"},
            {"ident":"p2: Hidden","details":"Ditto, L80","condition":"100/200 brn"}]}}"#;
        let request = Request::parse(json).unwrap().unwrap();
        check("", Some(&request.side), &["Hidden 50 %, burned, not shown yet"]);
        let fainted = sides(&battle("|faint|p1a: Fluffy\n"), Some(Slot::P2), None).0;
        assert!(fainted.contains("<s>Fluffy (dragonite)</s>"), "{fainted}");
    }

    #[test]
    fn what_is_around_says_for_how_long() {
        let battle = battle("|-weather|RainDance\n|-fieldstart|move: Trick Room\n|turn|2\n");
        let [weather, field] = around(&battle).map(|it| it.0);
        assert!(weather.contains("Rain") && weather.contains("1 turn<"), "{weather}");
        assert!(field.contains("Trick Room"), "{field}");
    }
}
