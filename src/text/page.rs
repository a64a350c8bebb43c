//! Cuts a text into pages that fit a screen: at line ends, else between words, else between grapheme clusters, else between
//! characters; never inside one. Nothing is ever sent over the limit, because a network cuts off what hides the options.

use super::gsm::fits;
use crate::domain::message::Screen;
use unicode_segmentation::UnicodeSegmentation;

/// The most pages a text is cut into; what is behind them is not shown.
pub const PAGES_MAX: usize = 60;

/// The pages of `body`. `foot(first, last)` is what stands under a page, without the line end that divides them; it may be
/// empty. A foot that leaves no room for a single character of the body is left out.
pub fn pages(body: &str, screen: Screen, foot: impl Fn(bool, bool) -> String) -> Vec<String> {
    let whole = footed(body, &foot(true, true));
    if fits(&whole, screen) {
        return vec![whole];
    }
    let mut pages = Vec::new();
    let mut rest = body.trim_start_matches(['\n', ' ']);
    while !rest.is_empty() && pages.len() < PAGES_MAX {
        let first = pages.is_empty();
        let last = footed(rest, &foot(first, true));
        if fits(&last, screen) {
            pages.push(last);
            break;
        }
        let under = foot(first, false);
        let (taken, left) = match cut(rest, |part| fits(&footed(part, &under), screen)) {
            Some(end) => (footed(rest[..end].trim_end(), &under), &rest[end..]),
            None => match cut(rest, |part| fits(part, screen)) {
                Some(end) => (rest[..end].to_owned(), &rest[end..]),
                None => break,
            },
        };
        pages.push(taken);
        rest = left.trim_start_matches(['\n', ' ']);
    }
    if pages.is_empty() {
        pages.push(String::new());
    }
    pages
}

/// The first page of a text that nothing can follow.
pub fn only(body: &str, screen: Screen) -> String {
    if fits(body, screen) {
        return body.to_owned();
    }
    cut(body, |part| fits(part, screen)).map_or(String::new(), |end| body[..end].trim_end().to_owned())
}

fn footed(body: &str, foot: &str) -> String {
    match (body.is_empty(), foot.is_empty()) {
        (_, true) => body.to_owned(),
        (true, false) => foot.to_owned(),
        (false, false) => format!("{body}\n{foot}"),
    }
}

/// The longest beginning of `text` that fits, cut at the best kind of place that has one; `None` when not even one
/// character fits.
fn cut(text: &str, fits: impl Fn(&str) -> bool) -> Option<usize> {
    let longest = |ends: &mut dyn Iterator<Item = usize>| {
        ends.filter(|end| *end > 0).take_while(|end| fits(text[..*end].trim_end())).last()
    };
    let lines = longest(&mut text.match_indices('\n').map(|(at, _)| at));
    let words = || longest(&mut text.match_indices([' ', '\n']).map(|(at, _)| at));
    let clusters = || longest(&mut text.grapheme_indices(true).map(|(at, cluster)| at + cluster.len()));
    let characters = || longest(&mut text.char_indices().map(|(at, c)| at + c.len_utf8()));
    lines.or_else(words).or_else(clusters).or_else(characters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SMALL: Screen = Screen { septets: 20, ucs2: 16, latin: false };

    fn more(_: bool, last: bool) -> String {
        if last { String::new() } else { "98 More".into() }
    }

    fn check(body: &str, expected: &[&str]) {
        assert_eq!(pages(body, SMALL, more), expected, "{body:?}");
    }

    #[test]
    fn pages_by_example() {
        check("What went wrong?", &["What went wrong?"]);
        check(
            "What?\n1 Staff\n2 Money\n3 Delay",
            &["What?\n98 More", "1 Staff\n98 More", "2 Money\n3 Delay"],
        );
        check("one two three four five six", &["one two\n98 More", "three four five six"]);
        check("abcdefghijklmnopqrstuvwxyz", &["abcdefghijkl\n98 More", "mnopqrstuvwxyz"]);
        check("", &[""]);
        // Sixteen units leave room for eight beside the foot: a letter and a syllable of four, and none is cut.
        check("ଆକ୍ଷିକ୍ଷିକ୍ଷିକ୍ଷି", &["ଆକ୍ଷି\n98 More", "କ୍ଷିକ୍ଷିକ୍ଷି"]);
    }

    proptest! {
        #[test]
        fn every_page_fits_and_nothing_but_blanks_is_lost(
            body in "[a-z \nଅ-ହ€{😀]{0,120}", septets in 1_u16..60, ucs2 in 1_u16..40,
        ) {
            let screen = Screen { septets, ucs2, latin: false };
            let cut = pages(&body, screen, |_, _| String::new());
            for page in &cut {
                prop_assert!(fits(page, screen), "{:?}", page);
            }
            let letters = |text: &str| text.chars().filter(|c| !" \n".contains(*c)).collect::<String>();
            let shown = letters(&cut.concat());
            prop_assert!(letters(&body).starts_with(&shown));
            // With room for any character at all, only the limit on pages may leave something out.
            if cut.len() < PAGES_MAX && septets >= 2 && ucs2 >= 2 {
                prop_assert_eq!(shown, letters(&body));
            }
        }
    }
}
