//! What an error of the client means for an act. An error that Redis answers is final; a refused connection means that
//! nothing was sent; all else is unknown, and the act is sent again.

use crate::store::StoreError;
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// What went wrong, and whether the connection can be kept.
#[derive(Debug)]
pub struct Fault {
    /// What the caller is told.
    pub error: StoreError,
    /// The connection is of no use any more.
    pub lost: bool,
    /// No answer in time.
    pub timed_out: bool,
    /// The server was restarted and does not know our scripts: nothing happened.
    pub no_script: bool,
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Fault {
        let code = code(&error);
        let no_script = error.kind() == ErrorKind::Server(ServerErrorKind::NoScript);
        let answered = code.is_some();
        let lost = code.as_deref() == Some("READONLY") || (!answered && error.is_unrecoverable_error());
        let timed_out = error.is_timeout();
        let text = error.to_string();
        let error = match code.as_deref() {
            Some("OOM") => StoreError::Full(text),
            Some(
                "MISCONF" | "LOADING" | "CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN" | "BUSY" | "READONLY"
                | "NOREPLICAS",
            ) => StoreError::Away(text),
            Some(_) => StoreError::Refused(text),
            None if error.is_connection_refusal() => StoreError::Away(text),
            None if error.kind() == ErrorKind::InvalidClientConfig => StoreError::Refused(text),
            None => StoreError::Unknown(text),
        };
        Fault { error, lost, timed_out, no_script }
    }
}

/// The first word of what Redis answered, also for the first command of a pipeline that failed.
fn code(error: &RedisError) -> Option<String> {
    let errors = error.clone().into_server_errors()?;
    errors.first().map(|(_, error)| error.code().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// What Redis answered, in its own words.
    fn answered(line: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).expect("a reply");
        value.extract_error().expect_err("an error")
    }

    fn check(error: RedisError, expected: fn(String) -> StoreError, lost: bool) {
        let told = error.to_string();
        let fault = Fault::from(error);
        assert_eq!(fault.error, expected(told.clone()), "{told}");
        assert_eq!(fault.lost, lost, "{told}");
    }

    #[test]
    fn what_redis_answers_is_final() {
        check(answered("OOM command not allowed"), StoreError::Full, false);
        check(answered("MISCONF Errors writing to the AOF file"), StoreError::Away, false);
        check(answered("LOADING Redis is loading the dataset in memory"), StoreError::Away, false);
        check(answered("CLUSTERDOWN The cluster is down"), StoreError::Away, false);
        check(answered("READONLY You can't write against a read only replica."), StoreError::Away, true);
        check(
            answered("ERR Script attempted to access keys that do not hash to the same slot"),
            StoreError::Refused,
            false,
        );
        check(answered("NOAUTH Authentication required."), StoreError::Refused, false);
        check(answered("MOVED 127 10.0.0.7:6379"), StoreError::Refused, false);
    }

    #[test]
    fn what_nobody_answered_is_unknown_unless_it_was_never_sent() {
        let io = |kind: io::ErrorKind| RedisError::from(io::Error::from(kind));
        check(io(io::ErrorKind::ConnectionRefused), StoreError::Away, true);
        check(io(io::ErrorKind::TimedOut), StoreError::Unknown, false);
        check(io(io::ErrorKind::BrokenPipe), StoreError::Unknown, true);
        check(io(io::ErrorKind::ConnectionReset), StoreError::Unknown, true);
        check(io(io::ErrorKind::UnexpectedEof), StoreError::Unknown, true);
    }

    #[test]
    fn a_server_that_was_restarted_knows_no_script() {
        assert!(Fault::from(answered("NOSCRIPT No matching script.")).no_script);
    }
}
