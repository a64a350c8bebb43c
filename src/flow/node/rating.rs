//! `rating`: a number from 1 to `scale`.

use super::Reading;
use crate::{
    domain::{completion::Value, lang::Lang},
    text::heard::Heard,
};

/// A rating.
#[derive(Debug)]
pub struct Rating {
    /// The highest answer, 2 to 10; the lowest is 1.
    pub scale: u8,
}

impl Rating {
    /// A number inside the scale, in digits of any script or as a word; nothing is cut to fit or guessed.
    pub fn read(&self, heard: &Heard, language: Lang) -> Reading {
        let number = heard.number(language).filter(|number| (1..=self.scale).contains(number));
        number.map(|number| Value::Integer(number.into())).into()
    }
}
