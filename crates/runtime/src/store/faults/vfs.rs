//! The VFS: SQLite's calls, translated for [`DiskState`] and for the VFS below, SQLite's own.
//!
//! SQLite's interface to the operating system is a table of C functions, so this is the one module of the
//! crate that needs `unsafe`. It is compiled for tests only.
//!
//! What every function relies on, beside SQLite's own promises about the arguments:
//!
//! - A `sqlite3_file` that comes in was made by [`open`], so it is a [`FaultFile`]; behind it, in the same
//!   allocation, is the file of the VFS below, open.
//! - `pAppData` of the VFS is a [`Shared`] that is never freed.
//! - The state's lock is held during a call of the VFS below, so that a sync covers a write or does not.

#![allow(unsafe_code)]

use std::{
    ffi::{CStr, CString, OsStr, c_char, c_int, c_void},
    mem,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    ptr, slice,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use rusqlite::ffi;

use super::{
    disk::{DiskState, RealFile},
    lock,
};

/// Calls a method of a file of the VFS below.
macro_rules! call {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let file = $file;
        let method = (*(*file).pMethods).$method.expect("SQLite's own VFS has all methods");
        method(file $(, $argument)*)
    }};
}

/// What the VFS knows.
struct Shared {
    below: *mut ffi::sqlite3_vfs,
    state: Arc<Mutex<DiskState>>,
}

/// A file of ours; the file of the VFS below follows it.
#[repr(C)]
struct FaultFile {
    methods: *const ffi::sqlite3_io_methods,
    shared: *const Shared,
    /// Null for a temporary file, which nothing survives and no fault hits.
    named: *mut Named,
}

struct Named {
    path: PathBuf,
    /// Whether the first sync includes the folder: SQLite asks for that with files that it creates to
    /// survive a crash.
    names_too: bool,
}

const _: () =
    assert!(mem::size_of::<FaultFile>().is_multiple_of(8), "the file below must be aligned");

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // The third version is memory-mapped files, whose writes would not come by here.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock_file),
    xUnlock: Some(unlock_file),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Registers a VFS for the state, until the process ends, and returns its name.
pub(super) fn register(state: Arc<Mutex<DiskState>>) -> String {
    static REGISTERED: AtomicU64 = AtomicU64::new(0);
    let name = format!("interlock-faults-{}", REGISTERED.fetch_add(1, Ordering::Relaxed));
    let c_name = CString::new(name.as_str()).expect("the name has no zero byte");
    // SAFETY: SQLite always has a default VFS, which is valid for ever. Ours starts as a copy of it: the
    // functions that are not replaced do not look at the VFS that they are called on. Name, shared state
    // and VFS are leaked, so they are valid for ever too.
    unsafe {
        let below = ffi::sqlite3_vfs_find(ptr::null());
        assert!(!below.is_null(), "SQLite has a default VFS");
        let shared = Box::leak(Box::new(Shared { below, state }));
        let mut vfs = *below;
        vfs.szOsFile += mem::size_of::<FaultFile>() as c_int;
        vfs.pNext = ptr::null_mut();
        vfs.zName = c_name.into_raw();
        vfs.pAppData = ptr::from_mut(shared).cast();
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        vfs.xAccess = Some(access);
        let registered = ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0);
        assert_eq!(registered, ffi::SQLITE_OK, "there is memory for a VFS");
    }
    name
}

/// The file below, for [`DiskState`].
struct Below(*mut ffi::sqlite3_file);

impl RealFile for Below {
    fn len(&mut self) -> Result<u64, c_int> {
        let mut len = 0;
        // SAFETY: the file below is open.
        check(unsafe { call!(self.0, xFileSize, &raw mut len) })?;
        Ok(len as u64)
    }

    fn read(&mut self, into: &mut [u8], at: u64) -> Result<(), c_int> {
        let (start, len) = (into.as_mut_ptr().cast(), into.len() as c_int);
        // SAFETY: the file below is open, and the buffer has that length.
        match unsafe { call!(self.0, xRead, start, len, at as i64) } {
            // It filled the rest with zeros.
            ffi::SQLITE_IOERR_SHORT_READ => Ok(()),
            code => check(code),
        }
    }

    fn write(&mut self, bytes: &[u8], at: u64) -> Result<(), c_int> {
        let (start, len) = (bytes.as_ptr().cast(), bytes.len() as c_int);
        // SAFETY: the file below is open, and the buffer has that length.
        check(unsafe { call!(self.0, xWrite, start, len, at as i64) })
    }

    fn truncate(&mut self, len: u64) -> Result<(), c_int> {
        // SAFETY: the file below is open.
        check(unsafe { call!(self.0, xTruncate, len as i64) })
    }
}

/// What a file of ours consists of.
///
/// # Safety
///
/// The file was opened by [`open`] and is not closed.
unsafe fn parts<'a>(
    file: *mut ffi::sqlite3_file,
) -> (&'a Shared, Option<&'a mut Named>, *mut ffi::sqlite3_file) {
    let ours = file.cast::<FaultFile>();
    // SAFETY: the caller's promise; SQLite uses a file on one thread at a time.
    unsafe { (&*(*ours).shared, (*ours).named.as_mut(), below(file)) }
}

/// The file of the VFS below.
///
/// # Safety
///
/// The file has the size that the VFS asked for.
unsafe fn below(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: the caller's promise.
    unsafe { file.cast::<FaultFile>().add(1).cast() }
}

/// # Safety
///
/// The name is a C string that outlives the call.
unsafe fn path<'a>(name: *const c_char) -> &'a Path {
    // SAFETY: the caller's promise.
    Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()))
}

fn check(code: c_int) -> Result<(), c_int> {
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(code) }
}

fn code(result: Result<(), c_int>) -> c_int {
    result.err().unwrap_or(ffi::SQLITE_OK)
}

// SAFETY, for every function that follows: see the module's text.

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    mut flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    const JOURNALS: c_int =
        ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL | ffi::SQLITE_OPEN_WAL;
    unsafe {
        let shared = &*(*vfs).pAppData.cast::<Shared>();
        let below = below(file);
        // Without methods a file is not open, and is not closed.
        (*file).pMethods = ptr::null();
        (*below).pMethods = ptr::null();
        let path = if name.is_null() { None } else { Some(path(name)) };
        let is_new = path.is_some_and(|path| !path.exists());
        let names_too = flags & ffi::SQLITE_OPEN_CREATE != 0 && flags & JOURNALS != 0;

        let mut state = lock(&shared.state);
        if let Err(code) = state.check_power() {
            return code;
        }
        if state.is_read_only {
            if is_new {
                return ffi::SQLITE_CANTOPEN;
            }
            flags &= !(ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE);
            flags |= ffi::SQLITE_OPEN_READONLY;
        }
        let open = (*shared.below).xOpen.expect("SQLite's own VFS opens files");
        let opened = open(shared.below, name, below, flags, flags_out);
        if opened != ffi::SQLITE_OK {
            if !(*below).pMethods.is_null() {
                call!(below, xClose);
            }
            return opened;
        }
        let named = match (path, Below(below).len()) {
            (Some(path), Ok(len)) => {
                state.opened(path, len, is_new);
                Box::into_raw(Box::new(Named { path: path.to_owned(), names_too }))
            }
            (None, _) | (_, Err(_)) => ptr::null_mut(),
        };
        *file.cast() = FaultFile { methods: &raw const METHODS, shared, named };
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe {
        let named = (*file.cast::<FaultFile>()).named;
        if !named.is_null() {
            drop(Box::from_raw(named));
        }
        call!(below(file), xClose)
    }
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    into: *mut c_void,
    len: c_int,
    at: i64,
) -> c_int {
    unsafe { powered(file, |below| call!(below, xRead, into, len, at)) }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    len: c_int,
    at: i64,
) -> c_int {
    unsafe {
        let (shared, Some(named), below) = parts(file) else {
            return call!(below(file), xWrite, bytes, len, at);
        };
        let bytes = slice::from_raw_parts(bytes.cast::<u8>(), len as usize);
        let mut state = lock(&shared.state);
        code(state.write(&named.path, bytes, at as u64, &mut Below(below)))
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: i64) -> c_int {
    unsafe {
        let (shared, Some(named), below) = parts(file) else {
            return call!(below(file), xTruncate, len);
        };
        code(lock(&shared.state).truncate(&named.path, len as u64, &mut Below(below)))
    }
}

/// The real file is not synced: the power cut is played, so that would only cost time.
unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    let (shared, Some(named), below) = (unsafe { parts(file) }) else {
        return ffi::SQLITE_OK;
    };
    let synced = lock(&shared.state).sync(&named.path, named.names_too, &mut Below(below));
    named.names_too &= synced.is_err();
    code(synced)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    unsafe { powered(file, |below| call!(below, xFileSize, size)) }
}

unsafe extern "C" fn lock_file(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    unsafe { powered(file, |below| call!(below, xLock, level)) }
}

unsafe extern "C" fn unlock_file(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    unsafe { call!(below(file), xUnlock, level) }
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    unsafe { powered(file, |below| call!(below, xCheckReservedLock, out)) }
}

unsafe extern "C" fn file_control(
    file: *mut ffi::sqlite3_file,
    operation: c_int,
    argument: *mut c_void,
) -> c_int {
    unsafe { call!(below(file), xFileControl, operation, argument) }
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe { call!(below(file), xSectorSize) }
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe { call!(below(file), xDeviceCharacteristics) }
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    region_size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    unsafe { powered(file, |below| call!(below, xShmMap, region, region_size, extend, out)) }
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    unsafe {
        if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
            return call!(below(file), xShmLock, offset, count, flags);
        }
        powered(file, |below| call!(below, xShmLock, offset, count, flags))
    }
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    unsafe { call!(below(file), xShmBarrier) }
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    unsafe { call!(below(file), xShmUnmap, delete) }
}

unsafe extern "C" fn delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_folder: c_int,
) -> c_int {
    unsafe {
        let shared = &*(*vfs).pAppData.cast::<Shared>();
        let mut state = lock(&shared.state);
        if let Err(code) = state.delete(path(name), sync_folder != 0) {
            return code;
        }
        let delete = (*shared.below).xDelete.expect("SQLite's own VFS deletes files");
        // The folder need not be synced, as no file is.
        delete(shared.below, name, 0)
    }
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    unsafe {
        let shared = &*(*vfs).pAppData.cast::<Shared>();
        if let Err(code) = lock(&shared.state).check_power() {
            return code;
        }
        let access = (*shared.below).xAccess.expect("SQLite's own VFS looks for files");
        access(shared.below, name, flags, out)
    }
}

/// Passes a call on while there is power.
unsafe fn powered(
    file: *mut ffi::sqlite3_file,
    pass_on: impl FnOnce(*mut ffi::sqlite3_file) -> c_int,
) -> c_int {
    let (shared, _, below) = unsafe { parts(file) };
    let power = lock(&shared.state).check_power();
    match power {
        Ok(()) => pass_on(below),
        Err(code) => code,
    }
}
