//! The examples that a description carries: its proof. One without an example for each `[[in]]`, each `[reply]`, `[send]`, each
//! word of `[send.result]` and a refusal does not load, so it fails on the desk and not in front of a citizen.
//!
//! Examples run on a line of their own: the vendor's country, `https://gw.example.org`, every secret its own name.

use super::{
    Callback, Refusal, TurnOutcome,
    description::Description,
    guard::Guard,
    line::Line,
    lookup::{Arrival, Pairs},
    request,
    told::told,
    verdict,
};
use crate::{
    domain::{
        id::MtId,
        lang::Lang,
        message::{Bearer, Coding, Mt, Reply},
        msisdn::Msisdn,
        time::Timestamp,
        wire::{HttpRequest, HttpResponse},
    },
    findings::{At, Table},
};
use std::ops::Range;

/// When every example happens.
const NOW: Timestamp = Timestamp(1_795_511_523_120);
/// The `ref` of every example.
const REF: MtId = MtId(*b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef");

/// One example as it was written.
pub struct Example {
    span: Range<usize>,
    what: What,
}

/// What an example wants, by name, each where it stands.
type Wanted = Vec<(String, At<String>)>;

enum What {
    /// `request` and `gives`.
    Gives(At<String>, Vec<Wanted>),
    /// `request` and `refused`.
    Refused(At<String>, At<String>),
    /// `screen` or `closed`, and `answer`; a `request` where the answer repeats something of it.
    Answers(Option<At<String>>, Shown, Wanted),
    /// `send` and `wants`, or `answer` and `gives`, or both.
    Sends(Option<(Given, Wanted)>, Option<(HttpResponse, Wanted)>),
}

enum Shown {
    Screen { text: String, end: bool },
    Closed,
}

/// An MT of an example, and the address it comes from.
struct Given {
    mt: Mt,
    from: Option<String>,
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

/// Tries every example, and tells what has none.
pub fn try_all(description: &Description, examples: &[Example], top: &Table<'_>) {
    let mut trial = Trial {
        description,
        line: Line::of_examples(&description.country, description.secrets(Bearer::Sms)),
        top,
        reached: vec![false; description.shapes.len()],
        replied: [description.replies.is_none(); 3],
        refusals: 0,
        sent: false,
        heard: Vec::new(),
    };
    examples.iter().for_each(|example| trial.example(example));
    trial.finish();
}

/// A description under test, and what of it an example reached.
struct Trial<'a> {
    description: &'a Description,
    line: Line,
    top: &'a Table<'a>,
    reached: Vec<bool>,
    replied: [bool; 3],
    refusals: usize,
    sent: bool,
    heard: Vec<&'static str>,
}

impl Trial<'_> {
    fn example(&mut self, example: &Example) {
        match &example.what {
            What::Gives(request, gives) => self.gives(request, gives),
            What::Refused(request, refused) => self.refused(request, refused),
            What::Answers(request, shown, answer) => self.answers(request.as_ref(), shown, answer, example),
            What::Sends(given, answered) => {
                if self.description.send.is_none() {
                    self.top.error(example.span.clone(), "this vendor has no [send]", "");
                }
                given.iter().for_each(|(given, wanted)| self.sends(given, wanted, example));
                answered.iter().for_each(|(response, gives)| self.hears(response, gives, example));
            }
        }
    }

    /// Tells what no example shows.
    fn finish(&self) {
        let error = |what: String, hint: &str| self.top.error(0..0, what, hint);
        for (at, _) in self.reached.iter().enumerate().filter(|(_, reached)| !**reached) {
            error(
                format!("no example reaches `in` number {}", at + 1),
                "add an [[example]] with its request",
            );
        }
        for (name, _) in
            ["continue", "end", "closed"].iter().zip(self.replied).filter(|(_, replied)| !replied)
        {
            error(
                format!("no example shows [reply.{name}]"),
                "add an [[example]] with its screen and answer",
            );
        }
        if self.refusals == 0 {
            let hint = "add an [[example]] with a request and refused = \"malformed\"";
            error("no example is refused".to_owned(), hint);
        }
        let Some(send) = &self.description.send else { return };
        if !self.sent {
            error("no example shows [send]".to_owned(), "add an [[example]] with send and wants");
        }
        for word in send.verdicts.words().into_iter().filter(|word| !self.heard.contains(word)) {
            let hint = format!("add an [[example]] with an answer and gives = {{ {word} = \"…\" }}");
            error(format!("no example's answer gives `{word}`"), &hint);
        }
    }

    fn callback(&self, raw: &At<String>) -> Option<Callback> {
        let text = raw.value.trim_start().as_bytes();
        let Some(kind) = request::door(text) else {
            let hint = "POST /mo, /dlr or /ussd; what stands behind it is the tail";
            self.top.error(raw.span.clone(), "the request goes to no door of ours", hint);
            return None;
        };
        match request::parse(text, kind, NOW) {
            Ok(callback) => Some(callback),
            Err(why) => {
                self.top.error(raw.span.clone(), why.to_string(), "");
                None
            }
        }
    }

    fn arrival<'c>(&'c self, callback: &'c Callback) -> Arrival<'c> {
        Arrival { callback, path: &callback.tail, country: &self.line.country, code: "" }
    }

    fn gives(&mut self, raw: &At<String>, gives: &[Wanted]) {
        let Some(callback) = self.callback(raw) else { return };
        match self.description.read(&self.arrival(&callback)) {
            Err(refusal) => {
                self.top.error(raw.span.clone(), format!("this example is refused: {refusal}"), "")
            }
            Ok((place, inbound)) => {
                self.reached[place] = true;
                if inbound.len() != gives.len() {
                    let what = format!("this example gives {}, not {}", inbound.len(), gives.len());
                    self.top.error(raw.span.clone(), what, "");
                }
                for (inbound, gives) in inbound.iter().zip(gives) {
                    let got = told(inbound, |number| number.reveal().to_owned());
                    gives.iter().for_each(|(name, wanted)| self.compare(name, wanted, find(&got, name)));
                }
            }
        }
    }

    fn refused(&mut self, raw: &At<String>, wanted: &At<String>) {
        self.refusals += 1;
        let Some(callback) = self.callback(raw) else { return };
        let got = self.description.read(&self.arrival(&callback)).err();
        self.compare("refused", wanted, got.as_ref().map(Refusal::reason));
    }

    fn answers(&mut self, raw: Option<&At<String>>, shown: &Shown, wanted: &Wanted, example: &Example) {
        self.replied[shown.place()] = true;
        let any = At { value: "POST /ussd\n\n".to_owned(), span: example.span.clone() };
        let Some(callback) = self.callback(raw.unwrap_or(&any)) else { return };
        let answer = self.description.say(&self.arrival(&callback), &shown.outcome());
        let mut got = vec![
            ("type".to_owned(), answer.content_type),
            ("body".to_owned(), answer.body),
            ("status".to_owned(), answer.status.to_string()),
        ];
        got.extend(answer.headers.into_iter().map(|(name, value)| (format!("headers.{name}"), value)));
        self.compare_all(wanted, &got, example, "answer = { body = \"CON How?\" }");
    }

    fn sends(&mut self, given: &Given, wanted: &Wanted, example: &Example) {
        self.sent = true;
        let Some(send) = &self.description.send else { return };
        let mut line = self.line.clone();
        line.address = given.from.clone().unwrap_or(line.address);
        match send.request(&given.mt, &line, &Guard::Open, NOW) {
            Err(why) => self.top.error(example.span.clone(), format!("this example is not sent: {why}"), ""),
            Ok(request) => {
                let hint = "wants = { form = { to = \"+919437000001\" } }";
                self.compare_all(wanted, &of_request(&request), example, hint);
            }
        }
    }

    fn hears(&mut self, response: &HttpResponse, gives: &Wanted, example: &Example) {
        let Some(send) = &self.description.send else { return };
        let (word, detail) = verdict::told(&send.verdicts.read(response));
        self.heard.push(word);
        match &gives[..] {
            [(wanted, At { span, .. })] if wanted != word => {
                let what = format!("this answer means `{word}` (\"{detail}\"), not `{wanted}`");
                self.top.error(span.clone(), what, "");
            }
            _ => {
                let hint = "gives = { accepted = \"the id\" }";
                self.compare_all(gives, &[(word.to_owned(), detail)], example, hint);
            }
        }
    }

    fn compare_all(&self, wanted: &Wanted, got: &[(String, String)], example: &Example, hint: &str) {
        wanted.iter().for_each(|(name, wanted)| self.compare(name, wanted, find(got, name)));
        if wanted.is_empty() {
            self.top.error(example.span.clone(), "this example wants nothing", hint);
        }
    }

    fn compare(&self, name: &str, wanted: &At<String>, got: Option<&str>) {
        // A moment may be written in any of its ways.
        let moment = |text: &str| (name == "at").then(|| Timestamp::parse_rfc3339(text)).flatten();
        // Of JSON the order of members says nothing.
        let json =
            |text: &str| serde_json::from_str::<serde_json::Value>(text).ok().filter(|_| name == "body");
        let same = got == Some(wanted.value.as_str())
            || json(&wanted.value).is_some_and(|wanted| got.and_then(json) == Some(wanted))
            || moment(&wanted.value).is_some_and(|at| got.and_then(moment) == Some(at));
        if !same {
            let got = got.map_or("nothing".to_owned(), |got| format!("\"{got}\""));
            let what = format!("this example gives {got} as `{name}`, not \"{}\"", wanted.value);
            self.top.error(wanted.span.clone(), what, "");
        }
    }
}

/// A request of ours, as examples write it.
fn of_request(request: &HttpRequest) -> Vec<(String, String)> {
    let query = request.url.split_once('?').map_or("", |(_, query)| query);
    let pairs = |key: &str, raw: &[u8]| {
        let pairs = Pairs::parse(raw, encoding_rs::UTF_8).0;
        pairs.into_iter().map(|(name, value)| (format!("{key}.{name}"), value)).collect::<Vec<_>>()
    };
    let mut fields = vec![
        ("method".to_owned(), request.method.clone()),
        ("url".to_owned(), request.url.clone()),
        ("body".to_owned(), String::from_utf8_lossy(&request.body).into_owned()),
    ];
    fields.extend(request.headers.iter().map(|(name, value)| (format!("headers.{name}"), value.clone())));
    fields.extend(pairs("query", query.as_bytes()));
    fields.extend(pairs("form", &request.body));
    fields
}

fn find<'f>(fields: &'f [(impl AsRef<str>, String)], name: &str) -> Option<&'f str> {
    fields.iter().find(|(known, _)| known.as_ref() == name).map(|(_, value)| value.as_str())
}

impl Shown {
    fn place(&self) -> usize {
        match self {
            Shown::Screen { end: false, .. } => 0,
            Shown::Screen { end: true, .. } => 1,
            Shown::Closed => 2,
        }
    }

    fn outcome(&self) -> TurnOutcome {
        match self {
            Shown::Screen { text, end } => {
                TurnOutcome::Screen(Reply { text: text.clone(), end: *end, language: Lang::EN })
            }
            Shown::Closed => TurnOutcome::Taken,
        }
    }
}
