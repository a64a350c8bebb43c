//! Matamat: a lightweight SMS/USSD feedback gateway.
pub mod channel;
pub mod domain;
pub mod expr;
pub mod fail;
pub mod findings;
pub mod flow;
pub mod store;
pub mod web;
