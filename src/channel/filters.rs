//! The words of a description's expressions: a closed list. What can fail yields undefined, and a required field that is
//! undefined is a 400 that names the field. Further ones arrive with the first vendor that needs them.
//!
//! `number` alone keeps what it cannot read: a short code stays as it is, and a sender with letters is known as one.

use crate::{
    domain::msisdn::Msisdn,
    expr::{Dialect, Names, Signature, Type, Undefined},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use minijinja::{State, Value, value::ValueKind};
use std::sync::LazyLock;

/// The longest text that is read as a date, in bytes.
const DATE_MAX: usize = 64;

/// The dialect of descriptions.
pub static DIALECT: LazyLock<Dialect> = LazyLock::new(|| {
    let text = || Signature::new(Type::Any, Type::Text);
    let about_text = || Signature::new(Type::Any, Type::Boolean).arguments(1..=1).of_absent();
    Dialect::lenient(Undefined::Chainable)
        .filter("number", text(), number)
        .filter("lower", text(), |v: &Value| as_text(v).map(|t| t.to_lowercase()).into_value())
        .filter("upper", text(), |v: &Value| as_text(v).map(|t| t.to_uppercase()).into_value())
        .filter("trim", text(), |v: &Value| as_text(v).map(|t| t.trim().to_owned()).into_value())
        .filter("digits", text(), |v: &Value| {
            as_text(v).map(|t| t.chars().filter(char::is_ascii_digit).collect::<String>()).into_value()
        })
        .filter("date", text().arguments(1..=1), date)
        .filter("base64", text(), |v: &Value| as_text(v).map(|t| BASE64_STANDARD.encode(t)).into_value())
        .filter("tojson", text(), tojson)
        .test("startingwith", about_text(), |v: &Value, with: &str| {
            as_text(v).is_some_and(|t| t.starts_with(with))
        })
        .test("containing", about_text(), |v: &Value, with: &str| {
            as_text(v).is_some_and(|t| t.contains(with))
        })
});

/// What the expressions of an `[[in]]` may name.
pub fn inbound_names() -> Names {
    let open = || Type::Group(Names::open(Type::Any));
    Names::default()
        .with("query", open())
        .with("form", open())
        .with("param", open())
        .with("json", open())
        .with("header", open())
        .with("path", Type::List(Box::new(Type::Text)))
        .with("body", Type::Text)
}

/// What a `[reply.*]` may name.
pub fn reply_names() -> Names {
    ["text", "session", "code", "from"]
        .into_iter()
        .fold(Names::default(), |names, name| names.with(name, Type::Text))
}

/// What `[send]` may name: the MT, the channel, its secrets.
pub fn send_names() -> Names {
    let texts = ["text", "to", "from", "ref", "public_url", "dlr_url", "now", "channel"];
    let names = texts.into_iter().fold(Names::default(), |names, name| names.with(name, Type::Text));
    names
        .with("coding", Type::OneOf(vec!["gsm7".into(), "ucs2".into()]))
        .with("segments", Type::Integer)
        .with("secret", Type::Group(Names::open(Type::Text)))
        .with("dlt.template", Type::Text)
}

/// What `[send.result]` may name.
pub fn response_names() -> Names {
    let open = || Type::Group(Names::open(Type::Any));
    Names::default()
        .with("status", Type::Integer)
        .with("header", open())
        .with("body", Type::Text)
        .with("json", open())
}

/// A number or a truth where a text is documented, and the other way round, does not hurt. A truth is written as in JSON.
pub fn as_text(value: &Value) -> Option<String> {
    match value.kind() {
        ValueKind::String => value.as_str().map(str::to_owned),
        ValueKind::Number => Some(value.to_string()),
        ValueKind::Bool => Some(if value.is_true() { "true" } else { "false" }.to_owned()),
        _ => None,
    }
}

trait IntoValue {
    fn into_value(self) -> Value;
}

impl IntoValue for Option<String> {
    fn into_value(self) -> Value {
        self.map_or(Value::UNDEFINED, Value::from)
    }
}

/// To E.164, by the channel's country; what is no number stays as it came.
fn number(state: &State<'_, '_>, value: &Value) -> Value {
    let country = state.lookup("country");
    let country = country.as_ref().and_then(Value::as_str).unwrap_or("IN");
    let read = |text: String| match Msisdn::parse(&text, country) {
        Ok(number) => number.reveal().to_owned(),
        Err(_) => text,
    };
    as_text(value).map(read).into_value()
}

/// A moment, to RFC 3339: RFC 3339 as it is, anything else by the format, in UTC.
fn date(value: &Value, format: &str) -> Value {
    let read = as_text(value).filter(|text| text.len() <= DATE_MAX).and_then(|text| {
        let text = text.trim();
        let zoned = || DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc());
        let plain = || NaiveDateTime::parse_from_str(text, format).ok().map(|at| at.and_utc());
        zoned().or_else(plain)
    });
    read.map(|at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true)).into_value()
}

/// A JSON value, compact; safe in a template, so it is not escaped again.
fn tojson(value: &Value) -> Value {
    serde_json::to_string(value).map_or(Value::UNDEFINED, Value::from_safe_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::Expression;
    use minijinja::context;

    fn check(expression: &str, given: Value, expected: Option<&str>) {
        let compiled =
            Expression::compile(&DIALECT, expression, &inbound_names()).expect("a good expression");
        let value = compiled.value(&context! { json => context! { x => given }, country => "IN" });
        assert_eq!(value.as_ref().and_then(as_text).as_deref(), expected, "{expression}");
    }

    #[test]
    fn filters_by_example() {
        check("json.x | number", "09437000001".into(), Some("+919437000001"));
        check("json.x | number", 919_437_000_001_i64.into(), Some("+919437000001"));
        check("json.x | number", "AD-VODAFN".into(), Some("AD-VODAFN"));
        check("json.x | number", "4545".into(), Some("4545"));
        check("json.y | number", "".into(), None);
        check(
            "json.x | date('%Y-%m-%d %H:%M:%S')",
            "2026-03-02 09:59:45".into(),
            Some("2026-03-02T09:59:45.000Z"),
        );
        check("json.x | date('%y%m%d%H%M')", "2603020959".into(), Some("2026-03-02T09:59:00.000Z"));
        check("json.x | date('%y%m%d%H%M')", 2_603_020_959_i64.into(), Some("2026-03-02T09:59:00.000Z"));
        check("json.x | date('%Y')", "2026-03-02T15:29:45+05:30".into(), Some("2026-03-02T09:59:45.000Z"));
        check("json.x | date('%Y-%m-%d')", "yesterday".into(), None);
        check("json.x | date('%Q %')", "2026".into(), None);
        check("json.y | date('%Y')", "".into(), None);
        check("json.x | base64", "AC1:tøken".into(), Some("QUMxOnTDuGtlbg=="));
        check("json.y | base64", "".into(), None);
        check("json.y.z == 1 or json.x == 1", 1.into(), Some("true"));
        check("json.y[0].z | digits in ['1']", "".into(), Some("false"));
        check("json.x | lower", "Initiation".into(), Some("initiation"));
        check("json.x | upper", "ab".into(), Some("AB"));
        check("json.x | trim", " a ".into(), Some("a"));
        check("json.x | trim", true.into(), Some("true"));
        check("json.x | upper", false.into(), Some("FALSE"));
        check("json.x | digits", "+91-94".into(), Some("9194"));
        check("json.x | tojson", "it's \"<1>\"".into(), Some("\"it's \\\"<1>\\\"\""));
        check("json.x | lower", Value::from(()), None);
        check("json.x.y.z", "".into(), None);
        check("json.x is startingwith 'Map Dialog'", "Map Dialog User Abort".into(), Some("true"));
        check("json.x is startingwith 'Map Dialog'", "a Map Dialog".into(), Some("false"));
        check("json.x is containing 'b'", "abc".into(), Some("true"));
        check("json.y is containing 'b'", "abc".into(), Some("false"));
        check("'*' ~ json.x ~ '#'", "166".into(), Some("*166#"));
    }
}
