//! The examples that a description carries, as they are written: what comes in and what it gives, what goes out and what it
//! wants. [`super::trial`] tries them.

use super::TurnOutcome;
use crate::{
    domain::{
        id::MtId,
        lang::Lang,
        message::{Coding, Mt, Reply},
        msisdn::Msisdn,
        wire::HttpResponse,
    },
    findings::{At, Table},
};
use std::ops::Range;

/// The `ref` of every example.
const REF: MtId = MtId(*b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef");

/// One example as it was written.
pub struct Example {
    /// Where it stands.
    pub span: Range<usize>,
    /// Its two halves.
    pub what: What,
}

/// What an example wants, by name, each where it stands.
pub type Wanted = Vec<(String, At<String>)>;

/// The halves of an example.
pub enum What {
    /// `request` and `gives`.
    Gives(At<String>, Vec<Wanted>),
    /// `request` and `refused`.
    Refused(At<String>, At<String>),
    /// `screen` or `closed`, and `answer`; a `request` where the answer repeats something of it.
    Answers(Option<At<String>>, Shown, Wanted),
    /// `send` and `wants`, or `answer` and `gives`, or both.
    Sends(Option<(Given, Wanted)>, Option<(HttpResponse, Wanted)>),
}

/// What a citizen would see.
pub enum Shown {
    /// A page; `end`: the last one.
    Screen { text: String, end: bool },
    /// Nobody looks.
    Closed,
}

/// An MT of an example, and the address it comes from.
pub struct Given {
    /// The MT.
    pub mt: Mt,
    /// The address, where it is not the example line's own.
    pub from: Option<String>,
}

/// Reads the examples; faults go to the table's findings.
pub fn read(top: &Table<'_>) -> Vec<Example> {
    top.tables("example").iter().filter_map(read_one).collect()
}

fn read_one(table: &Table<'_>) -> Option<Example> {
    let (request, refused) = (table.text("request"), table.text("refused"));
    let gives = gives(table);
    let sends = table.has("send") || (request.is_none() && gives.is_some());
    let answer = table.table("answer");
    let (response, answer) = match answer {
        Some(answer) if sends => (response(&answer), None),
        answer => (None, answer.map(|answer| answered(&answer))),
    };
    let given = table.table("send").and_then(|send| given(&send));
    let wants = table.table("wants").map(|wants| wanted(&wants));
    let shown = shown(table);
    table.finish();
    let single = |gives: Option<Vec<Wanted>>| gives.and_then(|gives| gives.into_iter().next());
    let what = match (request, gives, refused, shown, answer) {
        (None, gives, None, None, None) if sends => {
            What::Sends(given.zip(wants), response.zip(single(gives)))
        }
        (Some(request), Some(gives), None, None, None) => What::Gives(request, gives),
        (Some(request), None, Some(refused), None, None) => What::Refused(request, refused),
        (request, None, None, Some(shown), Some(answer)) => What::Answers(request, shown, answer),
        _ => return halved(table),
    };
    match what {
        What::Sends(None, None) => halved(table),
        what => Some(Example { span: table.span(), what }),
    }
}

fn halved(table: &Table<'_>) -> Option<Example> {
    let hint = "request and gives; request and refused; screen (or closed = true) and answer, with a request where it repeats something of it; send and wants; answer and gives";
    table.error(table.span(), "an example has two halves", hint);
    None
}

/// `gives`: one table, or a list of them for a batch.
fn gives(table: &Table<'_>) -> Option<Vec<Wanted>> {
    let value = table.value("gives")?;
    if value.get_ref().as_array().is_some() {
        return Some(table.tables("gives").iter().map(members).collect());
    }
    table.table("gives").map(|gives| vec![members(&gives)])
}

fn members(table: &Table<'_>) -> Wanted {
    table.keys().into_iter().filter_map(|key| Some((key.value.clone(), table.text(&key.value)?))).collect()
}

/// What an answer of ours shall be: `status`, `type`, `body`, and `headers.<name>`.
fn answered(table: &Table<'_>) -> Wanted {
    let mut wanted: Vec<_> =
        ["type", "body"].into_iter().filter_map(|key| Some((key.to_owned(), table.text(key)?))).collect();
    let status = table.integer("status", 100..=599).map(|status| status.map(|n| n.to_string()));
    wanted.extend(status.map(|status| ("status".to_owned(), status)));
    wanted.extend(below(table, "headers"));
    table.finish();
    wanted
}

/// What a request of ours shall be: `method`, `url`, `body`, and members of `headers`, `query` and `form`.
fn wanted(table: &Table<'_>) -> Wanted {
    let mut wanted: Vec<_> = ["method", "url", "body"]
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), table.text(key)?)))
        .collect();
    ["headers", "query", "form"].into_iter().for_each(|key| wanted.extend(below(table, key)));
    table.finish();
    wanted
}

fn below(table: &Table<'_>, key: &str) -> Wanted {
    let Some(below) = table.table(key) else { return Vec::new() };
    members(&below).into_iter().map(|(name, value)| (format!("{key}.{name}"), value)).collect()
}

/// A vendor's answer to a request of ours.
fn response(table: &Table<'_>) -> Option<HttpResponse> {
    let status = table.integer("status", 100..=599);
    if status.is_none() && !table.has("status") {
        table.missing("status", "answer = { status = 200, body = \"…\" }");
    }
    let body = table.text("body").map(|body| body.value.into_bytes()).unwrap_or_default();
    let headers = table.table("headers").map(|headers| members(&headers)).unwrap_or_default();
    let mut headers: Vec<_> =
        headers.into_iter().map(|(name, value)| (name.to_lowercase(), value.value)).collect();
    headers.extend(table.text("type").map(|kind| ("content-type".to_owned(), kind.value)));
    table.finish();
    let status = u16::try_from(status?.value).ok()?;
    Some(HttpResponse { status, headers, body })
}

fn given(table: &Table<'_>) -> Option<Given> {
    let to = table.required_text("to", "send = { to = \"+919437000001\", text = \"Thank you\" }");
    let number = to.as_ref().and_then(|to| Msisdn::from_e164(&to.value));
    if let (Some(to), None) = (to, &number) {
        table.error(to.span, "a number in E.164: +919437000001", "");
    }
    let text = table.required_text("text", "text = \"Thank you\"");
    let from = table.text("from").map(|from| from.value);
    let template = table.text("template").map(|template| template.value);
    let coding = match table.text("coding") {
        Some(At { value, span }) => {
            let known = [Coding::Gsm7, Coding::Ucs2].into_iter().find(|coding| coding.name() == value);
            if known.is_none() {
                table.error(span, format!("there is no coding \"{value}\""), "coding = \"gsm7\" or \"ucs2\"");
            }
            known
        }
        None => Some(Coding::Gsm7),
    };
    let segments = table.integer("segments", 1..=255).and_then(|n| u16::try_from(n.value).ok()).unwrap_or(1);
    table.finish();
    let (to, text, coding) = (number?, text?.value, coding?);
    Some(Given { mt: Mt { id: REF, to, text, coding, segments, language: Lang::EN, template }, from })
}

fn shown(table: &Table<'_>) -> Option<Shown> {
    if table.boolean("closed").is_some_and(|closed| closed.value) {
        return Some(Shown::Closed);
    }
    let screen = table.table("screen")?;
    let text = screen.required_text("text", "screen = { text = \"How?\", end = false }")?.value;
    let end = screen.boolean("end").is_some_and(|end| end.value);
    screen.finish();
    Some(Shown::Screen { text, end })
}

impl Shown {
    /// Which of the three replies it shows.
    pub fn place(&self) -> usize {
        match self {
            Shown::Screen { end: false, .. } => 0,
            Shown::Screen { end: true, .. } => 1,
            Shown::Closed => 2,
        }
    }

    /// The turn that ends so.
    pub fn outcome(&self) -> TurnOutcome {
        match self {
            Shown::Screen { text, end } => {
                TurnOutcome::Screen(Reply { text: text.clone(), end: *end, language: Lang::EN })
            }
            Shown::Closed => TurnOutcome::Taken,
        }
    }
}
