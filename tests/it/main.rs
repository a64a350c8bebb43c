//! The one integration-test binary: linking is the dear part.

mod broken_flows;
mod browser;
mod channels;
mod commands;
mod crash;
mod deadline;
mod engine;
mod gateway;
mod house;
mod http;
mod phone;
mod proxy;
mod redis;
mod redis_server;
mod running;
mod sms;
mod sms_channels;
mod spool;
mod store;
mod turn;
mod vendor;
