//! The committed state of a machine's entities, as a timeline shows it beside what actors say.

use std::collections::BTreeMap;

use interlock_runtime::codec::{AnyFold, Codec};

use crate::{disk::Disk, history};

/// Characters of states that are shown; where they have more, only their versions are.
const WIDE: usize = 100;

/// `TYPE/KEY {…}` for each entity that has a state. Empty when the disk cannot be read now.
pub(super) fn committed(disk: &Disk, codecs: &[Codec]) -> String {
    let Ok(log) = disk.log() else { return String::new() };
    let mut folds: BTreeMap<(&str, &str), Box<dyn AnyFold>> = BTreeMap::new();
    for (position, record) in history::records(&log) {
        let head = *record.head();
        let Some(codec) = codecs.iter().find(|codec| codec.entity == head.entity) else { continue };
        let fold = folds.entry((codec.entity, head.key)).or_insert_with(codec.fold);
        // What cannot be folded is found by the checks at the end.
        let _ = fold.fold(position, &record);
    }
    let states = each(&folds, |fold| fold.json().map_or("?".to_owned(), |json| json.to_string()));
    if states.chars().count() <= WIDE {
        states
    } else {
        each(&folds, |fold| format!("version {}", fold.version()))
    }
}

fn each(
    folds: &BTreeMap<(&str, &str), Box<dyn AnyFold>>,
    shown: impl Fn(&dyn AnyFold) -> String,
) -> String {
    let mut words = Vec::new();
    for ((entity, key), fold) in folds {
        words.push(format!("{entity}/{key} {}", shown(fold.as_ref())));
    }
    words.join(", ")
}
