//! One raw HTTP request as text, for the examples in descriptions and for `channel decode`: a request line, headers, an
//! empty line, the body. Lines may end in LF or CRLF.

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
    let mut rest = request;
    let line = take_line(&mut rest);
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(Unreadable::Line);
    };
    if !target.starts_with('/') {
        return Err(Unreadable::Line);
    }
    let mut headers = Vec::new();
    for number in 2.. {
        let line = take_line(&mut rest);
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or(Unreadable::Header(number))?;
        headers.push((name.trim().to_lowercase(), value.trim().to_owned()));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let skipped = if path.starts_with("/in/") { 4 } else { 2 };
    Ok(Callback {
        kind,
        method: method.to_uppercase(),
        tail: path.split('/').skip(skipped).filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        query: query.to_owned(),
        headers,
        body: rest.to_vec(),
        peer: None,
        at,
    })
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

    #[test]
    fn a_request_by_example() {
        let raw = b"post /in/at/ussd/s3cret/x?a=1&b HTTP/1.1\r\nContent-Type: text/plain\r\n\r\nbody\n\nmore";
        let read = parse(raw, CallbackKind::Ussd, Timestamp(5)).expect("a request");
        assert_eq!((read.method.as_str(), read.query.as_str()), ("POST", "a=1&b"));
        assert_eq!(read.tail, ["s3cret", "x"]);
        assert_eq!(read.headers, [("content-type".to_owned(), "text/plain".to_owned())]);
        assert_eq!(read.body, b"body\n\nmore");
        assert_eq!(parse(b"", CallbackKind::Ussd, Timestamp(5)).err(), Some(Unreadable::Line));
        assert_eq!(
            parse(b"GET /x\nno header\n", CallbackKind::Ussd, Timestamp(5)).err(),
            Some(Unreadable::Header(2))
        );
    }
}
