//! The words of a description's expressions: a closed list. What can fail yields undefined, and a required field that is
//! undefined is a 400 that names the field. Further ones arrive with the first vendor that needs them.

use crate::{
    domain::msisdn::Msisdn,
    expr::{Dialect, Names, Signature, Type, Undefined},
};
use minijinja::{State, Value, value::ValueKind};
use std::sync::LazyLock;

/// The dialect of descriptions.
pub static DIALECT: LazyLock<Dialect> = LazyLock::new(|| {
    let text = || Signature::new(Type::Any, Type::Text);
    let about_text = || Signature::new(Type::Any, Type::Boolean).arguments(1..=1).of_absent();
    Dialect::lenient(Undefined::Lenient)
        .filter("number", text(), number)
        .filter("lower", text(), |v: &Value| as_text(v).map(|t| t.to_lowercase()).into_value())
        .filter("upper", text(), |v: &Value| as_text(v).map(|t| t.to_uppercase()).into_value())
        .filter("trim", text(), |v: &Value| as_text(v).map(|t| t.trim().to_owned()).into_value())
        .filter("digits", text(), |v: &Value| {
            as_text(v).map(|t| t.chars().filter(char::is_ascii_digit).collect::<String>()).into_value()
        })
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

/// To E.164, by the channel's country.
fn number(state: &State<'_, '_>, value: &Value) -> Value {
    let country = state.lookup("country");
    let country = country.as_ref().and_then(Value::as_str).unwrap_or("IN");
    let number = as_text(value).and_then(|text| Msisdn::parse(&text, country).ok());
    number.map(|number| number.reveal().to_owned()).into_value()
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
        check("json.x | number", "AD-VODAFN".into(), None);
        check("json.y | number", "".into(), None);
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
