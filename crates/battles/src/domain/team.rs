//! Teams as text: people keep them in Showdown's export form, many lines a Pokémon, and the server takes the packed
//! form, one line for all.
//!
//! A line that is not understood is refused, so that nothing of a team gets lost in silence. Whether a team is legal
//! is for the server to say.

use std::fmt::Write as _;

use crate::limits;

/// Why a text is no team.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TeamError {
    /// It is too long.
    #[error("it is longer than {} bytes", limits::TEAM_BYTES)]
    TooLong,
    /// There is nothing in it.
    #[error("there is no Pokémon in it")]
    Empty,
    /// There is too much in it.
    #[error("it has more than {} Pokémon: one team a file", limits::TEAM)]
    TooMany,
    /// A line says nothing that is known.
    #[error("this line is not understood: {0}")]
    Line(String),
}

/// The packed form of a team in either form.
///
/// # Errors
/// See [`TeamError`].
pub fn packed(text: &str) -> Result<String, TeamError> {
    let text = text.trim();
    if text.len() > limits::TEAM_BYTES {
        return Err(TeamError::TooLong);
    }
    if text.contains('|') && text.lines().count() == 1 {
        return Ok(text.to_owned());
    }
    let mut sets: Vec<Set<'_>> = Vec::new();
    let mut begins = true;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with("===") {
            begins = true;
        } else if begins {
            sets.push(Set::of(line));
            begins = false;
        } else {
            let set = sets.last_mut().expect("the first line begins one");
            set.read(line).ok_or_else(|| TeamError::Line(line.to_owned()))?;
        }
    }
    match sets.len() {
        0 => Err(TeamError::Empty),
        1..=limits::TEAM => Ok(sets.iter().map(Set::pack).collect::<Vec<_>>().join("]")),
        _ => Err(TeamError::TooMany),
    }
}

/// The order of stats in the packed form.
const STATS: [&str; 6] = ["HP", "Atk", "Def", "SpA", "SpD", "Spe"];

/// One Pokémon, as the export form says it.
#[derive(Debug, Default)]
struct Set<'a> {
    name: &'a str,
    species: &'a str,
    item: &'a str,
    ability: &'a str,
    moves: Vec<&'a str>,
    nature: &'a str,
    evs: [Option<u8>; 6],
    ivs: [Option<u8>; 6],
    gender: &'a str,
    is_shiny: bool,
    level: &'a str,
    happiness: &'a str,
    hidden_power: &'a str,
    pokeball: &'a str,
    is_gigantamax: bool,
    dynamax_level: &'a str,
    tera: &'a str,
}

impl<'a> Set<'a> {
    /// From its first line: `Name (Species) (F) @ Item`.
    fn of(line: &'a str) -> Self {
        let (who, item) = line.split_once(" @ ").unwrap_or((line, ""));
        let gendered = |gender| who.trim_end().strip_suffix(gender).map(str::trim_end);
        let (who, gender) = match (gendered("(M)"), gendered("(F)")) {
            (Some(who), _) => (who, "M"),
            (None, Some(who)) => (who, "F"),
            (None, None) => (who.trim_end(), ""),
        };
        let named = who.strip_suffix(')').and_then(|who| who.rsplit_once('('));
        let (name, species) = named.unwrap_or((who, who));
        Self { name: name.trim(), species, item, gender, ..Self::default() }
    }

    /// Takes in one more line; `None`: it is not understood.
    fn read(&mut self, line: &'a str) -> Option<()> {
        if let Some(name) = line.strip_prefix("- ") {
            self.moves.push(name);
            return Some(());
        }
        let Some((key, value)) = line.split_once(": ") else {
            self.nature = line.strip_suffix(" Nature").or_else(|| line.strip_suffix(" nature"))?;
            return Some(());
        };
        match key {
            "Ability" | "Trait" => self.ability = value,
            "Level" => self.level = value,
            "Happiness" => self.happiness = value,
            "Hidden Power" => self.hidden_power = value,
            "Pokeball" => self.pokeball = value,
            "Dynamax Level" => self.dynamax_level = value,
            "Tera Type" => self.tera = value,
            "Shiny" => self.is_shiny = value == "Yes",
            "Gigantamax" => self.is_gigantamax = value == "Yes",
            "EVs" => self.evs = stats(value)?,
            "IVs" => self.ivs = stats(value)?,
            _ => return None,
        }
        Some(())
    }

    fn pack(&self) -> String {
        let species =
            if kept(self.name) == kept(self.species) { String::new() } else { kept(self.species) };
        let moves = self.moves.iter().map(|name| kept(name)).collect::<Vec<_>>().join(",");
        let gigantamax = if self.is_gigantamax { "G" } else { "" };
        let rest = [
            &*kept(self.hidden_power),
            &kept(self.pokeball),
            gigantamax,
            &kept(self.dynamax_level),
            &kept(self.tera),
        ];
        let fields = [
            &*self.name.replace(['|', ']'], ""),
            &species,
            &kept(self.item),
            &kept(self.ability),
            &moves,
            &kept(self.nature),
            &packed_stats(self.evs, 0),
            self.gender,
            &packed_stats(self.ivs, 31),
            if self.is_shiny { "S" } else { "" },
            &kept(self.level),
            &kept(self.happiness),
        ];
        let mut text = fields.join("|");
        if rest.iter().any(|field| !field.is_empty()) {
            let _ = write!(text, ",{}", rest.join(","));
        }
        text
    }
}

/// Letters and digits alone.
fn kept(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// `252 Atk / 4 SpD / 252 Spe`
fn stats(text: &str) -> Option<[Option<u8>; 6]> {
    let mut stats = [None; 6];
    for part in text.split('/') {
        let (value, name) = part.trim().split_once(' ')?;
        let place = STATS.iter().position(|stat| stat.eq_ignore_ascii_case(name.trim()))?;
        stats[place] = Some(value.parse().ok()?);
    }
    Some(stats)
}

fn packed_stats(stats: [Option<u8>; 6], usual: u8) -> String {
    let field = |stat: Option<u8>| {
        stat.filter(|stat| *stat != usual).map_or_else(String::new, |stat| stat.to_string())
    };
    let fields = stats.map(field);
    if fields.iter().all(String::is_empty) { String::new() } else { fields.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPORT: &str = "=== [gen9ou] Rain ===\n\n\
        Rainer (Pelipper) (M) @ Damp Rock  \nAbility: Drizzle  \nShiny: Yes  \nTera Type: Ground  \n\
        EVs: 248 HP / 252 Def / 8 SpA  \nBold Nature  \nIVs: 0 Atk  \n- Surf  \n- U-turn  \n\n\
        Farfetch\u{2019}d-Galar\nLevel: 50\n- Hidden Power [Ice]\n";

    /// As the npm package packs it.
    const PACKED: &str = "Rainer|Pelipper|DampRock|Drizzle|Surf,Uturn|Bold|248,,252,8,,|M|,0,,,,|S||,,,,,Ground]\
        Farfetch\u{2019}d-Galar||||HiddenPowerIce||||||50|";

    #[test]
    fn an_exported_team_is_packed_as_the_server_packs_it() {
        assert_eq!(packed(EXPORT).unwrap(), PACKED);
    }

    #[test]
    fn a_packed_team_stays_as_it_is() {
        assert_eq!(packed(&format!("{PACKED}\n")).unwrap(), PACKED);
    }

    #[test]
    fn what_is_not_understood_is_refused_and_not_lost() {
        let refused = |line: &str| packed(&format!("Pikachu\n{line}")).unwrap_err();
        for line in ["Abilty: Static", "EVs: many", "EVs: 300 HP", "Surf", "Bold Natur"] {
            assert_eq!(refused(line), TeamError::Line(line.to_owned()));
        }
        assert_eq!(packed(" \n=== empty ===\n"), Err(TeamError::Empty));
        assert_eq!(packed(&"Pikachu\n\n".repeat(7)), Err(TeamError::TooMany));
        assert_eq!(packed(&"x".repeat(limits::TEAM_BYTES + 1)), Err(TeamError::TooLong));
    }
}
