//! Matamat: a lightweight SMS/USSD feedback gateway.
pub mod domain;
pub mod findings;
