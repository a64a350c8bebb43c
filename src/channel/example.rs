//! The examples that a description carries: its proof. One without an example for each `[[in]]`, each `[reply]` and a
//! refusal does not load, so it fails on the desk and not in front of a citizen.

use super::{Callback, CallbackKind, Refusal, TurnOutcome, description::Description, request};
use crate::{
    domain::{
        lang::Lang,
        message::{Reply, UssdInput, UssdStep},
        time::Timestamp,
    },
    findings::{At, Table},
};
use std::{ops::Range, sync::Arc};

/// When every example happens.
const NOW: Timestamp = Timestamp(1_795_511_523_120);

/// One example as it was written.
pub struct Example {
    span: Range<usize>,
    what: What,
}

enum What {
    /// `request` and `gives`.
    Gives(At<String>, Vec<(String, At<String>)>),
    /// `request` and `refused`.
    Refused(At<String>, At<String>),
    /// `screen` and `answer`.
    Answers(Shown, Vec<(String, At<String>)>),
}

enum Shown {
    Screen { text: String, end: bool },
    Closed,
}

/// Reads the examples; faults go to the table's findings.
pub fn read(top: &Table<'_>) -> Vec<Example> {
    top.tables("example").iter().filter_map(read_one).collect()
}

fn read_one(table: &Table<'_>) -> Option<Example> {
    let request = table.text("request");
    let refused = table.text("refused");
    let gives = table.table("gives").map(|gives| members(&gives));
    let answer = table.table("answer").map(|answer| members(&answer));
    let shown = shown(table);
    table.finish();
    let what = match (request, gives, refused, shown, answer) {
        (Some(request), Some(gives), None, None, None) => What::Gives(request, gives),
        (Some(request), None, Some(refused), None, None) => What::Refused(request, refused),
        (None, None, None, Some(shown), Some(answer)) => What::Answers(shown, answer),
        _ => {
            let hint = "request and gives; request and refused; screen (or closed = true) and answer";
            table.error(table.span(), "an example has two halves", hint);
            return None;
        }
    };
    Some(Example { span: table.span(), what })
}

fn members(table: &Table<'_>) -> Vec<(String, At<String>)> {
    table.keys().into_iter().filter_map(|key| Some((key.value.clone(), table.text(&key.value)?))).collect()
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
        country: description.country.as_str().into(),
        top,
        reached: vec![false; description.inbound.len()],
        replied: [false; 3],
        refusals: 0,
    };
    examples.iter().for_each(|example| trial.example(example));
    trial.finish();
}

/// A description under test, and which of its shapes an example reached.
struct Trial<'a> {
    description: &'a Description,
    country: Arc<str>,
    top: &'a Table<'a>,
    reached: Vec<bool>,
    replied: [bool; 3],
    refusals: usize,
}

impl Trial<'_> {
    fn example(&mut self, example: &Example) {
        match &example.what {
            What::Gives(request, gives) => self.gives(request, gives),
            What::Refused(request, refused) => self.refused(request, refused),
            What::Answers(shown, answer) => self.answers(shown, answer, example),
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
    }

    fn callback(&self, raw: &At<String>) -> Option<Callback> {
        match request::parse(raw.value.trim_start().as_bytes(), CallbackKind::Ussd, NOW) {
            Ok(callback) => Some(callback),
            Err(why) => {
                self.top.error(raw.span.clone(), why.to_string(), "");
                None
            }
        }
    }

    fn gives(&mut self, raw: &At<String>, gives: &[(String, At<String>)]) {
        let Some(callback) = self.callback(raw) else { return };
        match self.description.read(&callback, &self.country) {
            Err(refusal) => {
                self.top.error(raw.span.clone(), format!("this example is refused: {refusal}"), "")
            }
            Ok((at, step)) => {
                self.reached[at] = true;
                let got = fields(&step);
                gives.iter().for_each(|(name, wanted)| self.compare(name, wanted, find(&got, name)));
            }
        }
    }

    fn refused(&mut self, raw: &At<String>, wanted: &At<String>) {
        self.refusals += 1;
        let Some(callback) = self.callback(raw) else { return };
        let got = self.description.read(&callback, &self.country).err();
        self.compare("refused", wanted, got.as_ref().map(Refusal::reason));
    }

    fn answers(&mut self, shown: &Shown, wanted: &[(String, At<String>)], example: &Example) {
        self.replied[shown.place()] = true;
        let callback = request::parse(b"POST /ussd\n\n", CallbackKind::Ussd, NOW).expect("a good request");
        let answer = self.description.say(&callback, &self.country, &shown.outcome());
        let got =
            [("type", answer.content_type), ("body", answer.body), ("status", answer.status.to_string())];
        wanted.iter().for_each(|(name, wanted)| self.compare(name, wanted, find(&got, name)));
        if wanted.is_empty() {
            let hint = "answer = { body = \"CON How?\" }";
            self.top.error(example.span.clone(), "this example wants nothing", hint);
        }
    }

    fn compare(&self, name: &str, wanted: &At<String>, got: Option<&str>) {
        if got != Some(wanted.value.as_str()) {
            let got = got.map_or("nothing".to_owned(), |got| format!("\"{got}\""));
            let what = format!("this example gives {got} as `{name}`, not \"{}\"", wanted.value);
            self.top.error(wanted.span.clone(), what, "");
        }
    }
}

fn find<'f>(fields: &'f [(&'static str, String)], name: &str) -> Option<&'f str> {
    fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
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

/// What was understood, as examples write it. Examples hold no citizen's number but made-up ones.
fn fields(step: &UssdStep) -> Vec<(&'static str, String)> {
    let (UssdInput::Last(input) | UssdInput::History(input)) = &step.input;
    let mut fields = vec![
        ("kind", "ussd".to_owned()),
        ("from", step.from.reveal().to_owned()),
        ("event", step.event.name().to_owned()),
        ("code", step.code.clone()),
        ("input", input.clone()),
    ];
    fields.extend(step.session.clone().map(|session| ("session", session)));
    fields.extend(step.step.clone().map(|step| ("step", step)));
    fields.extend(step.language.map(|language| ("language", language.to_string())));
    fields
}
