//! The shapes of a vendor's callbacks: each `[[in]]` of its file, read and checked, and how one that came in is found among
//! them. What each kind means is in [`super::ussd`], [`super::mo`] and [`super::dlr`].

use super::{
    Callback, CallbackKind, Refusal,
    described::no_door,
    description::compiled,
    dlr::{self, DlrIn},
    filters::{DIALECT, as_text},
    mo::{self, MoIn},
    reply::Fixed,
    ussd::{self, UssdIn},
};
use crate::{
    expr::{Expression, Names},
    findings::Table,
};
use minijinja::Value;

/// The longest field that is taken, in characters; a longer one is cut. The text of an MO is cut nowhere.
const FIELD_MAX: usize = 4_000;
/// Keys that come with the first vendor that needs them.
const LATER: [&str; 5] = ["join", "extra", "required", "ignore", "names"];

/// One shape of a callback.
#[derive(Debug)]
pub struct Shape {
    /// The door it comes to.
    pub kind: CallbackKind,
    /// The methods it comes by, in capitals.
    pub methods: Vec<String>,
    /// Which callbacks are meant; all when absent.
    pub when: Option<Expression>,
    /// What is in it.
    pub means: Means,
}

/// What is in a callback, by its kind.
#[derive(Debug)]
pub enum Means {
    /// A step of a USSD dialogue.
    Ussd(UssdIn),
    /// A message from a phone.
    Mo(MoIn),
    /// Receipts.
    Dlr(DlrIn),
}

impl Means {
    /// The answer, where it is the same every time.
    pub fn fixed(&self) -> Option<&Fixed> {
        match self {
            Means::Mo(mo) => Some(&mo.answer),
            Means::Dlr(dlr) => Some(&dlr.answer),
            Means::Ussd(_) => None,
        }
    }

    /// Of receipts: whether they come in batches.
    pub fn batch(&self) -> Option<bool> {
        match self {
            Means::Dlr(dlr) => Some(dlr.is_batch()),
            Means::Ussd(_) | Means::Mo(_) => None,
        }
    }
}

/// Reads one `[[in]]`.
pub fn read(table: &Table<'_>) -> Option<Shape> {
    let kind = kind(table)?;
    LATER.iter().for_each(|key| refuse_later(table, key));
    let methods = table.texts("method").map_or(vec!["POST".to_owned()], |list| {
        list.value.into_iter().map(|method| method.value.to_uppercase()).collect()
    });
    let when = expression(table, "when", &super::filters::inbound_names());
    let means = match kind {
        CallbackKind::Mo => mo::read(table).map(Means::Mo),
        CallbackKind::Dlr => dlr::read(table).map(Means::Dlr),
        _ => ussd::read(table).map(Means::Ussd),
    };
    table.finish();
    Some(Shape { kind, methods, when: when?, means: means? })
}

fn kind(table: &Table<'_>) -> Option<CallbackKind> {
    let hint = "kind = \"mo\", \"dlr\" or \"ussd\"";
    let kind = table.required_text("kind", hint);
    let what = match kind.as_ref().map(|kind| kind.value.as_str()) {
        Some("mo") => return Some(CallbackKind::Mo),
        Some("dlr") => return Some(CallbackKind::Dlr),
        Some("ussd") => return Some(CallbackKind::Ussd),
        Some("missed-call") => "`in` of kind \"missed-call\" is not built yet".to_owned(),
        Some(other) => format!("there is no kind of `in` \"{other}\""),
        None => String::new(),
    };
    if let Some(kind) = kind {
        table.error(kind.span, what, hint);
    }
    // What its keys mean hangs on the kind.
    table.keys();
    None
}

pub(super) fn refuse_later(table: &Table<'_>, key: &str) {
    if let Some(span) = table.key_span(key) {
        table.value(key);
        let hint = "it comes with the first vendor that needs it";
        table.error(span, format!("`{}` is not built yet", table.name_of(key)), hint);
    }
}

/// Of two shapes that take the same callbacks the second would never be reached.
pub fn told_apart(tables: &[Table<'_>], shapes: &[Option<Shape>]) {
    for (at, later) in shapes.iter().enumerate().skip(1) {
        let Some(later) = later else { continue };
        let hides = |earlier: &&Shape| {
            earlier.kind == later.kind
                && earlier.when.is_none()
                && later.methods.iter().all(|method| earlier.methods.contains(method))
        };
        if shapes[..at].iter().flatten().any(|earlier| hides(&earlier)) {
            let what = "no callback reaches this `in`: one above takes them all";
            tables[at].error(tables[at].span(), what, "give the one above a `when`");
        }
    }
}

/// The first shape that a callback is of, and its place.
pub fn find<'s>(
    shapes: &'s [Shape],
    callback: &Callback,
    context: &Value,
) -> Result<(usize, &'s Shape), Refusal> {
    let of_kind = || shapes.iter().enumerate().filter(|(_, shape)| shape.kind == callback.kind);
    let mut by_method = of_kind().filter(|(_, shape)| shape.methods.contains(&callback.method)).peekable();
    if by_method.peek().is_none() {
        let mut methods: Vec<&str> =
            of_kind().flat_map(|(_, shape)| &shape.methods).map(String::as_str).collect();
        methods.dedup();
        return Err(match methods.is_empty() {
            true => no_door(callback),
            false => Refusal::Method(methods.join(", ")),
        });
    }
    let meant = |when: &Expression| truth(when, context);
    by_method
        .find(|(_, shape)| shape.when.as_ref().is_none_or(meant))
        .ok_or_else(|| Refusal::Malformed("the request has none of the shapes that this vendor sends".into()))
}

/// An expression that may be left out: `Some(None)` when it is, `None` when it does not compile.
pub(super) fn expression(table: &Table<'_>, key: &str, names: &Names) -> Option<Option<Expression>> {
    if !table.has(key) {
        table.value(key);
        return Some(None);
    }
    let text = table.text(key)?;
    compiled(table, &text, |text| Expression::compile(&DIALECT, text, names)).map(Some)
}

/// An expression that must be there.
pub(super) fn required(table: &Table<'_>, key: &str, hint: &str, names: &Names) -> Option<Expression> {
    if !table.has(key) {
        table.missing(key, hint);
    }
    expression(table, key, names)?
}

/// Whether an expression is true of this; what is undefined is not.
pub(super) fn truth(expression: &Expression, context: &Value) -> bool {
    expression.value(context).is_some_and(|value| value.is_true())
}

/// A field as text, cut to [`FIELD_MAX`].
pub(super) fn text(expression: &Expression, context: &Value) -> Option<String> {
    as_text(&expression.value(context)?).map(|text| cut(text, FIELD_MAX))
}

/// A text of at most so many characters.
pub(super) fn cut(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

pub(super) fn missing(field: &str, expression: &Expression) -> Refusal {
    Refusal::Malformed(format!("the field `{field}` ({}) is missing or cannot be read", expression.source()))
}
