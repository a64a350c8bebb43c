//! The channels of this process, as turns know them: an invitation, a reminder or a dialogue that is handed over needs one
//! that no callback named.

use crate::domain::{id::ChannelId, message::ChannelFacts};
use std::sync::Arc;

/// In the order of the configuration.
#[derive(Debug, Default)]
pub struct Channels(Vec<Arc<ChannelFacts>>);

impl Channels {
    /// These channels.
    pub fn new(channels: Vec<Arc<ChannelFacts>>) -> Channels {
        Channels(channels)
    }

    /// All of them.
    pub fn all(&self) -> &[Arc<ChannelFacts>] {
        &self.0
    }

    /// The channel of this id.
    pub fn get(&self, id: &ChannelId) -> Option<&Arc<ChannelFacts>> {
        self.0.iter().find(|facts| facts.id == *id)
    }

    /// The channel of this id if it sends, else the first that does.
    pub fn sending(&self, wanted: Option<&ChannelId>) -> Option<&Arc<ChannelFacts>> {
        let sends = |facts: &&Arc<ChannelFacts>| facts.sms.is_some();
        wanted.and_then(|id| self.get(id)).filter(sends).or_else(|| self.0.iter().find(sends))
    }
}
