//! What of one file is not on the disk yet, sector by sector.

use std::collections::BTreeMap;

/// The unit in which a disk writes.
pub(super) const SECTOR: u64 = 512;
/// Earlier contents that are kept of a sector; the one in the middle goes first.
const VERSIONS_MAX: usize = 4;

/// The bytes of a sector; zeros beyond the file's end.
pub(super) type Sector = [u8; SECTOR as usize];

/// A file whose synced part is on the disk.
#[derive(Debug)]
pub(super) struct Sectors {
    /// The length that is on the disk.
    synced_len: u64,
    /// Sectors written since the last sync: what is on the disk, then what was written since, without
    /// the latest, which is in the file.
    unsynced: BTreeMap<u64, Vec<Sector>>,
    /// Sectors whose sync failed, with what is on the disk. No sync writes them.
    forsaken: BTreeMap<u64, Sector>,
}

/// What becomes of a file in a power cut.
#[derive(Debug, Default)]
pub(super) struct Aftermath {
    pub(super) len: u64,
    /// Contents to put back.
    pub(super) sectors: BTreeMap<u64, Sector>,
}

impl Sectors {
    /// A file that is on the disk as it is.
    pub(super) fn synced(len: u64) -> Self {
        Self { synced_len: len, unsynced: BTreeMap::new(), forsaken: BTreeMap::new() }
    }

    /// To be called before a sector is written, with what it holds.
    pub(super) fn before_write(&mut self, number: u64, content: Sector) {
        let versions = self.unsynced.entry(number).or_default();
        if let Some(on_disk) = self.forsaken.remove(&number) {
            versions.push(on_disk);
        }
        if versions.len() >= VERSIONS_MAX {
            versions.remove(versions.len() / 2);
        }
        versions.push(content);
    }

    /// All that was written since the last sync is on the disk.
    pub(super) fn sync(&mut self, len: u64) {
        self.unsynced.clear();
        self.synced_len = len;
    }

    /// Nothing that was written since the last sync is, or will be. Returns what the disk has instead.
    pub(super) fn forsake(&mut self) -> &BTreeMap<u64, Sector> {
        for (number, versions) in std::mem::take(&mut self.unsynced) {
            self.forsaken.entry(number).or_insert(versions[0]);
        }
        &self.forsaken
    }

    /// All sectors whose sync failed are written again.
    pub(super) fn rewrite(&mut self) {
        for (number, on_disk) in std::mem::take(&mut self.forsaken) {
            self.unsynced.insert(number, vec![on_disk]);
        }
    }

    /// What is left of the file, which has `len` bytes now. `choose(n)` is a number below `n`; always zero
    /// stands for a disk that has written nothing without being asked to.
    pub(super) fn power_cut(&self, len: u64, choose: &mut dyn FnMut(usize) -> usize) -> Aftermath {
        let end = len.div_ceil(SECTOR);
        // A file may have grown by half; but it is cut off at once.
        let halfway = if self.synced_len < len { self.synced_len.midpoint(len) } else { len };
        let lens = [self.synced_len, len, halfway];
        let len = lens[choose(lens.len())];
        let mut sectors = BTreeMap::new();
        for (number, versions) in &self.unsynced {
            // What is in the file is one more version, except where it was cut off.
            let in_file = usize::from(*number < end);
            if let Some(content) = versions.get(choose(versions.len() + in_file)) {
                sectors.insert(*number, *content);
            }
        }
        sectors.extend(self.forsaken.iter().map(|(number, content)| (*number, *content)));
        Aftermath { len, sectors }
    }
}
