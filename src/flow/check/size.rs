//! What a text takes of a USSD page and costs by SMS, when every name in it is as long as it can be. Notes only: a longer
//! text is paged, or sent in more segments.

use super::nodes::Reader;
use crate::{
    domain::{lang::Lang, message::Screen},
    flow::{
        document::{KindEntry, OptionEntry},
        graph::{Form, Words},
        node::{Kind, choice::ChoiceOption},
    },
    text::{
        gsm::{fits, septets, units},
        segments::segments,
    },
};
use std::ops::Range;

/// What one USSD page shows when a character needs UCS-2, in UTF-16 units: that of [`Screen::default`].
const PAGE_UNITS: usize = 70;
/// The most segments of an SMS that nobody needs to hear about.
const FEW_SEGMENTS: u16 = 3;

impl Reader<'_> {
    /// A page is cut at line ends. A line that does not fit one is cut inside a word, and somebody should know.
    pub fn long_lines(&self, at: usize, kind: &Kind, words: &Words) {
        let options = options(kind);
        let entries: &[OptionEntry] = match &self.entries[at].kind {
            Some(KindEntry::Choice { options }) => options,
            _ => &[],
        };
        let span = &self.entries[at].words.span;
        match kind {
            Kind::Say(_) => self.long_saying(span, words),
            _ => self.long_line(span, words, 0),
        }
        for (entry, option) in entries.iter().zip(options) {
            self.long_line(&entry.words.span, &option.words, "1 ".len());
        }
    }

    fn long_line(&self, span: &Range<usize>, words: &Words, before: usize) {
        for lang in &self.checker.languages {
            let screen = self.longest(words, *lang, Form::Screen);
            let units = screen.lines().map(|line| before + units(line)).max().unwrap_or(0);
            if !screen.is_ascii() && units > PAGE_UNITS {
                let what =
                    format!("in `{lang}` a line takes up to {units} units; a USSD page shows {PAGE_UNITS}");
                self.shorten(span, *lang, what);
            }
        }
    }

    /// Nobody can turn the page of what is said: the next question, or the end, comes with it.
    fn long_saying(&self, span: &Range<usize>, words: &Words) {
        for lang in &self.checker.languages {
            let screen = self.longest(words, *lang, Form::Screen);
            if !fits(&screen, Screen::default()) {
                let (takes, shows) = match septets(&screen) {
                    Some(septets) => (septets, Screen::default().septets.into()),
                    None => (units(&screen), PAGE_UNITS),
                };
                let what =
                    format!("in `{lang}` this takes up to {takes} of the {shows} that the one page shows");
                self.shorten(span, *lang, what);
            }
        }
    }

    /// What is read when every name is as long as it can be.
    fn longest(&self, words: &Words, lang: Lang, form: Form) -> String {
        let longest = |name: &str| {
            let field = self.checker.context.iter().find(|field| field.name == name);
            "x".repeat(field.map_or(11, |field| field.max))
        };
        words.pick(lang, form).template.without(longest)
    }

    fn shorten(&self, span: &Range<usize>, lang: Lang, what: String) {
        let hint = format!("give it shorter words for the small screen: ussd.{lang} = \"…\"");
        self.checker.findings.note(self.checker.source, span.clone(), what, &hint);
    }

    /// Every question is paid for by the segment, and a phone of old may join no more than a few.
    pub fn long_sms(&self, at: usize, kind: &Kind, words: &Words) {
        for lang in &self.checker.languages {
            let mut text = self.longest(words, *lang, Form::Full);
            for (key, option) in (1..).zip(options(kind)) {
                text += &format!("\n{key} {}", self.longest(&option.words, *lang, Form::Full));
            }
            let (_, segments) = segments(&text);
            if segments > FEW_SEGMENTS {
                let what = format!("in `{lang}` this takes up to {segments} segments by SMS");
                let hint = format!("say it in fewer words: text.{lang} = \"…\"");
                let span = self.entries[at].words.span.clone();
                self.checker.findings.note(self.checker.source, span, what, &hint);
            }
        }
    }
}

fn options(kind: &Kind) -> &[ChoiceOption] {
    match kind {
        Kind::Choice(choice) => &choice.options,
        Kind::Rating(_) | Kind::YesNo(_) | Kind::Text(_) | Kind::Say(_) => &[],
    }
}
