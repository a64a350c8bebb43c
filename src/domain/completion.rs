//! A finished response, complete or partial: what a department is owed.
//!
//! It holds no number. The claim adds one when the citizen said yes in this response and the route asks for it.

use super::{
    id::{CitizenId, FlowId, ResponseId, Revision},
    lang::Lang,
    message::Bearer,
    time::Timestamp,
};

/// Whether a session came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The flow ended.
    Complete,
    /// Expiry or STOP ended it with at least one answer.
    Partial,
}

impl Status {
    /// The word in the response and in expressions.
    pub fn name(self) -> &'static str {
        match self {
            Status::Complete => "complete",
            Status::Partial => "partial",
        }
    }

    /// The envelope's `type`.
    pub fn envelope_type(self) -> &'static str {
        match self {
            Status::Complete => "response.completed",
            Status::Partial => "response.partial",
        }
    }
}

/// What an answer is in an expression and in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A rating (and later a number).
    Integer(i64),
    /// A yes or a no.
    Boolean(bool),
    /// An option's `value`, or the citizen's own words.
    Text(String),
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The node's id.
    pub node: String,
    /// The node's kind: `rating`, `choice`, `yes-no`, `text`.
    pub kind: String,
    /// What was understood.
    pub value: Value,
    /// What was typed, whole.
    pub said: String,
    /// When it came in.
    pub at: Timestamp,
}

/// A finished response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Its idempotency key.
    pub id: ResponseId,
    /// Whose it is; departments see a pseudonym.
    pub citizen: CitizenId,
    /// The flow.
    pub flow: FlowId,
    /// The flow's revision.
    pub revision: Revision,
    /// Came to its end, or not.
    pub status: Status,
    /// How the last answer came.
    pub bearer: Bearer,
    /// Through which channel; its id.
    pub channel: String,
    /// The session's language.
    pub language: Lang,
    /// When the session began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Timestamp,
    /// The citizen said yes to a `consent = "msisdn"` question.
    pub consents_msisdn: bool,
    /// What an invitation brought, under dotted names (`visit.office`), sorted.
    pub context: Vec<(String, String)>,
    /// In the order of the last giving.
    pub answers: Vec<Answer>,
}
