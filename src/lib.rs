//! Matamat: a lightweight SMS/USSD feedback gateway.
pub mod channel;
pub mod department;
pub mod domain;
pub mod expr;
pub mod fail;
pub mod findings;
pub mod flow;
pub mod link;
pub mod route;
pub mod store;
pub mod text;
pub mod web;
