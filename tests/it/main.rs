//! The one integration-test binary: linking is the dear part.

mod browser;
mod phone;
mod store;
