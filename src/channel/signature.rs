//! A vendor's signature on its callbacks: a closed list of schemes, each of them code, once. A description names one; its key
//! is among the channel's secrets.

use super::{Callback, Refusal, line::Line};
use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::percent_decode;
use secrecy::ExposeSecret;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use subtle::ConstantTimeEq;

/// How a vendor signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Not at all.
    None,
    /// `X-Twilio-Signature`: HMAC-SHA1 with the account's auth token, over the public URL and the form.
    Twilio,
}

/// The schemes that are built.
pub const SCHEMES: [(&str, Scheme); 2] = [("none", Scheme::None), ("twilio", Scheme::Twilio)];
/// What Twilio's key is called among the channel's secrets.
const TWILIO_KEY: &str = "auth_token";

impl Scheme {
    /// The secrets that it needs.
    pub fn secrets(self) -> &'static [&'static str] {
        match self {
            Scheme::None => &[],
            Scheme::Twilio => &[TWILIO_KEY],
        }
    }

    /// Lets in what the vendor signed. The URL is the one that the vendor was told, never one that the callback names.
    pub fn admit(self, callback: &Callback, line: &Line) -> Result<(), Refusal> {
        match self {
            Scheme::None => Ok(()),
            Scheme::Twilio if signed_by_twilio(callback, line) => Ok(()),
            Scheme::Twilio => Err(Refusal::Unauthorized("the signature is wrong or missing".into())),
        }
    }
}

fn signed_by_twilio(callback: &Callback, line: &Line) -> bool {
    let shown = header(callback, "x-twilio-signature");
    let key = line.secrets.get(TWILIO_KEY).map(|key| key.expose_secret().as_bytes());
    // A key that is not there, or empty, signs nothing.
    let (Some(shown), Some(key)) = (shown, key.filter(|key| !key.is_empty())) else { return false };
    let body = match body_hash(callback) {
        Some(announced) => {
            let hash: String = Sha256::digest(&callback.body).iter().map(|b| format!("{b:02x}")).collect();
            if !bool::from(hash.as_bytes().ct_eq(announced.to_ascii_lowercase().as_bytes())) {
                return false;
            }
            Vec::new()
        }
        None if callback.method == "GET" => Vec::new(),
        None => parameters(&callback.body),
    };
    let signed = |url: &String| {
        let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("a key of any length is good");
        mac.update(url.as_bytes());
        mac.update(&body);
        let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        bool::from(signature.as_bytes().ct_eq(shown.as_bytes()))
    };
    // Each is tried, so that time tells nothing.
    urls(callback, line).iter().filter(|url| signed(url)).count() > 0
}

fn header<'c>(callback: &'c Callback, wanted: &str) -> Option<&'c str> {
    callback.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

/// The hash that the URL carries where the body is no form.
fn body_hash(callback: &Callback) -> Option<&str> {
    let of_form =
        |kind: &str| kind.trim().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded");
    if header(callback, "content-type").is_some_and(of_form) {
        return None;
    }
    callback.query.split('&').find_map(|pair| pair.strip_prefix("bodySHA256="))
}

/// Names and values of the form, sorted, each distinct value of a name once, as one text.
fn parameters(body: &[u8]) -> Vec<u8> {
    let decoded = |part: &[u8]| -> Vec<u8> {
        let spaced: Vec<u8> = part.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
        percent_decode(&spaced).collect()
    };
    let pair = |pair: &[u8]| {
        let at = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        (decoded(&pair[..at]), decoded(pair.get(at + 1..).unwrap_or_default()))
    };
    let pairs: BTreeSet<_> = body.split(|b| *b == b'&').filter(|pair| !pair.is_empty()).map(pair).collect();
    pairs.into_iter().flat_map(|(name, value)| [name, value].concat()).collect()
}

/// The URL as the vendor was told it, and the same with and without its port: Twilio signs either.
fn urls(callback: &Callback, line: &Line) -> Vec<String> {
    let mut url = line.door(callback.kind);
    for part in &callback.tail {
        url = format!("{url}/{part}");
    }
    if !callback.query.is_empty() {
        url = format!("{url}?{}", callback.query);
    }
    let other = with_or_without_port(&url);
    [Some(url), other].into_iter().flatten().collect()
}

fn with_or_without_port(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let at = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(at);
    let port = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    Some(match port {
        Some((host, _)) => format!("{scheme}://{host}{path}"),
        None => format!("{scheme}://{host}:{}{path}", if scheme == "https" { 443 } else { 80 }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        channel::{CallbackKind, request},
        domain::{id::ChannelId, time::Timestamp},
    };

    const TOKEN: &str = "example-twilio-token";
    const FORM: &str = "AccountSid=AC11111111111111111111111111111111&Body=Road+bad+&From=%2B919437000010&\
                        MessageSid=SM22222222222222222222222222222222&NumMedia=0&To=%2B15005550010";

    fn line(public_url: &str) -> Line {
        let id = ChannelId::parse("tw").expect("a good id");
        let mut line = Line { id, public_url: public_url.into(), ..Line::of_examples("US", []) };
        line.secrets.insert(TWILIO_KEY.into(), TOKEN.into());
        line
    }

    fn callback(method: &str, target: &str, headers: &str, body: &str) -> Callback {
        let raw = format!("{method} {target} HTTP/1.1\nHost: evil.example\n{headers}\n\n{body}");
        request::parse(raw.as_bytes(), CallbackKind::Mo, Timestamp(0)).expect("a request")
    }

    /// What Twilio would sign, by its own words: the check of the code is against the published value below.
    fn sign(text: &str) -> String {
        let mut mac = Hmac::<Sha1>::new_from_slice(TOKEN.as_bytes()).expect("a key");
        mac.update(text.as_bytes());
        BASE64_STANDARD.encode(mac.finalize().into_bytes())
    }

    /// The worked example, whose door is called otherwise than ours.
    #[test]
    fn the_published_value() {
        let url = "https://gw.example.org/ch/tw/mo?k=a%20b";
        let text = [url.as_bytes(), &parameters(FORM.as_bytes())].concat();
        assert_eq!(
            String::from_utf8_lossy(&text),
            "https://gw.example.org/ch/tw/mo?k=a%20bAccountSidAC11111111111111111111111111111111BodyRoad bad \
             From+919437000010MessageSidSM22222222222222222222222222222222NumMedia0To+15005550010"
        );
        assert_eq!(sign(&String::from_utf8_lossy(&text)), "seX37JnSDfzJbzc3z4w6um7VFiE=");
    }

    fn check(public_url: &str, callback: &Callback, expected: bool) {
        assert_eq!(Scheme::Twilio.admit(callback, &line(public_url)).is_ok(), expected, "{callback:?}");
    }

    fn form(signed: &str, target: &str, body: &str) -> Callback {
        let kind = "Content-Type: application/x-www-form-urlencoded";
        callback("POST", target, &format!("{kind}\nX-Twilio-Signature: {}", sign(signed)), body)
    }

    #[test]
    fn a_form_is_signed_with_every_parameter() {
        let gw = "https://gw.example.org";
        let door = "https://gw.example.org/in/tw/mo";
        check(gw, &form(&format!("{door}Aa"), "/in/tw/mo", "A=a"), true);
        check("https://gw.example.org/", &form(&format!("{door}Aa"), "/in/tw/mo", "A=a"), true);
        check(gw, &form(&format!("{door}/s%2F1/x?q=a%20bAa"), "/in/tw/mo/s%2F1/x?q=a%20b", "A=a"), true);
        check(gw, &form("https://gw.example.org:443/in/tw/moAa", "/in/tw/mo", "A=a"), true);
        check(
            "https://gw.example.org:8443",
            &form("https://gw.example.org:8443/in/tw/moAa", "/in/tw/mo", "A=a"),
            true,
        );
        check("https://gw.example.org:8443", &form(&format!("{door}Aa"), "/in/tw/mo", "A=a"), true);
        let sorted = format!("{door}A1A2BZb{}", " \u{e9}");
        check(gw, &form(&sorted, "/in/tw/mo", "b=+%c3%a9&A=2&A=1&BZ&A=2"), true);
        for (signed, body) in [("Aa", "A=b"), ("Aa", "A=a&B=b"), ("Aa ", "A=a"), ("", "A=a")] {
            check(gw, &form(&format!("{door}{signed}"), "/in/tw/mo", body), false);
        }
        check(gw, &form("https://evil.example/in/tw/moAa", "/in/tw/mo", "A=a"), false);
        check(gw, &form(&format!("{door}Aa"), "/in/tw/mo/x", "A=a"), false);
        check(gw, &form(&format!("{door}Aa"), "/in/tw/mo?x=1", "A=a"), false);
        check(gw, &callback("POST", "/in/tw/mo", "X-Twilio-Signature:", "A=a"), false);
        check(gw, &callback("POST", "/in/tw/mo", "A: b", "A=a"), false);
    }

    #[test]
    fn what_is_no_form_is_signed_by_its_hash() {
        let gw = "https://gw.example.org";
        let target = "/in/tw/mo?bodySHA256=\
                      5e0b53a6ef0c3df6fa50dcd24e2ad46b4d0f52e9c4a9f8a3a6ee0b0d6f1a3c11";
        let hash: String = Sha256::digest(b"{\"a\":1}").iter().map(|b| format!("{b:02x}")).collect();
        let good = format!("/in/tw/mo?bodySHA256={hash}");
        let json = |target: &str, body: &str| {
            let signature = sign(&format!("{gw}{target}"));
            callback(
                "POST",
                target,
                &format!("Content-Type: application/json\nX-Twilio-Signature: {signature}"),
                body,
            )
        };
        check(gw, &json(&good, "{\"a\":1}"), true);
        check(gw, &json(&good, "{\"a\":2}"), false);
        check(gw, &json(target, "{\"a\":1}"), false);
        let get = format!("X-Twilio-Signature: {}", sign("https://gw.example.org/in/tw/mo?Body=x&From=1"));
        check(gw, &callback("GET", "/in/tw/mo?Body=x&From=1", &get, ""), true);
        check(gw, &callback("GET", "/in/tw/mo?Body=y&From=1", &get, ""), false);
    }

    #[test]
    fn no_key_signs_nothing() {
        let signed = form("https://gw.example.org/in/tw/moAa", "/in/tw/mo", "A=a");
        let mut keyless = line("https://gw.example.org");
        keyless.secrets.insert(TWILIO_KEY.into(), "".into());
        assert!(Scheme::Twilio.admit(&signed, &keyless).is_err());
        keyless.secrets.clear();
        assert!(Scheme::Twilio.admit(&signed, &keyless).is_err());
        assert!(Scheme::None.admit(&signed, &keyless).is_ok());
    }
}
