//! The promises on a real `redis-server`, and on one node of a cluster, where a script that leaves its slot fails.

use super::Bench;
use crate::redis_server::{Flavour, RedisServer};
use matamat::{
    domain::time::Clock,
    store::{
        Durability,
        redis::{Redis, Target},
    },
};
use std::sync::Arc;

pub async fn plain() -> Bench {
    open(Flavour::Memory).await
}

pub async fn cluster() -> Bench {
    open(Flavour::Cluster).await
}

async fn open(flavour: Flavour) -> Bench {
    let server = RedisServer::with(flavour);
    let target = Target::parse(&server.url()).expect("a good URL");
    let clock = Clock::shifted();
    let gateway = async || {
        let store = Redis::connect(&target, Durability::Process, clock.clone()).await.expect("a store");
        Arc::new(store)
    };
    let (now, move_clock) = (clock.clone(), clock.clone());
    Bench {
        store: gateway().await,
        other: gateway().await,
        now: Box::new(move || now.now()),
        move_clock: Box::new(move |by| move_clock.advance(by)),
        _keep: Box::new(server),
    }
}
