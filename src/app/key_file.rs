//! The file that holds the root key and the sealing keys: made once, 0600, and only for a store that has no keys yet.

use crate::domain::keys::{Key, Keys};
use serde::{Deserialize, Serialize};
use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

const HEADER: &str = "\
# Matamat's keys. Whoever has this file and a copy of the store can read citizens' numbers; whoever has a number can find
# its citizen. Losing it loses who is who: every STOP, every live session. Keep a copy apart from the store's.
# The root key never changes. To change the sealing key, move it to [previous] and put a new one with a new id in its place.

";

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or made.
    #[error("the key file {path} cannot be used: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is there and is no key file.
    #[error("the key file {path} is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong; never a key.
        what: &'static str,
    },
}

#[derive(Serialize, Deserialize)]
struct Written {
    root: String,
    sealing: WrittenKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<WrittenKey>,
}

#[derive(Serialize, Deserialize)]
struct WrittenKey {
    id: u32,
    key: String,
}

/// Reads the keys; `None` when there is no file.
pub fn read(path: &Path) -> Result<Option<Keys>, KeyFileError> {
    let damaged = |what| KeyFileError::Damaged { path: path.to_owned(), what };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(KeyFileError::Io { path: path.to_owned(), source }),
    };
    let written: Written =
        toml::from_str(&text).map_err(|_| damaged("it does not have the keys it should have"))?;
    let key = |text: &str| unhex(text).ok_or_else(|| damaged("a key is 64 hexadecimal digits"));
    let sealing = |k: &WrittenKey| key(&k.key).map(|key| (k.id, key));
    let previous = written.previous.as_ref().map(sealing).transpose()?;
    Ok(Some(Keys::new(&key(&written.root)?, sealing(&written.sealing)?, previous)))
}

/// Makes new keys and writes them, unless the file is there by now.
pub fn make(path: &Path) -> Result<Keys, KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    let written =
        Written { root: hex(&random()), sealing: WrittenKey { id: 1, key: hex(&random()) }, previous: None };
    let body = toml::to_string(&written).expect("three texts and a number are TOML");
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(io)?;
    }
    // Written whole under another name first: a crash in the middle leaves no half key file.
    let draft = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft).map_err(io)?;
    file.write_all(HEADER.as_bytes()).and_then(|()| file.write_all(body.as_bytes())).map_err(io)?;
    file.sync_all().map_err(io)?;
    match std::fs::hard_link(&draft, path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io(error)),
    }
    std::fs::remove_file(&draft).map_err(io)?;
    read(path)?.ok_or_else(|| io(io::ErrorKind::NotFound.into()))
}

fn random() -> Key {
    let mut key = [0; 32];
    getrandom::fill(&mut key).expect("the system has randomness");
    key
}

fn hex(key: &Key) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Key> {
    let good = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let byte = |n: usize| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).ok();
    good.then(|| (0..32).map(byte).collect::<Option<Vec<u8>>>())??.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_made_once_and_read_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("data/keys");
        assert!(read(&path).expect("no file is no fault").is_none());
        let made = make(&path).expect("made");
        let again = make(&path).expect("kept");
        assert_eq!(made.check_value(), again.check_value(), "a second start keeps the first's keys");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(&path, "root = 'abc'").expect("written");
        assert!(matches!(read(&path), Err(KeyFileError::Damaged { .. })));
    }
}
