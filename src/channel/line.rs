//! What one configured channel adds to its vendor's description: where it is, who it is, its secrets.

use super::{CallbackKind, guard::Guard};
use crate::domain::id::ChannelId;
use minijinja::Value;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use std::{collections::BTreeMap, sync::Arc};

/// What stands unescaped in a part of a URL (RFC 3986, unreserved).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One line to a vendor. Its `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Line {
    /// The channel.
    pub id: ChannelId,
    /// Where national numbers belong.
    pub country: Arc<str>,
    /// The doors it has, by its bearer.
    pub doors: &'static [CallbackKind],
    /// The code that is dialled where the vendor tells none; the number or sender that its MTs come from.
    pub address: String,
    /// Where we are seen from outside: scheme, host and path.
    pub public_url: String,
    /// Where requests go, when not where the description says.
    pub send_url: Option<String>,
    /// The vendor's secrets, by the names that its description uses.
    pub secrets: BTreeMap<String, SecretString>,
}

impl Line {
    /// The line that a description's own examples run on: every secret is its own name.
    pub fn of_examples<'s>(country: &str, secrets: impl IntoIterator<Item = &'s str>) -> Line {
        Line {
            id: ChannelId::parse("example").expect("a good id"),
            country: country.into(),
            doors: &[CallbackKind::Ussd, CallbackKind::Mo, CallbackKind::Dlr],
            address: "4545".into(),
            public_url: "https://gw.example.org".into(),
            send_url: None,
            secrets: secrets.into_iter().map(|name| (name.to_owned(), name.into())).collect(),
        }
    }

    /// The address of one of its doors, without a secret and a tail.
    pub fn door(&self, kind: CallbackKind) -> String {
        format!("{}/in/{}/{}", self.public_url.trim_end_matches('/'), self.id, kind.name())
    }

    /// The address that receipts come to, with the secret that `guard` asks for; a description puts its own tail behind it.
    pub fn receipts(&self, guard: &Guard) -> String {
        let door = self.door(CallbackKind::Dlr);
        match guard.path_secret() {
            Some(secret) => format!("{door}/{}", in_url(secret)),
            None => door,
        }
    }

    /// The secrets as expressions see them.
    pub fn secret_values(&self) -> Value {
        let shown =
            |(name, secret): (&String, &SecretString)| (name.clone(), secret.expose_secret().to_owned());
        Value::from(self.secrets.iter().map(shown).collect::<BTreeMap<_, _>>())
    }
}

/// A text as it stands in a part of a URL or in a form.
pub fn in_url(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}
