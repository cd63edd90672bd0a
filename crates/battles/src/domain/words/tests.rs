use super::*;

const BEGIN: &str = "|player|p1|Bot|1|\n|player|p2|Rival|2|\n|teamsize|p1|6\n|teamsize|p2|6\n|start\n\
    |switch|p1a: Basculegion|Basculegion, L80, M|323/323\n|switch|p2a: Luke|Lucario, L84, F|100/100\n|turn|1\n";

/// The sentences that a log comes to, after both have sent out somebody.
fn check(log: &str, expect: &[&str]) {
    let story = tell(&format!("{BEGIN}{log}"), "bot", 100);
    let said = story.turns.iter().flat_map(|turn| &turn.said);
    // A number stays with its sign.
    let said = said.map(|said| said.text.replace("\u{a0}%", " %"));
    let said: Vec<String> = said.skip(2).collect();
    assert_eq!(said, expect);
}

#[test]
fn a_move_and_what_follows_are_one_breath() {
    check(
        "|move|p1a: Basculegion|Wave Crash|p2a: Luke|[from]lockedmove\n|-supereffective|p2a: Luke\n|-crit|p2a: Luke\n\
         |-damage|p2a: Luke|21/100\n|-damage|p1a: Basculegion|300/323|[from] Recoil\n\
         |-terastallize|p2a: Luke|Normal\n|move|p2a: Luke|Swords Dance|p2a: Luke\n|-boost|p2a: Luke|atk|2\n\
         |faint|p1a: Basculegion\n",
        &[
            "Basculegion used Wave Crash. It is super effective. A critical hit. The opposing Luke fell from 100 to \
             21 %. Basculegion fell from 100 to 92 % (Recoil).",
            "The opposing Luke terastallized: Normal.",
            "The opposing Luke used Swords Dance. The opposing Luke's Attack rose sharply. Basculegion fainted.",
        ],
    );
}

#[test]
fn what_happens_at_the_end_of_a_turn_stands_alone() {
    check(
        "|move|p1a: Basculegion|Protect|p1a: Basculegion\n|-singleturn|p1a: Basculegion|Protect\n|\n\
         |-weather|RainDance|[upkeep]\n|-damage|p2a: Luke|94/100 psn|[from] psn\n\
         |-heal|p1a: Basculegion|323/323|[from] item: Leftovers\n|upkeep\n|turn|2\n",
        &[
            "Basculegion used Protect. Basculegion: Protect.",
            "The opposing Luke fell from 100 to 94 % (poison).",
            "Basculegion is at 100 % (Leftovers).",
        ],
    );
}

#[test]
fn the_field_and_the_sides_have_their_names() {
    check(
        "|-weather|RainDance|[from] ability: Drizzle|[of] p1a: Basculegion\n|-weather|none\n\
         |-fieldstart|move: Trick Room\n|-sidestart|p2: Rival|move: Stealth Rock\n|-sideend|p2: Rival|Reflect\n\
         |-start|p2a: Luke|confusion\n|-end|p2a: Luke|confusion\n",
        &[
            "The weather became Rain (Drizzle).",
            "The weather cleared.",
            "Trick Room began.",
            "Stealth Rock began on Rival's side.",
            "Reflect ended on Rival's side.",
            "The opposing Luke: confused.",
            "The opposing Luke: no longer confused.",
        ],
    );
}

#[test]
fn who_comes_in_and_how_it_ends_is_told_with_its_turn() {
    let log = format!("{BEGIN}|faint|p2a: Luke\n|turn|2\n|c|☆Rival|gg\n|win|Bot\n");
    let story = tell(&log, "bot", 100);
    let said = |turn: usize| story.turns[turn].said.iter().map(|said| &*said.text);
    assert!(said(0).eq(["Bot sent out Basculegion.", "Rival sent out Luke (Lucario)."]));
    assert!(said(1).eq(["The opposing Luke fainted."]));
    assert!(said(2).eq(["Rival says: “gg”", "Bot won the battle."]));
    assert_eq!((story.turns[2].number, story.turns[2].said[1].by), (2, Some(Slot::P1)));
    assert_eq!(story.battle.turn, 2);
}

#[test]
fn whoever_does_not_play_hears_whose_each_is() {
    let story = tell(&format!("{BEGIN}|faint|p2a: Luke\n"), "somebody", 100);
    assert_eq!(story.turns[1].said[0].text, "Rival's Luke fainted.");
}

#[test]
fn only_the_newest_is_told_where_there_is_too_much() {
    let log = format!("{BEGIN}{}", "|cant|p2a: Luke|par\n".repeat(1000));
    let story = tell(&log, "bot", 10);
    assert!(story.is_cut);
    assert_eq!(story.turns.iter().map(|turn| turn.said.len()).sum::<usize>(), 10);
}

#[test]
fn whatever_users_write_is_cut_and_has_no_control_characters() {
    let long = "x".repeat(100_000);
    let log = format!(
        "{BEGIN}|c|☆Rival|{long}\n|-message|{long}\n|move|p2a: Luke|{long}\u{202e}\u{7}|\n|switch|p1a: {long}|{long}|1/1\n\
         |-fail|x\n{}",
        "|-hitcount|p2a: Luke|5\n".repeat(1000)
    );
    let story = tell(&log, "bot", 100);
    for said in story.turns.iter().flat_map(|turn| &turn.said) {
        assert!(said.text.chars().count() <= limits::SAID_CHARS + 1, "{}", said.text.len());
        assert!(!said.text.contains(|char: char| char.is_control() || char == '\u{202e}'));
    }
}

#[test]
fn a_rejoined_room_is_told_once() {
    let log = format!("{BEGIN}|faint|p2a: Luke\n|init|battle\n{BEGIN}");
    assert_eq!(tell(&log, "bot", 100).turns.len(), 1);
}
