//! `yes-no`: yes is 1, no is 2.

use super::Reading;
use crate::{
    domain::{completion::Value, lang::Lang},
    text::heard::Heard,
};

/// A question to be answered with yes or no.
#[derive(Debug)]
pub struct YesNo {
    /// A yes lets a department see the number, where its route asks for it (`consent = "msisdn"`).
    pub consents_msisdn: bool,
}

impl YesNo {
    /// 1 or 2, or a word that stands alone. Assent ("ok") is a yes only where permission is asked for.
    pub fn read(&self, heard: &Heard, language: Lang) -> Reading {
        let by_number = match heard.number(language) {
            // In Hindi दो is two, which is no, and "give!", which is yes: so it is neither.
            Some(_) if ["do", "दो"].contains(&heard.as_str()) => None,
            Some(1) => Some(true),
            Some(2) => Some(false),
            _ => None,
        };
        by_number.or_else(|| heard.yes_no(language, self.consents_msisdn)).map(Value::Boolean).into()
    }
}
