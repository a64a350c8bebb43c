//! Floor 3: wires out. Each has a deadline or a bound, and knows nothing of what it carries.

pub mod file;
pub mod http;
