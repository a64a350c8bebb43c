//! Answer words, as people in Odisha type them: Odia and Hindi in their scripts with the usual slips, both in Latin letters
//! without fixed spelling, and English. Whole messages only; what collides with another word is not here.

use crate::domain::lang::Lang;

/// In which session a word counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    /// In every session: words in a script of their own, and English.
    All,
    /// In Odia and Hindi sessions: Latin letters that are English for something else.
    Indian,
    /// In Odia sessions.
    Odia,
    /// In Hindi sessions.
    Hindi,
}

impl In {
    fn counts(self, language: Lang) -> bool {
        match self {
            In::All => true,
            In::Indian => matches!(language.as_str(), "or" | "hi"),
            In::Odia => language.as_str() == "or",
            In::Hindi => language.as_str() == "hi",
        }
    }
}

/// Numbers. Left out because they mean something else too: na, no, naa (9), sata, sat (7), cha (6), das, dash (10), to, too, for.
const NUMBERS: [(u8, In, &[&str]); 22] = [
    (1, In::All, &["ଏକ", "ଗୋଟିଏ", "ଗୋଟେ", "एक", "ek", "eka", "one"]),
    (2, In::All, &["ଦୁଇ", "ଦୁଈ", "ଦୁଇଟି", "ଦୁଇଟା", "दो", "two"]),
    (2, In::Odia, &["dui", "duiti", "duita"]),
    (2, In::Hindi, &["do"]),
    (3, In::All, &["ତିନି", "ତିନୀ", "ତିନିଟା", "तीन", "तिन", "three"]),
    (3, In::Odia, &["tini", "tinita", "tinoti"]),
    (3, In::Indian, &["teen", "tin"]),
    (4, In::All, &["ଚାରି", "ଚାରୀ", "ଚାରିଟା", "चार", "four"]),
    (4, In::Odia, &["charita"]),
    (4, In::Indian, &["chari", "char", "chaar", "chaari"]),
    (5, In::All, &["ପାଞ୍ଚ", "ପାଂଚ", "ପାନ୍ଚ", "पाँच", "पांच", "पाच", "five"]),
    (5, In::Indian, &["panch", "paanch", "pancha"]),
    (6, In::All, &["ଛଅ", "ଛ", "छह", "छः", "छ", "six"]),
    (6, In::Indian, &["chha", "chhah", "chhe"]),
    (7, In::All, &["ସାତ", "सात", "seven"]),
    (7, In::Hindi, &["saat"]),
    (8, In::All, &["ଆଠ", "आठ", "eight"]),
    (8, In::Indian, &["atha", "aatha", "aath"]),
    (9, In::All, &["ନଅ", "नौ", "nine"]),
    (9, In::Hindi, &["nau"]),
    (10, In::All, &["ଦଶ", "ଦସ", "दस", "ten"]),
    (10, In::Odia, &["dasa"]),
];

/// Yes.
const YES: [(In, &[&str]); 2] = [
    (
        In::All,
        &[
            "ହଁ",
            "ହଂ",
            "ହଁ ଆଜ୍ଞା",
            "ୟେସ୍",
            "हाँ",
            "हां",
            "हा",
            "जी",
            "जी हाँ",
            "जी हां",
            "yes",
            "yess",
            "y",
            "ha",
            "haa",
        ],
    ),
    (In::Indian, &["han", "haan", "ha agyan", "haan ji", "ji", "ji haan"]),
];

/// No.
const NO: [(In, &[&str]); 2] = [
    (In::All, &["ନା", "ନାହିଁ", "ନାହି", "ନାଇଁ", "ନାଁ", "ନୋ", "नहीं", "नही", "नहि", "ना", "जी नहीं", "no", "n", "nope"]),
    (In::Indian, &["na", "naa", "nahi", "nahin", "naahi", "nai", "nhi"]),
];

/// Assent: a yes only where permission is asked for.
const ASSENT: [&str; 15] = [
    "ରାଜି",
    "ଠିକ୍ ଅଛି",
    "ଠିକ ଅଛି",
    "ହଉ",
    "ହେଲା",
    "ठीक है",
    "सहमत",
    "raji",
    "thik achhi",
    "thik achi",
    "hau",
    "hela",
    "thik hai",
    "theek hai",
    "ok",
];

/// The number that a word says.
pub fn number(word: &str, language: Lang) -> Option<u8> {
    let said = |(_, whose, words): &&(u8, In, &[&str])| whose.counts(language) && words.contains(&word);
    NUMBERS.iter().find(said).map(|(number, ..)| *number)
}

/// What a word says to a question: yes, no or nothing.
pub fn yes_no(word: &str, language: Lang, permission: bool) -> Option<bool> {
    let among = |table: &[(In, &[&str])]| {
        table.iter().any(|(whose, words)| whose.counts(language) && words.contains(&word))
    };
    if among(&YES) || (permission && ASSENT.contains(&word)) {
        return Some(true);
    }
    among(&NO).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_normalization::UnicodeNormalization;

    #[test]
    fn words_are_kept_in_the_form_that_answers_are_brought_to() {
        let yes_no = YES.iter().chain(&NO).flat_map(|(_, words)| *words);
        for word in NUMBERS.iter().flat_map(|(.., words)| *words).chain(yes_no).chain(&ASSENT) {
            assert_eq!(*word, word.nfc().collect::<String>().to_lowercase(), "{word}");
        }
    }
}
