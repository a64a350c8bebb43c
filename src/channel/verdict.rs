//! A vendor's `[send.result]`: what its answer to a send means, read and checked, and how an answer is read. The words are
//! tried in one order, accepted first; an answer that none of them describes is unknown, because it may have been taken.

use super::{
    Sent,
    filters::response_names,
    lookup,
    shape::{cut, expression, required, text, truth},
};
use crate::{
    domain::{message::WORD_MAX, wire::HttpResponse},
    expr::Expression,
    findings::Table,
};
use minijinja::{Value, value::Object};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

/// The longest rest that a vendor may ask for.
const REST_MAX: Duration = Duration::from_secs(3600);
/// This many digits in a row may be a number, and are not told.
const DIGITS_MAX: usize = 6;

/// What a vendor's answers mean.
#[derive(Debug)]
pub struct Verdicts {
    accepted: Rule,
    throttled: Option<Rule>,
    retry: Option<Rule>,
    permanent: Option<Rule>,
    configuration: Option<Rule>,
}

/// When a word is the right one, and what more the answer says.
#[derive(Debug)]
struct Rule {
    when: Expression,
    detail: Option<Expression>,
}

/// Reads `[send.result]`.
pub fn read(table: &Table<'_>) -> Option<Verdicts> {
    let rule = |word: &str, detail: &str| rule(table, word, detail);
    if !table.has("accepted") {
        table.missing("accepted", "accepted = { when = \"status == 200\", id = \"json.id\" }");
    }
    let (accepted, throttled) = (rule("accepted", "id"), rule("throttled", "after"));
    let (retry, permanent) = (rule("retry", "code"), rule("permanent", "code"));
    let configuration = rule("configuration", "code");
    table.finish();
    Some(Verdicts {
        accepted: accepted??,
        throttled: throttled?,
        retry: retry?,
        permanent: permanent?,
        configuration: configuration?,
    })
}

/// `Some(None)`: not said.
fn rule(table: &Table<'_>, word: &str, detail: &str) -> Option<Option<Rule>> {
    let Some(rule) = table.table(word) else { return (!table.has(word)).then_some(None) };
    let when = required(&rule, "when", "when = \"status == 200\"", &response_names());
    let detail = expression(&rule, detail, &response_names());
    rule.finish();
    Some(Some(Rule { when: when?, detail: detail? }))
}

impl Verdicts {
    /// The words that are described, `accepted` first: each wants an example.
    pub fn words(&self) -> Vec<&'static str> {
        let further = [
            ("throttled", &self.throttled),
            ("retry", &self.retry),
            ("permanent", &self.permanent),
            ("configuration", &self.configuration),
        ];
        let described = further.into_iter().filter(|(_, rule)| rule.is_some()).map(|(word, _)| word);
        ["accepted"].into_iter().chain(described).collect()
    }

    /// What an answer means.
    pub fn read(&self, response: &HttpResponse) -> Sent {
        let context = Value::from_object(Answered { response: response.clone(), json: OnceLock::new() });
        let said = |rule: &Rule| rule.detail.as_ref().and_then(|detail| text(detail, &context));
        if truth(&self.accepted.when, &context) {
            return Sent::Accepted(said(&self.accepted).filter(|id| !id.is_empty()));
        }
        let met = |rule: &Option<Rule>| rule.as_ref().filter(|rule| truth(&rule.when, &context)).map(said);
        let why = |code: Option<String>| reason(response.status, code);
        if let Some(after) = met(&self.throttled) {
            Sent::Throttled(after.as_deref().and_then(seconds))
        } else if let Some(code) = met(&self.retry) {
            Sent::Retry(why(code))
        } else if let Some(code) = met(&self.permanent) {
            Sent::Permanent(why(code))
        } else if let Some(code) = met(&self.configuration) {
            Sent::Configuration(why(code))
        } else {
            Sent::Unknown
        }
    }
}

/// For people: the vendor's code where it has one, else the status. Long rows of digits may be a number and are not told.
fn reason(status: u16, code: Option<String>) -> String {
    let Some(code) = code.filter(|code| !code.trim().is_empty()) else { return format!("status {status}") };
    let code = cut(code, WORD_MAX);
    let rows = code.split_inclusive(|c: char| !c.is_ascii_digit());
    let hidden = rows.map(|row| {
        let digits = row.bytes().take_while(u8::is_ascii_digit).count();
        if digits > DIGITS_MAX { format!("…{}", &row[digits..]) } else { row.to_owned() }
    });
    format!("status {status}, code {}", hidden.collect::<String>())
}

/// `Retry-After` in seconds; a date in it is not read.
fn seconds(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(|seconds| Duration::from_secs(seconds).min(REST_MAX))
}

/// An answer as an expression sees it.
#[derive(Debug)]
struct Answered {
    response: HttpResponse,
    json: OnceLock<Value>,
}

impl Object for Answered {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "status" => Some(Value::from(self.response.status)),
            "header" => Some(lookup::headers(&self.response.headers)),
            "body" => Some(Value::from(String::from_utf8_lossy(&self.response.body))),
            "json" => Some(self.json.get_or_init(|| lookup::json(&self.response.body)).clone()),
            _ => None,
        }
    }
}

/// The word for how a send went, and what more is said, as examples write it.
pub fn told(sent: &Sent) -> (&'static str, String) {
    match sent {
        Sent::Accepted(id) => ("accepted", id.clone().unwrap_or_default()),
        Sent::Throttled(after) => {
            ("throttled", after.map_or(String::new(), |after| format!("{}s", after.as_secs())))
        }
        Sent::Retry(why) => ("retry", why.clone()),
        Sent::Permanent(why) => ("permanent", why.clone()),
        Sent::Configuration(why) => ("configuration", why.clone()),
        Sent::Unknown => ("unknown", String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_reason(code: &str, expected: &str) {
        assert_eq!(reason(400, Some(code.to_owned())), expected, "{code}");
    }

    #[test]
    fn a_reason_tells_the_code_and_no_number() {
        check_reason("21211", "status 400, code 21211");
        check_reason("", "status 400");
        check_reason("+254711000001 is blocked", "status 400, code +… is blocked");
        check_reason("to 0711000001, 405", "status 400, code to …, 405");
        check_reason(&"x".repeat(100), &format!("status 400, code {}", "x".repeat(WORD_MAX)));
    }

    #[test]
    fn how_long_a_vendor_wants_to_be_left_alone() {
        assert_eq!(seconds(" 30 "), Some(Duration::from_secs(30)));
        assert_eq!(seconds("999999999"), Some(REST_MAX));
        assert_eq!(seconds("Tue, 24 Nov 2026 09:12:03 GMT"), None);
        assert_eq!(seconds("-1"), None);
    }
}
