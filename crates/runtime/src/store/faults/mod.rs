//! A disk that fails as it is told, for tests: SQLite runs on it through a VFS of its own.
//!
//! It passes everything through to real files, and remembers what no `fsync` has covered yet. A power cut
//! makes every later call fail; [`FaultDisk::restore`] then undoes, in the real files, what would not have
//! survived. Disks lose unsynced writes in any order, sector by sector, so a seed chooses which survive.
//!
//! Beside power cuts: a full disk, a read-only one, writes and syncs that fail, and syncs that lie.
//!
//! What it takes to be true of disks: a synced byte stays; a sector of 512 bytes is written whole or not at
//! all; a name that was created or deleted is sure to stay so once its folder was synced. After a failed
//! sync the sectors that it should have written are never written by a later one, unless they are written
//! anew: that is what Linux does.
//!
//! Not here: bytes that decay, or reads that fail.

mod disk;
mod names;
mod sectors;
mod vfs;

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use self::disk::DiskState;
pub use self::disk::{Loss, Survivors};
use super::sqlite::Disk;

/// A handle to a disk that fails; clones are the same disk. Its VFS stays registered until the process ends.
#[derive(Debug, Clone)]
pub struct FaultDisk {
    vfs: Arc<str>,
    state: Arc<Mutex<DiskState>>,
}

impl Default for FaultDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl FaultDisk {
    /// A disk without faults.
    #[must_use]
    pub fn new() -> Self {
        let state = Arc::new(Mutex::new(DiskState::default()));
        Self { vfs: vfs::register(Arc::clone(&state)).into(), state }
    }

    /// Cuts the power now.
    pub fn cut_power(&self) {
        self.lock().cut_power();
    }

    /// Cuts the power when so many more writes, syncs, truncations and deletions have been done.
    pub fn cut_power_after(&self, operations: u64) {
        self.lock().cut_power_after(operations);
    }

    /// Whether the power is cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.lock().is_cut()
    }

    /// Undoes what does not survive the power cut, and puts an end to all faults. Nothing may be open.
    pub fn restore(&self, survivors: Survivors) -> io::Result<()> {
        self.lock().restore(survivors)
    }

    /// Leaves room for so many more bytes of growth.
    pub fn fill_up(&self, bytes_left: u64) {
        self.lock().room = Some(bytes_left);
    }

    /// Ends the shortage.
    pub fn make_room(&self) {
        self.lock().room = None;
    }

    /// Makes the disk read-only, or writable again.
    pub fn set_read_only(&self, read_only: bool) {
        self.lock().is_read_only = read_only;
    }

    /// Makes the next sync of the file with this name fail, and with it what it should have written.
    pub fn fail_next_sync(&self, file_name: &str, loss: Loss) {
        self.lock().sync_faults.push((file_name.into(), loss));
    }

    /// Makes the next write to the file with this name fail, unwritten.
    pub fn fail_next_write(&self, file_name: &str) {
        self.lock().write_faults.push(file_name.into());
    }

    /// From now on syncs report success and do nothing.
    pub fn lie_about_syncs(&self) {
        self.lock().syncs_lie = true;
    }

    /// How many writes, syncs, truncations and deletions were done so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    fn lock(&self) -> MutexGuard<'_, DiskState> {
        lock(&self.state)
    }
}

impl Disk for FaultDisk {
    fn vfs(&self) -> Option<&str> {
        Some(&self.vfs)
    }

    fn rewrite(&self, path: &Path) -> io::Result<()> {
        self.lock().rewrite(path)
    }
}

fn lock(state: &Mutex<DiskState>) -> MutexGuard<'_, DiskState> {
    state.lock().expect("no code panics while it holds the lock")
}
