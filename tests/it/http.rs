//! HTTP out: what comes back for what a vendor does, and that no error tells a secret.

use crate::{
    redis_server::free_port,
    vendor::{Say, Vendor},
};
use matamat::{
    domain::wire::{HttpRequest, HttpResponse, NoResponse},
    link::http::{ANSWER_MAX, Http},
};
use std::time::{Duration, Instant};

/// What must never stand in an error: it is in every part of the request that may hold one.
const SECRET: &str = "s3cr3t";
/// How long the vendor has.
const TIMEOUT: Duration = Duration::from_millis(400);

fn request(url: &str) -> HttpRequest {
    HttpRequest {
        method: "POST".into(),
        url: format!("{url}?key={SECRET}&to=%2B919876543210"),
        headers: vec![("apikey".into(), SECRET.into()), ("content-type".into(), "text/plain".into())],
        body: format!("{SECRET} hello").into_bytes(),
        timeout: TIMEOUT,
    }
}

/// What an exchange is like from outside.
#[derive(Debug, PartialEq)]
enum Ended {
    With(u16, String),
    NotSent(&'static str),
    Unknown(&'static str),
}

async fn check(say: Say, expected: Ended) {
    let vendor = Vendor::start().await;
    vendor.always(say.clone());
    let began = Instant::now();
    check_ended(Http::new().send(&request(&vendor.url("/send"))).await, &expected, &format!("{say:?}"));
    assert!(began.elapsed() < TIMEOUT * 3, "{say:?} took {:?}", began.elapsed());
    assert_eq!(vendor.seen().len(), 1, "{say:?}: no request is sent twice, and none is redirected");
}

fn check_ended(ended: Result<HttpResponse, NoResponse>, expected: &Ended, what: &str) {
    if let Err(error) = &ended {
        let told = format!("{error} {error:?}");
        assert!(!told.contains(SECRET) && !told.contains("9876543210"), "{what}: {told}");
    }
    match (ended, expected) {
        (Ok(answer), Ended::With(status, body)) => {
            let got = (answer.status, String::from_utf8_lossy(&answer.body).into_owned());
            assert_eq!(got, (*status, body.clone()), "{what}");
        }
        (Err(NoResponse::NotSent(why)), Ended::NotSent(part)) if why.contains(part) => {}
        (Err(NoResponse::Unknown(why)), Ended::Unknown(part)) if why.contains(part) => {}
        (ended, expected) => panic!("{what}: {ended:?} is not {expected:?}"),
    }
}

#[tokio::test]
async fn an_answer_comes_back_whole_or_not_at_all() {
    let long = "x".repeat(ANSWER_MAX);
    let to = |place: &str| Say::Answer(302, vec![("location", place.into())], String::new());
    let whole = |text: &str| Ended::With(200, text.into());
    for (say, expected) in [
        (Say::body("{\"id\": 7}"), whole("{\"id\": 7}")),
        (Say::status(503), Ended::With(503, String::new())),
        (to("/elsewhere"), Ended::With(302, String::new())),
        (Say::body(&long), whole(&long)),
        (Say::body("late").after(TIMEOUT / 4), whole("late")),
        (Say::body("too late").after(TIMEOUT * 2), Ended::Unknown("none within 400ms")),
        (Say::body(&format!("{long}x")), Ended::Unknown("more than 65536 bytes")),
        (Say::Endless, Ended::Unknown("more than 65536 bytes")),
        (Say::Half, Ended::Unknown("ended before")),
        (Say::Close, Ended::Unknown("ended before")),
        (Say::Hang, Ended::Unknown("none within")),
    ] {
        check(say, expected).await;
    }
}

#[tokio::test]
async fn what_surely_never_left_is_told_from_what_may_have_arrived() {
    let vendor = Vendor::start().await;
    let refused = format!("http://127.0.0.1:{}/send", free_port());
    let https = vendor.url("/send").replace("http:", "https:");
    for (url, expected) in [
        (refused.as_str(), Ended::NotSent("refused")),
        ("http://no-such-host.invalid/send", Ended::NotSent("")),
        (&https, Ended::NotSent("")),
        ("no address", Ended::NotSent("the address")),
    ] {
        check_ended(Http::new().send(&request(url)).await, &expected, url);
    }
    let mut odd = request(&vendor.url("/send"));
    odd.headers.push(("x".into(), format!("{SECRET}\r\nother: header")));
    check_ended(Http::new().send(&odd).await, &Ended::NotSent("a header"), "a header with a line end");
    assert_eq!(vendor.seen().iter().filter(|seen| seen.line.starts_with("POST")).count(), 0);
}

#[tokio::test]
async fn a_request_arrives_as_it_was_made_and_connections_are_used_again() {
    let vendor = Vendor::start().await;
    let http = Http::new();
    for _ in 0..3 {
        let answer = http.send(&request(&vendor.url("/send"))).await.expect("an answer");
        assert!(answer.headers.contains(&("content-length".into(), "0".into())), "{:?}", answer.headers);
    }
    let seen = &vendor.seen()[2];
    assert_eq!(seen.line, format!("POST /send?key={SECRET}&to=%2B919876543210"));
    assert_eq!(seen.body, format!("{SECRET} hello"));
    for header in [("apikey", SECRET), ("content-type", "text/plain")] {
        assert!(seen.headers.contains(&(header.0.into(), header.1.into())), "{:?}", seen.headers);
    }
    assert_eq!(vendor.connections(), 1);
}
