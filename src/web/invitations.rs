//! `POST /v1/invitations`: one invitation, or a list of them, as JSON; the operators' side. What `matamat invite` does with a line
//! of a file, this does with an object.
//!
//! Each is taken by an act of its own: an answer of 503 says that some may have been, and the same body may be sent again, for what
//! was taken is known. A caller that hangs up loses the answer and nothing else.

use super::{Hall, guard, problem::problem};
use crate::{
    domain::{invitation::Invitation, msisdn::Msisdn, time::Timestamp},
    invitations::{Known, Row},
    store::Invited,
    turn::TurnError,
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Payload},
};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Map, Value, json};
use std::{collections::HashSet, time::Duration};

/// The largest body.
const BODY_MAX: usize = 1024 * 1024;
/// How long a body may take to come in.
const BODY_TIME: Duration = Duration::from_secs(5);
/// The most invitations in one body.
const INVITATIONS_MAX: usize = 1000;
/// How many are under way at once.
const UNDER_WAY_MAX: usize = 64;

/// What became of a body.
#[derive(Debug, Default)]
struct Became {
    taken: usize,
    repeated: usize,
    /// By place in the list, from 0.
    refused: Vec<(usize, String)>,
}

/// Takes them.
pub async fn take(request: HttpRequest, payload: Payload, hall: Data<Hall>) -> HttpResponse {
    if let Some(refusal) = guard::refusal(&request, hall.token.as_ref()) {
        return refusal;
    }
    let items = match items(payload).await {
        Ok(items) => items,
        Err(refusal) => return refusal,
    };
    let flows = hall.turns.shelf.flows().iter().map(|flow| (flow.id.clone(), flow.languages.clone()));
    let known = Known::new(flows, hall.turns.channels.all().to_vec());
    let (good, mut became) = sorted(items, &known, hall.turns.clock.now());
    match all(&hall, &good, &mut became).await {
        Ok(()) => became.answer(),
        Err(error) => {
            tracing::error!(%error, "invitations could not be stored");
            let status = match error.passes() {
                true => StatusCode::SERVICE_UNAVAILABLE,
                false => StatusCode::INTERNAL_SERVER_ERROR,
            };
            problem(status, "not all were taken; send the same again: what was taken is known")
        }
    }
}

/// The body's list; one object is a list of one.
async fn items(payload: Payload) -> Result<Vec<Value>, HttpResponse> {
    let body = match tokio::time::timeout(BODY_TIME, payload.to_bytes_limited(BODY_MAX)).await {
        Err(_) => return Err(problem(StatusCode::REQUEST_TIMEOUT, "the body did not come in within 5 s")),
        Ok(Ok(Ok(body))) => body,
        Ok(Ok(Err(_))) => return Err(problem(StatusCode::BAD_REQUEST, "the body broke off")),
        Ok(Err(_)) => return Err(problem(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB")),
    };
    match serde_json::from_slice(&body) {
        Ok(item @ Value::Object(_)) => Ok(vec![item]),
        Ok(Value::Array(items)) if items.len() <= INVITATIONS_MAX => Ok(items),
        Ok(Value::Array(_)) => {
            Err(problem(StatusCode::PAYLOAD_TOO_LARGE, "more than 1000 invitations in one body"))
        }
        Ok(_) | Err(_) => {
            Err(problem(StatusCode::BAD_REQUEST, "the body is a JSON object, or an array of them"))
        }
    }
}

/// The good ones, each key and number once, and what became of the others.
fn sorted(items: Vec<Value>, known: &Known, now: Timestamp) -> (Vec<Invitation>, Became) {
    let mut became = Became::default();
    let mut whose: HashSet<(String, Msisdn)> = HashSet::new();
    let mut good = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        let checked = row(item).and_then(|row| row.check(known, now).map_err(|refusal| refusal.to_string()));
        match checked {
            Err(reason) => became.refused.push((at, reason)),
            Ok(invitation) if !whose.insert((invitation.key.clone(), invitation.msisdn.clone())) => {
                became.repeated += 1;
            }
            Ok(invitation) => good.push(invitation),
        }
    }
    (good, became)
}

async fn all(hall: &Hall, good: &[Invitation], became: &mut Became) -> Result<(), TurnError> {
    let mut under_way = stream::iter(good).map(|one| hall.turns.invite(one)).buffer_unordered(UNDER_WAY_MAX);
    while let Some(invited) = under_way.try_next().await? {
        match invited {
            Invited::Taken => became.taken += 1,
            Invited::Repeated => became.repeated += 1,
        }
    }
    Ok(())
}

/// One invitation as it is written. A reason holds nothing of what was written.
fn row(item: Value) -> Result<Row, String> {
    let Value::Object(fields) = item else { return Err("it is no object".into()) };
    let mut row = Row::default();
    for (name, value) in fields {
        let field = match name.as_str() {
            "key" => &mut row.key,
            "msisdn" => &mut row.msisdn,
            "flow" => &mut row.flow,
            "language" => &mut row.language,
            "channel" => &mut row.channel,
            "not_before" => &mut row.not_before,
            "not_after" => &mut row.not_after,
            "context" => {
                row.context = context(value)?;
                continue;
            }
            _ => {
                let fields = "key, msisdn, flow, language, channel, context, not_before, not_after";
                return Err(format!("a field that is none of {fields}"));
            }
        };
        *field = text(value).ok_or_else(|| format!("{name}: it is no text"))?;
    }
    Ok(row)
}

fn context(value: Value) -> Result<Vec<(String, String)>, String> {
    let fields = match value {
        Value::Object(fields) => fields,
        Value::Null => Map::new(),
        _ => return Err("context: it is no object of texts under dotted names".into()),
    };
    let pair = |(name, value)| text(value).map(|value| (name, value));
    let pairs: Option<Vec<_>> = fields.into_iter().map(pair).collect();
    pairs.ok_or_else(|| "context: a value is no text".into())
}

/// A text without the blanks around it; nothing where there is null.
fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Null => Some(String::new()),
        _ => None,
    }
}

impl Became {
    fn answer(&self) -> HttpResponse {
        let refused = self.refused.iter().map(|(at, reason)| json!({ "at": at, "reason": reason }));
        let refused: Vec<Value> = refused.collect();
        HttpResponse::Ok().json(json!({ "taken": self.taken, "repeated": self.repeated, "refused": refused }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(item: Value, expected: Result<&str, &str>) {
        let got = row(item.clone()).map(|row| format!("{} {} {:?}", row.key, row.flow, row.context));
        assert_eq!(got.as_deref().map_err(|reason| reason.as_str()), expected, "{item}");
    }

    #[test]
    fn an_object_is_read_as_a_line_is() {
        check(json!({ "key": " v-1 ", "msisdn": "9437000001", "flow": "f" }), Ok("v-1 f []"));
        check(json!({ "key": "k", "language": null, "context": null }), Ok("k  []"));
        check(
            json!({ "key": "k", "context": { "visit.office": "x" } }),
            Ok("k  [(\"visit.office\", \"x\")]"),
        );
        check(json!({ "key": 9_437_000_001_u64 }), Err("key: it is no text"));
        check(json!({ "context": { "visit": { "office": "x" } } }), Err("context: a value is no text"));
        check(json!({ "context": [] }), Err("context: it is no object of texts under dotted names"));
        check(json!("9437000001"), Err("it is no object"));
        check(
            json!({ "9437000001": "k" }),
            Err(
                "a field that is none of key, msisdn, flow, language, channel, context, not_before, not_after",
            ),
        );
    }
}
