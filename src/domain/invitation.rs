//! An invitation: a dialogue that we start, as a file or a request asked for it.

use super::{
    id::{ChannelId, FlowId},
    lang::Lang,
    msisdn::Msisdn,
    time::Timestamp,
};

/// The longest key, in characters.
pub const KEY_MAX: usize = 200;

/// One invitation, checked: its flow is known, its channel sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// What a repeat is known by, with the number: 1 to [`KEY_MAX`] characters.
    pub key: String,
    /// Whom.
    pub msisdn: Msisdn,
    /// Into which flow.
    pub flow: FlowId,
    /// In which language; `None`: the channel's, else the citizen's last, else the flow's first.
    pub language: Option<Lang>,
    /// Through which channel; `None`: the first that sends.
    pub channel: Option<ChannelId>,
    /// What is known of the visit, under dotted names, sorted.
    pub context: Vec<(String, String)>,
    /// Not before.
    pub not_before: Timestamp,
    /// Past it nobody is asked any more.
    pub not_after: Timestamp,
}
