//! HTTP out: one request, one answer, both bounded. The only file that names reqwest.
//!
//! It promises: the whole exchange ends within the request's time-out; an answer longer than [`ANSWER_MAX`] is no answer;
//! nothing is followed, kept or asked for beside the request (no redirect, no cookie, no proxy of the environment, no second
//! try); and an error tells apart what surely never left from what may have arrived, without a word of the query, the headers
//! or the body.
//!
//! It leaves to others: what the request says, what the answer means, and whether to try again.

use crate::domain::wire::{HttpRequest, HttpResponse, NoResponse};
use reqwest::{Client, Method, Url, redirect};
use std::{
    error::Error,
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// The longest answer that is read, in bytes.
pub const ANSWER_MAX: usize = 64 * 1024;
/// The longest that a whole exchange may take, whatever the request says.
pub const EXCHANGE_MAX: Duration = Duration::from_secs(20);
/// How long connecting may take, TLS included: a host that drops packets is told from one that is slow to answer.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How long an idle connection is kept: less than the five seconds after which common servers close theirs, so that a request
/// seldom meets a connection that is being closed, of which nobody could say whether it arrived.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Idle connections kept for one host.
const IDLE_CONNECTIONS: usize = 256;

/// A way out by HTTP/1.1, shared by cloning. It is put together at the first request: reading the system's certificates
/// takes some milliseconds and a megabyte, which an installation without such a vendor does not pay.
#[derive(Clone, Default)]
pub struct Http(Arc<OnceLock<Client>>);

impl Http {
    /// A way out.
    pub fn new() -> Http {
        Http::default()
    }

    /// Sends a request and waits for the whole answer.
    pub async fn send(&self, request: &HttpRequest) -> Result<HttpResponse, NoResponse> {
        let request = Outgoing::of(request)?;
        let limit = request.timeout;
        match tokio::time::timeout(limit, self.exchange(request)).await {
            Ok(ended) => ended,
            Err(_) => Err(NoResponse::Unknown(format!("none within {limit:?}"))),
        }
    }

    async fn exchange(&self, request: Outgoing) -> Result<HttpResponse, NoResponse> {
        let client = self.0.get_or_init(client);
        let mut response = client.execute(request.whole).await.map_err(|error| no_response(&error))?;
        let headers = response.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let (status, headers) = (response.status().as_u16(), headers.collect());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| broken())? {
            if body.len() + chunk.len() > ANSWER_MAX {
                return Err(NoResponse::Unknown(format!("status {status} and more than {ANSWER_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpResponse { status, headers, body })
    }
}

/// A request as the client takes it.
struct Outgoing {
    whole: reqwest::Request,
    timeout: Duration,
}

impl Outgoing {
    fn of(request: &HttpRequest) -> Result<Outgoing, NoResponse> {
        let HttpRequest { method, url, headers, body, timeout } = request;
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| unfit("the method"))?;
        let url = Url::parse(url).map_err(|_| unfit("the address"))?;
        let mut whole = reqwest::Request::new(method, url);
        for (name, value) in headers {
            let name = name.parse::<reqwest::header::HeaderName>().map_err(|_| unfit("a header's name"))?;
            let value = value.parse::<reqwest::header::HeaderValue>();
            whole.headers_mut().append(name, value.map_err(|_| unfit("a header"))?);
        }
        if !body.is_empty() {
            *whole.body_mut() = Some(body.clone().into());
        }
        Ok(Outgoing { whole, timeout: (*timeout).min(EXCHANGE_MAX) })
    }
}

fn unfit(what: &str) -> NoResponse {
    NoResponse::NotSent(format!("{what} cannot be sent by HTTP"))
}

fn broken() -> NoResponse {
    NoResponse::Unknown("the connection ended before the whole answer was here".into())
}

/// Only a connection that never was is surely not sent. Up to there nothing of the request was used but its host.
fn no_response(error: &reqwest::Error) -> NoResponse {
    match error {
        error if error.is_builder() => unfit("the request"),
        error if error.is_connect() => NoResponse::NotSent(no_connection(error)),
        _ => broken(),
    }
}

/// Why there is no connection: the innermost error says it, and those around it only repeat the address.
fn no_connection(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no connection within {CONNECT_MAX:?}");
    }
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "connection refused".into(),
        _ => innermost.to_string(),
    }
}

/// A client that does nothing by itself. Where the system has no certificates, nobody's is trusted: `https` then fails as not
/// sent, and plain `http` to a host of ours works.
fn client() -> Client {
    // Somebody else in this process may have installed the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        Client::builder()
            .http1_only()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .user_agent(concat!("matamat/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
    };
    builder().build().unwrap_or_else(|_| {
        tracing::warn!("the system has no certificates: no https request can be sent");
        builder()
            .tls_certs_only([])
            .build()
            .expect("a client without certificates needs nothing of the system")
    })
}
