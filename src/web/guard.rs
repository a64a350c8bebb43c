//! The operators' token: `Authorization: Bearer TOKEN`, or Basic with the token as password, which a browser asks for.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, http::header};
use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// `None` lets an operator in; else how to ask.
pub fn refusal(request: &HttpRequest, token: Option<&SecretString>) -> Option<HttpResponse> {
    let Some(token) = token else { return foreign(request) };
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or("");
    match presented(sent) {
        Some(given) if bool::from(given.as_bytes().ct_eq(token.expose_secret().as_bytes())) => None,
        _ => {
            let mut refusal = super::problem::refused(
                StatusCode::UNAUTHORIZED,
                "this door is the operators'; it takes their token as bearer token or as password",
                "unauthorized",
            );
            let ask = header::HeaderValue::from_static("Basic realm=\"matamat\", charset=\"UTF-8\"");
            refusal.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
            Some(refusal)
        }
    }
}

/// On loopback nobody is asked for a token, so a page of somebody else's that is open in the operator's browser must not be
/// let in either: by another origin, or by a name that was made to point here.
fn foreign(request: &HttpRequest) -> Option<HttpResponse> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = header(header::HOST).unwrap_or("127.0.0.1");
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(n, _)| n);
    let ours = name == "localhost" || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    let origin = header(header::ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, of)| of);
    let same = header(header::ORIGIN).is_none() || origin == Some(host);
    let what = "without a token this door is open to pages of its own on this machine only";
    (!ours || !same).then(|| super::problem::refused(StatusCode::FORBIDDEN, what, "unauthorized"))
}

fn presented(header: &str) -> Option<String> {
    let (scheme, value) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().to_owned());
    }
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| BASE64_STANDARD.decode(value.trim()))?.ok()?;
    String::from_utf8(decoded).ok()?.split_once(':').map(|(_, password)| password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_as_bearer_or_as_password() {
        let basic = format!("Basic {}", BASE64_STANDARD.encode("anybody:s3:cret"));
        assert_eq!(presented("Bearer s3:cret").as_deref(), Some("s3:cret"));
        assert_eq!(presented(&basic).as_deref(), Some("s3:cret"));
        assert_eq!(presented("Basic %%%"), None);
        assert_eq!(presented("Digest x"), None);
        assert_eq!(presented(""), None);
    }
}
