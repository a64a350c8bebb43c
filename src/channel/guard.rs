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
    /// Lets a callback in, or refuses it. The secret is compared in constant time, as it stands in the path and decoded. An
    /// empty secret, which every callback would show, lets nobody in.
    pub fn admit(&self, callback: &Callback) -> Result<(), Refusal> {
        let Guard::Secret(secret) = self else { return Ok(()) };
        let shown = callback.tail.first().map_or("", String::as_str);
        let decoded: Vec<u8> = percent_decode_str(shown).collect();
        let secret = secret.expose_secret().as_bytes();
        let same = shown.as_bytes().ct_eq(secret) | decoded.ct_eq(secret);
        match bool::from(same) && !secret.is_empty() {
            true => Ok(()),
            false => Err(Refusal::Unauthorized("the secret in the path is wrong or missing".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        channel::{CallbackKind, request},
        domain::time::Timestamp,
    };

    fn check(guard: &Guard, path: &str, expected: bool) {
        let raw = format!("POST {path}\n\n");
        let callback = request::parse(raw.as_bytes(), CallbackKind::Ussd, Timestamp(0)).expect("a request");
        let refusal = guard.admit(&callback).err();
        assert_eq!(refusal.is_none(), expected, "{guard:?} {path}");
        let said = refusal.map_or(String::new(), |refusal| format!("{refusal} {refusal:?}"));
        assert!(!said.contains("tea"), "a refusal tells nothing of either secret: {said}");
    }

    #[test]
    fn who_may_come_in() {
        let secret = |text: &str| Guard::Secret(text.into());
        check(&Guard::Open, "/in/at/ussd", true);
        check(&Guard::Open, "/in/at/ussd/anything", true);
        check(&secret("tea/5%"), "/in/at/ussd/tea%2F5%25", true);
        check(&secret("tea%2F5"), "/in/at/ussd/tea%2F5", true);
        check(&secret("tea"), "/in/at/ussd/tea/and/a/tail", true);
        check(&secret("tea"), "/in/at/ussd", false);
        check(&secret("tea"), "/in/at/ussd/te", false);
        check(&secret("tea"), "/in/at/ussd/tea5", false);
        check(&secret("tea"), "/in/at/ussd/x/tea", false);
        check(&secret("tea"), "/in/at/ussd?secret=tea", false);
        check(&secret(""), "/in/at/ussd", false);
        check(&secret(""), "/in/at/ussd/tea", false);
        assert!(!format!("{:?}", secret("tea")).contains("tea"));
    }
}
