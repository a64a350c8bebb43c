//! Who may come in by what the channel itself asks for: a closed list. A vendor's signature is in [`super::signature`];
//! addresses join the list when somebody needs them.

use super::{Callback, Refusal};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// What a callback must show.
#[derive(Debug, Clone)]
pub enum Guard {
    /// Nothing.
    Open,
    /// A secret of our own, first behind the kind in the path.
    Secret(SecretString),
}

impl Guard {
    /// The secret that stands first behind the kind in the path, if there is one.
    pub fn path_secret(&self) -> Option<&str> {
        match self {
            Guard::Open => None,
            Guard::Secret(secret) => Some(secret.expose_secret()),
        }
    }

    /// What stands behind the kind in the path, without the secret: the vendor's own tail.
    pub fn tail<'c>(&self, callback: &'c Callback) -> &'c [String] {
        let skipped = usize::from(self.path_secret().is_some()).min(callback.tail.len());
        &callback.tail[skipped..]
    }

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
