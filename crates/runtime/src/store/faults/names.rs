//! Which names in a folder are not on the disk yet.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Names created or deleted since their folder was synced.
#[derive(Debug, Default)]
pub(super) struct Names {
    created: BTreeSet<PathBuf>,
    /// With what the disk has of the file.
    deleted: BTreeMap<PathBuf, Vec<u8>>,
}

impl Names {
    pub(super) fn create(&mut self, path: &Path) {
        self.created.insert(path.to_owned());
    }

    pub(super) fn delete(&mut self, path: &Path, on_disk: Vec<u8>) {
        // A name that never reached the disk leaves nothing there, but one before it may have.
        if !self.created.remove(path) {
            self.deleted.entry(path.to_owned()).or_insert(on_disk);
        }
    }

    pub(super) fn sync(&mut self, folder: &Path) {
        self.created.retain(|path| path.parent() != Some(folder));
        self.deleted.retain(|path, _| path.parent() != Some(folder));
    }

    /// Names that a power cut takes away, and those that it brings back.
    pub(super) fn power_cut(
        &mut self,
        choose: &mut dyn FnMut(usize) -> usize,
    ) -> (Vec<PathBuf>, Vec<(PathBuf, Vec<u8>)>) {
        let mut lost: Vec<_> = std::mem::take(&mut self.created).into_iter().collect();
        lost.retain(|_| choose(2) == 0);
        let mut back: Vec<_> = std::mem::take(&mut self.deleted).into_iter().collect();
        back.retain(|_| choose(2) == 0);
        (lost, back)
    }
}
