//! Where Redis is: `redis://` and `rediss://`, read once. What is not built yet is refused by its name.

use redis::{Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, TlsCertificates};
use std::fmt;

/// The URL's own key for a file of authorities (PEM) to be trusted instead of the machine's: `rediss://host?ca=/etc/ca.pem`.
const CA: &str = "ca";

/// A Redis that can be connected to. Prints host and port only: the URL may hold a password.
#[derive(Clone)]
pub struct Target {
    client: Client,
}

/// Why a URL is none of ours. Nothing of the URL but its scheme and the names of its keys is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It will come, and is not here.
    #[error("`{0}://` is not built yet; use redis:// or rediss://")]
    NotBuilt(String),
    /// Not a scheme of Redis.
    #[error("`{0}` is no scheme of a Redis URL; use redis:// or rediss://")]
    Scheme(String),
    /// A key behind the question mark that nobody knows, or a fragment.
    #[error("unknown in a Redis URL: `{0}`; only `?ca=FILE` is known, and only for rediss://")]
    Key(String),
    /// Anything else.
    #[error("{0}")]
    Unreadable(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.client.get_connection_info().addr())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

impl Target {
    /// Reads `redis://[user[:password]@]host[:port][/db]`, or the same with `rediss://` and maybe `?ca=FILE`.
    pub fn parse(text: &str) -> Result<Target, BadUrl> {
        let no_scheme = || BadUrl::Unreadable("a Redis URL begins with redis:// or rediss://".into());
        let (scheme, _) = text.split_once("://").ok_or_else(no_scheme)?;
        match scheme {
            "redis" | "rediss" => {}
            "redis+cluster" | "redis+sentinel" | "rediss+cluster" | "rediss+sentinel" => {
                return Err(BadUrl::NotBuilt(scheme.to_owned()));
            }
            other => return Err(BadUrl::Scheme(other.to_owned())),
        }
        let mut url = redis::parse_redis_url(text)
            .ok_or_else(|| BadUrl::Unreadable("the Redis URL cannot be read".into()))?;
        if url.fragment().is_some() {
            return Err(BadUrl::Key("#".to_owned()));
        }
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        if let Some((key, _)) = pairs.iter().find(|(key, _)| key != CA || scheme != "rediss") {
            return Err(BadUrl::Key(key.clone()));
        }
        url.set_query(None);
        let info = url.into_connection_info().map_err(|e| BadUrl::Unreadable(e.to_string()))?;
        Ok(Target { client: client(info, pairs.last().map(|(_, file)| file.as_str()))? })
    }

    /// What connects.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }
}

fn client(info: ConnectionInfo, ca: Option<&str>) -> Result<Client, BadUrl> {
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    // RESP3, because only there the client says when a connection ends that nobody is waiting on.
    let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
    let info = info.set_tcp_settings(tcp).set_redis_settings(redis);
    let unreadable = |e: redis::RedisError| BadUrl::Unreadable(e.to_string());
    let Some(file) = ca else { return Client::open(info).map_err(unreadable) };
    let pem = std::fs::read(file)
        .map_err(|e| BadUrl::Unreadable(format!("the file of `ca` cannot be read: {e}")))?;
    let trust = TlsCertificates { client_tls: None, root_cert: Some(pem) };
    Client::build_with_tls(info, trust).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Result<&str, &str>) {
        let got = Target::parse(url);
        let got = got.as_ref().map(ToString::to_string).map_err(ToString::to_string);
        assert_eq!(got.as_deref(), expected.map_err(str::to_owned).as_ref().map(|s| *s), "{url}");
    }

    #[test]
    fn urls() {
        check("redis://127.0.0.1:6390/2", Ok("127.0.0.1:6390"));
        check("redis://redis.example", Ok("redis.example:6379"));
        check("rediss://gateway:pa%40ss@redis.example:6390", Ok("redis.example:6390"));
        let built = |s: &str| format!("`{s}://` is not built yet; use redis:// or rediss://");
        check("redis+cluster://a:1,b:2", Err(&built("redis+cluster")));
        check("redis+sentinel://a:1/master", Err(&built("redis+sentinel")));
        check("secret@redis.example", Err("a Redis URL begins with redis:// or rediss://"));
        check("http://a", Err("`http` is no scheme of a Redis URL; use redis:// or rediss://"));
        let unknown = |s: &str| {
            format!("unknown in a Redis URL: `{s}`; only `?ca=FILE` is known, and only for rediss://")
        };
        check("redis://a?ca=/tmp/x", Err(&unknown("ca")));
        check("rediss://a?verify=no", Err(&unknown("verify")));
        check("rediss://a#insecure", Err(&unknown("#")));
    }

    #[test]
    fn a_target_prints_no_password() {
        let target = Target::parse("redis://gateway:secret@redis.example").expect("a good URL");
        assert!(!format!("{target} {target:?}").contains("secret"));
    }
}
