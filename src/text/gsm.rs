//! The GSM 7-bit default alphabet and its extension (3GPP TS 23.038, 6.2.1), and how much of a USSD page a text takes.
//!
//! One character outside of both makes the whole page UCS-2, which is counted in UTF-16 units.

use crate::domain::message::Screen;
use std::{collections::HashMap, sync::LazyLock};

/// Septets by character, from the tables as data: 1 in the default alphabet, 2 in the extension (behind an ESC).
static SEPTETS: LazyLock<HashMap<char, u8>> = LazyLock::new(|| {
    let mut septets = table(include_str!("tables/extension.csv"), 2);
    septets.extend(table(include_str!("tables/default.csv"), 1));
    septets
});

/// The same for ASCII, because most counted characters are.
static ASCII: LazyLock<[u8; 128]> =
    LazyLock::new(|| std::array::from_fn(|code| SEPTETS.get(&char::from(code as u8)).copied().unwrap_or(0)));

fn table(csv: &str, septets: u8) -> HashMap<char, u8> {
    let row = |line: &str| {
        let mut columns = line.split(',');
        let code = columns.nth(1)?.strip_prefix("U+")?;
        let character = char::from_u32(u32::from_str_radix(code, 16).ok()?)?;
        line.ends_with(",char").then_some((character, septets))
    };
    csv.lines().skip(1).filter_map(row).collect()
}

/// How many septets a character takes; `None` when the alphabet does not have it.
pub fn septets_of(character: char) -> Option<usize> {
    let septets = match ASCII.get(character as usize) {
        Some(septets) => *septets,
        None => SEPTETS.get(&character).copied().unwrap_or(0),
    };
    (septets > 0).then_some(usize::from(septets))
}

/// How many septets a text takes; `None` when it holds a character that the alphabet does not have.
pub fn septets(text: &str) -> Option<usize> {
    text.chars().map(septets_of).sum()
}

/// How many UTF-16 units a text takes.
pub fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Whether a text fits on one page.
pub fn fits(text: &str, screen: Screen) -> bool {
    // No text of more bytes than three for every unit and septet can fit, and none that is longer is looked at.
    let most = usize::from(screen.septets.max(screen.ucs2)) * 3;
    text.len() <= most
        && match septets(text) {
            Some(septets) => septets <= usize::from(screen.septets),
            None => units(text) <= usize::from(screen.ucs2),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_alphabet_has_127_characters_and_the_extension_10() {
        assert_eq!(SEPTETS.values().filter(|s| **s == 1).count(), 127);
        assert_eq!(SEPTETS.values().filter(|s| **s == 2).count(), 10);
    }

    #[test]
    fn septets_by_example() {
        let table = [
            ("", Some(0)),
            ("Reply 1 to 5", Some(12)),
            ("@£$¥èéùìòÇ\nØøÅåΔ", Some(16)),
            ("[1] {name}", Some(14)),
            ("5 €", Some(4)),
            ("a`b", None),
            ("ç", None),
            ("₹ 5", None),
            ("1\t2", None),
            ("ଧନ୍ୟବାଦ", None),
            ("“quoted”", None),
        ];
        for (text, expected) in table {
            assert_eq!(septets(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_page_has_room_for_160_septets_or_70_units() {
        let screen = Screen::default();
        assert!(fits(&"a".repeat(160), screen));
        assert!(!fits(&"a".repeat(161), screen));
        assert!(!fits(&"€".repeat(81), screen));
        assert!(fits(&"ଧ".repeat(70), screen));
        assert!(!fits(&"ଧ".repeat(71), screen));
        assert!(!fits(&format!("{}ଧ", "a".repeat(70)), screen), "one Odia letter makes the page UCS-2");
        assert!(!fits(&"😀".repeat(36), screen), "an emoji is two units");
    }
}
