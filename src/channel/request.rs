//! One raw HTTP request as text, for the examples in descriptions and for `channel decode`: a request line, headers, an
//! empty line, the body. Lines may end in LF or CRLF.
//!
//! It comes out of a log or an editor, so it is read with some patience: empty lines in front are skipped, the target may be
//! a whole URL, the body ends where `Content-Length` says, and without one a last line end is the editor's.

use super::{Callback, CallbackKind};
use crate::domain::time::Timestamp;

/// The largest request that is read.
pub const LARGEST: usize = 1024 * 1024;

/// Why a request cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Larger than [`LARGEST`].
    #[error("the request is larger than 1 MiB")]
    Large,
    /// No request line.
    #[error("the first line must be a method and a path, such as `POST /in/at-ussd/ussd`")]
    Line,
    /// A header without a colon.
    #[error("line {0} must be a header, `Name: value`, or empty before the body")]
    Header(usize),
}

/// Reads one request that came to a door of this kind. The path may be a whole one (`/in/channel/kind/…`) or short
/// (`/ussd`); what stands behind the kind is the tail.
pub fn parse(request: &[u8], kind: CallbackKind, at: Timestamp) -> Result<Callback, Unreadable> {
    if request.len() > LARGEST {
        return Err(Unreadable::Large);
    }
    let mut rest = request.trim_ascii_start();
    let line = take_line(&mut rest);
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(Unreadable::Line);
    };
    let target = from_path(target).ok_or(Unreadable::Line)?;
    let mut headers = Vec::new();
    for number in 2.. {
        let line = take_line(&mut rest);
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or(Unreadable::Header(number))?;
        headers.push((name.trim().to_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse::<usize>().ok());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let skipped = if path.starts_with("/in/") { 4 } else { 2 };
    Ok(Callback {
        kind,
        method: method.to_uppercase(),
        tail: path.split('/').skip(skipped).filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        query: query.to_owned(),
        headers,
        body: body(rest, length).to_vec(),
        peer: None,
        at,
    })
}

/// The door that a request goes to, by its path; `None`: none of ours.
pub fn door(request: &[u8]) -> Option<CallbackKind> {
    let mut rest = request.trim_ascii_start();
    let line = take_line(&mut rest);
    let target = from_path(line.split_whitespace().nth(1)?)?;
    let path = target.split('?').next().unwrap_or("");
    let before = if path.starts_with("/in/") { 3 } else { 1 };
    CallbackKind::parse(path.split('/').nth(before)?)
}

/// A target without the scheme and the host that a log may put in front.
fn from_path(target: &str) -> Option<&str> {
    let path = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => &rest[rest.find('/')?..],
        _ => target,
    };
    path.starts_with('/').then_some(path)
}

/// The body: as long as it was announced, if so much is there.
fn body(rest: &[u8], announced: Option<usize>) -> &[u8] {
    match announced.and_then(|length| rest.get(..length)) {
        Some(body) => body,
        None => {
            let body = rest.strip_suffix(b"\n").unwrap_or(rest);
            body.strip_suffix(b"\r").unwrap_or(body)
        }
    }
}

/// Takes a line, without its end, off the front.
fn take_line(rest: &mut &[u8]) -> String {
    let end = rest.iter().position(|b| *b == b'\n');
    let (line, after) = match end {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => (*rest, &rest[rest.len()..]),
    };
    *rest = after;
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &[u8]) -> Result<Callback, Unreadable> {
        parse(raw, CallbackKind::Ussd, Timestamp(5))
    }

    #[test]
    fn a_request_by_example() {
        let raw =
            b"\r\npost /in/at/ussd/s3cret/x?a=1&b HTTP/1.1\r\nContent-Type: text/plain\r\n\r\nbody\n\nmore";
        let read = read(raw).expect("a request");
        assert_eq!((read.method.as_str(), read.query.as_str()), ("POST", "a=1&b"));
        assert_eq!(read.tail, ["s3cret", "x"]);
        assert_eq!(read.headers, [("content-type".to_owned(), "text/plain".to_owned())]);
        assert_eq!(read.body, b"body\n\nmore");
    }

    #[test]
    fn what_is_no_request_says_where() {
        for raw in ["", "\n\n", "hello", "GET", "GET x", "GET http://host", "GET a?b=c://d/e"] {
            assert_eq!(read(raw.as_bytes()).err(), Some(Unreadable::Line), "{raw:?}");
        }
        assert_eq!(read(b"GET /x\nno header\n").err(), Some(Unreadable::Header(2)));
        assert_eq!(read(&vec![b' '; LARGEST + 1]).err(), Some(Unreadable::Large));
    }

    fn check_path(target: &str, tail: &[&str], query: &str) {
        let read = read(format!("GET {target} HTTP/1.1\n\n").as_bytes()).expect("a request");
        assert_eq!(
            (read.tail, read.query.as_str()),
            (tail.iter().map(|t| t.to_string()).collect(), query),
            "{target}"
        );
    }

    #[test]
    fn the_target_may_be_a_path_or_a_whole_url() {
        check_path("/ussd", &[], "");
        check_path("/ussd/s?u=http://x/y", &["s"], "u=http://x/y");
        check_path("/in/at/ussd/s%2F", &["s%2F"], "");
        check_path("https://host:8443/in/at/ussd/s?a=1", &["s"], "a=1");
    }

    #[test]
    fn the_path_names_the_door() {
        for (line, expected) in [
            ("POST /ussd", Some(CallbackKind::Ussd)),
            ("GET /mo?a=/dlr", Some(CallbackKind::Mo)),
            ("POST /in/at/dlr/s3cret", Some(CallbackKind::Dlr)),
            ("POST https://host/in/at/missed-call", Some(CallbackKind::MissedCall)),
            ("POST /in/at", None),
            ("POST /sms", None),
            ("", None),
        ] {
            assert_eq!(door(line.as_bytes()), expected, "{line}");
        }
    }

    fn check_body(headers: &str, raw: &str, expected: &str) {
        let read = read(format!("POST /ussd\n{headers}\n{raw}").as_bytes()).expect("a request");
        assert_eq!(String::from_utf8_lossy(&read.body), expected, "{headers:?} {raw:?}");
    }

    #[test]
    fn the_body_ends_where_it_was_announced_or_before_the_editors_line_end() {
        check_body("Content-Length: 6\n", "text=1\n", "text=1");
        check_body("Content-Length: 7\n", "text=1\n", "text=1\n");
        check_body("content-length: 900\n", "text=1\n", "text=1");
        check_body("Content-Length: many\n", "text=1", "text=1");
        check_body("", "text=1\r\n", "text=1");
        check_body("", "text=1\n\n", "text=1\n");
        check_body("", "", "");
    }
}
