//! Floor 1: what fits on a screen, what an SMS costs, and what an answer says. It knows no flow and no vendor.
//!
//! [`gsm`] counts, [`page`] cuts a long text into screens, [`segments`] counts what is billed, [`heard`] reads what a citizen
//! typed.

pub mod gsm;
pub mod heard;
pub mod page;
pub mod segments;
mod words;
