//! The fold against an independent record: what the server's own requests say about the own team.

use proptest::prelude::*;

use super::*;
use crate::domain::{
    protocol::Line,
    request::{OwnPokemon, Request},
};

const RECORDED: [&str; 2] =
    [include_str!("../../../fixtures/one-p1.log"), include_str!("../../../fixtures/two-p2.log")];

fn frames(log: &str) -> impl Iterator<Item = Line<'_>> {
    log.lines().filter(|line| !line.starts_with('>')).map(Line::parse)
}

fn folded(lines: &[&str]) -> Battle {
    let mut battle = Battle::default();
    lines.iter().for_each(|line| battle.fold(&Line::parse(line)));
    battle
}

fn agrees(battle: &Battle, request: &Request, own: &OwnPokemon) {
    let side = battle.side(request.side.slot().unwrap());
    let Some(place) = side.place(own.name()) else { return assert!(!own.active) };
    let (seen, told) = (&side.team[place], own.condition());
    assert_eq!(
        (seen.hp, seen.status),
        (told.hp, told.status),
        "turn {}: {}",
        battle.turn,
        seen.name
    );
    assert_eq!(own.active, side.active == Some(place), "turn {}: {}", battle.turn, seen.name);
    assert_eq!(seen.species, crate::domain::id::id(own.details().species));
    let tera = seen.tera.as_deref().filter(|_| seen.terastallized).unwrap_or("");
    assert_eq!(tera, own.terastallized.to_lowercase());
    if seen.item != Held::Unknown {
        let item = if own.item.is_empty() { Held::Nothing } else { Held::Item(own.item.clone()) };
        assert_eq!(seen.item, item, "turn {}: {}", battle.turn, seen.name);
    }
    let mut moves = seen.moves.keys();
    assert!(moves.all(|name| own.moves.contains(name)), "{:?} {:?}", seen.moves, own.moves);
}

#[test]
fn the_fold_agrees_with_every_request_of_recorded_battles() {
    for log in RECORDED {
        let mut battle = Battle::default();
        let mut compared = 0;
        for line in frames(log) {
            battle.fold(&line);
            let Line::Request(json) = line else { continue };
            let Some(request) = Request::parse(json).unwrap() else { continue };
            request.side.pokemon.iter().for_each(|own| agrees(&battle, &request, own));
            compared += request.side.pokemon.len();
        }
        assert!(compared > 200, "only {compared}");
        assert!(
            matches!(&battle.outcome, Some(Outcome::Won(name)) if name == "Alpha" || name == "Beta")
        );
        assert!(Slot::BOTH.iter().any(|slot| battle.side(*slot).team.iter().all(Pokemon::fainted)));
    }
}

#[test]
fn the_whole_log_after_a_rejoin_is_not_added_to_what_was_there() {
    let mut once = Battle::default();
    frames(RECORDED[0]).for_each(|line| once.fold(&line));
    let mut twice = once.clone();
    frames(RECORDED[0]).for_each(|line| twice.fold(&line));
    assert_eq!(once, twice);
}

#[test]
fn stages_go_with_the_one_who_leaves_unless_a_baton_is_passed() {
    let start = ["|switch|p1a: A|Ditto|9/9", "|-boost|p1a: A|atk|2"];
    let left = folded(&[start[0], start[1], "|switch|p1a: B|Eevee|9/9"]);
    assert_eq!(left.side(Slot::P1).active().unwrap().stint.boosts, Boosts::default());
    let passed = folded(&[start[0], start[1], "|switch|p1a: B|Eevee|9/9|[from] Baton Pass"]);
    assert_eq!(passed.side(Slot::P1).active().unwrap().stint.boosts.of(Stat::Attack), 2);
    assert_eq!(passed.side(Slot::P1).team[0].stint.boosts, Boosts::default());
}

#[test]
fn a_disguise_gives_back_what_was_not_its_own() {
    let battle = folded(&[
        "|switch|p2a: Eevee|Eevee, L80|100/100",
        "|move|p2a: Eevee|Nasty Plot|p2a: Eevee",
        "|-boost|p2a: Eevee|spa|2",
        "|-damage|p2a: Eevee|40/100",
        "|replace|p2a: Zoroark|Zoroark, L80, M",
    ]);
    let side = battle.side(Slot::P2);
    let (eevee, zoroark) = (&side.team[0], side.active().unwrap());
    assert_eq!((eevee.hp, eevee.moves.len(), &*zoroark.name, zoroark.hp), (100, 0, "Zoroark", 40));
    assert_eq!(zoroark.stint.boosts.of(Stat::SpecialAttack), 2);
    assert!(zoroark.moves.contains_key("nastyplot"));
}

#[test]
fn causes_give_away_whose_item_and_ability_they_were() {
    let battle = folded(&[
        "|switch|p1a: A|Ditto|9/9",
        "|switch|p2a: B|Eevee|100/100",
        "|-damage|p1a: A|8/9|[from] item: Rocky Helmet|[of] p2a: B",
        "|-heal|p1a: A|9/9|[from] ability: Water Absorb|[of] p2a: B",
    ]);
    let [a, b] = Slot::BOTH.map(|slot| battle.side(slot).active().unwrap());
    assert_eq!(b.item, Held::Item("rockyhelmet".into()));
    assert_eq!((a.ability.as_deref(), &b.ability), (Some("waterabsorb"), &None));
}

#[test]
fn fields_count_from_their_beginning() {
    let battle = folded(&[
        "|turn|3",
        "|-weather|RainDance|[from] ability: Drizzle|[of] p1a: A",
        "|-fieldstart|move: Grassy Terrain",
        "|-sidestart|p2: Eve|Spikes",
        "|-sidestart|p2: Eve|Spikes",
        "|turn|4",
        "|-weather|RainDance|[upkeep]",
        "|-fieldend|move: Grassy Terrain",
    ]);
    assert_eq!(
        (battle.weather.clone(), battle.terrain.clone()),
        (Some(("raindance".into(), 3)), None)
    );
    assert_eq!(battle.side(Slot::P2).conditions["spikes"], Layers { count: 2, since: 3 });
}

#[test]
fn whoever_is_brought_back_to_life_has_not_terastallized() {
    let battle = folded(&[
        "|switch|p1a: A|Ditto|9/9",
        "|-terastallize|p1a: A|Ice",
        "|-damage|p1a: A|0 fnt",
        "|faint|p1a: A",
        "|-heal|p1: A|4/9|[from] move: Revival Blessing",
    ]);
    let side = battle.side(Slot::P1);
    assert!(!side.team[0].terastallized && side.terastallized() && side.team[0].hp == 4);
}

#[test]
fn a_berry_that_works_was_eaten_before() {
    let battle = folded(&[
        "|switch|p1a: A|Ditto|9/9",
        "|-enditem|p1a: A|Leppa Berry|[eat]",
        "|-activate|p1a: A|item: Leppa Berry|Splash|[consumed]",
    ]);
    let eater = battle.side(Slot::P1).active().unwrap();
    assert_eq!((&eater.item, eater.base_item.as_deref()), (&Held::Nothing, Some("leppaberry")));
}

#[test]
fn a_lying_server_cannot_make_a_team_grow() {
    let mut battle = Battle::default();
    for number in 0..1000 {
        battle.fold(&Line::parse(&format!("|switch|p1a: N{number}|Ditto|9/9")));
        battle.fold(&Line::parse(&format!("|-start|p1a: N0|effect{number}")));
        battle.fold(&Line::parse(&format!("|move|p1a: N0|move{number}|")));
        battle.fold(&Line::parse(&format!("|-sidestart|p1: X|effect{number}")));
    }
    let side = battle.side(Slot::P1);
    assert_eq!(side.team.len(), crate::limits::TEAM);
    assert_eq!(side.team[0].moves.len(), crate::limits::MOVES_SEEN);
    assert_eq!(side.conditions.len(), crate::limits::CONDITIONS);
}

proptest! {
    /// Lines of a real battle, shuffled, cut and repeated, never break the fold.
    #[test]
    fn lines_in_any_order_are_survived(picks in prop::collection::vec((0_usize..2000, 0_usize..60), 0..200)) {
        let lines: Vec<&str> = RECORDED[0].lines().filter(|line| !line.starts_with("|request")).collect();
        let mut battle = Battle::default();
        for (pick, cut) in picks {
            let line = lines[pick % lines.len()];
            let cut = line.char_indices().nth(line.chars().count().saturating_sub(cut % 7)).map_or(line.len(), |(at, _)| at);
            battle.fold(&Line::parse(&line[..cut]));
        }
        for slot in Slot::BOTH {
            let side = battle.side(slot);
            prop_assert!(side.team.len() <= 6 && side.active.is_none_or(|place| place < side.team.len()));
        }
    }
}

/// What the second player chose, after two Pokémon a side stand on the field in turn 1.
fn chosen(lines: &[&str]) -> Vec<Act> {
    let start = [
        "|switch|p1a: A|Venusaur, L84, M|100/100",
        "|switch|p2a: B|Charizard, L84, M|100/100",
        "|turn|1",
    ];
    let battle = folded(&[&start, lines].concat());
    battle.side(Slot::P2).past.chosen().iter().map(|chosen| chosen.act.clone()).collect()
}

const COMES_IN: &str = "|switch|p2a: C|Ditto, L87|100/100";

#[test]
fn the_first_thing_that_a_side_does_in_a_turn_is_what_it_chose() {
    let tackle = || Act::Move("tackle".to_owned());
    assert_eq!(chosen(&["|move|p2a: B|Tackle|p1a: A", COMES_IN]), [tackle()]);
    assert_eq!(chosen(&[COMES_IN, "|move|p1a: A|Tackle|p2a: C"]), [Act::Switch]);
    let tera = ["|-terastallize|p2a: B|Fire", "|move|p2a: B|Tackle|p1a: A"];
    assert_eq!(chosen(&tera), [Act::Terastallize]);
    let dance = ["|move|p2a: B|Swords Dance|p2a: B|[from]ability: Dancer", "|move|p2a: B|Tackle|"];
    assert_eq!(chosen(&dance), [tackle()]);
}

#[test]
fn whoever_comes_in_after_a_move_was_not_called_by_choice() {
    let eject = ["|move|p1a: A|Tackle|p2a: B", "|-enditem|p2a: B|Eject Button", COMES_IN];
    assert_eq!(chosen(&eject), []);
    let faint = ["|move|p1a: A|Tackle|p2a: B", "|faint|p2a: B", COMES_IN, "|turn|2"];
    assert_eq!(chosen(&faint), []);
    assert_eq!(chosen(&["|cant|p2a: B|par", "|turn|2", COMES_IN]), [Act::Switch]);
}

#[test]
fn a_choice_is_kept_with_what_stood_on_the_field() {
    let battle = folded(&[
        "|switch|p1a: A|Venusaur, L84, M|100/100",
        "|switch|p2a: B|Charizard, L84, M|100/100",
        "|-damage|p1a: A|40/100",
        "|-boost|p2a: B|spa|2",
        "|turn|1",
        "|-unboost|p2a: B|spa|2",
        "|move|p2a: B|Tackle|p1a: A",
    ]);
    let [Chosen { before, .. }] = battle.side(Slot::P2).past.chosen() else { panic!("one") };
    assert_eq!((before.own.place, before.opposite.place, before.opposite.hp), (0, 0, 40));
    assert_eq!(before.own.boosts.of(Stat::SpecialAttack), 2);
    assert!(!before.has_moved);
}

#[test]
fn the_newest_choices_are_kept() {
    let lines: Vec<String> = (2..50)
        .flat_map(|turn| [format!("|move|p2a: B|Move{turn}|p1a: A"), format!("|turn|{turn}")])
        .collect();
    let chosen = chosen(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(chosen.len(), crate::limits::CHOICES);
    assert_eq!(chosen.last(), Some(&Act::Move("move49".to_owned())));
}
