//! What clients were told, checked as it happens: entities are linearizable through their versions.
//!
//! Sorted by version, the commands that changed an entity are one order that everybody agrees on, if no two
//! share a version, and if whoever sends a command after another was answered gets a later one. What was
//! acknowledged is then not lost either: the next answer would come with too small a version.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, Mutex, MutexGuard},
};

use interlock_kernel::ids::{CommandId, Version};

/// What all clients of a machine were told.
#[derive(Clone, Default)]
pub struct History(Arc<Mutex<BTreeMap<String, Told>>>);

/// What was told about one entity.
#[derive(Default)]
struct Told {
    newest: Version,
    /// Who made which version.
    made: BTreeMap<Version, CommandId>,
}

/// An answer, as far as the history cares.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The command's id.
    pub id: &'a CommandId,
    /// The entity's version after it.
    pub version: Version,
    /// Whether the command changed something.
    pub changed: bool,
    /// Whether it is an earlier answer, given again.
    pub replayed: bool,
}

impl History {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Told>> {
        self.0.lock().expect("no code panics while it holds the lock")
    }

    /// The newest version that anybody was told of an entity, for a command that is sent now.
    #[must_use]
    pub fn newest(&self, entity: &str) -> Version {
        self.lock().get(entity).map(|told| told.newest).unwrap_or_default()
    }

    /// Takes in an answer to a command that was first sent when `newest` was.
    ///
    /// # Errors
    /// What contradicts an earlier answer, in words.
    pub fn answered(
        &self,
        entity: &str,
        newest: Version,
        answer: Answered<'_>,
    ) -> Result<(), String> {
        let Answered { id, version, changed, replayed } = answer;
        let mut history = self.lock();
        let told = history.entry(entity.to_owned()).or_default();
        told.newest = told.newest.max(version);
        if !changed {
            let late = version < newest;
            return if late { Err(old(entity, id, version, newest)) } else { Ok(()) };
        }
        if version <= newest {
            return Err(old(entity, id, version, newest));
        }
        match told.made.entry(version) {
            Entry::Vacant(free) => {
                free.insert(id.clone());
                Ok(())
            }
            // The answer was lost on its way, and came again.
            Entry::Occupied(taken) if taken.get() == id && replayed => Ok(()),
            Entry::Occupied(taken) => Err(format!(
                "{entity}: {} and {} both made version {version}",
                id.as_str(),
                taken.get().as_str()
            )),
        }
    }
}

fn old(entity: &str, id: &CommandId, version: Version, newest: Version) -> String {
    let id = id.as_str();
    format!(
        "{entity}: {id} is told version {version}, although {newest} was known when it was sent"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_no_single_order_explains_are_told() {
        let history = History::default();
        let (a, b) = (CommandId::new("a").unwrap(), CommandId::new("b").unwrap());
        let answer = |id, version, changed, replayed| {
            let answered = Answered { id, version: Version(version), changed, replayed };
            history.answered("x/1", history.newest("x/1"), answered)
        };
        assert_eq!(answer(&a, 1, true, false), Ok(()));
        assert!(answer(&b, 1, true, false).unwrap_err().contains("was known"));
        assert_eq!(answer(&b, 2, true, false), Ok(()));
        assert_eq!(answer(&b, 2, false, false), Ok(()), "a look");
        assert!(answer(&a, 1, false, false).is_err(), "a look at what is over");
        // Sent when nothing was known.
        let again = |id| Answered { id, version: Version(2), changed: true, replayed: true };
        assert_eq!(history.answered("x/1", Version(0), again(&b)), Ok(()));
        assert!(history.answered("x/1", Version(0), again(&a)).unwrap_err().contains("both made"));
    }
}
