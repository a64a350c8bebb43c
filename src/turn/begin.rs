//! A fresh session: its language, its end, its response.

use super::Turns;
use crate::{
    domain::{
        id::{ChannelId, CitizenId, Version},
        lang::Lang,
        message::Bearer,
        time::Timestamp,
    },
    flow::{
        graph::Flow,
        session::{Place, Session},
    },
};
use std::time::Duration;

/// How long an invitation's first question may wait for its vendor before its session's time runs all the same.
pub const INVITED_GRACE: Duration = Duration::from_secs(86_400);

/// What a session begins with.
pub struct Beginning<'a> {
    pub citizen: CitizenId,
    /// The version of its first turn.
    pub version: Version,
    pub now: Timestamp,
    pub bearer: Bearer,
    pub channel: &'a ChannelId,
    /// The languages that were wished for, the strongest wish first; one that the flow does not have is passed over.
    pub languages: [Option<Lang>; 3],
    pub context: &'a [(String, String)],
    pub invited: bool,
}

impl Turns {
    /// A session of this flow that stands nowhere yet. A keyword's or a dial's ends after `expires`; an invitation's ends so
    /// long after its first accepted MT or [`INVITED_GRACE`], whichever is earlier: a timer knows, the record has the latest.
    pub(super) fn begin(&self, flow: &Flow, beginning: &Beginning<'_>) -> Session {
        let Beginning { citizen, version, now, bearer, channel, languages, context, invited } = beginning;
        let spoken = languages.iter().flatten().find(|lang| flow.languages.contains(lang));
        let starts = if *invited { now.plus(INVITED_GRACE) } else { *now };
        Session {
            response: self.keys.response(citizen, *version),
            flow: flow.id.clone(),
            revision: flow.revision,
            language: *spoken.unwrap_or(&flow.languages[0]),
            bearer: *bearer,
            channel: (*channel).clone(),
            started: *now,
            expires: starts.plus(flow.expires),
            place: Place::Fresh,
            answers: Vec::new(),
            context: flow.cut(context),
            invited: *invited,
        }
    }
}
