//! `choice`: one of several options, by its number.

use super::Reading;
use crate::{
    domain::{completion::Value, lang::Lang},
    flow::graph::{Form, Target, Words},
    text::heard::Heard,
};

/// A choice.
#[derive(Debug)]
pub struct Choice {
    /// The options in the order of their numbers, from 1; 2 to 9 of them.
    pub options: Vec<ChoiceOption>,
}

/// One option.
#[derive(Debug)]
pub struct ChoiceOption {
    /// What the answer is called in expressions and responses.
    pub value: String,
    /// What the citizen reads.
    pub words: Words,
    /// Where it leads, when not along the node's links.
    pub goto: Option<Target>,
}

/// The keys of options, which no choice has more of.
const KEYS: [&str; 9] = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];

impl Choice {
    /// An option's number, or its whole text in any of its forms. A part of a text never picks an option: without its
    /// "not" an option is its own opposite.
    pub fn read(&self, heard: &Heard, language: Lang) -> Reading {
        let by_number = heard.number(language).and_then(|n| self.options.get(usize::from(n).checked_sub(1)?));
        match by_number.or_else(|| self.by_text(heard, language)) {
            Some(option) => Reading::Understood(Value::Text(option.value.clone()), option.goto),
            None => Reading::Not,
        }
    }

    /// The one option whose whole text this is; two of them would be a guess.
    fn by_text(&self, heard: &Heard, language: Lang) -> Option<&ChoiceOption> {
        let is = |words: &Words, form| Heard::of(&words.pick(language, form).fallback) == *heard;
        let forms = [Form::Full, Form::Screen, Form::Latin];
        let mut named =
            self.options.iter().filter(|option| forms.into_iter().any(|form| is(&option.words, form)));
        named.next().filter(|_| named.next().is_none())
    }

    /// Tells every option and its key.
    pub fn options<'a>(&'a self, tell: &mut dyn FnMut(&str, &'a Words)) {
        for (key, option) in KEYS.iter().zip(&self.options) {
            tell(key, &option.words);
        }
    }
}
