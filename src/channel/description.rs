//! A vendor's file, read and checked: every fault at once, with its place, and its own examples run. What comes with the
//! first vendor that needs it is refused by name.

use super::{
    CallbackKind,
    dlr::{self, Status},
    example,
    reply::{self, ReplyBody},
    send::{self, Send},
    shape::{self, Means, Shape, refuse_later},
    signature::{SCHEMES, Scheme},
};
use crate::{
    domain::{
        message::{Bearer, Screen},
        msisdn,
    },
    expr::Fault,
    findings::{At, Findings, Source, Table},
};
use std::{collections::BTreeSet, ops::RangeInclusive, time::Duration};

/// How long a dialogue stays open when the description does not say.
const SESSION: Duration = Duration::from_secs(180);
/// The shortest and the longest that is believed.
const SESSIONS: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(3600);
/// Signatures, which come with the first vendor that has them.
const LATER_SCHEMES: [&str; 8] =
    ["basic", "shared", "addresses", "hmac", "plivo-v2", "plivo-v3", "vonage", "ed25519"];

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
    pub shapes: Vec<Shape>,
    /// The answers to USSD callbacks; there where some shape is one.
    pub replies: Option<Replies>,
    /// What its words in receipts mean.
    pub status: Status,
    /// How an MT is sent; `None`: it sends none.
    pub send: Option<Send>,
    /// How its callbacks are signed.
    pub scheme: Scheme,
}

/// The answers to USSD callbacks.
#[derive(Debug)]
pub struct Replies {
    /// To a step when the dialogue goes on.
    pub goes_on: ReplyBody,
    /// To a step that ends the dialogue.
    pub end: ReplyBody,
    /// To an end, a time-out, a cancel.
    pub closed: ReplyBody,
}

impl Description {
    /// Whether some shape comes to this door.
    pub fn takes(&self, kind: CallbackKind) -> bool {
        self.shapes.iter().any(|shape| shape.kind == kind)
    }

    /// Whether its receipts name our MtId.
    pub fn echoes(&self) -> bool {
        self.shapes.iter().any(|shape| matches!(&shape.means, Means::Dlr(dlr) if dlr.echoes()))
    }

    /// Whether its callbacks are signed.
    pub fn is_signed(&self) -> bool {
        self.scheme != Scheme::None
    }

    /// The secrets that a channel of this bearer must have, by name.
    pub fn secrets(&self, bearer: Bearer) -> BTreeSet<&str> {
        let of_send = self.send.iter().filter(|_| bearer == Bearer::Sms).flat_map(|send| &send.secrets);
        self.scheme.secrets().iter().copied().chain(of_send.map(String::as_str)).collect()
    }
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
    refuse_later(top, "poll");
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
    let scheme = scheme(top);
    let limits = limits(top);
    let shapes = shapes(top);
    let is = |kind: CallbackKind| shapes.iter().flatten().any(|shape| shape.kind == kind);
    let replies = replies(top, is(CallbackKind::Ussd));
    let status = status(top, &shapes);
    let send = send::read(top);
    let (screen, session) = limits?;
    Some(Description {
        name: name?,
        country: country?,
        screen,
        session,
        shapes: shapes.into_iter().collect::<Option<_>>()?,
        replies: replies?,
        status: status?,
        send: send?,
        scheme: scheme?,
    })
}

fn shapes(top: &Table<'_>) -> Vec<Option<Shape>> {
    let tables = top.tables("in");
    if tables.is_empty() {
        top.missing("in", "[[in]] says what the vendor sends us");
    }
    let shapes: Vec<Option<Shape>> = tables.iter().map(shape::read).collect();
    shape::told_apart(&tables, &shapes);
    shapes
}

/// `Some(None)`: there is no USSD here.
fn replies(top: &Table<'_>, ussd: bool) -> Option<Option<Replies>> {
    if !ussd {
        if let Some(span) = top.key_span("reply") {
            top.value("reply");
            top.error(span, "nobody gets a `reply` here", "it answers an [[in]] of kind \"ussd\"");
        }
        return Some(None);
    }
    let hint = "[reply.continue], [reply.end] and [reply.closed] say what goes back";
    let table = required_table(top, "reply", hint)?;
    let [goes_on, end, closed] = ["continue", "end", "closed"].map(|key| reply::read(&table, key));
    table.finish();
    Some(Some(Replies { goes_on: goes_on?, end: end?, closed: closed? }))
}

/// Words are there where there are receipts.
fn status(top: &Table<'_>, shapes: &[Option<Shape>]) -> Option<Status> {
    let batches: Vec<bool> = shapes.iter().flatten().filter_map(|shape| shape.means.batch()).collect();
    if !batches.is_empty() && !top.has("status") {
        top.missing("status", "[status] says what the words of receipts mean: delivered = [\"Success\"]");
    }
    dlr::status(top, batches.contains(&true))
}

pub(super) fn required_table<'t>(top: &Table<'t>, key: &str, hint: &str) -> Option<Table<'t>> {
    if !top.has(key) {
        top.missing(key, hint);
    }
    top.table(key)
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

fn scheme(top: &Table<'_>) -> Option<Scheme> {
    let Some(guard) = top.table("guard") else { return (!top.has("guard")).then_some(Scheme::None) };
    let scheme = guard.required_text("scheme", "scheme = \"none\"");
    let known = |name: &str| SCHEMES.iter().find(|(known, _)| *known == name).map(|(_, scheme)| *scheme);
    let read = scheme.as_ref().and_then(|scheme| known(&scheme.value));
    if let (None, Some(At { value: name, span })) = (read, scheme) {
        let what = match LATER_SCHEMES.contains(&name.as_str()) {
            true => format!("the guard \"{name}\" is not built yet"),
            false => format!("there is no guard \"{name}\""),
        };
        let hint = "\"none\" or \"twilio\"; the channel's own `auth` can ask for a secret in the path";
        guard.error(span, what, hint);
        // Its further keys are its own.
        guard.keys();
    }
    guard.finish();
    read
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
