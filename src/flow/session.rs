//! Where one citizen is in one flow, what was answered, how often it went wrong.
//!
//! Nodes are named by *ids*, never by indices: a stored session outlives the process and the order of a file.

use crate::domain::{
    completion::Value,
    id::{ChannelId, FlowId, ResponseId, Revision},
    lang::Lang,
    message::Bearer,
    time::Timestamp,
};

/// One citizen's way through one flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Names the session and the response it will give; the reference number comes from it.
    pub response: ResponseId,
    /// The flow.
    pub flow: FlowId,
    /// The revision it began on, and stays on (P7).
    pub revision: Revision,
    /// The language it is held in.
    pub language: Lang,
    /// How the last event came.
    pub bearer: Bearer,
    /// Through which channel the last event came.
    pub channel: ChannelId,
    /// When it began.
    pub started: Timestamp,
    /// When it ends by itself.
    pub expires: Timestamp,
    /// Where it stands.
    pub place: Place,
    /// What was answered, in the order of the last giving; at most one a node.
    pub answers: Vec<Given>,
    /// What an invitation brought, under dotted names (`visit.office`), sorted.
    pub context: Vec<(String, String)>,
    /// An invitation began it: whoever it reaches may say "not me" on the first question.
    pub invited: bool,
}

/// Where a session stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nothing was shown yet.
    Fresh,
    /// At a question.
    At {
        /// The node's id.
        node: String,
        /// Which page of it is on the screen, from 0; 255 (`step::PREFACE`): what was said before it.
        page: u8,
        /// How many answers to it in a row were not understood.
        tries: u8,
    },
    /// It ended. Only a turn ends a session, and the same turn takes it out of the record.
    Over,
}

/// An answer that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The node's id.
    pub node: String,
    /// What was understood.
    pub value: Value,
    /// What was typed, whole (bounded by the engine).
    pub said: String,
    /// When.
    pub at: Timestamp,
}
