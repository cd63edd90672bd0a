//! The committed state of a machine's entities, as a timeline shows it beside what actors say.

use std::{collections::BTreeMap, fmt::Write as _};

use interlock_runtime::codec::{AnyFold, Codec};

use crate::{disk::Disk, history};

/// Characters of a state that is shown; of a longer one only its version is.
const WIDE: usize = 80;

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
    let mut shown = String::new();
    for ((entity, key), fold) in folds {
        let json = fold.json().ok().filter(|json| json.get().chars().count() <= WIDE);
        let separator = if shown.is_empty() { "" } else { ", " };
        let _ = match json {
            Some(json) => write!(shown, "{separator}{entity}/{key} {}", json.get()),
            None => write!(shown, "{separator}{entity}/{key} version {}", fold.version()),
        };
    }
    shown
}
