//! The one integration-test binary: linking is the dear part.

mod broken_flows;
mod browser;
mod channels;
mod commands;
mod crash;
mod crash_sms;
mod deadline;
mod engine;
mod gateway;
mod house;
mod http;
mod invite;
mod phone;
mod proxy;
mod redis;
mod redis_server;
mod running;
mod sender;
mod sms;
mod spool;
mod store;
mod storm;
mod telco;
mod turn;
mod vendor;
