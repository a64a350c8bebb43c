//! What a text costs by SMS: its coding and its segments, as a vendor bills them and a line's TPS is counted.
//!
//! A text that does not fit one segment is cut, and every part of it loses a header's room. Nothing is cut between an ESC and
//! what it escapes, nor inside a surrogate pair: the place that is left stays empty. So segments are counted by walking; a
//! division would promise 2 for 306 septets that take 3.

use super::gsm::septets_of;
use crate::domain::message::Coding;

/// What one segment holds, in septets or UTF-16 units.
struct Room {
    /// Of a text that fits whole.
    alone: usize,
    /// Of each part of a longer one, behind its header of six octets.
    part: usize,
}

const SEPTETS: Room = Room { alone: 160, part: 153 };
const UNITS: Room = Room { alone: 70, part: 67 };

/// How a text is coded: one character outside the GSM alphabet, be it a curly quote, makes all of it UCS-2.
pub fn coding(text: &str) -> Coding {
    if text.chars().all(|character| septets_of(character).is_some()) { Coding::Gsm7 } else { Coding::Ucs2 }
}

/// How a text is coded, and how many segments it takes; an empty one takes one. More than 65 535 are told as that.
pub fn segments(text: &str) -> (Coding, u16) {
    let coding = coding(text);
    let segments = match coding {
        Coding::Gsm7 => walked(text, &SEPTETS, |character| septets_of(character).unwrap_or(1)),
        Coding::Ucs2 => walked(text, &UNITS, char::len_utf16),
    };
    (coding, u16::try_from(segments).unwrap_or(u16::MAX))
}

/// Fills part by part; a character that does not fit what is left of one begins the next.
fn walked(text: &str, room: &Room, size: impl Fn(char) -> usize) -> usize {
    let (mut total, mut parts, mut filled) = (0, 1_usize, 0);
    for size in text.chars().map(size) {
        total += size;
        filled += size;
        if filled > room.part {
            (parts, filled) = (parts + 1, size);
        }
    }
    if total <= room.alone { 1 } else { parts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Coding::{Gsm7, Ucs2};
    use proptest::prelude::*;

    #[test]
    fn segments_by_example() {
        let (a, odia) = (|n| "a".repeat(n), |n| "ଧ".repeat(n));
        let table = [
            (String::new(), Gsm7, 1),
            (a(160), Gsm7, 1),
            (a(161), Gsm7, 2),
            (a(306), Gsm7, 2),
            (a(307), Gsm7, 3),
            // Extension characters take two septets; a line end takes one.
            ("€".repeat(80), Gsm7, 1),
            ("€".repeat(81), Gsm7, 2),
            (format!("{}\n", a(159)), Gsm7, 1),
            (format!("{}\r\n", a(159)), Gsm7, 2),
            // 306 septets, but no cut between ESC and its second septet.
            (format!("{}€{}", a(152), a(152)), Gsm7, 3),
            (format!("{}€{}", a(151), a(153)), Gsm7, 2),
            // 160 septets are one segment, wherever a part would have been cut.
            (format!("{}€{}", a(152), a(6)), Gsm7, 1),
            (odia(70), Ucs2, 1),
            (odia(71), Ucs2, 2),
            (odia(134), Ucs2, 2),
            (odia(135), Ucs2, 3),
            ("😀".repeat(35), Ucs2, 1),
            ("😀".repeat(36), Ucs2, 2),
            // 134 units, but no cut inside a surrogate pair.
            (format!("{}😀{}", odia(66), odia(66)), Ucs2, 3),
            (format!("{}😀{}", odia(65), odia(67)), Ucs2, 2),
            // One stray character makes all of it UCS-2.
            (format!("{}₹", a(70)), Ucs2, 2),
            (format!("{}’", a(69)), Ucs2, 1),
            (format!("{}\t", a(69)), Ucs2, 1),
            (format!("{}ç", a(159)), Ucs2, 3),
            (a(153 * 70_000), Gsm7, u16::MAX),
        ];
        for (text, coded, expected) in table {
            let shown: String = text.chars().take(20).collect();
            assert_eq!(
                segments(&text),
                (coded, expected),
                "{} characters of {shown:?}",
                text.chars().count()
            );
        }
    }

    proptest! {
        /// Each part can be cut out: no fewer than a division says, and a part is left unfilled by one place at most.
        #[test]
        fn no_fewer_than_fit_and_no_more_than_needed(text in "[a-z€{ଧ😀]{0,600}") {
            let (coding, segments) = segments(&text);
            let (room, total) = match coding {
                Gsm7 => (SEPTETS, crate::text::gsm::septets(&text).expect("it is GSM")),
                Ucs2 => (UNITS, crate::text::gsm::units(&text)),
            };
            let alone = total <= room.alone;
            let least = if alone { 1 } else { total.div_ceil(room.part) };
            let most = if alone { 1 } else { total.div_ceil(room.part - 1) };
            prop_assert!((least..=most).contains(&usize::from(segments)), "{segments} of {total}");
        }
    }
}
