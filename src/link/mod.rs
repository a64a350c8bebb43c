//! Floor 3: wires out. Each has a deadline or a bound, and knows nothing of what it carries.
//!
//! Only the file is here yet; HTTP comes with the first vendor that is sent to.

pub mod file;
