//! `text`: the citizen's own words.

/// A question to be answered freely.
#[derive(Debug)]
pub struct Text {
    /// The most characters that are kept, 1 to 1 000.
    pub max: usize,
    /// An empty answer, or the skip key, goes on without one.
    pub optional: bool,
}
