//! The simulated phone over HTTP: the page, and the thread of what came to a number. The operators' side.
//!
//! A number never stands in a URL, where proxies and browsers write it down: it is asked for in a body.

use super::{Hall, guard, phone::Page, problem::problem};
use crate::{domain::msisdn::Msisdn, store::StoreError};
use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{Data, Payload},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// The largest question for a thread.
const BODY_MAX: usize = 4 * 1024;
/// How long it may take to come in.
const BODY_TIME: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Asked {
    msisdn: String,
}

/// `/phone`: the page.
pub async fn page(request: HttpRequest, hall: Data<Hall>) -> HttpResponse {
    if let Some(refusal) = guard::refusal(&request, hall.token.as_ref()) {
        return refusal;
    }
    let Some(page) = hall.phone.as_deref() else { return none() };
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("Content-Security-Policy", page.policy.as_str()))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .insert_header(("Referrer-Policy", "no-referrer"))
        .body(page.html.clone())
}

/// `/phone/thread`: `{"msisdn"}` in, `{"lines": [{"id", "text", "at", "language"}]}` out, oldest first.
pub async fn thread(request: HttpRequest, payload: Payload, hall: Data<Hall>) -> HttpResponse {
    if let Some(refusal) = guard::refusal(&request, hall.token.as_ref()) {
        return refusal;
    }
    let Some(page) = hall.phone.as_deref() else { return none() };
    let Some(msisdn) = number(payload, &hall, page).await else {
        let shape = "the body must be JSON with msisdn, a phone number";
        return problem(StatusCode::BAD_REQUEST, shape);
    };
    match hall.turns.store.thread(&hall.turns.keys.citizen(&msisdn)).await {
        Ok(lines) => {
            let lines = lines.iter().filter_map(|line| serde_json::from_slice(line).ok());
            HttpResponse::Ok().json(json!({ "lines": lines.collect::<Vec<Value>>() }))
        }
        Err(StoreError::Refused(why)) => {
            tracing::error!(why, "a thread could not be read");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "the thread could not be read; the log says why")
        }
        Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "the store is away"),
    }
}

fn none() -> HttpResponse {
    problem(StatusCode::NOT_FOUND, "no channel of the vendor `simulator` is configured")
}

/// The number that is asked about; `None` when the body does not say one in time.
async fn number(payload: Payload, hall: &Hall, page: &Page) -> Option<Msisdn> {
    let body = tokio::time::timeout(BODY_TIME, payload.to_bytes_limited(BODY_MAX)).await;
    let body = body.ok()?.ok()?.ok()?;
    let Asked { msisdn } = serde_json::from_slice(&body).ok()?;
    let door = hall.doors.get(page.channel.as_str())?;
    Msisdn::parse(&msisdn, &door.facts.country).ok()
}
