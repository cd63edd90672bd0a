//! What a disk does with the calls that reach it: pass them on, or fail.

use std::{
    collections::BTreeMap,
    ffi::c_int,
    fs::{self, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use rusqlite::ffi;

use super::{
    names::Names,
    sectors::{Aftermath, SECTOR, Sector, Sectors},
};

/// What becomes of the bytes that a failed sync should have written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The operating system's cache still shows them; the disk does not have them.
    Later,
    /// They are gone at once.
    Now,
}

/// Which unsynced writes survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survivors {
    /// None.
    Synced,
    /// Those that the seed chooses.
    Some(u64),
}

/// What can be done to an open file. Failures are SQLite's codes.
pub(super) trait RealFile {
    fn len(&mut self) -> Result<u64, c_int>;
    /// Bytes beyond the end read as zeros.
    fn read(&mut self, into: &mut [u8], at: u64) -> Result<(), c_int>;
    fn write(&mut self, bytes: &[u8], at: u64) -> Result<(), c_int>;
    fn truncate(&mut self, len: u64) -> Result<(), c_int>;
}

/// A disk and its faults.
#[derive(Debug, Default)]
pub(super) struct DiskState {
    files: BTreeMap<PathBuf, Sectors>,
    names: Names,
    is_cut: bool,
    fuse: Option<u64>,
    pub(super) operations: u64,
    pub(super) room: Option<u64>,
    pub(super) is_read_only: bool,
    pub(super) syncs_lie: bool,
    pub(super) sync_faults: Vec<(String, Loss)>,
    pub(super) write_faults: Vec<String>,
}

impl DiskState {
    pub(super) fn cut_power(&mut self) {
        self.is_cut = true;
    }

    pub(super) fn cut_power_after(&mut self, operations: u64) {
        self.fuse = Some(operations);
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether anything can be done at all.
    pub(super) fn check_power(&self) -> Result<(), c_int> {
        if self.is_cut { Err(ffi::SQLITE_IOERR) } else { Ok(()) }
    }

    /// Notes that a file was opened, and whether its name is new.
    pub(super) fn opened(&mut self, path: &Path, len: u64, is_new: bool) {
        if is_new {
            self.names.create(path);
        }
        self.files.entry(path.to_owned()).or_insert_with(|| Sectors::synced(len));
    }

    pub(super) fn write(
        &mut self,
        path: &Path,
        bytes: &[u8],
        at: u64,
        file: &mut dyn RealFile,
    ) -> Result<(), c_int> {
        self.operate()?;
        if self.is_read_only || self.take_write_fault(path) {
            return Err(ffi::SQLITE_IOERR_WRITE);
        }
        let len = file.len()?;
        let end = at + bytes.len() as u64;
        let growth = end.saturating_sub(len);
        let granted = growth.min(self.room.unwrap_or(u64::MAX));
        let bytes_written = bytes.len().saturating_sub((growth - granted) as usize);
        let written = &bytes[..bytes_written];
        self.remember(path, at, at + written.len() as u64, file)?;
        file.write(written, at)?;
        if let Some(room) = &mut self.room {
            *room -= granted;
        }
        if granted < growth { Err(ffi::SQLITE_FULL) } else { Ok(()) }
    }

    pub(super) fn truncate(
        &mut self,
        path: &Path,
        len: u64,
        file: &mut dyn RealFile,
    ) -> Result<(), c_int> {
        self.operate()?;
        if self.is_read_only {
            return Err(ffi::SQLITE_IOERR_TRUNCATE);
        }
        let end = file.len()?;
        self.remember(path, len, end, file)?;
        file.truncate(len)
    }

    /// `names_too`: the sync includes the file's folder.
    pub(super) fn sync(
        &mut self,
        path: &Path,
        names_too: bool,
        file: &mut dyn RealFile,
    ) -> Result<(), c_int> {
        self.operate()?;
        if self.syncs_lie {
            return Ok(());
        }
        let sectors = known(&mut self.files, path);
        if let Some(loss) = take_sync_fault(&mut self.sync_faults, path) {
            let on_disk = sectors.forsake();
            if loss == Loss::Now {
                let len = file.len()?;
                for (number, content) in on_disk {
                    let at = number * SECTOR;
                    let kept = len.saturating_sub(at).min(SECTOR) as usize;
                    file.write(&content[..kept], at)?;
                }
            }
            return Err(ffi::SQLITE_IOERR_FSYNC);
        }
        sectors.sync(file.len()?);
        if let (true, Some(folder)) = (names_too, path.parent()) {
            self.names.sync(folder);
        }
        Ok(())
    }

    /// Says whether the file may be deleted, and remembers it if so.
    pub(super) fn delete(&mut self, path: &Path, names_too: bool) -> Result<(), c_int> {
        self.operate()?;
        if self.is_read_only {
            return Err(ffi::SQLITE_IOERR_DELETE);
        }
        let Ok(content) = fs::read(path) else { return Ok(()) };
        if let Some(sectors) = self.files.remove(path) {
            let aftermath = sectors.power_cut(content.len() as u64, &mut |_| 0);
            self.names.delete(path, on_disk(content, &aftermath));
        }
        if let (true, Some(folder)) = (names_too, path.parent()) {
            self.names.sync(folder);
        }
        Ok(())
    }

    /// See [`Disk::rewrite`](crate::store::sqlite::Disk::rewrite). The bytes stay as they are, so that
    /// only what is remembered of them changes.
    pub(super) fn rewrite(&mut self, path: &Path) -> io::Result<()> {
        let Ok(meta) = fs::metadata(path) else { return Ok(()) };
        let failed = |_| io::Error::other("a fault");
        self.operate().map_err(failed)?;
        if self.is_read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let sectors = self.files.entry(path.to_owned());
        sectors.or_insert_with(|| Sectors::synced(meta.len())).rewrite();
        self.sync(path, false, &mut NotOpen(meta.len())).map_err(failed)
    }

    pub(super) fn restore(&mut self, survivors: Survivors) -> io::Result<()> {
        let mut seed = match survivors {
            Survivors::Synced => None,
            Survivors::Some(seed) => Some(seed),
        };
        let mut choose = |below: usize| seed.as_mut().map_or(0, |seed| next(seed) as usize % below);
        for (path, sectors) in std::mem::take(&mut self.files) {
            // The index of the WAL is memory that happens to have a name.
            let _ = fs::remove_file(with_suffix(&path, "-shm"));
            if let Ok(meta) = fs::metadata(&path) {
                put_back(&path, &sectors.power_cut(meta.len(), &mut choose))?;
            }
        }
        let (lost, back) = self.names.power_cut(&mut choose);
        for path in lost {
            fs::remove_file(path)?;
        }
        for (path, content) in back {
            fs::write(path, content)?;
        }
        *self = Self::default();
        Ok(())
    }

    /// Counts an operation, which the power must last for.
    fn operate(&mut self) -> Result<(), c_int> {
        if self.fuse == Some(0) {
            self.is_cut = true;
        }
        self.check_power()?;
        self.fuse = self.fuse.map(|left| left - 1);
        self.operations += 1;
        Ok(())
    }

    /// Remembers what a part of a file holds before it changes.
    fn remember(
        &mut self,
        path: &Path,
        from: u64,
        to: u64,
        file: &mut dyn RealFile,
    ) -> Result<(), c_int> {
        let sectors = known(&mut self.files, path);
        for number in from / SECTOR..to.div_ceil(SECTOR) {
            let mut content: Sector = [0; SECTOR as usize];
            file.read(&mut content, number * SECTOR)?;
            sectors.before_write(number, content);
        }
        Ok(())
    }

    fn take_write_fault(&mut self, path: &Path) -> bool {
        let fault = self.write_faults.iter().position(|name| path.ends_with(name));
        fault.map(|index| self.write_faults.remove(index)).is_some()
    }
}

fn take_sync_fault(faults: &mut Vec<(String, Loss)>, path: &Path) -> Option<Loss> {
    let index = faults.iter().position(|(name, _)| path.ends_with(name))?;
    Some(faults.remove(index).1)
}

fn known<'a>(files: &'a mut BTreeMap<PathBuf, Sectors>, path: &Path) -> &'a mut Sectors {
    // A file that was deleted while it was open goes on without a name, and leaves nothing behind.
    files.entry(path.to_owned()).or_insert_with(|| Sectors::synced(0))
}

/// A file that nobody has open, whose bytes do not change.
struct NotOpen(u64);

impl RealFile for NotOpen {
    fn len(&mut self) -> Result<u64, c_int> {
        Ok(self.0)
    }
    fn read(&mut self, _: &mut [u8], _: u64) -> Result<(), c_int> {
        Err(ffi::SQLITE_IOERR)
    }
    fn write(&mut self, _: &[u8], _: u64) -> Result<(), c_int> {
        Err(ffi::SQLITE_IOERR)
    }
    fn truncate(&mut self, _: u64) -> Result<(), c_int> {
        Err(ffi::SQLITE_IOERR)
    }
}

fn put_back(path: &Path, aftermath: &Aftermath) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.set_len(aftermath.len)?;
    for (number, content) in &aftermath.sectors {
        let at = number * SECTOR;
        let kept = aftermath.len.saturating_sub(at).min(SECTOR) as usize;
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&content[..kept])?;
    }
    Ok(())
}

fn on_disk(mut content: Vec<u8>, aftermath: &Aftermath) -> Vec<u8> {
    content.resize(aftermath.len as usize, 0);
    for (number, sector) in &aftermath.sectors {
        let at = (number * SECTOR) as usize;
        for (byte, kept) in content.iter_mut().skip(at).zip(sector) {
            *byte = *kept;
        }
    }
    content
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// SplitMix64.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
