//! How the store reaches its files: through the operating system, or through something that breaks.

use std::{
    fmt::Debug,
    fs::OpenOptions,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

/// Bytes that are written again at once.
const BLOCK: usize = 1 << 20;

/// A way to the files. Tests have one that fails.
pub trait Disk: Debug + Send + Sync + 'static {
    /// The SQLite VFS to open files with; `None`: SQLite's own.
    fn vfs(&self) -> Option<&str>;

    /// Writes the bytes of a file, which nobody has open, once more in place, and syncs them. No file is
    /// an empty file.
    fn rewrite(&self, path: &Path) -> io::Result<()>;
}

/// The operating system's files.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn vfs(&self) -> Option<&str> {
        None
    }

    fn rewrite(&self, path: &Path) -> io::Result<()> {
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut block = vec![0; BLOCK];
        let mut at = 0;
        loop {
            file.seek(SeekFrom::Start(at))?;
            let read = file.read(&mut block)?;
            if read == 0 {
                break;
            }
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&block[..read])?;
            at += read as u64;
        }
        file.sync_all()
    }
}
