//! What the server has said to people already, so that they hear it once.

use std::collections::BTreeSet;

use crate::limits;

/// Texts that were told. When too many different ones were, all that follow pass for told.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeSet<String>);

impl Told {
    /// Whether this is the first time. Texts that begin alike are one.
    pub(super) fn is_new(&mut self, text: &str) -> bool {
        let beginning = text.chars().take(limits::TEXT_CHARS).collect();
        self.0.len() < limits::POPUPS_TOLD && self.0.insert(beginning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_new_once_and_a_flood_is_cut_off() {
        let mut told = Told::default();
        assert!(told.is_new("The user 'x' was not found."));
        assert!(!told.is_new("The user 'x' was not found."));
        let news = (0..10_000).filter(|number| told.is_new(&number.to_string())).count();
        assert_eq!(news, limits::POPUPS_TOLD - 1);
    }
}
