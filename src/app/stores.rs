//! Makes stores: one embedded store for the process, or a Redis connection for each worker.

use super::{BesideError, StartError};
use crate::{
    domain::time::Clock,
    store::{
        Durability, Settings, Store, StoreError, StoreUrl,
        embedded::Embedded,
        redis::{Redis, Target},
    },
};
use std::sync::Arc;

/// Hands every worker its way to the one store.
#[derive(Clone)]
pub enum Stores {
    /// Shared: it has threads of its own.
    Embedded(Arc<Embedded>),
    /// One connection each: a connection that threads share costs a quarter to a half more CPU.
    Redis(Box<Target>, Durability, Clock),
}

impl Stores {
    /// Opens the store that is configured. A Redis that cannot keep what is claimed is refused; one that is away is waited
    /// for, and what an operator should know of the one that was found is logged. Beside it a way to it for the start.
    pub async fn open(settings: &Settings, clock: &Clock) -> Result<(Stores, Arc<dyn Store>), StartError> {
        match &settings.url {
            StoreUrl::Sqlite(path) => {
                let store = Arc::new(Embedded::open(path, clock.clone())?);
                Ok((Stores::Embedded(store.clone()), store))
            }
            StoreUrl::Redis(target) => {
                let stores = Stores::Redis(target.clone(), settings.durability, clock.clone());
                match Redis::connect(target, settings.durability, clock.clone()).await {
                    Ok(redis) => {
                        redis.notes().iter().for_each(|note| tracing::warn!("{note}"));
                        Ok((stores, Arc::new(redis)))
                    }
                    Err(error @ StoreError::Refused(_)) => Err(error.into()),
                    Err(error) => {
                        tracing::warn!(%error, "not ready yet");
                        let store = stores.store();
                        Ok((stores, store))
                    }
                }
            }
        }
    }

    /// A command's own store, beside the gateways that run on it. It must be there already.
    pub async fn beside(settings: &Settings, clock: &Clock) -> Result<Arc<dyn Store>, BesideError> {
        match &settings.url {
            StoreUrl::Sqlite(path) if !path.exists() => Err(BesideError::NoStore(path.display().to_string())),
            StoreUrl::Sqlite(path) => {
                let store = Embedded::beside(path, clock.clone()).map_err(StartError::from)?;
                Ok(Arc::new(store))
            }
            StoreUrl::Redis(target) => {
                Ok(Arc::new(Redis::connect(target, settings.durability, clock.clone()).await?))
            }
        }
    }

    /// A worker's own store. Call it inside the worker's runtime.
    pub fn store(&self) -> Arc<dyn Store> {
        match self {
            Stores::Embedded(store) => store.clone(),
            Stores::Redis(target, claim, clock) => Arc::new(Redis::start(target, *claim, clock.clone())),
        }
    }
}
