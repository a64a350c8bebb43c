//! The counters of turns, by handle: a look-up by name for every turn would cost more than the step.

use crate::{
    domain::{message::Bearer, metric},
    turn::Outcome,
};
use metrics::{Counter, Histogram};

/// The counters of one bearer's turns at the doors.
#[derive(Clone)]
pub struct TurnMetrics {
    done: Counter,
    repeat: Counter,
    nothing: Counter,
    pub(super) closed: Counter,
    pub(super) failed: Counter,
    pub(super) deadline: Counter,
    pub(super) spooled: Counter,
    pub(super) refused: Counter,
    pub(super) seconds: Histogram,
}

impl TurnMetrics {
    /// The counters of this bearer.
    pub fn of(bearer: Bearer) -> TurnMetrics {
        let of =
            |outcome| metrics::counter!(metric::TURNS_TOTAL, "bearer" => bearer.name(), "outcome" => outcome);
        TurnMetrics {
            done: of(Outcome::Done.name()),
            repeat: of(Outcome::Repeat.name()),
            nothing: of(Outcome::Nothing.name()),
            closed: of("closed"),
            failed: of("failed"),
            deadline: of("deadline"),
            spooled: of("spooled"),
            refused: of("rate"),
            seconds: metrics::histogram!(metric::TURN_SECONDS, "bearer" => bearer.name()),
        }
    }

    pub(super) fn ended(&self, outcome: Outcome) {
        match outcome {
            Outcome::Done => self.done.increment(1),
            Outcome::Repeat => self.repeat.increment(1),
            Outcome::Nothing => self.nothing.increment(1),
        }
    }
}
