//! One data folder, one process.
//!
//! The operating system's lock on `interlock.lock` is the truth, and ends with the process, however it
//! ends. The text inside says for people who holds it; it is stale when nobody does.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    process,
};

use crate::store::StoreError;

/// The name of the lock's file in the data folder.
pub const FILE_NAME: &str = "interlock.lock";

/// What comes before the address in the lock's file.
const LISTENING: &str = ", listening on ";

/// A longer text in the lock's file was not written by [`FolderLock`].
const HOLDER_BYTES_MAX: u64 = 1_000;

/// A held data folder; let go when dropped.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
    path: PathBuf,
}

impl FolderLock {
    /// Takes the folder, which must exist. `listening_on` is told to a second process that wants it.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] names the process that holds it; [`StoreError::ReadOnly`] if no file can be
    /// written there.
    pub fn take(folder: &Path, listening_on: &str) -> Result<Self, StoreError> {
        let path = folder.join(FILE_NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| StoreError::of_file(&path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(&mut file, folder)),
            Err(TryLockError::Error(error)) => return Err(StoreError::of_file(&path, &error)),
        }
        let mut lock = Self { file, path };
        // A full disk must not keep a store from opening for the sake of a text for people.
        if let Err(error) = lock.announce(listening_on) {
            tracing::warn!(%error, "could not write down who holds the data folder");
        }
        Ok(lock)
    }

    /// Changes what a second process is told.
    pub fn announce(&mut self, listening_on: &str) -> Result<(), StoreError> {
        let text = format!("process {}{LISTENING}{listening_on}\n", process::id());
        self.write(&text).map_err(|error| StoreError::of_file(&self.path, &error))
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())
    }
}

/// Where the process that holds this folder listens; `None`: nobody holds it, or it has not said.
#[must_use]
pub fn listening_on(folder: &Path) -> Option<String> {
    let mut file = File::open(folder.join(FILE_NAME)).ok()?;
    let Err(TryLockError::WouldBlock) = file.try_lock_shared() else { return None };
    holder(&mut file)?.split_once(LISTENING).map(|(_, address)| address.to_owned())
}

fn in_use(file: &mut File, folder: &Path) -> StoreError {
    let holder = holder(file).unwrap_or_else(|| "another process".to_owned());
    StoreError::InUse(format!("{} is held by {holder}", folder.display()))
}

/// What the holder says of itself. The lock does not keep readers out, but some systems do; a nameless holder holds it
/// all the same.
fn holder(file: &mut File) -> Option<String> {
    let mut holder = String::new();
    file.take(HOLDER_BYTES_MAX).read_to_string(&mut holder).ok()?;
    Some(holder.trim().to_owned()).filter(|holder| !holder.is_empty())
}
