//! The one integration-test binary: linking is the dear part.

mod broken_flows;
mod browser;
mod engine;
mod house;
mod phone;
mod proxy;
mod redis;
mod redis_server;
mod store;
