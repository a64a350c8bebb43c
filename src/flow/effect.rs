//! What a step may wish for: a closed list. A step numbers its effects by their place in the list; `turn` makes ids from
//! the numbers, so a re-run makes the same.

use crate::domain::{completion::Status, time::Timestamp};
use std::time::Duration;

/// A wish of a step. The turn performs all of them in one commit, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Show this on the open request. At most one in a step.
    Show {
        /// One page, inside the screen's limits.
        text: String,
        /// The dialogue ends with it.
        end: bool,
    },
    /// Say this by SMS. At most one in a step.
    Say {
        /// The whole text; line ends are LF.
        text: String,
        /// It puts a question: a later one supersedes it.
        prompt: bool,
        /// The DLT template the text is registered under.
        template: Option<String>,
        /// The reminder that starts when a vendor has it: which, from 1, and after how long.
        remind: Option<(u8, Duration)>,
    },
    /// A prompt went out by SMS, a *new* question was put on a screen, or the session ended: what asked before is superseded.
    Asked,
    /// The session ended with this response: at most one in a session's life.
    Respond(Status),
    /// Wake this session.
    StartTimer {
        /// What for.
        kind: TimerKind,
        /// When.
        due: Timestamp,
    },
    /// No need to wake it any more.
    CancelTimer(TimerKind),
    /// A fault of the flow was met and survived; counted.
    Fault {
        /// The node it was met in.
        node: String,
        /// What it was.
        fault: Fault,
    },
}

/// What a timer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimerKind {
    /// The session's time is over.
    Expiry,
}

impl TimerKind {
    /// The word in the timer's item id.
    pub fn name(self) -> &'static str {
        match self {
            TimerKind::Expiry => "expiry",
        }
    }
}

/// A fault of a flow that is met while running. A missing rating must never accuse an office, so both are survived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A condition could not be evaluated and counted as false.
    Condition,
    /// A text could not be rendered and its fallback was shown.
    Text,
    /// The session stands at a node, or was given an answer, that the flow does not have; the session ended.
    Lost,
}

impl Fault {
    /// The word in the metric.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Condition => "condition",
            Fault::Text => "text",
            Fault::Lost => "lost",
        }
    }
}
