//! `[store]`: which store, and what an answered callback has survived. `[spool]`: what takes callbacks while it is away.

use super::{Durability, redis::Target};
use crate::findings::{Layers, Table};
use std::{fmt, path::PathBuf};

/// `[store]`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which store.
    pub url: StoreUrl,
    /// What is claimed; `disk` for the embedded store and `process` for Redis when nothing is said.
    pub durability: Durability,
}

/// Where a store is. Prints no user and no password.
#[derive(Debug, Clone)]
pub enum StoreUrl {
    /// The embedded store in this file.
    Sqlite(PathBuf),
    /// A Redis.
    Redis(Box<Target>),
}

/// `[spool]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolSettings {
    /// Where it is.
    pub file: PathBuf,
    /// How many callbacks it holds at most; 0: there is no spool.
    pub max: u64,
}

/// The most that `spool.max` may say: what fits into a file of [`super::spool::BYTES_MAX`] when all are short.
const SPOOL_MAX: i64 = 2_000_000;

impl SpoolSettings {
    /// Reads `[spool]`.
    pub fn read(layers: &Layers<'_>) -> Option<SpoolSettings> {
        let file = layers.read("file", Table::text);
        let max = layers.read("max", |table, key| table.integer(key, 0..=SPOOL_MAX));
        layers.finish();
        Some(SpoolSettings { file: file?.value.into(), max: max?.value.unsigned_abs() })
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreUrl::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            StoreUrl::Redis(target) => write!(f, "redis at {target}"),
        }
    }
}

impl Settings {
    /// Reads `[store]`.
    pub fn read(layers: &Layers<'_>) -> Option<Settings> {
        let url = layers.read("url", url);
        let claimed = layers.nearest("durability").map(|table| durability(table, "durability"));
        layers.finish();
        let (url, claimed) = (url?, claimed.map_or(Some(None), |read| read.map(Some))?);
        let usual = match url {
            StoreUrl::Sqlite(_) => Durability::Disk,
            StoreUrl::Redis(_) => Durability::Process,
        };
        Some(Settings { url, durability: claimed.unwrap_or(usual) })
    }
}

fn url(table: &Table<'_>, key: &str) -> Option<StoreUrl> {
    let text = table.text(key)?;
    if let Some(path) = text.value.strip_prefix("sqlite:") {
        if path.is_empty() {
            table.error(text.span, "`store.url` names no file", "url = \"sqlite:data/matamat.db\"");
            return None;
        }
        return Some(StoreUrl::Sqlite(path.into()));
    }
    match Target::parse(&text.value) {
        Ok(target) => Some(StoreUrl::Redis(Box::new(target))),
        Err(why) => {
            // The text may hold a password, so it is not repeated.
            table.error(text.span, why.to_string(), "sqlite:PATH, redis://HOST:PORT or rediss://HOST:PORT");
            None
        }
    }
}

fn durability(table: &Table<'_>, key: &str) -> Option<Durability> {
    let text = table.text(key)?;
    let hint = "\"process\" or \"disk\"";
    match Durability::parse(&text.value) {
        Some(Durability::Replica) => {
            table.error(text.span, "the durability \"replica\" is not built yet", hint);
            None
        }
        None => {
            table.error(text.span, format!("there is no durability \"{}\"", text.value), hint);
            None
        }
        known => known,
    }
}
