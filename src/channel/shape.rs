//! The shapes of a vendor's callbacks: each `[[in]]` of its file, read and checked. Only USSD so far.

use super::{
    description::{compiled, refuse_later},
    filters::{DIALECT, inbound_names},
};
use crate::{
    expr::{Expression, Fault},
    findings::{At, Table},
};

/// Keys that come with SMS, or with the first vendor that needs them.
const LATER: [&str; 13] = [
    "each", "join", "ref", "word", "id", "text", "at", "to", "extra", "required", "ignore", "names", "answer",
];
/// What else a vendor may send, later.
const LATER_KINDS: [&str; 3] = ["mo", "dlr", "missed-call"];

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

/// Reads one `[[in]]`.
pub fn read(table: &Table<'_>) -> Option<UssdIn> {
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
    LATER.iter().for_each(|key| refuse_later(table, key));
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
pub fn told_apart(tables: &[Table<'_>], inbound: &[Option<UssdIn>]) {
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
