//! What a citizen typed, as far as it can be told without guessing: a 1 is the harshest rating, so nothing is ever taken
//! for one that may mean something else.
//!
//! Only the *whole* message counts. "4 hours", "4/5", "4 or 5", "no 4", "45" and "ha ha" are not understood.

use super::words;
use crate::domain::lang::Lang;
use unicode_normalization::UnicodeNormalization;

/// The longest answer that is looked into, in bytes; a longer one is words.
const LONGEST: usize = 4096;

/// The zeros of general category Nd in Unicode 16, but for ASCII, in order: nine digits follow each. Odisha alone writes in
/// Odia, Devanagari, Telugu, Bengali, Ol Chiki (Santali), Sora Sompeng and Warang Citi (Ho). Folded by value, never by shape:
/// an Odia ୧ is 1 and ୯ is 9, whatever they look like.
const ZEROS: [u32; 75] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0de6,
    0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0,
    0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30,
    0x10d40, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x116d0,
    0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0, 0x11c50, 0x11d50, 0x11da0, 0x11f50, 0x16130, 0x16a60,
    0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0,
    0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
];

/// An answer, brought to one form: composed, small letters, digits as ASCII, no invisible characters, single blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard(String);

impl Heard {
    /// Brings what was typed to one form.
    pub fn of(typed: &str) -> Heard {
        // Nearly every answer is a digit or two.
        if !typed.is_empty() && typed.len() <= 2 && typed.bytes().all(|b| b.is_ascii_digit()) {
            return Heard(typed.to_owned());
        }
        let mut end = typed.len().min(LONGEST);
        while !typed.is_char_boundary(end) {
            end -= 1;
        }
        let mut text = String::with_capacity(end);
        for character in typed[..end].nfc().flat_map(char::to_lowercase) {
            match character {
                c if unseen(c) => {}
                c if c.is_whitespace() || c.is_control() => {
                    if !text.is_empty() && !text.ends_with(' ') {
                        text.push(' ');
                    }
                }
                c => text.push(digit(c)),
            }
        }
        // What ends a sentence is left out behind it only: ".5" and "|5" are not 5.
        let ends = |c: char| matches!(c, ' ' | '.' | ',' | '!' | '।' | '|' | '#' | '"' | '\'' | ')');
        let begins = |c: char| matches!(c, ' ' | '"' | '\'' | '(' | '#');
        Heard(text.trim_end_matches(ends).trim_start_matches(begins).to_owned())
    }

    /// The text in that form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same without any blank, to compare with a word that stands alone: people write "not me", "notme" and "help?".
    pub fn bare(&self) -> String {
        self.0.trim_end_matches('?').replace(' ', "")
    }

    /// Nothing was typed, or nothing that can be seen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A whole number that stands alone, in digits or as a number word of the session's language.
    pub fn number(&self, language: Lang) -> Option<u8> {
        let digits = self.0.as_bytes();
        let plain = (1..=2).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
        if plain && (digits.len() == 1 || digits[0] != b'0') {
            return self.0.parse().ok();
        }
        words::number(&self.0, language)
    }

    /// Yes or no, as a word that stands alone; `permission` is asked for, so assent ("ok", ରାଜି) is a yes.
    pub fn yes_no(&self, language: Lang, permission: bool) -> Option<bool> {
        words::yes_no(&self.0, language, permission)
    }
}

/// What cannot be seen and keyboards put in: zero-width marks, marks of direction, soft hyphens, and what makes a keycap or
/// an emoji of a digit.
fn unseen(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
        || matches!(c, '\u{feff}' | '\u{ad}' | '\u{61c}' | '\u{fe00}'..='\u{fe0f}' | '\u{20e3}')
}

/// A digit of any script as ASCII; anything else as it is.
fn digit(c: char) -> char {
    let code = c as u32;
    let zero = ZEROS.partition_point(|zero| *zero <= code).checked_sub(1).map(|at| ZEROS[at]);
    let in_script = zero.map(|zero| code - zero).filter(|value| *value < 10);
    let circled = (0x2460..=0x2468).contains(&code).then(|| code - 0x245f);
    match in_script.or(circled) {
        Some(value) => char::from_digit(value, 10).expect("a value below ten"),
        None => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an answer is in Odia, Hindi and English: a number, yes, no, or nothing.
    fn check(typed: &str, odia: &str, hindi: &str, english: &str) {
        for (tag, expected) in [("or", odia), ("hi", hindi), ("en", english)] {
            let (heard, language) = (Heard::of(typed), Lang::parse(tag).expect("a tag"));
            let number = heard.number(language).map(|n| n.to_string());
            let truth = heard.yes_no(language, false).map(|yes| if yes { "yes" } else { "no" }.to_owned());
            let all: Vec<_> = number.into_iter().chain(truth).collect();
            assert_eq!(all.join(" "), expected, "{typed:?} in {tag}");
        }
    }

    /// Each of these, divided by `;`, is the same in all three languages.
    fn all(typed: &str, expected: &str) {
        typed.split(';').for_each(|typed| check(typed, expected, expected, expected));
    }

    #[test]
    fn digits_of_every_script() {
        all("4;୪;४;৪;౪;᱔;𑃴;𑣤;٤;۴;௪;४;４;𝟒;4️⃣;④", "4");
        all(" 4. ;4#;#4;4।;4|;(4);\"4\";4!;\u{200b}4;\u{2066}4\u{2069};\u{202b}٤\u{202c};4\u{a0}", "4");
        all("12;୧୨;1️⃣2️⃣;۱۲", "12");
        all("ଠ;o;O;ο;l;I;|;।;ଃ;½;୲;IV;²;b;04;004;100;4.5;.4;,4;|4;-4;+4;4 5;1 2 3", "");
    }

    #[test]
    fn every_digit_that_unicode_has_is_folded_by_its_value() {
        let decimal = regex::Regex::new(r"^\p{Nd}$").expect("a pattern");
        for character in (0..=char::MAX as u32).filter_map(char::from_u32) {
            let known = digit(character).is_ascii_digit() && !('①'..='⑨').contains(&character);
            assert_eq!(known, decimal.is_match(character.encode_utf8(&mut [0; 4])), "{character:?}");
        }
        assert!(ZEROS.is_sorted());
    }

    #[test]
    fn number_words_in_their_language() {
        check("ଏକ", "1", "1", "1");
        check("ଦୁଇ", "2", "2", "2");
        check("ତିନି", "3", "3", "3");
        check("ଚାରି", "4", "4", "4");
        check("ପାଞ୍ଚ", "5", "5", "5");
        check("ପାଂଚ", "5", "5", "5");
        check("दो", "2", "2", "2");
        check("पाँच", "5", "5", "5");
        check("ek", "1", "1", "1");
        check("eka", "1", "1", "1");
        check("dui", "2", "", "");
        check("tini", "3", "", "");
        check("Chari", "4", "4", "");
        check("paanch", "5", "5", "");
        check("five", "5", "5", "5");
        check("Three", "3", "3", "3");
    }

    #[test]
    fn yes_and_no() {
        check("ହଁ", "yes", "yes", "yes");
        check("हाँ", "yes", "yes", "yes");
        check("Yes", "yes", "yes", "yes");
        check("y", "yes", "yes", "yes");
        check("haan ji", "yes", "yes", "");
        check("ନାହିଁ", "no", "no", "no");
        check("नहीं", "no", "no", "no");
        check("nahi", "no", "no", "");
        check("No", "no", "no", "no");
        check("n", "no", "no", "no");
    }

    /// One row a word that means something else too: nothing is guessed.
    #[test]
    fn what_could_mean_two_things_means_nothing() {
        // No, and nine, and "…, right?"; in English "not applicable".
        check("na", "no", "no", "");
        check("naa", "no", "no", "");
        // No, and "number": beside a digit it is neither, and it is never nine.
        all("no", "no");
        all("no 4;4 no;no 1;1 no", "");
        // No, and "name": no in a yes-no question only.
        all("ନାଁ", "no");
        // Yes, and laughter; both words; mumbling; a greeting.
        all("ha;haa", "yes");
        all("haha;ha ha;hahaha;han na;haan nahi;yes no;ହଁ କି ନା;hmm;hm;ho;k;hi;hello;hey", "");
        // Language codes and little words.
        all("or;en;sat;te;the;tha;thi;thila", "");
        // One, and "a"; slang for first-class.
        all("ek;eka", "1");
        all("ek number;no 1;number 1;ek thila", "");
        // Two in Hindi, and "give!"; an English verb.
        check("do", "", "2", "");
        all("de do;mat do;दे दो;to;too;for;won;ate", "");
        // Three, and English words.
        check("tin", "3", "3", "");
        check("teen", "3", "3", "");
        // Four and theft, five and rotten, six and tea, seven and true, ten and a surname: whole words only.
        check("char", "4", "4", "");
        check("chari", "4", "4", "");
        check("pancha", "5", "5", "");
        check("chha", "6", "6", "");
        all("chori;ଚୋରି;pacha;cha;ଚା;sata;das;dash;charge;charitable;ekta", "");
        // Odia "is", Hindi "good"; so-so; one's health; a greeting.
        all("achhi;achi;achha;thik achhi;thik hai;ok;bhala achhi;thik hoon;I am fine;good morning", "");
        // "Forbidden", "mind", "agreed"; "having taken"; "my".
        all("mana;nei;mo;mo number;mo 4", "");
        // Stop, and "was closed"; "and", "more".
        all("band;band thila;band tha;ବନ୍ଦ କରନ୍ତୁ;aau;ଆଉ;aur;और", "");
        // Letters, and look-alikes of 0 and 1.
        all("a;b;m;o;O;l;I;ଠ", "");
        all("y", "yes");
        all("n", "no");
        // Two digits are never cut to one.
        all("10", "10");
        all("45", "45");
        all("100;108;555", "");
        // Fractions, ranges, "or".
        all("4/5;4.5;3-4;3 or 4;3 ki 4;3 ba 4;3 ନା 4;3 ya 4;4½;sadhe 3;ସାଢ଼େ ତିନି;अढ़ाई;adha", "");
        // A digit beside a noun, or against a word.
        all("4 hours;bed 4;ward no 4;Rs 500;5 kharap;1 yes;yes 1;4 ଘଣ୍ଟା", "");
        // Words that a negative turns into their opposite, and negatives inside something else.
        all("santusta;asantusta;ସନ୍ତୁଷ୍ଟ;ଅସନ୍ତୁଷ୍ଟ;ମିଳିଲା ନାହିଁ;not good;nahi mila;ନୁହେଁ;ନଥିଲା;not", "");
        all("no problem;apatti nahi;koi baat nahi;ଆପତ୍ତି ନାହିଁ;ଜାଣିନି;pata nahi;dont know;start;stop;", "");
    }

    #[test]
    fn assent_is_a_yes_only_where_permission_is_asked() {
        let odia = Lang::parse("or").expect("a tag");
        for typed in ["ok", "raji", "ରାଜି", "ଠିକ୍ ଅଛି", "thik achhi", "ଠିକ୍\u{200c} ଅଛି"]
        {
            assert_eq!(Heard::of(typed).yes_no(odia, true), Some(true), "{typed}");
            assert_eq!(Heard::of(typed).yes_no(odia, false), None, "{typed}");
        }
        for typed in ["hmm", "no problem", "ଆପତ୍ତି ନାହିଁ", "k"] {
            assert_eq!(Heard::of(typed).yes_no(odia, true), None, "{typed}");
        }
    }
}
