//! Where a secret comes from. The secret itself is read on the roof, once, and prints nothing of itself.

use secrecy::SecretString;
use std::path::PathBuf;

/// What a configuration says instead of a secret.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// `{ env = "NAME" }`.
    Env(String),
    /// `{ file = "/path" }`; the file's text without the line end.
    File(PathBuf),
    /// A literal, which is taken on loopback only.
    Literal(SecretString),
}
