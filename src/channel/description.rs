//! A vendor's file, read and checked: every fault at once, with its place, and its own examples run. Only USSD so far;
//! what comes with SMS is refused by name.

use super::{
    example,
    filters::{DIALECT, inbound_names, reply_names},
};
use crate::{
    domain::message::Screen,
    expr::{Expression, Fault, Names, Template},
    findings::{At, Findings, Source, Table},
};
use std::time::Duration;

/// How long a dialogue stays open when the description does not say.
const SESSION: Duration = Duration::from_secs(180);
/// What comes with SMS, or with the first vendor that needs it.
const LATER: [&str; 3] = ["send", "status", "poll"];
const LATER_IN: [&str; 9] = ["each", "join", "ref", "word", "id", "text", "at", "to", "extra"];
const LATER_KINDS: [&str; 3] = ["mo", "dlr", "missed-call"];

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

/// One shape of a USSD callback.
#[derive(Debug)]
pub struct UssdIn {
    /// The methods it comes by, in capitals.
    pub methods: Vec<String>,
    /// Which callbacks are meant; all when absent.
    pub when: Option<Expression>,
    /// Who dials, in E.164.
    pub from: Expression,
    /// The vendor's session id; `None`: one session a number.
    pub session: Option<Expression>,
    /// The code that was dialled.
    pub code: Option<Expression>,
    /// What was typed.
    pub input: Option<Expression>,
    /// How much of what was typed `input` is.
    pub history: History,
    /// The vendor's sequence number.
    pub step: Option<Expression>,
    /// The language the vendor tells.
    pub language: Option<Expression>,
    /// The word that says where in the dialogue this stands.
    pub event: Option<Expression>,
    /// The words for each, compared without regard to case. A word in no list goes on.
    pub words: EventWords,
}

/// How much of what was typed a vendor sends with every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// Only what was typed now.
    Last,
    /// Everything in this dialogue, joined by `*`.
    All,
    /// The same, behind the code that was dialled.
    AllWithCode,
}

/// The vendor's words.
#[derive(Debug, Default)]
pub struct EventWords {
    /// It begins.
    pub start: Vec<String>,
    /// It goes on.
    pub goes_on: Vec<String>,
    /// The citizen or the network ended it.
    pub end: Vec<String>,
    /// The network gave up waiting.
    pub timeout: Vec<String>,
}

/// What goes back.
#[derive(Debug)]
pub struct ReplyBody {
    /// `Content-Type`.
    pub content_type: String,
    /// The body; names are escaped by the type.
    pub body: Template,
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
        country = Some(vendor.text("country").map_or("IN".to_owned(), |c| c.value));
        unproven(vendor);
        vendor.finish();
    }
    guard(top);
    let limits = limits(top);
    let tables = top.tables("in");
    if tables.is_empty() {
        top.missing("in", "[[in]] says what the vendor sends us");
    }
    let inbound: Vec<Option<UssdIn>> = tables.iter().map(inbound).collect();
    told_apart(&tables, &inbound);
    let reply =
        required_table(top, "reply", "[reply.continue], [reply.end] and [reply.closed] say what goes back");
    let reply = reply.map(|reply| {
        let bodies = ["continue", "end", "closed"].map(|key| reply_body(&reply, key));
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

fn required_table<'t>(top: &Table<'t>, key: &str, hint: &str) -> Option<Table<'t>> {
    if !top.has(key) {
        top.missing(key, hint);
    }
    top.table(key)
}

fn refuse_later(table: &Table<'_>, key: &str) {
    if let Some(span) = table.key_span(key) {
        table.value(key);
        table.error(span, format!("`{}` is not built yet", table.name_of(key)), "only USSD is, so far");
    }
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
        let what = format!("the guard \"{}\" is not built yet", scheme.value);
        guard.error(scheme.span, what, "\"none\"; the channel's own `auth` can ask for a secret in the path");
    }
    guard.finish();
}

fn limits(top: &Table<'_>) -> Option<(Screen, Duration)> {
    let Some(limits) = top.table("limits") else { return Some((Screen::default(), SESSION)) };
    let session = if limits.has("session") { limits.duration("session")?.value } else { SESSION };
    let mut screen = Screen::default();
    if let Some(table) = limits.table("screen") {
        let size = |key, most, usual| table.integer(key, 20..=most).map_or(usual, |n| n.value as u16);
        screen.septets = size("septets", 182, screen.septets);
        screen.ucs2 = size("ucs2", 80, screen.ucs2);
        table.finish();
    }
    limits.finish();
    Some((screen, session))
}

fn inbound(table: &Table<'_>) -> Option<UssdIn> {
    let kind = table.required_text("kind", "kind = \"ussd\"");
    match kind.as_ref().map(|kind| kind.value.as_str()) {
        None | Some("ussd") => {}
        Some(other) => {
            let what = match LATER_KINDS.contains(&other) {
                true => format!("`in` of kind \"{other}\" is not built yet"),
                false => format!("there is no kind of `in` \"{other}\""),
            };
            table.error(kind.expect("just matched").span, what, "kind = \"ussd\"");
            table.keys();
            return None;
        }
    }
    LATER_IN.iter().for_each(|key| refuse_later(table, key));
    let names = inbound_names();
    let methods = table.texts("method").map_or(vec!["POST".to_owned()], |list| {
        list.value.into_iter().map(|method| method.value.to_uppercase()).collect()
    });
    let field = |key: &str| optional(table, key, |text| Expression::compile(&DIALECT, text, &names));
    if !table.has("from") {
        table.missing("from", "from = \"form.phoneNumber | number\"");
    }
    let when = field("when");
    let (from, session, code, input) = (field("from"), field("session"), field("code"), field("input"));
    let (step, language, event) = (field("step"), field("language"), field("event"));
    let history = history(table);
    let list = |key: &str| table.texts(key).map_or(Vec::new(), |l| l.value);
    let words = words(table, [list("start"), list("continue"), list("end"), list("timeout")]);
    brings_what_it_needs(table, history);
    table.finish();
    Some(UssdIn {
        methods,
        when: when?,
        from: from??,
        session: session?,
        code: code?,
        input: input?,
        history: history?,
        step: step?,
        language: language?,
        event: event?,
        words,
    })
}

fn history(table: &Table<'_>) -> Option<History> {
    let hint = "\"last\": only what was typed now; \"history\": everything so far; \"history-with-code\": that, behind the code";
    let history = table.required_text("history", hint)?;
    match history.value.as_str() {
        "last" => Some(History::Last),
        "history" => Some(History::All),
        "history-with-code" => Some(History::AllWithCode),
        other => {
            table.error(history.span, format!("there is no `history` \"{other}\""), hint);
            None
        }
    }
}

/// A step must say enough to be understood.
fn brings_what_it_needs(table: &Table<'_>, history: Option<History>) {
    let notification = !table.has("input");
    if notification && !(table.has("event") && (table.has("end") || table.has("timeout"))) {
        table.missing(
            "input",
            "only a notification of the end has none; then `event` and `end` or `timeout` are there",
        );
    } else if history == Some(History::Last) && !table.has("event") {
        table.missing("event", "without the history only a word of the vendor says where a dialogue begins");
    }
    if history == Some(History::AllWithCode) && !table.has("code") {
        table.missing("code", "the code is what the history is behind");
    }
}

/// A word in two lists would mean two things.
fn words(table: &Table<'_>, lists: [Vec<At<String>>; 4]) -> EventWords {
    let mut seen: Vec<String> = Vec::new();
    for word in lists.iter().flatten() {
        let lower = word.value.to_lowercase();
        if seen.contains(&lower) {
            table.error(word.span.clone(), format!("the word \"{}\" is listed twice", word.value), "");
        }
        seen.push(lower);
    }
    let [start, goes_on, end, timeout] =
        lists.map(|list| list.into_iter().map(|w| w.value.to_lowercase()).collect());
    EventWords { start, goes_on, end, timeout }
}

/// Of two shapes that take the same callbacks the second would never be reached.
fn told_apart(tables: &[Table<'_>], inbound: &[Option<UssdIn>]) {
    for (at, later) in inbound.iter().enumerate().skip(1) {
        let Some(later) = later else { continue };
        let hides = |earlier: &&UssdIn| {
            earlier.when.is_none() && later.methods.iter().all(|method| earlier.methods.contains(method))
        };
        if inbound[..at].iter().flatten().any(|earlier| hides(&earlier)) {
            let what = "no callback reaches this `in`: one above takes them all";
            tables[at].error(tables[at].span(), what, "give the one above a `when`");
        }
    }
}

/// An expression that may be left out: `Some(None)` when it is, `None` when it does not compile.
fn optional<T>(
    table: &Table<'_>,
    key: &str,
    compile: impl FnOnce(&str) -> Result<T, Vec<Fault>>,
) -> Option<Option<T>> {
    if !table.has(key) {
        table.value(key);
        return Some(None);
    }
    let text = table.text(key)?;
    compiled(table, &text, compile).map(Some)
}

fn compiled<T>(
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

fn reply_body(reply: &Table<'_>, key: &str) -> Option<ReplyBody> {
    let table = required_table(reply, key, "every dialogue goes on, ends and is closed")?;
    let names: Names = reply_names();
    let content_type = table.text("type").map_or("text/plain; charset=utf-8".to_owned(), |t| t.value);
    let body = table.required_text("body", "body = \"\" where the vendor reads none");
    table.finish();
    let body = compiled(&table, &body?, |text| Template::compile(&DIALECT, text, &names))?;
    Some(ReplyBody { content_type, body })
}
