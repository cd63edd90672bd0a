//! What SQLite's errors mean to those who called the store.
//!
//! The one that matters is a failed `COMMIT`: see [`transaction`].

use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use crate::store::StoreError;

/// How a transaction failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// It left nothing behind, and the connection can go on.
    Refused(StoreError),
    /// It may have happened; the connection must not be used again.
    Unknown(StoreError),
}

impl Failure {
    pub(super) fn into_error(self) -> StoreError {
        match self {
            Self::Refused(error) | Self::Unknown(error) => error,
        }
    }
}

/// Does the work in a transaction of its own, and says how sure a failure is.
///
/// Whatever fails before `COMMIT`, and is rolled back, is certainly not there. A `COMMIT` that found no
/// room is not there either: the frame that would have made it valid is the last one to be written. Any
/// other error of `COMMIT` (an fsync that failed, above all) leaves the question open.
pub(super) fn transaction<T>(
    connection: &Connection,
    path: &Path,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> Result<T, Failure> {
    let error = match run(connection, "BEGIN IMMEDIATE").and_then(|()| work(connection)) {
        Ok(done) => match run(connection, "COMMIT") {
            Ok(()) => return Ok(done),
            Err(error) if leaves_it_open(&error) => {
                return Err(Failure::Unknown(store_error(path, &error)));
            }
            Err(error) => error,
        },
        Err(error) => error,
    };
    let refusal = store_error(path, &error);
    // Some errors roll back by themselves.
    if connection.is_autocommit() || run(connection, "ROLLBACK").is_ok() {
        Err(Failure::Refused(refusal))
    } else {
        Err(Failure::Unknown(refusal))
    }
}

/// Runs a statement without parameters or rows.
pub(super) fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

fn leaves_it_open(commit_error: &rusqlite::Error) -> bool {
    !matches!(
        commit_error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::ReadOnly | ErrorCode::DatabaseBusy)
    )
}

/// The same error in the words of the trait.
pub(super) fn store_error(path: &Path, error: &rusqlite::Error) -> StoreError {
    let text = match error.sqlite_extended_error_code() {
        Some(code) => format!("{}: {error} (SQLite code {code})", path.display()),
        None => format!("{}: {error}", path.display()),
    };
    // Not a match: the codes are SQLite's, and a new one is one more way to fail.
    let code = error.sqlite_error_code();
    let is_misread = matches!(
        error,
        rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
    );
    if code == Some(ErrorCode::DiskFull) {
        StoreError::Full(text)
    } else if matches!(code, Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied)) {
        StoreError::ReadOnly(text)
    } else if is_misread
        || matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    {
        StoreError::Damaged(text)
    } else {
        StoreError::Failed(text)
    }
}
