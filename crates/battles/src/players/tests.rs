use super::*;
use crate::domain::{battle::Battle, protocol::Line, protocol::Slot};

/// A position in which Basculegion faces whatever the lines say.
fn position(lines: &[&str], moves: &str, rest: &str) -> (Battle, Request) {
    let mut battle = Battle::default();
    for line in [
        "|player|p1|Ann|1|",
        "|player|p2|Eve|2|",
        "|teamsize|p2|1",
        "|switch|p1a: Basculegion|Basculegion, L80, M|323/323",
    ] {
        battle.fold(&Line::parse(line));
    }
    lines.iter().for_each(|line| battle.fold(&Line::parse(line)));
    let own = |name: &str, active: bool, moves: &str| {
        format!(
            r#"{{"ident":"p1: {name}","details":"{name}, L80, M","condition":"323/323","active":{active},"stats":
            {{"atk":225,"def":150,"spa":174,"spd":166,"spe":171}},"moves":[{moves}],"baseAbility":"adaptability",
            "ability":"adaptability","item":"leftovers","teraType":"Water"}}"#
        )
    };
    let names: Vec<String> = moves.split(',').map(|name| format!("\"{name}\"")).collect();
    let slots: Vec<String> =
        names.iter().map(|name| format!(r#"{{"id":{name},"pp":16}}"#)).collect();
    let json = format!(
        r#"{{"rqid":3,{rest}"active":[{{"moves":[{}]}}],"side":{{"name":"Ann","id":"p1","pokemon":[{},{}]}}}}"#,
        slots.join(","),
        own("Basculegion", true, &names.join(",")),
        own("Infernape", false, r#""closecombat","tackle""#),
    );
    (battle, Request::parse(&json).unwrap().unwrap())
}

const WEAK: [&str; 2] =
    ["|switch|p2a: Charizard|Charizard, L85, M|100/100", "|-damage|p2a: Charizard|3/100"];

fn best(player: &dyn Player, (battle, request): &(Battle, Request)) -> Choice {
    let position = Position { battle, request };
    let ranked = ranked(player, position, Budget::Iterations(4000).into(), &mut Chance::new(1));
    assert_eq!(ranked.len(), choice::legal(request).len());
    ranked[0].choice
}

#[test]
fn who_can_win_now_does() {
    let position = position(&WEAK, "splash,wavecrash,rest,amnesia", "");
    let wave_crash = Choice::Move { place: 1, tera: false };
    assert_eq!(best(&Greedy, &position), wave_crash);
    assert_eq!(best(&Mcts::new(2), &position), wave_crash);
}

#[test]
fn a_search_says_how_often_it_tried_what_and_what_that_is_worth() {
    let (battle, request) = position(&WEAK, "splash,wavecrash,rest,amnesia", "");
    let position = Position { battle: &battle, request: &request };
    let ranked = Mcts::new(2).think(position, Budget::Iterations(4000).into(), &mut Chance::new(1));
    assert!(ranked.iter().map(|one| one.visits).sum::<u64>() >= 4000);
    assert!(ranked.iter().all(|one| (0.0..=1.0).contains(&one.value)), "{ranked:?}");
    assert!(ranked[0].value > 0.9 && ranked[0].visits > ranked[1].visits, "{ranked:?}");
}

#[test]
fn the_same_seed_grows_the_same_tree() {
    let (battle, request) = position(&WEAK, "splash,wavecrash,rest,amnesia", "");
    let position = Position { battle: &battle, request: &request };
    let think =
        |seed| Mcts::new(2).think(position, Budget::Iterations(500).into(), &mut Chance::new(seed));
    assert_eq!(think(1), think(1));
    assert_ne!(think(1), think(2));
    // Not rounded up, and not a single one more.
    assert_eq!(think(1).iter().map(|one| one.visits).sum::<u64>(), 500);
}

#[test]
fn a_search_by_iterations_ends_with_its_time() {
    let (battle, request) = position(&WEAK, "splash,wavecrash,rest,amnesia", "");
    let position = Position { battle: &battle, request: &request };
    let think = |time| {
        let bounds = Bounds { time, ..Budget::Iterations(500).into() };
        Mcts::new(2).think(position, bounds, &mut Chance::new(1)).len()
    };
    assert_eq!(think(Duration::ZERO), 0);
    assert!(think(limits::SEARCH) > 0);
}

#[test]
fn moves_that_no_engine_knows_do_not_stop_the_search() {
    let known = position(&WEAK, "newmove,wavecrash", "");
    assert_eq!(best(&Mcts::new(1), &known), Choice::Move { place: 1, tera: false });
    let (battle, request) =
        position(&["|switch|p2a: Newmon|Newmon, L80|100/100"], "newmove,othermove", "");
    let position = Position { battle: &battle, request: &request };
    let ranked =
        ranked(&Mcts::new(1), position, Budget::Iterations(1000).into(), &mut Chance::new(1));
    assert_eq!(ranked.len(), 3);
}

#[test]
fn a_world_says_what_was_shown() {
    let (battle, request) = position(
        &[
            "|switch|p2a: Charizard|Charizard, L85, M|100/100",
            "|turn|4",
            "|-weather|RainDance",
            "|-sidestart|p2: Eve|move: Stealth Rock",
            "|-sidestart|p2: Eve|Reflect",
            "|-boost|p1a: Basculegion|spe|2",
            "|-start|p2a: Charizard|Substitute",
            "|-status|p2a: Charizard|par",
            "|-damage|p2a: Charizard|50/100 par",
            "|-item|p2a: Charizard|Choice Band|[from] ability: Frisk|[of] p1a: Basculegion",
            "|move|p2a: Charizard|Earthquake|p1a: Basculegion",
            "|turn|6",
        ],
        "splash,wavecrash",
        "",
    );
    let world =
        World::guess(Position { battle: &battle, request: &request }, &mut Chance::new(1)).unwrap();
    let (one, two) = (&world.state().side_one, &world.state().side_two);
    let (mine, theirs) = (one.get_active_immutable(), two.get_active_immutable());
    assert_eq!((mine.hp, mine.attack, one.speed_boost), (323, 225, 2));
    // 78 base HP at level 85, even effort.
    assert_eq!(
        (theirs.maxhp, theirs.hp),
        (2 * 78 * 85 / 100 + 52 * 85 / 100 + 95, theirs.maxhp / 2)
    );
    assert_eq!(theirs.status, poke_engine::state::PokemonStatus::PARALYZE);
    assert_eq!((two.side_conditions.stealth_rock, two.side_conditions.reflect), (1, 3));
    assert_eq!(
        (two.substitute_health, world.state().weather.turns_remaining),
        (theirs.maxhp / 4, 3)
    );
    let usable: Vec<String> = theirs
        .moves
        .into_iter()
        .filter(|one| !one.disabled)
        .map(|one| one.id.to_string())
        .collect();
    assert_eq!(usable, ["EARTHQUAKE"], "a choice item locks");
    assert!(two.pokemon.pkmn[1..].iter().all(|pokemon| pokemon.hp == 0), "a team of one");
}

#[test]
fn whoever_must_come_in_is_chosen_among_those_who_can() {
    let (battle, request) = position(&WEAK, "splash,wavecrash", r#""forceSwitch":[true],"#);
    assert_eq!(request.side.slot(), Some(Slot::P1));
    let only = Choice::Switch { place: 1 };
    assert_eq!(best(&Mcts::new(1), &(battle.clone(), request.clone())), only);
    assert_eq!(best(&Greedy, &(battle, request)), only);
}

/// Says what is not legal.
struct Wrong;

impl Player for Wrong {
    fn think(&self, _: Position<'_>, _: Bounds, _: &mut Chance) -> Vec<Candidate> {
        vec![Candidate { choice: Choice::Switch { place: 5 }, visits: 9, value: 1.0 }]
    }
}

#[test]
fn what_is_not_legal_is_not_played() {
    let position = position(&WEAK, "splash,wavecrash", "");
    assert_eq!(best(&Wrong, &position), Choice::Move { place: 0, tera: false });
}

/// Charizard has shown four moves, then chooses this for six turns.
pub(super) fn after(choice: &str) -> (Battle, Request) {
    let shows = ["Will-O-Wisp", "Flamethrower", "Hurricane", "Focus Blast"];
    let mut lines = vec!["|switch|p2a: Charizard|Charizard, L85, M|100/100".to_owned()];
    lines.extend(shows.map(|name| format!("|move|p2a: Charizard|{name}|p1a: Basculegion")));
    for turn in 1..7 {
        lines.extend([format!("|turn|{turn}"), choice.to_owned()]);
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    position(&lines, "splash,wavecrash", "")
}

fn greedy_after(choice: &str) -> f32 {
    let (battle, request) = after(choice);
    let position = Position { battle: &battle, request: &request };
    let world = World::guess(position, &mut Chance::new(1)).unwrap();
    opponent::greedy(&world, position)
}

#[test]
fn who_always_takes_the_most_damaging_move_is_taken_for_greedy() {
    // Basculegion resists fire, and nothing happens to a ghost that is hit.
    let strong = greedy_after("|move|p2a: Charizard|Hurricane|p1a: Basculegion");
    assert!(strong > 0.85, "{strong}");
    for weaker in ["Flamethrower", "Will-O-Wisp", "Focus Blast"] {
        let weaker = greedy_after(&format!("|move|p2a: Charizard|{weaker}|p1a: Basculegion"));
        assert!(weaker < 0.05, "{weaker}");
    }
    let switches = greedy_after("|switch|p2a: Charizard|Charizard, L85, M|100/100");
    assert!(switches < 0.01, "{switches}");
    let unknown = greedy_after("|move|p2a: Charizard|Newmove|p1a: Basculegion");
    assert!((0.2..0.4).contains(&unknown), "what tells nothing changes nothing: {unknown}");
}
