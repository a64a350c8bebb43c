//! A command's way to the store, beside the gateways that run on it: no lock, no worker, and never new keys.

use super::{Installation, KeyFileError, StartError, Stores, key_file};
use crate::{
    domain::time::Clock,
    store::{KeysFound, StoreError, due::Due},
    turn::Turns,
};
use std::sync::Arc;

/// Why a command does not reach the store.
#[derive(Debug, thiserror::Error)]
pub enum BesideError {
    /// The store was never made.
    #[error("there is no store at {0} yet: `matamat serve` makes it, and its keys, at the first start")]
    NoStore(String),
    /// There is no key file.
    #[error(
        "there is no key file {0}: `matamat serve` makes it at the first start; on another machine, bring it from there"
    )]
    NoKeys(String),
    /// The key file.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The store cannot be opened, or was written with other keys.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Turns on the store that is configured. What they make due is another process' business.
pub async fn beside(installation: &Installation, clock: Clock) -> Result<Turns, BesideError> {
    let config = &installation.config;
    let file = config.keys_file.display().to_string();
    let store = Stores::beside(&config.store, &clock).await?;
    let keys = key_file::read(&config.keys_file)?.ok_or_else(|| BesideError::NoKeys(file.clone()))?;
    if store.adopt_keys(keys.check_value()).await? == KeysFound::Other {
        return Err(StartError::OtherKeys(file).into());
    }
    Ok(Turns {
        store,
        shelf: installation.shelf.clone(),
        routes: installation.routes.clone(),
        keys: Arc::new(keys),
        clock,
        due: Arc::new(Due::of([])),
        channels: installation.channels.clone(),
    })
}
