//! Ids: how Showdown compares names. "Will-O-Wisp", "willowisp" and "Will o Wisp" are one.

use crate::limits;

/// The id of a name: its ASCII letters, in lower case, and digits. Cut after [`limits::ID_BYTES`].
pub fn id(name: &str) -> String {
    let kept = name.chars().filter(char::is_ascii_alphanumeric);
    kept.take(limits::ID_BYTES).map(|char| char.to_ascii_lowercase()).collect()
}

/// The id of an effect without its kind: "move: Stealth Rock" and "Stealth Rock" are `stealthrock`.
pub fn effect_id(effect: &str) -> String {
    id(effect.split_once(": ").map_or(effect, |(_, name)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_letters_and_digits_alone() {
        assert_eq!(id("Will-O-Wisp"), "willowisp");
        assert_eq!(id("Farfetch’d"), "farfetchd");
        assert_eq!(id(&"A1".repeat(1000)).len(), limits::ID_BYTES);
    }

    #[test]
    fn an_effect_loses_its_kind() {
        assert_eq!(effect_id("ability: Flash Fire"), "flashfire");
        assert_eq!(effect_id("Stealth Rock"), "stealthrock");
    }
}
