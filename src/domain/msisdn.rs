//! A phone number: parsed once at the door, carried as proof, masked whenever it is printed (P11).
//!
//! *Possible*, never *valid*: finer tables than the lengths of a country's numbers refuse good ones, because
//! numbering plans change faster than tables do.

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType, Region};
use std::fmt;

/// The longest text that is looked at; a longer one is no number. E.164 has at most 15 digits; the rest is for blanks and signs.
const LONGEST: usize = 32;

/// A phone number in E.164 with plus (ITU-T E.164, 7 to 15 digits). `Display` and `Debug` mask it; [`Msisdn::reveal`] does not.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Msisdn(Box<str>);

/// Why a text is not a number that we can answer. Says nothing of the text itself, which may be a number mistyped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotMsisdn {
    /// Nothing, or nothing but blanks and signs.
    #[error("the number is empty")]
    Empty,
    /// Letters or other signs: an alphanumeric sender such as `AD-VODAFN`, which nobody can answer.
    #[error("the number holds something other than digits")]
    NotDigits,
    /// Too short or too long for its country, or a short code.
    #[error("the number cannot be a phone number in its country")]
    Impossible,
}

/// Whether numbers can be read as those of this country (two capital letters, ISO 3166).
pub fn is_country(country: &str) -> bool {
    // Any two letters can be a region; only one with a calling code has numbers.
    country
        .parse::<Region>()
        .is_ok_and(|region| PHONE_NUMBER_UTIL.get_country_code_for_region(region).is_some())
}

impl Msisdn {
    /// Reads a number as vendors write it (`wire-formats` 0.1): blanks, `-`, `(`, `)`, `.` and a leading `tel:` fall
    /// away, a leading blank is a plus that form decoding ate, `00` is a plus, a national number gets `country`
    /// (two capital letters, ISO 3166), and digits that begin with that country's own code are taken as international.
    pub fn parse(text: &str, country: &str) -> Result<Msisdn, NotMsisdn> {
        if text.len() > LONGEST {
            return Err(NotMsisdn::Impossible);
        }
        let text = text.strip_prefix("tel:").unwrap_or(text);
        let ate_plus = text.starts_with(' ');
        let mut digits = String::with_capacity(text.len() + 1);
        for c in text.chars() {
            match c {
                '0'..='9' => digits.push(c),
                '+' if digits.is_empty() => digits.push('+'),
                ' ' | '-' | '(' | ')' | '.' => {}
                _ => return Err(NotMsisdn::NotDigits),
            }
        }
        if let Some(rest) = digits.strip_prefix("00") {
            digits = format!("+{rest}");
        } else if ate_plus && !digits.starts_with(['+', '0']) {
            digits.insert(0, '+');
        }
        if digits.trim_start_matches('+').is_empty() {
            return Err(NotMsisdn::Empty);
        }
        let region = country.parse::<Region>().map_err(|_| NotMsisdn::Impossible)?;
        let number = PHONE_NUMBER_UTIL.parse(&digits, Some(region)).map_err(|_| NotMsisdn::Impossible)?;
        // "possible locally" would take a number without its area code, which nobody can be sent a message at.
        match PHONE_NUMBER_UTIL.is_possible_number(&number) {
            true => Ok(Msisdn(PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into())),
            false => Err(NotMsisdn::Impossible),
        }
    }

    /// Takes what [`Msisdn::reveal`] gave and a store sealed: nothing is looked up again.
    pub fn from_e164(text: &str) -> Option<Msisdn> {
        let digits = text.strip_prefix('+')?;
        let good = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        good.then(|| Msisdn(text.into()))
    }

    /// Whether a mobile number of its country can be as long as this one. Of a number that people wrote into a list one digit is
    /// soon lost or added (`9437400007.0` out of a spreadsheet), and what is left is some other country's, or nobody's.
    pub fn is_long_enough_for_a_mobile(&self) -> bool {
        let number = PHONE_NUMBER_UTIL.parse(&self.0, None);
        number.is_ok_and(|n| PHONE_NUMBER_UTIL.is_possible_number_for_type(&n, PhoneNumberType::Mobile))
    }

    /// Surely a landline or a service number, by its country's numbering plan: no SMS reaches anybody there. A number that no
    /// plan knows is none, because plans change faster than tables do.
    pub fn is_landline(&self) -> bool {
        use PhoneNumberType::{FixedLine, PremiumRate, SharedCost, TollFree, UAN, VoiceMail};
        let kind = PHONE_NUMBER_UTIL.parse(&self.0, None).map(|n| PHONE_NUMBER_UTIL.get_number_type(&n));
        matches!(kind, Ok(FixedLine | PremiumRate | SharedCost | TollFree | UAN | VoiceMail))
    }

    /// The number itself, with plus. Every caller must have a reason: a wire, a sealed record, or a department with consent.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// `+91…0001`: the plus, two digits, and the last four.
impl fmt::Display for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…{}", &self.0[..3], &self.0[self.0.len() - 4..])
    }
}

impl fmt::Debug for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, country: &str, expected: Result<&str, NotMsisdn>) {
        let got = Msisdn::parse(text, country);
        let got = got.as_ref().map(Msisdn::reveal).map_err(|e| *e);
        assert_eq!(got, expected, "{text:?} in {country}");
    }

    #[test]
    fn numbers_as_vendors_write_them() {
        check("+919437000001", "IN", Ok("+919437000001"));
        check("919437000001", "IN", Ok("+919437000001"));
        check("9437000001", "IN", Ok("+919437000001"));
        check("09437000001", "IN", Ok("+919437000001"));
        check("00919437000001", "IN", Ok("+919437000001"));
        check(" 919437000001", "IN", Ok("+919437000001"));
        check("tel:+91-94370 (00)001", "IN", Ok("+919437000001"));
        check("+254711000001", "IN", Ok("+254711000001"));
        check("0711000001", "KE", Ok("+254711000001"));
        check("4545", "IN", Err(NotMsisdn::Impossible));
        check("AD-VODAFN", "IN", Err(NotMsisdn::NotDigits));
        check("୯୪୩୭୦୦୦୦୦୧", "IN", Err(NotMsisdn::NotDigits));
        check("", "IN", Err(NotMsisdn::Empty));
        check(" + ", "IN", Err(NotMsisdn::Empty));
        check("+9194370000011111111111111111111111111111", "IN", Err(NotMsisdn::Impossible));
        check("+91+9437000001", "IN", Err(NotMsisdn::NotDigits));
    }

    #[test]
    fn a_landline_is_one_only_where_the_plan_says_so() {
        let table = [
            ("+919437000001", false, "a mobile"),
            ("+916742391234", true, "Bhubaneswar"),
            ("+911123456789", true, "Delhi"),
            ("+911800110001", true, "toll-free"),
            ("+915437000001", false, "no plan knows it"),
            ("+12015550123", false, "landline or mobile, nobody can tell"),
            ("+254711000001", false, "a mobile elsewhere"),
        ];
        for (number, expected, what) in table {
            let number = Msisdn::parse(number, "IN").expect(what);
            assert_eq!(number.is_landline(), expected, "{what}");
        }
    }

    #[test]
    fn a_list_holds_numbers_as_long_as_mobiles() {
        let table = [
            ("9437000001", true),
            ("+919437000001", true),
            ("9437400007.0", false),
            ("9437000001.00", false),
            ("943740000", false),
            ("94374000999", false),
            ("0919437400022", false),
            ("+254711000001", true),
        ];
        for (number, expected) in table {
            let got = Msisdn::parse(number, "IN").is_ok_and(|n| n.is_long_enough_for_a_mobile());
            assert_eq!(got, expected, "{number}");
        }
    }

    #[test]
    fn a_number_prints_masked() {
        let number = Msisdn::parse("+919437000001", "IN").expect("a good number");
        assert_eq!(format!("{number} {number:?}"), "+91…0001 +91…0001");
    }
}
