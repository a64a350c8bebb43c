//! A dial: one step of a dialogue, answered inside the deadline, whatever the store does (P6).
//!
//! The handler waits for the turn or for the deadline, whichever is first. At the deadline the closing screen goes out and
//! the turn runs on by itself: a repeat of the step gets the screen it made, a redial the open question.

use super::{Door, Hall, TurnMetrics};
use crate::{
    channel::TurnOutcome,
    domain::message::{ChannelFacts, UssdStep},
    turn::{TurnError, Turns, UssdTurn},
};
use actix_web::web::Data;
use std::{sync::atomic::Ordering, time::Instant};

/// Runs the turn of one step.
pub(super) async fn turn(hall: Data<Hall>, door: &Door, step: UssdStep, started: Instant) -> TurnOutcome {
    let meter = &hall.readiness.ussd;
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
    let Some(permit) = hall.tracker.permit() else {
        meter.failed.increment(1);
        return closing();
    };
    let (task_hall, facts, waits) = (hall.clone(), door.facts.clone(), step.event.waits());
    let task = actix_web::rt::spawn(async move {
        let meter = &task_hall.readiness.ussd;
        let turned = run(&task_hall.turns, &facts, &step, meter).await;
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
            meter.deadline.increment(1);
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
    match turns.ussd(facts, step, super::random()).await {
        Ok(UssdTurn::Screen(reply, outcome)) => {
            meter.ended(outcome);
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
