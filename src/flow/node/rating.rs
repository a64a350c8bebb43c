//! `rating`: a number from 1 to `scale`.

/// A rating.
#[derive(Debug)]
pub struct Rating {
    /// The highest answer, 2 to 10; the lowest is 1.
    pub scale: u8,
}
