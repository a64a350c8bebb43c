//! Alive, ready, metrics: the operators' side.

use super::{Hall, TurnMetrics, guard};
use crate::{
    domain::metric,
    store::{Health, Queue, Tally},
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is known of this process as a whole.
pub struct Readiness {
    /// The store was reached once: our keys are its keys, and every flow's revision is in it.
    pub open: AtomicBool,
    /// The queues whose numbers are told.
    pub queues: Vec<Queue>,
    /// The counters of dials.
    pub ussd: TurnMetrics,
    /// The counters of messages.
    pub sms: TurnMetrics,
    /// Renders the metrics.
    pub prometheus: PrometheusHandle,
}

/// `/healthz`: this process answers.
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// `/readyz`: 200 when turns can be stored, else 503; and how long the oldest callback of the spool waits, in seconds.
pub async fn ready(hall: Data<Hall>) -> HttpResponse {
    let health = hall.turns.store.health().await.unwrap_or(Health::Away);
    let ready = health == Health::Ok && hall.readiness.open.load(Ordering::Relaxed);
    let store = match health {
        Health::Ok => "ok",
        Health::Away => "away",
        Health::Full => "full",
    };
    let since = hall.spool.as_ref().and_then(|spool| spool.oldest_at());
    let spool_age = since.map_or(0, |since| hall.turns.clock.now().since(since).as_secs());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    HttpResponse::build(status).json(json!({ "ready": ready, "store": store, "spool_age_s": spool_age }))
}

/// `/metrics`, in Prometheus' text format. The queues' numbers are the store's, so every gateway shows the same:
/// dashboards take the maximum, not the sum.
pub async fn metrics(request: HttpRequest, hall: Data<Hall>) -> HttpResponse {
    if let Some(refusal) = guard::refusal(&request, hall.token.as_ref()) {
        return refusal;
    }
    let queues = &hall.readiness.queues;
    if let Ok(tallies) = hall.turns.store.tally(queues).await {
        let now = hall.turns.clock.now();
        for (queue, tally) in queues.iter().zip(tallies) {
            let overdue = tally.oldest_due.map_or(0.0, |due| now.since(due).as_secs_f64());
            tell(&queue.to_string(), &tally, overdue);
        }
    }
    if let Some(spool) = &hall.spool {
        metrics::gauge!(metric::SPOOL_WAITING).set(spool.waiting() as f64);
        metrics::gauge!(metric::SPOOL_ASIDE).set(spool.aside() as f64);
    }
    let text = "text/plain; version=0.0.4; charset=utf-8";
    HttpResponse::Ok().content_type(text).body(hall.readiness.prometheus.render())
}

fn tell(queue: &str, tally: &Tally, overdue_s: f64) {
    let Tally { put, done, suppressed, dropped, replaced, waiting, dead, oldest_due: _ } = tally;
    let counter = |name: &'static str, value: u64| {
        metrics::counter!(name, "queue" => queue.to_owned()).absolute(value);
    };
    counter(metric::QUEUE_IN_TOTAL, *put);
    counter(metric::QUEUE_DONE_TOTAL, *done);
    counter(metric::QUEUE_DROPPED_TOTAL, *dropped);
    counter(metric::QUEUE_REPLACED_TOTAL, *replaced);
    for (reason, count) in suppressed {
        metrics::counter!(metric::QUEUE_SUPPRESSED_TOTAL, "queue" => queue.to_owned(), "reason" => reason.clone())
            .absolute(*count);
    }
    let gauge = |name: &'static str, value: f64| {
        metrics::gauge!(name, "queue" => queue.to_owned()).set(value);
    };
    gauge(metric::QUEUE_WAITING, *waiting as f64);
    gauge(metric::QUEUE_DEAD, *dead as f64);
    gauge(metric::QUEUE_OLDEST_SECONDS, overdue_s);
}
