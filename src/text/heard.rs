//! What a citizen typed, as far as it can be told without guessing: a 1 is the harshest rating, so nothing is ever taken
//! for one that may mean something else.
//!
//! Only the *whole* message counts. "4 hours", "4/5", "4 or 5", "no 4", "45" and "ha ha" are not understood.

use super::words;
use crate::domain::lang::Lang;
use unicode_normalization::UnicodeNormalization;

/// The longest answer that is looked into, in bytes; a longer one is words.
const LONGEST: usize = 4096;

/// The zeros of scripts in which people here type digits, and of the rest of general category Nd up to Unicode 16: ten
/// digits follow each. Folded by value, never by shape: an Odia ୧ is 1 and ୯ is 9, whatever they look like.
const ZEROS: [u32; 44] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0de6,
    0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0,
    0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x11066,
    0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e950,
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
                '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' | '\u{fe0f}' | '\u{20e3}' => {}
                c if c.is_whitespace() || c.is_control() => {
                    if !text.is_empty() && !text.ends_with(' ') {
                        text.push(' ');
                    }
                }
                c => text.push(digit(c)),
            }
        }
        let ends = |c: char| matches!(c, ' ' | '.' | ',' | '!' | '।' | '|' | '#' | '"' | '\'' | '(' | ')');
        Heard(text.trim_matches(ends).to_owned())
    }

    /// The text in that form.
    pub fn as_str(&self) -> &str {
        &self.0
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

/// A digit of any script as ASCII; anything else as it is.
fn digit(c: char) -> char {
    let code = c as u32;
    let in_script = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code));
    let circled = (0x2460..=0x2468).contains(&code).then(|| code - 0x245f);
    match in_script.map(|zero| code - zero).or(circled) {
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

    #[test]
    fn digits_of_every_script() {
        for typed in [
            "4",
            "୪",
            "४",
            "৪",
            "౪",
            "᱔",
            "٤",
            "۴",
            "௪",
            "４",
            "𝟒",
            "4️⃣",
            "④",
            " 4. ",
            "4#",
            "\u{200b}4",
            "4।",
        ] {
            check(typed, "4", "4", "4");
        }
        for typed in
            ["ଠ", "o", "O", "l", "I", "|", "।", "ଃ", "½", "୲", "IV", "²", "b", "04", "004", "100", "4.5"]
        {
            check(typed, "", "", "");
        }
        check("12", "12", "12", "12");
        check("୧୨", "12", "12", "12");
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

    #[test]
    fn what_could_mean_two_things_means_nothing() {
        check("na", "no", "no", "");
        check("naa", "no", "no", "");
        check("no 4", "", "", "");
        check("4 no", "", "", "");
        check("no 1", "", "", "");
        check("ନାଁ", "no", "no", "no");
        check("ha", "yes", "yes", "yes");
        check("haha", "", "", "");
        check("han na", "", "", "");
        check("yes no", "", "", "");
        check("ହଁ କି ନା", "", "", "");
        for typed in ["hmm", "hm", "ho", "k", "hi", "hello", "or", "en", "sat", "te"] {
            check(typed, "", "", "");
        }
        check("ek number", "", "", "");
        check("do", "", "2", "");
        for typed in ["to", "too", "for", "won", "ate", "the", "tha", "thila"] {
            check(typed, "", "", "");
        }
        check("tin", "3", "3", "");
        check("teen", "3", "3", "");
        check("char", "4", "4", "");
        for typed in ["chori", "ଚୋରି", "pacha", "cha", "ଚା", "sata", "das", "dash"] {
            check(typed, "", "", "");
        }
        for typed in [
            "achhi",
            "achha",
            "thik achhi",
            "thik hai",
            "ok",
            "bhala achhi",
            "good morning",
            "mana",
            "nei",
            "mo",
        ] {
            check(typed, "", "", "");
        }
        for typed in ["band", "aau", "aur", "a", "m"] {
            check(typed, "", "", "");
        }
        for typed in [
            "4/5",
            "4.5",
            "3-4",
            "3 or 4",
            "4 hours",
            "bed 4",
            "ward no 4",
            "Rs 500",
            "108",
            "5 kharap",
            "45 1",
        ] {
            check(typed, "", "", "");
        }
        for typed in ["no problem", "apatti nahi", "koi baat nahi", "ଜାଣିନି", "pata nahi", "dont know", ""]
        {
            check(typed, "", "", "");
        }
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
