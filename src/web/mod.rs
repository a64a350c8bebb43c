//! Floor 5: doors.

pub mod phone;
