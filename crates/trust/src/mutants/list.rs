//! What a mutant is: a bug, as a few exact replacements in the sources.

/// A bug that somebody could have made.
pub struct Mutant {
    /// Its name, in words.
    pub name: &'static str,
    /// The guarantee that it breaks.
    pub breaks: &'static str,
    /// What it replaces.
    pub edits: &'static [Edit],
}

/// A replacement. `from` occurs exactly once in the file.
pub struct Edit {
    /// From the workspace's root.
    pub file: &'static str,
    /// What is there.
    pub from: &'static str,
    /// What the mutant has instead.
    pub to: &'static str,
}

/// Every mutant.
pub fn all() -> impl Iterator<Item = &'static Mutant> {
    [
        super::log::MUTANTS,
        super::engine::MUTANTS,
        super::bus::MUTANTS,
        super::kernel::MUTANTS,
        super::services::MUTANTS,
    ]
    .into_iter()
    .flatten()
}

impl Edit {
    /// The file's text with the bug in it.
    ///
    /// # Errors
    /// In words, if what it replaces is not there exactly once: the code has changed, and so must the mutant.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        match text.matches(self.from).count() {
            1 => Ok(text.replacen(self.from, self.to, 1)),
            count => Err(format!("{}: what it replaces is there {count} times", self.file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::mutants::workshop;

    #[test]
    fn every_mutant_still_applies() {
        for mutant in all() {
            let texts = workshop::mutated(&workshop::root(), mutant);
            let texts = texts.unwrap_or_else(|why| panic!("{}: {why:#}", mutant.name));
            assert!(!texts.is_empty(), "{} changes nothing", mutant.name);
        }
    }

    #[test]
    fn every_mutant_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = all().map(|mutant| mutant.name).collect();
        assert_eq!(names.len(), all().count());
    }

    #[test]
    fn what_is_missing_or_there_twice_is_an_error() {
        let edit = Edit { file: "f", from: "a", to: "b" };
        assert_eq!(edit.apply("xay"), Ok("xby".to_owned()));
        assert!(edit.apply("aa").unwrap_err().contains("2 times"));
        assert!(edit.apply("").unwrap_err().contains("0 times"));
    }
}
