//! A file that says "somebody is here": locked by `flock`, so that the lock dies with the process, however it dies.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// Why a file was not locked.
#[derive(Debug)]
pub(super) enum NotLocked {
    /// Another process holds this lock.
    Held(PathBuf),
    /// This file cannot be made or locked.
    Io(PathBuf, io::Error),
}

/// `<file>.lock`, locked until the value is dropped or the process dies.
pub(super) fn lock(path: &Path) -> Result<File, NotLocked> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let opened = File::options().create(true).truncate(false).write(true).open(&name);
    let lock = opened.map_err(|error| NotLocked::Io(name.clone(), error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(NotLocked::Held(name)),
        Err(TryLockError::Error(error)) => Err(NotLocked::Io(name, error)),
    }
}
