//! The formats that a server says it has, so that a mistyped one is refused with those that are meant perhaps.
//!
//! ```text
//! |formats|,1|S/V Singles|[Gen 9] Random Battle,f|[Gen 9] OU,e|,2|…
//! ```
//!
//! A comma and a column's number come before a section's title; a format's name has a number of flags behind it.

use std::collections::BTreeMap;

use super::id::id;
use crate::limits;

/// What a server has, by id. Of a server that has not said, nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Formats(BTreeMap<String, String>);

/// The server has no such format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server has no format {format}: is it {}?", nearest.join(", or "))]
pub struct NoFormat {
    /// What was asked for.
    pub format: String,
    /// The ids of those whose names are nearest.
    pub nearest: Vec<String>,
}

impl Formats {
    /// Reads what comes after `|formats|`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut formats = BTreeMap::new();
        let mut parts = text.split('|');
        while let Some(part) = parts.next() {
            match part.rsplit_once(',') {
                // A section; its title is no format.
                Some(("", column)) if column.parse::<u32>().is_ok() => drop(parts.next()),
                Some((name, _)) if formats.len() < limits::FORMATS => {
                    formats.insert(id(name), name.to_owned());
                }
                Some(_) | None => {}
            }
        }
        formats.remove("");
        Self(formats)
    }

    /// Whether the format with this id can be played, as far as is known.
    ///
    /// # Errors
    /// The nearest ones, if it is none.
    pub fn check(&self, format: &str) -> Result<(), NoFormat> {
        if self.0.is_empty() || self.0.contains_key(format) {
            return Ok(());
        }
        let mut nearest: Vec<&String> = self.0.keys().collect();
        nearest.sort_by_cached_key(|known| distance(known, format));
        nearest.truncate(limits::FORMATS_NEAR);
        let nearest = nearest.into_iter().cloned().collect();
        Err(NoFormat { format: format.to_owned(), nearest })
    }
}

/// How many letters must be put in, taken out or changed to make one of the other (Levenshtein 1966).
fn distance(one: &str, two: &str) -> usize {
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (above, letter) in one.bytes().enumerate() {
        let mut corner = above;
        row[0] = above + 1;
        for (place, other) in two.bytes().enumerate() {
            let changed = corner + usize::from(letter != other);
            corner = row[place + 1];
            row[place + 1] = changed.min(corner + 1).min(row[place] + 1);
        }
    }
    row[two.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = ",LL|,1|S/V Singles|[Gen 9] Random Battle,f|[Gen 9] OU,e|[Gen 9] Ubers UU,e|,2|Past, Gens|[Gen 8] OU,8";

    #[test]
    fn formats_are_told_from_their_sections() {
        let ids: Vec<String> = Formats::parse(SAID).0.into_keys().collect();
        assert_eq!(ids, ["gen8ou", "gen9ou", "gen9randombattle", "gen9ubersuu"]);
    }

    #[test]
    fn a_mistyped_format_is_told_the_nearest() {
        let formats = Formats::parse(SAID);
        assert_eq!(formats.check("gen9randombattle"), Ok(()));
        let refused = formats.check("gen9radombatle").unwrap_err();
        assert_eq!(refused.nearest[0], "gen9randombattle");
        let refused = formats.check("gen9uo").unwrap_err();
        assert_eq!(refused.nearest.len(), limits::FORMATS_NEAR);
        assert!(
            refused.to_string().starts_with("the server has no format gen9uo: is it gen9ou, or ")
        );
    }

    #[test]
    fn a_server_that_has_not_said_may_have_any() {
        for said in ["", "|||", ",1|S/V Singles", ",", "no flags"] {
            assert_eq!(Formats::parse(said).check("gen9ou"), Ok(()), "{said:?}");
        }
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (one, two, apart) in
            [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0)]
        {
            assert_eq!(distance(one, two), apart);
        }
    }
}
