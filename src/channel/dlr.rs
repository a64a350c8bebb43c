//! A `[[in]] kind = "dlr"` of a vendor's file, and its `[status]`: read and checked, and the receipts that a callback of this
//! shape brings, one or a batch.

use super::{
    Refusal,
    filters::inbound_names,
    lookup::item_context,
    reply::{self, Fixed},
    shape::{cut, expression, missing, required, text, truth},
};
use crate::{
    domain::{
        message::{Dlr, Inbound, MtState, WORD_MAX},
        time::Timestamp,
    },
    expr::{Expression, Names, Type},
    findings::{At, Table},
};
use minijinja::{Value, value::ValueKind};

/// The most receipts of one callback; the vendor is told to send fewer.
const BATCH_MAX: usize = 1_000;

/// What is in a callback with receipts.
#[derive(Debug)]
pub struct DlrIn {
    each: Option<Expression>,
    reference: Option<Expression>,
    id: Option<Expression>,
    part: Option<Expression>,
    word: Expression,
    code: Option<Expression>,
    at: Option<Expression>,
    /// What the vendor is told when they are taken.
    pub answer: Fixed,
}

/// What a vendor's words mean.
#[derive(Debug, Default)]
pub struct Status {
    /// In lower case.
    words: Vec<(String, MtState)>,
    /// In order; the first that is true decides, before any word.
    refine: Vec<(Expression, MtState)>,
}

/// Reads the keys of this kind.
pub fn read(table: &Table<'_>) -> Option<DlrIn> {
    let each = expression(table, "each", &inbound_names());
    let names = item_names(table.has("each"));
    let field = |key: &str| expression(table, key, &names);
    let (reference, id, part) = (field("ref"), field("id"), field("part"));
    let word = required(table, "word", "word = \"form.status\"", &names);
    let (code, at) = (field("code"), field("at"));
    let answer = reply::fixed(table);
    if !table.has("ref") && !table.has("id") {
        table.missing("id", "the vendor's id of the message; `ref` where it echoes ours");
    }
    Some(DlrIn {
        each: each?,
        reference: reference?,
        id: id?,
        part: part?,
        word: word?,
        code: code?,
        at: at?,
        answer: answer?,
    })
}

/// What the expressions of a receipt may name: `item` too, in a batch.
fn item_names(batch: bool) -> Names {
    match batch {
        true => inbound_names().with("item", Type::Any),
        false => inbound_names(),
    }
}

impl DlrIn {
    /// Whether they name our MtId.
    pub fn echoes(&self) -> bool {
        self.reference.is_some()
    }

    /// Whether a callback brings several.
    pub fn is_batch(&self) -> bool {
        self.each.is_some()
    }

    /// The receipts. Of a batch the good ones are taken and the others counted; without any good one the callback is refused.
    pub fn receipts(
        &self,
        status: &Status,
        context: &Value,
        now: Timestamp,
    ) -> Result<Vec<Inbound>, Refusal> {
        let Some(each) = &self.each else {
            return self.receipt(status, context, now).map(|dlr| vec![Inbound::Dlr(dlr)]);
        };
        let items = each.value(context).and_then(items).ok_or_else(|| missing("each", each))?;
        if items.len() > BATCH_MAX {
            return Err(Refusal::Malformed(format!("more than {BATCH_MAX} receipts at once")));
        }
        let read = items.into_iter().map(|item| self.receipt(status, &item_context(context, item), now));
        let (good, bad): (Vec<_>, Vec<_>) = read.partition(Result::is_ok);
        match bad.iter().find_map(|bad| bad.as_ref().err().cloned()) {
            Some(refusal) if good.is_empty() => Err(refusal),
            _ => {
                let counted = std::iter::repeat_n(Inbound::Ignored("malformed"), bad.len());
                Ok(good.into_iter().flatten().map(Inbound::Dlr).chain(counted).collect())
            }
        }
    }

    fn receipt(&self, status: &Status, context: &Value, now: Timestamp) -> Result<Dlr, Refusal> {
        let optional = |field: &Option<Expression>| field.as_ref().and_then(|field| text(field, context));
        let named = |field: &Option<Expression>| optional(field).filter(|id| !id.is_empty());
        let (reference, id) = (named(&self.reference), named(&self.id));
        if let (None, None, Some(id)) = (&reference, &id, self.id.as_ref().or(self.reference.as_ref())) {
            return Err(missing("id", id));
        }
        let word = text(&self.word, context).ok_or_else(|| missing("word", &self.word))?;
        Ok(Dlr {
            reference,
            id,
            part: optional(&self.part).and_then(|part| part.trim().parse().ok()).unwrap_or(0),
            state: status.of(&word, context),
            word: cut(word, WORD_MAX),
            code: cut(optional(&self.code).unwrap_or_default(), WORD_MAX),
            at: optional(&self.at).and_then(|at| Timestamp::parse_rfc3339(&at)).unwrap_or(now),
        })
    }
}

/// The elements of a batch; a single one where a list is documented does not hurt.
fn items(value: Value) -> Option<Vec<Value>> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => Some(value.try_iter().ok()?.take(BATCH_MAX + 1).collect()),
        ValueKind::Map => Some(vec![value]),
        _ => None,
    }
}

impl Status {
    /// What a word means here; `None`: it is in no list.
    fn of(&self, word: &str, context: &Value) -> Option<MtState> {
        if let Some((_, state)) = self.refine.iter().find(|(when, _)| truth(when, context)) {
            return Some(*state);
        }
        let word = word.trim().to_lowercase();
        self.words.iter().find(|(known, _)| *known == word).map(|(_, state)| *state)
    }
}

/// Reads `[status]`. `batch`: some `[[in]]` of receipts has an `each`.
pub fn status(top: &Table<'_>, batch: bool) -> Option<Status> {
    let Some(table) = top.table("status") else { return (!top.has("status")).then(Status::default) };
    let mut words: Vec<(String, MtState)> = Vec::new();
    for state in MtState::ALL {
        for At { value, span } in table.texts(state.name()).map_or(Vec::new(), |list| list.value) {
            let word = value.trim().to_lowercase();
            if words.iter().any(|(known, _)| *known == word) {
                table.error(span, format!("the word \"{value}\" is listed twice"), "");
            }
            words.push((word, state));
        }
    }
    let refine: Vec<_> = table.tables("refine").iter().map(|table| refined(table, batch)).collect();
    table.finish();
    Some(Status { words, refine: refine.into_iter().collect::<Option<_>>()? })
}

fn refined(table: &Table<'_>, batch: bool) -> Option<(Expression, MtState)> {
    let when =
        required(table, "when", "when = \"form.failureReason == 'UserInBlackList'\"", &item_names(batch));
    let hint = "is = \"rejected\"";
    let is = table.required_text("is", hint);
    table.finish();
    let is = is?;
    let state = MtState::ALL.into_iter().find(|state| state.name() == is.value);
    if state.is_none() {
        let known = MtState::ALL.map(MtState::name).join(", ");
        table.error(is.span, format!("there is no state \"{}\"", is.value), &format!("known here: {known}"));
    }
    Some((when?, state?))
}
