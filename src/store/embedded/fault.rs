//! What SQLite says, as what a store says: did it happen, and is it worth trying again.

use crate::store::{StoreError, record::Unreadable};
use rusqlite::ErrorCode;

/// Why an act failed inside its savepoint. It did not happen.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// SQLite refused a statement.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A row holds what this release cannot read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> StoreError {
        match fault {
            Fault::Sqlite(error) => undone(&error),
            Fault::Unreadable(unreadable) => StoreError::Refused(unreadable.to_string()),
        }
    }
}

/// What a statement's failure means for an act that was rolled back: it surely did not happen.
pub(super) fn undone(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(error.to_string()),
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory,
        ) => StoreError::Away(error.to_string()),
        _ => StoreError::Refused(error.to_string()),
    }
}

/// What a failed COMMIT means. No room: the log's last frame, which makes the rest count, could not be written, so nothing
/// happened. Anything else (an fsync that failed) leaves open what the disk holds.
pub(super) fn uncommitted(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full(error.to_string()),
        _ => StoreError::Unknown(error.to_string()),
    }
}
