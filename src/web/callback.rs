//! A telco's callback: bytes, channel, turn, answer; inside the deadline, whatever the store does (P6).
//!
//! The turn is a task of its own, because a server may drop a handler whose telco hung up: the handler waits for it or for
//! the deadline, whichever is first, and the turn runs on by itself.

use super::{Hall, Side, guard, problem::refused};
use crate::{
    channel::{Answer, Callback, CallbackKind, Channel, Refusal, TurnOutcome},
    domain::{
        message::{Bearer, ChannelFacts, Inbound, UssdStep},
        metric,
    },
    turn::{Outcome, TurnError, Turns, UssdTurn},
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode, header},
    web::{Data, Payload},
};
use metrics::{Counter, Histogram};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// The largest body of an MO or a USSD step.
const BODY_MAX: usize = 64 * 1024;
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
    /// Ends when no turn is under way; no new one begins after it. False when `limit` was over first.
    pub async fn drained(&self, limit: Duration) -> bool {
        let all = tokio::time::timeout(limit, self.0.acquire_many(TURNS_MAX)).await;
        all.is_ok_and(|permit| permit.map(|p| p.forget()).is_ok())
    }
}

/// The counters of USSD turns, by handle: a look-up by name for every turn would cost more than the step.
#[derive(Clone)]
pub struct TurnMetrics {
    done: Counter,
    repeat: Counter,
    nothing: Counter,
    closed: Counter,
    failed: Counter,
    deadline: Counter,
    refused: Counter,
    seconds: Histogram,
}

impl Default for TurnMetrics {
    fn default() -> Self {
        let of = |outcome| metrics::counter!(metric::TURNS_TOTAL, "bearer" => Bearer::Ussd.name(), "outcome" => outcome);
        TurnMetrics {
            done: of(Outcome::Done.name()),
            repeat: of(Outcome::Repeat.name()),
            nothing: of(Outcome::Nothing.name()),
            closed: of("closed"),
            failed: of("failed"),
            deadline: of("deadline"),
            refused: of("rate"),
            seconds: metrics::histogram!(metric::TURN_SECONDS, "bearer" => Bearer::Ussd.name()),
        }
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
    let body = match tokio::time::timeout(BODY_TIME, payload.to_bytes_limited(BODY_MAX)).await {
        Err(_) => return refused(StatusCode::REQUEST_TIMEOUT, "the body did not come in within 5 s", "slow"),
        Ok(Ok(Ok(body))) => body,
        Ok(Ok(Err(_))) => return refused(StatusCode::BAD_REQUEST, "the body broke off", "malformed"),
        Ok(Err(_)) => {
            tracing::warn!(channel, limit = BODY_MAX, "a callback's body was too large and was refused");
            return refused(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 64 KiB", "too-large");
        }
    };
    let callback = read(&request, kind, body.to_vec(), hall.turns.clock.now());
    match door.codec.decode(&callback) {
        Ok(inbound) => answered(&hall, door, &callback, inbound, started).await,
        Err(Refusal::Method(_)) if matches!(*request.method(), Method::GET | Method::HEAD) => {
            HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("")
        }
        Err(refusal) => told(&refusal),
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

fn read(
    request: &HttpRequest,
    kind: CallbackKind,
    body: Vec<u8>,
    at: crate::domain::time::Timestamp,
) -> Callback {
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

/// Runs the turns of one callback. A USSD callback has exactly one step.
async fn answered(
    hall: &Hall,
    door: &Door,
    callback: &Callback,
    inbound: Vec<Inbound>,
    started: Instant,
) -> HttpResponse {
    let mut outcome = TurnOutcome::Taken;
    for inbound in inbound {
        if let Inbound::Ussd(step) = inbound {
            outcome = ussd(hall, door, step, started).await;
        }
    }
    http(door.codec.answer(callback, &outcome))
}

async fn ussd(hall: &Hall, door: &Door, step: UssdStep, started: Instant) -> TurnOutcome {
    let meter = &hall.readiness.turns;
    let closing = || TurnOutcome::Screen(hall.turns.closing(&door.facts));
    if !hall.limiter.allows(&step.from) {
        meter.refused.increment(1);
        tracing::info!(channel = %door.facts.id, from = %step.from, "a citizen dials faster than allowed");
        return closing();
    }
    if !hall.readiness.open.load(Ordering::Relaxed) {
        meter.failed.increment(1);
        return closing();
    }
    let Ok(permit) = hall.tracker.0.clone().try_acquire_owned() else {
        meter.failed.increment(1);
        return closing();
    };
    let (turns, facts, meter) = (hall.turns.clone(), door.facts.clone(), meter.clone());
    let waits = step.event.waits();
    let task = actix_web::rt::spawn(async move {
        let turned = run(&turns, &facts, &step, &meter).await;
        meter.seconds.record(started.elapsed().as_secs_f64());
        drop(permit);
        turned
    });
    let left = door.facts.deadline.saturating_sub(started.elapsed());
    match tokio::time::timeout(left, task).await {
        Ok(Ok(Some(outcome))) => outcome,
        Ok(_) if !waits => TurnOutcome::Unstored,
        Ok(_) => closing(),
        Err(_) => {
            hall.readiness.turns.deadline.increment(1);
            closing()
        }
    }
}

/// One turn, counted; `None` when it failed, which was logged here.
async fn run(
    turns: &Turns,
    facts: &ChannelFacts,
    step: &UssdStep,
    meter: &TurnMetrics,
) -> Option<TurnOutcome> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the system has randomness");
    match turns.ussd(facts, step, random).await {
        Ok(UssdTurn::Screen(reply, outcome)) => {
            match outcome {
                Outcome::Done => meter.done.increment(1),
                Outcome::Repeat => meter.repeat.increment(1),
                Outcome::Nothing => meter.nothing.increment(1),
            }
            Some(TurnOutcome::Screen(reply))
        }
        Ok(UssdTurn::Closed) => {
            meter.closed.increment(1);
            Some(TurnOutcome::Taken)
        }
        Err(error) => {
            meter.failed.increment(1);
            match error {
                TurnError::Store(error) => {
                    tracing::warn!(channel = %facts.id, %error, "a turn could not be stored")
                }
                TurnError::Busy => {
                    tracing::warn!(channel = %facts.id, "a citizen's record changed too often under one turn")
                }
                error => tracing::error!(channel = %facts.id, %error, "a turn failed"),
            }
            None
        }
    }
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
