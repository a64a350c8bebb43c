//! Floor 3: what people ask us to begin, read: files of invitations as offices save them, and one invitation as it is
//! written, checked against what this installation knows.
//!
//! It promises flat memory, a reason for every line that is refused, and that no reason holds anything that was written
//! there: a number may stand in any column (P11). Taking an invitation is left to `turn`; a repeat is known by the store,
//! never by a set that grows with the file.

mod charset;
mod columns;
mod lines;
mod record;
mod sheet;

pub use columns::{COLUMNS_MAX, NoHeader};
pub use sheet::{NotASheet, Sheet, Written};

use crate::domain::{
    id::FlowId,
    invitation::{Invitation, KEY_MAX},
    lang::Lang,
    message::ChannelFacts,
    msisdn::{Msisdn, NotMsisdn},
    time::Timestamp,
};
use std::{sync::Arc, time::Duration};

/// The longest value of the context, in characters. A flow cuts its own shorter (`max`).
pub const VALUE_MAX: usize = 500;
/// How long an invitation stands that does not say so.
pub const STANDS: Duration = Duration::from_secs(7 * 86_400);
/// How far ahead an invitation may reach: its citizen's record is kept for 30 days after the last turn, and must be there.
pub const AHEAD_MAX: Duration = Duration::from_secs(28 * 86_400);

/// One invitation as it is written. An empty text is not given. It prints nothing of itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// What a repeat is known by.
    pub key: String,
    /// The number, as offices write it.
    pub msisdn: String,
    /// The flow's id.
    pub flow: String,
    /// The language's tag.
    pub language: String,
    /// The channel's id.
    pub channel: String,
    /// RFC 3339.
    pub not_before: String,
    /// RFC 3339.
    pub not_after: String,
    /// Names and values, in the order they are written.
    pub context: Vec<(String, String)>,
}

/// What an invitation may name: the flows and channels of this installation.
#[derive(Debug, Clone)]
pub struct Known {
    flows: Vec<(FlowId, Vec<Lang>)>,
    channels: Vec<Arc<ChannelFacts>>,
}

/// Why an invitation is refused. Each names the column, and nothing that was written in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A quote is opened and not closed in its record.
    #[error("a quote is opened and not closed, or closed in the wrong place")]
    OpenQuote,
    /// The line is longer than any good one.
    #[error("the line is longer than {} KiB", lines::LINE_MAX / 1024)]
    LongLine,
    /// A text is damaged, or of another charset.
    #[error("it holds bytes that are not UTF-8 (or UTF-16): save the file as UTF-8")]
    Charset,
    /// Fewer fields than the header.
    #[error("{found} fields, where the first line names {columns} columns")]
    TooFew {
        /// How many.
        found: usize,
        /// How many there should be.
        columns: usize,
    },
    /// More fields than the header.
    #[error("more fields than the {columns} columns of the first line")]
    TooMany {
        /// How many there should be.
        columns: usize,
    },
    /// A required column is empty.
    #[error("{0}: it is empty")]
    Empty(&'static str),
    /// The key is too long.
    #[error("key: longer than {KEY_MAX} characters")]
    LongKey,
    /// No phone number.
    #[error("msisdn: {0}")]
    Msisdn(#[from] NotMsisdn),
    /// A number that takes no SMS.
    #[error("msisdn: a landline or a service number, which takes no SMS")]
    Landline,
    /// No such flow, language or channel.
    #[error("{column}: there is none of this name; there are: {there}")]
    Unknown {
        /// Which of them.
        column: &'static str,
        /// What there is.
        there: String,
    },
    /// The channel does not send.
    #[error("channel: it only answers dials; these send: {there}")]
    Silent {
        /// What sends.
        there: String,
    },
    /// No channel of this installation sends.
    #[error("channel: none of this installation sends SMS")]
    NoChannel,
    /// Not a time.
    #[error("{0}: not a time with its zone, such as 2026-11-24T09:00:00+05:30")]
    Time(&'static str),
    /// It was over before it began.
    #[error("not_after: it is past")]
    Past,
    /// Not given, and seven days after `not_before` is past.
    #[error("not_before: more than {} days ago, and not_after is empty", STANDS.as_secs() / 86_400)]
    LongAgo,
    /// It ends before it begins.
    #[error("not_after: it is before not_before")]
    Backwards,
    /// Too far ahead.
    #[error("{0}: more than {days} days ahead", days = AHEAD_MAX.as_secs() / 86_400)]
    FarAhead(&'static str),
    /// A name of the context cannot be one.
    #[error(
        "context: a name is lower-case letters, digits and _, beginning with a letter, in parts joined by dots"
    )]
    ContextName,
    /// A value of the context is too long.
    #[error("{0}: longer than {VALUE_MAX} characters")]
    LongValue(String),
    /// More context than there is room for.
    #[error("context: more than {COLUMNS_MAX} names")]
    ManyValues,
}

impl Known {
    /// The flows with their languages, and the channels in the order of the configuration.
    pub fn new(
        flows: impl IntoIterator<Item = (FlowId, Vec<Lang>)>,
        channels: Vec<Arc<ChannelFacts>>,
    ) -> Known {
        Known { flows: flows.into_iter().collect(), channels }
    }

    /// Whether any channel sends: without one every invitation is refused.
    pub fn sends(&self) -> bool {
        self.sending().next().is_some()
    }

    fn sending(&self) -> impl Iterator<Item = &Arc<ChannelFacts>> {
        self.channels.iter().filter(|facts| facts.sms.is_some())
    }

    fn flow(&self, named: &str) -> Result<&(FlowId, Vec<Lang>), Refusal> {
        let there = || list(self.flows.iter().map(|(id, _)| id.as_str()));
        let found = self.flows.iter().find(|(id, _)| id.as_str() == named);
        found.ok_or_else(|| Refusal::Unknown { column: "flow", there: there() })
    }

    /// The channel that sends: the one that is named, else the first.
    fn channel(&self, named: &str) -> Result<&ChannelFacts, Refusal> {
        if named.is_empty() {
            return self.sending().next().map(|facts| &**facts).ok_or(Refusal::NoChannel);
        }
        let there = || list(self.sending().map(|facts| facts.id.as_str()));
        match self.channels.iter().find(|facts| facts.id.as_str() == named) {
            Some(facts) if facts.sms.is_some() => Ok(facts),
            Some(_) => Err(Refusal::Silent { there: there() }),
            None => Err(Refusal::Unknown { column: "channel", there: there() }),
        }
    }
}

impl Row {
    /// Checks what is written. The first fault is told.
    pub fn check(self, known: &Known, now: Timestamp) -> Result<Invitation, Refusal> {
        let key = self.key()?;
        if self.flow.is_empty() {
            return Err(Refusal::Empty("flow"));
        }
        let (flow, languages) = known.flow(&self.flow)?;
        let facts = known.channel(&self.channel)?;
        let msisdn = Msisdn::parse(&self.msisdn, &facts.country)?;
        if msisdn.is_landline() {
            return Err(Refusal::Landline);
        }
        if !msisdn.is_long_enough_for_a_mobile() {
            return Err(NotMsisdn::Impossible.into());
        }
        let (not_before, not_after) = self.window(now)?;
        Ok(Invitation {
            key,
            msisdn,
            flow: flow.clone(),
            language: self.language(languages)?,
            channel: (!self.channel.is_empty()).then(|| facts.id.clone()),
            not_before,
            not_after,
            context: checked(self.context)?,
        })
    }

    fn key(&self) -> Result<String, Refusal> {
        match self.key.chars().count() {
            0 => Err(Refusal::Empty("key")),
            1..=KEY_MAX => Ok(self.key.clone()),
            _ => Err(Refusal::LongKey),
        }
    }

    fn language(&self, languages: &[Lang]) -> Result<Option<Lang>, Refusal> {
        if self.language.is_empty() {
            return Ok(None);
        }
        let found = languages.iter().find(|language| language.as_str() == self.language);
        let there = || list(languages.iter().map(Lang::as_str));
        found
            .map(|language| Some(*language))
            .ok_or_else(|| Refusal::Unknown { column: "language", there: there() })
    }

    /// From when, until when.
    fn window(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), Refusal> {
        let from = time("not_before", &self.not_before)?.unwrap_or(now);
        let until = time("not_after", &self.not_after)?;
        let far = now.plus(AHEAD_MAX);
        match until {
            _ if from > far => Err(Refusal::FarAhead("not_before")),
            Some(until) if until > far => Err(Refusal::FarAhead("not_after")),
            Some(until) if until <= now => Err(Refusal::Past),
            Some(until) if until < from => Err(Refusal::Backwards),
            Some(until) => Ok((from, until)),
            None if from.plus(STANDS) <= now => Err(Refusal::LongAgo),
            None => Ok((from, from.plus(STANDS))),
        }
    }
}

/// Whether a text can be a name of the context: `office`, `visit.office_2`.
fn is_name(text: &str) -> bool {
    let good = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    text.split('.').all(good)
}

fn time(column: &'static str, text: &str) -> Result<Option<Timestamp>, Refusal> {
    match text {
        "" => Ok(None),
        text => Timestamp::parse_rfc3339(text).map(Some).ok_or(Refusal::Time(column)),
    }
}

/// The context, sorted, without what is empty: that was not brought.
fn checked(mut context: Vec<(String, String)>) -> Result<Vec<(String, String)>, Refusal> {
    context.retain(|(_, value)| !value.is_empty());
    if context.len() > COLUMNS_MAX {
        return Err(Refusal::ManyValues);
    }
    for (name, value) in &context {
        if !is_name(name) {
            return Err(Refusal::ContextName);
        }
        if value.chars().count() > VALUE_MAX {
            return Err(Refusal::LongValue(name.clone()));
        }
    }
    context.sort();
    Ok(context)
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
