//! A checked flow: links are indices, nothing dangles, every text has every language and a fallback. Made by `check` only.

use super::{control::ControlWords, node::Kind};
use crate::{
    domain::{
        id::{FlowId, Revision},
        lang::Lang,
    },
    expr::{Condition, Template, Type},
};
use std::{sync::Arc, time::Duration};

/// A flow that can be run.
#[derive(Debug)]
pub struct Flow {
    /// Its id.
    pub id: FlowId,
    /// The hash of what it was made from.
    pub revision: Revision,
    /// What it was made from, as the store keeps it.
    pub stored: Arc<[u8]>,
    /// Its title, for people.
    pub title: String,
    /// Its languages; the first is the default. Never empty.
    pub languages: Vec<Lang>,
    /// The USSD codes that open it.
    pub ussd_codes: Vec<String>,
    /// The bare words that open it by SMS, as they were written.
    pub sms_words: Vec<String>,
    /// When an unanswered question goes out again, each counted from the question's acceptance by the vendor; rising.
    pub remind: Vec<Duration>,
    /// How long a session lives.
    pub expires: Duration,
    /// What an invitation may bring.
    pub context: Vec<ContextField>,
    /// The nodes; a session begins at the first. Never empty.
    pub nodes: Vec<Node>,
    /// What the engine itself says, with this flow's own words laid over.
    pub texts: EngineTexts,
}

impl Flow {
    /// What each node's answer is in an expression, by the node's id; a `say` has none.
    pub fn answers(&self) -> impl Iterator<Item = (&str, Type)> {
        self.nodes.iter().filter_map(|node| Some((node.id.as_str(), node.kind.answer()?)))
    }

    /// What an invitation brought, each declared value cut to its `max`; what is not declared is kept as it is.
    pub fn cut(&self, context: &[(String, String)]) -> Vec<(String, String)> {
        let cut = |(name, value): &(String, String)| {
            let max =
                self.context.iter().find(|field| field.name == *name).map_or(usize::MAX, |field| field.max);
            (name.clone(), value.chars().take(max).collect())
        };
        context.iter().map(cut).collect()
    }

    /// What a text says for a name of the context that was not brought.
    pub fn without(&self, name: &str, language: Lang) -> Option<&str> {
        let field = self.context.iter().find(|field| field.name == name)?;
        field.without.iter().find(|(known, _)| *known == language).map(|(_, text)| text.as_str())
    }
}

/// A declared member of the context.
#[derive(Debug, Clone)]
pub struct ContextField {
    /// Its dotted name, such as `visit.office`.
    pub name: String,
    /// The longest value, in characters; longer ones are cut.
    pub max: usize,
    /// What to say without it.
    pub without: Vec<(Lang, String)>,
}

/// One node.
#[derive(Debug)]
pub struct Node {
    /// Its id, unique in the flow.
    pub id: String,
    /// What it asks.
    pub kind: Kind,
    /// Its words.
    pub words: Words,
    /// Where to go after an answer: the first link that holds.
    pub next: Vec<Link>,
    /// The way out after three answers not understood.
    pub otherwise: Target,
}

/// A way onward.
#[derive(Debug)]
pub struct Link {
    /// When it is taken; `None` always.
    pub when: Option<Condition>,
    /// Where it leads.
    pub goto: Target,
}

/// Where a link leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// To the node with this index.
    Node(usize),
    /// The flow is complete.
    End,
}

/// What a text is for: which of its forms is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The full text, for an SMS.
    Full,
    /// Shorter words for a small screen, where there are any.
    Screen,
    /// Latin letters, for handsets that draw Indian scripts as boxes.
    Latin,
}

/// A text in every language of its flow.
#[derive(Debug)]
pub struct Words(
    /// In the order of the flow's languages; none is missing.
    pub Vec<(Lang, Forms)>,
);

/// A text in one language.
#[derive(Debug)]
pub struct Forms {
    /// The full text.
    pub text: Text,
    /// Shorter words for the small screen.
    pub ussd: Option<Text>,
    /// In Latin letters.
    pub latin: Option<Text>,
    /// The DLT template id it is registered under.
    pub template: Option<String>,
}

/// A text with its names filled in when it is shown, and what is shown when that fails.
#[derive(Debug)]
pub struct Text {
    /// The text.
    pub template: Template,
    /// Made at load: without variables.
    pub fallback: String,
}

impl Words {
    /// The DLT template that the text of a language is registered under.
    pub fn template(&self, language: Lang) -> Option<&str> {
        let of = self.0.iter().find(|(lang, _)| *lang == language);
        of.unwrap_or(&self.0[0]).1.template.as_deref()
    }

    /// The text for a language and a form. A language the flow does not have gets its first; a form that is not there
    /// gets the nearest that is (Latin: the language's own, else English, else the screen form).
    pub fn pick(&self, language: Lang, form: Form) -> &Text {
        let of = |wanted: Lang| self.0.iter().find(|(lang, _)| *lang == wanted).map(|(_, forms)| forms);
        let forms = of(language).unwrap_or(&self.0[0].1);
        let small = |forms: &'_ Forms| forms.ussd.is_some();
        match form {
            Form::Full => &forms.text,
            Form::Screen if small(forms) => forms.ussd.as_ref().expect("just seen"),
            Form::Screen => &forms.text,
            Form::Latin => match (&forms.latin, of(Lang::EN)) {
                (Some(latin), _) => latin,
                (None, Some(english)) => english.ussd.as_ref().unwrap_or(&english.text),
                (None, None) => forms.ussd.as_ref().unwrap_or(&forms.text),
            },
        }
    }
}

/// What the engine itself can utter, by the key of `flows/texts.toml`.
#[derive(Debug)]
pub struct EngineTexts {
    /// The bare words about the programme itself, in the form that [`super::entry::control`] compares.
    pub control: ControlWords,
    /// "That was not understood", with the hint for the kind, by kind name.
    pub hints: Vec<(&'static str, Words)>,
    /// The word beside the key that shows the rest of a long page.
    pub more: Words,
    /// The word beside the key that goes back.
    pub back: Words,
    /// The word beside 1 under a yes-no question.
    pub yes: Words,
    /// The word beside 2 under a yes-no question.
    pub no: Words,
    /// The word beside the key that leaves an optional question unanswered.
    pub skip: Words,
    /// The word beside the key that says "not me", under an invitation's first question.
    pub wrong_number: Words,
    /// Before a question that goes out again because it was not answered.
    pub remind: Words,
    /// To an answer after the session's end. A literal.
    pub expired: Words,
    /// The last page of a dialogue that ended without a `say`.
    pub over: Words,
    /// At the deadline, or when we have failed: please dial again, what was answered is kept. A literal.
    pub closing: Words,
    /// To a dial of a code, or an SMS, that opens nothing. A literal.
    pub nothing: Words,
    /// Confirms STOP. A literal.
    pub stopped: Words,
    /// Confirms START. A literal.
    pub started: Words,
    /// Answers HELP. A literal.
    pub help: Words,
    /// The last words to whoever was not meant.
    pub not_me: Words,
}
