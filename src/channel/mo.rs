//! A `[[in]] kind = "mo"` of a vendor's file: read and checked, and the message that a callback of this shape is.

use super::{
    Refusal,
    filters::{as_text, inbound_names},
    reply::{self, Fixed},
    shape::{expression, missing, required, text},
};
use crate::{
    domain::{
        message::{Inbound, Mo},
        msisdn::Msisdn,
        time::Timestamp,
    },
    expr::Expression,
    findings::Table,
};
use minijinja::Value;

/// What is in an MO.
#[derive(Debug)]
pub struct MoIn {
    from: Expression,
    to: Option<Expression>,
    text: Expression,
    id: Option<Expression>,
    at: Option<Expression>,
    /// What the vendor is told when it is taken.
    pub answer: Fixed,
}

/// Reads the keys of this kind.
pub fn read(table: &Table<'_>) -> Option<MoIn> {
    let names = inbound_names();
    let from = required(table, "from", "from = \"form.from | number\"", &names);
    let to = expression(table, "to", &names);
    let text = required(table, "text", "text = \"form.text\"", &names);
    let id = expression(table, "id", &names);
    let at = expression(table, "at", &names);
    let answer = reply::fixed(table);
    Some(MoIn { from: from?, to: to?, text: text?, id: id?, at: at?, answer: answer? })
}

impl MoIn {
    /// The message. A sender that is there and is no number is nobody whom we can answer: acknowledged and ignored.
    pub fn message(&self, context: &Value, now: Timestamp) -> Result<Inbound, Refusal> {
        let sender = text(&self.from, context).filter(|sender| !sender.trim().is_empty());
        let sender = sender.ok_or_else(|| missing("from", &self.from))?;
        let Some(from) = Msisdn::from_e164(&sender) else { return Ok(Inbound::Ignored("sender")) };
        // Kept exactly, and whole: the door has bounded the body.
        let written = self.text.value(context).as_ref().and_then(as_text);
        let optional = |field: &Option<Expression>| field.as_ref().and_then(|field| text(field, context));
        Ok(Inbound::Mo(Mo {
            from,
            to: optional(&self.to).unwrap_or_default(),
            text: written.ok_or_else(|| missing("text", &self.text))?,
            id: optional(&self.id).filter(|id| !id.is_empty()),
            sent: optional(&self.at).and_then(|at| Timestamp::parse_rfc3339(&at)),
            at: now,
        }))
    }
}
