//! A vendor's file, read and checked: every fault at once, with its place, and its own examples run. Only USSD so far;
//! what comes with SMS is refused by name.

use super::{
    example,
    reply::{self, ReplyBody},
    shape::{self, UssdIn},
};
use crate::{
    domain::{message::Screen, msisdn},
    expr::Fault,
    findings::{At, Findings, Source, Table},
};
use std::{ops::RangeInclusive, time::Duration};

/// How long a dialogue stays open when the description does not say.
const SESSION: Duration = Duration::from_secs(180);
/// The shortest and the longest that is believed.
const SESSIONS: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(3600);
/// Signatures, which come with the first vendor that has them.
const LATER_SCHEMES: [&str; 9] =
    ["basic", "shared", "addresses", "hmac", "twilio", "plivo-v2", "plivo-v3", "vonage", "ed25519"];
/// What comes with SMS, or with the first vendor that needs it.
const LATER: [&str; 3] = ["send", "status", "poll"];

/// A vendor that can be spoken with.
#[derive(Debug)]
pub struct Description {
    /// Its name, as a channel names it.
    pub name: String,
    /// Where numbers without a country code belong.
    pub country: String,
    /// What its screens show.
    pub screen: Screen,
    /// How long it keeps a dialogue open.
    pub session: Duration,
    /// What it sends us, in the order in which a callback is matched.
    pub inbound: Vec<UssdIn>,
    /// The answer to a step when the dialogue goes on.
    pub reply_continue: ReplyBody,
    /// The answer to a step that ends the dialogue.
    pub reply_end: ReplyBody,
    /// The answer to an end, a time-out, a cancel.
    pub reply_closed: ReplyBody,
}

/// Reads, checks and tries a vendor's file. `None`: there are errors among the findings.
pub fn load(source: &Source, findings: &Findings) -> Option<Description> {
    let before = findings.errors();
    Table::read(source, findings, |top| {
        let description = read(top);
        let examples = example::read(top);
        top.finish();
        let description = description.filter(|_| findings.errors() == before)?;
        example::try_all(&description, &examples, top);
        (findings.errors() == before).then_some(description)
    })
}

fn read(top: &Table<'_>) -> Option<Description> {
    for key in LATER {
        refuse_later(top, key);
    }
    let vendor = required_table(top, "vendor", "every description begins with [vendor] and its name");
    let (mut name, mut country) = (None, None);
    if let Some(vendor) = &vendor {
        name = vendor.required_text("name", "the name that a channel gives as `vendor`").map(|n| n.value);
        vendor.required_text("title", "the vendor's name for people");
        vendor.required_text("docs", "where the vendor documents it, and what was seen instead");
        country = self::country(vendor);
        unproven(vendor);
        vendor.finish();
    }
    guard(top);
    let limits = limits(top);
    let tables = top.tables("in");
    if tables.is_empty() {
        top.missing("in", "[[in]] says what the vendor sends us");
    }
    let inbound: Vec<Option<UssdIn>> = tables.iter().map(shape::read).collect();
    shape::told_apart(&tables, &inbound);
    let reply =
        required_table(top, "reply", "[reply.continue], [reply.end] and [reply.closed] say what goes back");
    let reply = reply.map(|reply| {
        let bodies = ["continue", "end", "closed"].map(|key| reply::read(&reply, key));
        reply.finish();
        bodies
    });
    let (screen, session) = limits?;
    let [reply_continue, reply_end, reply_closed] = reply?;
    Some(Description {
        name: name?,
        country: country?,
        screen,
        session,
        inbound: inbound.into_iter().collect::<Option<_>>()?,
        reply_continue: reply_continue?,
        reply_end: reply_end?,
        reply_closed: reply_closed?,
    })
}

pub(super) fn required_table<'t>(top: &Table<'t>, key: &str, hint: &str) -> Option<Table<'t>> {
    if !top.has(key) {
        top.missing(key, hint);
    }
    top.table(key)
}

pub(super) fn refuse_later(table: &Table<'_>, key: &str) {
    if let Some(span) = table.key_span(key) {
        table.value(key);
        table.error(span, format!("`{}` is not built yet", table.name_of(key)), "only USSD is, so far");
    }
}

fn country(vendor: &Table<'_>) -> Option<String> {
    if !vendor.has("country") {
        return Some("IN".to_owned());
    }
    let country = vendor.text("country")?;
    if !msisdn::is_country(&country.value) {
        let what = format!("\"{}\" is no country", country.value);
        vendor.error(country.span, what, "two capital letters (ISO 3166): country = \"IN\"");
        return None;
    }
    Some(country.value)
}

/// A file built on facts that nobody has checked says so, and why.
fn unproven(vendor: &Table<'_>) {
    let why = vendor.text("why");
    if let Some(proven) = vendor.boolean("proven").filter(|proven| !proven.value) {
        match why {
            Some(why) => {
                vendor.findings().note(vendor.source(), proven.span, format!("not proven: {}", why.value), "")
            }
            None => vendor.error(proven.span, "a description that is not proven says why", "why = \"…\""),
        }
    }
}

fn guard(top: &Table<'_>) {
    let Some(guard) = top.table("guard") else { return };
    if let Some(scheme) = guard.required_text("scheme", "scheme = \"none\"").filter(|s| s.value != "none") {
        let name = scheme.value.as_str();
        let what = match LATER_SCHEMES.contains(&name) {
            true => format!("the guard \"{name}\" is not built yet"),
            false => format!("there is no guard \"{name}\""),
        };
        guard.error(scheme.span, what, "\"none\"; the channel's own `auth` can ask for a secret in the path");
        // Its further keys are its own.
        guard.keys();
    }
    guard.finish();
}

fn limits(top: &Table<'_>) -> Option<(Screen, Duration)> {
    let Some(limits) = top.table("limits") else { return Some((Screen::default(), SESSION)) };
    let session = session(&limits);
    let mut screen = Screen::default();
    if let Some(table) = limits.table("screen") {
        let size = |key, most, usual| table.integer(key, 20..=most).map_or(usual, |n| n.value as u16);
        screen.septets = size("septets", 182, screen.septets);
        screen.ucs2 = size("ucs2", 80, screen.ucs2);
        table.finish();
    }
    limits.finish();
    Some((screen, session?))
}

fn session(limits: &Table<'_>) -> Option<Duration> {
    if !limits.has("session") {
        return Some(SESSION);
    }
    let session = limits.duration("session")?;
    if !SESSIONS.contains(&session.value) {
        limits.error(session.span, "`limits.session` must lie between 10s and 1h", "session = \"180s\"");
        return None;
    }
    Some(session.value)
}

/// Compiles what a text says; faults are told where they stand in the file.
pub(super) fn compiled<T>(
    table: &Table<'_>,
    text: &At<String>,
    compile: impl FnOnce(&str) -> Result<T, Vec<Fault>>,
) -> Option<T> {
    match compile(&text.value) {
        Ok(compiled) => Some(compiled),
        Err(faults) => {
            for Fault { span, what, hint } in faults {
                table.error(table.source().inside(text, span), what, &hint);
            }
            None
        }
    }
}
