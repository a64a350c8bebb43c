//! A telco's callback: bytes in, the channel's reading of them, and the channel's answer out. What comes between is the
//! bearer's: [`ussd`](super::ussd) for dials, [`sms`](super::sms) for messages and receipts.
//!
//! It bounds the body, refuses what cannot be read, and counts turns under way, so that there is a limit and shutdown can
//! wait. Turns are tasks of their own, because a server may drop a handler whose telco hung up.

use super::{Hall, Side, guard, problem::refused, sms, ussd};
use crate::{
    channel::{Answer, Callback, CallbackKind, Channel, Refusal},
    domain::{
        message::{ChannelFacts, Inbound},
        time::Timestamp,
    },
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode, header},
    web::{Data, Payload},
};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest body of an MO or a USSD step.
const BODY_MAX: usize = 64 * 1024;
/// The largest body of receipts, which some vendors send by the thousand.
const RECEIPTS_MAX: usize = 1024 * 1024;
/// How long a body may take to come in; a stranger that dribbles one holds a socket no longer.
const BODY_TIME: Duration = Duration::from_secs(5);
/// Turns under way at once in a process; above that the closing screen goes out at once.
const TURNS_MAX: u32 = 4096;

/// One channel's door.
pub struct Door {
    /// What a turn knows of it.
    pub facts: Arc<ChannelFacts>,
    /// Its codec.
    pub codec: Arc<dyn Channel>,
    /// It belongs to the operators' side (the simulator).
    pub operators: bool,
}

/// All doors, by channel.
pub type Doors = HashMap<String, Door>;

/// Counts turns under way, so that there is a limit and shutdown can wait.
#[derive(Clone)]
pub struct Tracker(Arc<Semaphore>);

impl Default for Tracker {
    fn default() -> Self {
        Tracker(Arc::new(Semaphore::new(TURNS_MAX as usize)))
    }
}

impl Tracker {
    /// Room for one more callback's turns, for as long as the permit lives; `None` when there is none.
    pub(super) fn permit(&self) -> Option<OwnedSemaphorePermit> {
        self.0.clone().try_acquire_owned().ok()
    }

    /// Ends when no turn is under way; no new one begins after it. False when `limit` was over first.
    pub async fn drained(&self, limit: Duration) -> bool {
        let all = tokio::time::timeout(limit, self.0.acquire_many(TURNS_MAX)).await;
        all.is_ok_and(|permit| permit.map(|p| p.forget()).is_ok())
    }
}

/// `/in/{channel}/{kind}[/{tail…}]`.
pub async fn callback(
    request: HttpRequest,
    payload: Payload,
    hall: Data<Hall>,
    side: Data<Side>,
) -> HttpResponse {
    let started = Instant::now();
    let channel = request.match_info().get("channel").unwrap_or("");
    let Some(door) = hall.doors.get(channel).filter(|door| on_side(door, **side)) else {
        return refused(StatusCode::NOT_FOUND, "there is no such channel", "channel");
    };
    if door.operators
        && let Some(refusal) = guard::refusal(&request, hall.token.as_ref())
    {
        return refusal;
    }
    let Some(kind) = kind(request.match_info().get("kind").unwrap_or("")) else {
        let doors = "a channel's doors are mo, ussd, dlr and missed-call";
        return refused(StatusCode::NOT_FOUND, doors, "door");
    };
    if matches!(kind, CallbackKind::Mo | CallbackKind::Dlr) && door.facts.sms.is_none() {
        return refused(StatusCode::NOT_FOUND, "this channel is no SMS line", "door");
    }
    let body = match body(payload, kind).await {
        Ok(body) => body,
        Err(why) => return bodiless(channel, &why),
    };
    let callback = read(&request, kind, body, hall.turns.clock.now());
    match door.codec.decode(&callback) {
        Ok(inbound) => answered(hall.clone(), door, &callback, inbound, started).await,
        Err(Refusal::Method(_)) if matches!(*request.method(), Method::GET | Method::HEAD) => {
            HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("")
        }
        Err(refusal) => told(&refusal),
    }
}

/// Why there is no body.
enum NoBody {
    /// It did not come in within [`BODY_TIME`].
    Slow,
    /// It broke off.
    Broken,
    /// It is larger than this many bytes.
    Large(usize),
}

/// The whole body, in time and not too large.
async fn body(payload: Payload, kind: CallbackKind) -> Result<Vec<u8>, NoBody> {
    let limit = match kind {
        CallbackKind::Dlr => RECEIPTS_MAX,
        CallbackKind::Mo | CallbackKind::Ussd | CallbackKind::MissedCall => BODY_MAX,
    };
    let body = tokio::time::timeout(BODY_TIME, payload.to_bytes_limited(limit)).await;
    let body = body.map_err(|_| NoBody::Slow)?.map_err(|_| NoBody::Large(limit))?;
    body.map(Vec::from).map_err(|_| NoBody::Broken)
}

fn bodiless(channel: &str, why: &NoBody) -> HttpResponse {
    match why {
        NoBody::Slow => refused(StatusCode::REQUEST_TIMEOUT, "the body did not come in within 5 s", "slow"),
        NoBody::Broken => refused(StatusCode::BAD_REQUEST, "the body broke off", "malformed"),
        NoBody::Large(limit) => {
            tracing::warn!(channel, limit, "a callback's body was too large and was refused");
            let told = format!("the body is larger than {} KiB", limit / 1024);
            refused(StatusCode::PAYLOAD_TOO_LARGE, &told, "too-large")
        }
    }
}

fn on_side(door: &Door, side: Side) -> bool {
    match side {
        Side::Both => true,
        Side::Telcos => !door.operators,
        Side::Operators => door.operators,
    }
}

fn kind(word: &str) -> Option<CallbackKind> {
    match word {
        "mo" => Some(CallbackKind::Mo),
        "ussd" => Some(CallbackKind::Ussd),
        "dlr" => Some(CallbackKind::Dlr),
        "missed-call" => Some(CallbackKind::MissedCall),
        _ => None,
    }
}

fn read(request: &HttpRequest, kind: CallbackKind, body: Vec<u8>, at: Timestamp) -> Callback {
    let header = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    // The undecoded path: a secret may hold a percent sign.
    let tail = request.uri().path().splitn(5, '/').nth(4).unwrap_or("");
    Callback {
        kind,
        method: request.method().as_str().to_owned(),
        tail: tail.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        query: request.query_string().to_owned(),
        headers: request.headers().iter().map(header).collect(),
        body,
        peer: request.peer_addr().map(|peer| peer.ip()),
        at,
    }
}

fn told(refusal: &Refusal) -> HttpResponse {
    let status = match refusal {
        Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
        Refusal::Unauthorized(_) => StatusCode::FORBIDDEN,
        Refusal::NoSuchDoor(_) => StatusCode::NOT_FOUND,
        Refusal::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
    };
    let mut response = refused(status, &refusal.to_string(), refusal.reason());
    if let Refusal::Method(allowed) = refusal
        && let Ok(allowed) = header::HeaderValue::from_str(allowed)
    {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// Runs the turns of one callback. A USSD callback has exactly one step; of messages and receipts there may be many.
async fn answered(
    hall: Data<Hall>,
    door: &Door,
    callback: &Callback,
    mut inbound: Vec<Inbound>,
    started: Instant,
) -> HttpResponse {
    let outcome = match inbound.pop() {
        Some(Inbound::Ussd(step)) => ussd::turn(hall, door, step, started).await,
        last => {
            inbound.extend(last);
            sms::take(hall, door, inbound, started).await
        }
    };
    http(door.codec.answer(callback, &outcome))
}

fn http(answer: Answer) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    response.content_type(answer.content_type);
    for (name, value) in answer.headers {
        response.insert_header((name, value));
    }
    response.body(answer.body)
}
