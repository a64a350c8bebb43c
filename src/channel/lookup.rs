//! What an expression of a description sees of a callback. A member is looked up when an expression asks for it; no whole
//! context is built per callback, and a form is taken apart at most once.

use super::Callback;
use encoding_rs::{Encoding, UTF_8};
use minijinja::{
    Value,
    value::{Object, Serde},
};
use percent_encoding::percent_decode;
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

/// The most pairs of a form or a query that are looked at.
const PAIRS_MAX: usize = 200;

/// A callback at a channel's door: what is decoded and answered.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// The callback.
    pub callback: &'a Callback,
    /// What stands behind the kind in the path, without a secret of our own.
    pub path: &'a [String],
    /// The channel's country.
    pub country: &'a Arc<str>,
    /// The code that was dialled, where the vendor tells none.
    pub code: &'a str,
}

/// A callback as an expression sees it.
#[derive(Debug)]
pub struct Lookup {
    callback: Callback,
    path: Vec<String>,
    country: Arc<str>,
    charset: &'static Encoding,
    query: OnceLock<Value>,
    form: OnceLock<Value>,
    json: OnceLock<Value>,
}

impl Lookup {
    /// The context for a callback.
    pub fn of(Arrival { callback, path, country, code: _ }: &Arrival<'_>) -> Value {
        Value::from_object(Lookup {
            charset: charset(callback),
            callback: Callback::clone(callback),
            path: path.to_vec(),
            country: Arc::clone(country),
            query: OnceLock::new(),
            form: OnceLock::new(),
            json: OnceLock::new(),
        })
    }

    fn query(&self) -> Value {
        let parse = || Value::from_object(Pairs::parse(self.callback.query.as_bytes(), self.charset));
        self.query.get_or_init(parse).clone()
    }

    fn form(&self) -> Value {
        let parse = || Value::from_object(Pairs::parse(&self.callback.body, self.charset));
        self.form.get_or_init(parse).clone()
    }

    fn json(&self) -> Value {
        self.json.get_or_init(|| json(&self.callback.body)).clone()
    }
}

/// A body as JSON; a byte order mark before it does not hurt. Undefined when it is none.
pub(super) fn json(body: &[u8]) -> Value {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice::<serde_json::Value>(body)
        .map_or(Value::UNDEFINED, |json| Value::from(Serde(json)))
}

/// Headers by their names in lower case.
pub(super) fn headers(headers: &[(String, String)]) -> Value {
    // From behind, so that of a name that comes twice the first counts.
    let named = headers.iter().rev().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    Value::from(named.collect::<BTreeMap<_, _>>())
}

/// The context of one element of a batch: the callback's, and `item`.
pub(super) fn item_context(callback: &Value, item: Value) -> Value {
    Value::from_object(Item { callback: callback.clone(), item })
}

#[derive(Debug)]
struct Item {
    callback: Value,
    item: Value,
}

impl Object for Item {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "item" => Some(self.item.clone()),
            _ => self.callback.get_item(key).ok().filter(|value| !value.is_undefined()),
        }
    }
}

impl Object for Lookup {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "query" => Some(self.query()),
            "form" => Some(self.form()),
            "param" => Some(Value::from_object(Param(self.form(), self.query()))),
            "json" => Some(self.json()),
            "header" => Some(headers(&self.callback.headers)),
            "path" => Some(Value::from(self.path.clone())),
            "body" => Some(Value::from(self.charset.decode(&self.callback.body).0.into_owned())),
            "country" => Some(Value::from(&*self.country)),
            _ => None,
        }
    }
}

/// A form or a query, taken apart: the first of every name, values as the announced charset reads them. Bytes that the
/// charset does not have become U+FFFD; percent signs that are no escape are taken literally.
#[derive(Debug)]
pub(super) struct Pairs(pub(super) Vec<(String, String)>);

impl Pairs {
    pub(super) fn parse(raw: &[u8], charset: &'static Encoding) -> Pairs {
        let bytes = |part: &[u8]| -> Vec<u8> {
            let spaced: Vec<u8> = part.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
            percent_decode(&spaced).collect()
        };
        let pair = |pair: &[u8]| {
            let at = pair.iter().position(|b| *b == b'=');
            let (name, value) = at.map_or((pair, &b""[..]), |at| (&pair[..at], &pair[at + 1..]));
            // Names are ASCII whatever charset the values are in.
            let name = String::from_utf8_lossy(&bytes(name)).into_owned();
            (name, charset.decode_without_bom_handling(&bytes(value)).0.into_owned())
        };
        Pairs(raw.split(|b| *b == b'&').filter(|p| !p.is_empty()).take(PAIRS_MAX).map(pair).collect())
    }
}

impl Object for Pairs {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| Value::from(value.as_str()))
    }
}

/// The form before the query.
#[derive(Debug)]
struct Param(Value, Value);

impl Object for Param {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let found = |among: &Value| among.get_item(key).ok().filter(|value| !value.is_undefined());
        found(&self.0).or_else(|| found(&self.1))
    }
}

/// What the callback's `Content-Type` announces, in any case, with quotes and blanks; UTF-8 without, or when nobody knows it.
fn charset(callback: &Callback) -> &'static Encoding {
    let content_type =
        callback.headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value);
    let announced = content_type.and_then(|value| {
        value.split(';').skip(1).find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
        })
    });
    announced.and_then(|label| Encoding::for_label(label.as_bytes())).unwrap_or(UTF_8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{channel::CallbackKind, domain::time::Timestamp};

    fn check(content_type: &str, raw: &[u8], name: &str, expected: Option<&str>) {
        let callback = Callback {
            kind: CallbackKind::Ussd,
            method: "POST".into(),
            tail: vec![],
            query: "q=from-query&both=query".into(),
            headers: vec![("content-type".into(), content_type.into())],
            body: raw.to_vec(),
            peer: None,
            at: Timestamp(0),
        };
        let arrival = Arrival { callback: &callback, path: &[], country: &"IN".into(), code: "" };
        let param = Lookup::of(&arrival).get_attr("param").expect("param");
        let got = param.get_attr(name).expect("a look-up").as_str().map(str::to_owned);
        assert_eq!(got.as_deref(), expected, "{name} of {:?}", String::from_utf8_lossy(raw));
    }

    #[test]
    fn what_may_be_odd_in_a_form() {
        let form = "application/x-www-form-urlencoded";
        check(form, b"text=1%2A14&x", "text", Some("1*14"));
        check(form, b"text=a+b%20c", "text", Some("a b c"));
        check(form, b"text=", "text", Some(""));
        check(form, b"text", "text", Some(""));
        check(form, b"tex=1", "text", None);
        check(form, b"text=1&text=2", "text", Some("1"));
        check(form, b"text=%zz%4", "text", Some("%zz%4"));
        check(form, b"text=%ff%fe", "text", Some("\u{fffd}\u{fffd}"));
        check(form, b"text=%e0%ac%ac", "text", Some("ବ"));
        check(form, b"&&=&text=1&&", "text", Some("1"));
        check(form, b"both=form", "both", Some("form"));
        check(form, b"", "both", Some("query"));
        check(
            "Application/X-WWW-Form-Urlencoded; CHARSET = \"utf-16be\" ",
            b"text=%0B%2C",
            "text",
            Some("ବ"),
        );
        check("x; charset=latin1", b"text=%e9", "text", Some("é"));
        check("x; charset=klingon", b"text=%c3%a9", "text", Some("é"));
    }
}
