//! Choices: what may be answered to a request, and how it is said.

use std::fmt;

use super::request::Request;

/// One answer. Places are counted from 0 here, and from 1 on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Choice {
    /// Use the move at this place, terastallizing first or not.
    Move {
        /// In the request's list of moves.
        place: usize,
        /// Terastallize first.
        tera: bool,
    },
    /// Bring in the Pokémon at this place of the request's list.
    Switch {
        /// In the request's list of Pokémon.
        place: usize,
    },
    /// Lead with the Pokémon at this place.
    Lead {
        /// In the request's list of Pokémon.
        place: usize,
        /// How many there are.
        of: usize,
    },
    /// Whatever the server thinks best; always legal.
    Default,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Move { place, tera } => {
                write!(f, "move {}{}", place + 1, if *tera { " terastallize" } else { "" })
            }
            Self::Switch { place } => write!(f, "switch {}", place + 1),
            Self::Lead { place, of } => {
                write!(f, "team {}", place + 1)?;
                (0..*of)
                    .filter(|other| other != place)
                    .try_for_each(|other| write!(f, "{}", other + 1))
            }
            Self::Default => f.write_str("default"),
        }
    }
}

/// All that the request allows, moves first, in the request's order; never empty, and `Default` alone when nothing
/// else is known to be legal.
pub fn legal(request: &Request) -> Vec<Choice> {
    let mut choices = Vec::new();
    let team = &request.side.pokemon;
    if request.team_preview {
        choices.extend((0..team.len()).map(|place| Choice::Lead { place, of: team.len() }));
    } else if request.must_switch() {
        choices.extend(switches(request));
    } else if let Some(active) = request.active.first() {
        let usable = |place: &usize| {
            let slot = &active.moves[*place];
            !slot.disabled && slot.pp != Some(0)
        };
        let places: Vec<usize> = (0..active.moves.len()).filter(usable).collect();
        choices.extend(places.iter().map(|place| Choice::Move { place: *place, tera: false }));
        if active.can_terastallize.is_some() {
            choices.extend(places.iter().map(|place| Choice::Move { place: *place, tera: true }));
        }
        if !active.trapped {
            choices.extend(switches(request));
        }
    }
    if choices.is_empty() {
        choices.push(Choice::Default);
    }
    choices
}

fn switches(request: &Request) -> impl Iterator<Item = Choice> {
    let team = &request.side.pokemon;
    let reviving = team.iter().any(|pokemon| pokemon.active && pokemon.reviving);
    let fits = move |place: &usize| !team[*place].active && team[*place].fainted() == reviving;
    (0..team.len()).filter(fits).map(|place| Choice::Switch { place })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expect: &[&str]) {
        let request = Request::parse(json).unwrap().unwrap();
        let said: Vec<String> = legal(&request).iter().map(Choice::to_string).collect();
        assert_eq!(said, expect);
    }

    const TEAM: &str = r#""side":{"name":"A","id":"p1","pokemon":[
        {"ident":"p1: A","details":"Ditto","condition":"9/9","active":true},
        {"ident":"p1: B","details":"Ditto","condition":"0 fnt"},
        {"ident":"p1: C","details":"Ditto","condition":"3/9 par"}]}"#;

    #[test]
    fn moves_with_and_without_tera_and_switches() {
        let moves =
            r#"[{"id":"tackle","pp":3},{"id":"rest","disabled":true},{"id":"surf","pp":0}]"#;
        let json = format!(r#"{{"active":[{{"moves":{moves},"canTerastallize":"Fire"}}],{TEAM}}}"#);
        check(&json, &["move 1", "move 1 terastallize", "switch 3"]);
    }

    #[test]
    fn the_trapped_stay() {
        let json =
            format!(r#"{{"active":[{{"moves":[{{"id":"outrage"}}],"trapped":true}}],{TEAM}}}"#);
        check(&json, &["move 1"]);
    }

    #[test]
    fn somebody_must_come_in() {
        check(&format!(r#"{{"forceSwitch":[true],{TEAM}}}"#), &["switch 3"]);
    }

    #[test]
    fn only_the_fainted_are_revived() {
        let team = TEAM.replace(r#""active":true"#, r#""active":true,"reviving":true"#);
        check(&format!(r#"{{"forceSwitch":[true],{team}}}"#), &["switch 2"]);
    }

    #[test]
    fn a_team_is_ordered_by_its_lead() {
        check(&format!(r#"{{"teamPreview":true,{TEAM}}}"#), &["team 123", "team 213", "team 312"]);
    }

    #[test]
    fn without_anything_known_the_server_chooses() {
        check("{}", &["default"]);
        check(r#"{"forceSwitch":[true]}"#, &["default"]);
    }
}
