//! Who may come in: a closed list. Signatures and addresses join it with the first vendor that has them.

use super::{Callback, Refusal};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// What a callback must show.
#[derive(Debug)]
pub enum Guard {
    /// Nothing.
    Open,
    /// A secret of our own, first behind the kind in the path.
    Secret(SecretString),
}

impl Guard {
    /// Lets a callback in, or refuses it. The secret is compared in constant time, as it stands in the path and decoded.
    pub fn admit(&self, callback: &Callback) -> Result<(), Refusal> {
        let Guard::Secret(secret) = self else { return Ok(()) };
        let shown = callback.tail.first().map_or("", String::as_str);
        let decoded: Vec<u8> = percent_decode_str(shown).collect();
        let secret = secret.expose_secret().as_bytes();
        match bool::from(shown.as_bytes().ct_eq(secret) | decoded.ct_eq(secret)) {
            true => Ok(()),
            false => Err(Refusal::Unauthorized("the secret in the path is wrong or missing".into())),
        }
    }
}
