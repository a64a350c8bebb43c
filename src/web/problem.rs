//! Errors become HTTP here and only here: RFC 9457 problem details. Nothing of what the stranger sent is in them.

use crate::domain::metric;
use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
};
use serde_json::json;

/// A problem document.
pub fn problem(status: StatusCode, detail: &str) -> HttpResponse {
    let body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": detail,
    });
    HttpResponse::build(status).content_type("application/problem+json").body(body.to_string())
}

/// A problem document for something that came to a telco's door, counted by `reason`.
pub fn refused(status: StatusCode, detail: &str, reason: &'static str) -> HttpResponse {
    metrics::counter!(metric::REFUSED_TOTAL, "reason" => reason).increment(1);
    problem(status, detail)
}

/// For a path that nothing stands at.
pub async fn nothing_here() -> HttpResponse {
    problem(StatusCode::NOT_FOUND, "there is nothing at this path")
}

/// For a path that can only be read.
pub async fn read_only() -> HttpResponse {
    takes("this path takes GET and HEAD only", "GET, HEAD")
}

/// For a path that is asked by POST.
pub async fn post_only() -> HttpResponse {
    takes("this path takes POST only", "POST")
}

fn takes(detail: &str, allowed: &'static str) -> HttpResponse {
    let mut refusal = problem(StatusCode::METHOD_NOT_ALLOWED, detail);
    refusal.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allowed));
    refusal
}
