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
use std::{
    any::Any,
    sync::{Arc, Mutex, PoisonError},
};

/// Cluster nodes that no test uses just now: one takes two seconds before it accepts its first write.
static IDLE_NODES: Mutex<Vec<RedisServer>> = Mutex::new(Vec::new());

pub async fn plain() -> Bench {
    let server = RedisServer::start();
    open(&server.url(), Box::new(server)).await
}

pub async fn cluster() -> Bench {
    let node = Node(Some(idle_node().unwrap_or_else(|| RedisServer::with(Flavour::Cluster))));
    open(&node.server().url(), Box::new(node)).await
}

/// A cluster node of one test; emptied and handed on afterwards.
struct Node(Option<RedisServer>);

impl Node {
    fn server(&self) -> &RedisServer {
        self.0.as_ref().expect("it is only taken when dropped")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.server().cli(&["FLUSHALL"]);
        IDLE_NODES.lock().unwrap_or_else(PoisonError::into_inner).extend(self.0.take());
    }
}

fn idle_node() -> Option<RedisServer> {
    IDLE_NODES.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

async fn open(url: &str, keep: Box<dyn Any + Send + Sync>) -> Bench {
    let target = Target::parse(url).expect("a good URL");
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
        _keep: keep,
    }
}
