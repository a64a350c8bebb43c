//! The phone page: one hand-sized file, compiled in, with what this gateway offers written into it as data.
//!
//! The page may do nothing but run the script and the style that were compiled in and speak to this origin: its
//! policy names both by hash, so a text that found its way into the page would not run. Who may open the page is the
//! door's business.

use crate::domain::{id::ChannelId, lang::Lang};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use sha2::{Digest, Sha256};

const SOURCE: &str = include_str!("phone.html");
/// What the data is written in place of.
const PLACE: &str = "@LINES@";

/// What can be dialled on the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// The channel whose USSD door the page speaks to.
    pub channel: ChannelId,
    /// The codes that open a flow; the first is what the page begins with.
    pub codes: Vec<Code>,
    /// The words that open a flow by SMS, in the place of codes.
    pub words: Vec<Code>,
    /// The languages that can be asked for; the first is what the page begins with.
    pub languages: Vec<Lang>,
}

/// A code or a word that opens a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// As it is dialled or written, such as `*4545*1#`.
    pub code: String,
    /// The flow's title, for people.
    pub title: String,
}

/// The page as it is served: the same bytes for the life of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// A whole document, UTF-8.
    pub html: String,
    /// The channel that it speaks to.
    pub channel: ChannelId,
    /// Its `Content-Security-Policy`; serve it with nothing less.
    pub policy: String,
}

impl Page {
    /// The page for these lines. Without a language it speaks English.
    pub fn new(lines: &Lines) -> Page {
        Page {
            html: SOURCE.replacen(PLACE, &data(lines), 1),
            channel: lines.channel.clone(),
            policy: policy(),
        }
    }
}

/// The lines as JSON that can stand inside a script element: no `<` ends it early, whatever a title says.
fn data(lines: &Lines) -> String {
    let Lines { channel, codes, words, languages } = lines;
    let opening = |all: &[Code]| -> Vec<_> {
        all.iter().map(|c| json!({ "code": c.code, "title": c.title })).collect()
    };
    let (codes, words) = (opening(codes), opening(words));
    let mut languages: Vec<_> = languages.iter().map(Lang::as_str).collect();
    if languages.is_empty() {
        languages.push(Lang::EN.as_str());
    }
    json!({ "channel": channel.as_str(), "codes": codes, "words": words, "languages": languages })
        .to_string()
        .replace('<', "\\u003c")
}

fn policy() -> String {
    let (script, style) = (hash("<script>", "</script>"), hash("<style>", "</style>"));
    format!(
        "default-src 'none'; script-src {script}; style-src {style}; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The hash, as a policy writes it, of what stands between the only `open` of the page and the next `close`.
fn hash(open: &str, close: &str) -> String {
    let (_, rest) = SOURCE.split_once(open).expect("the page has one script and one style of its own");
    let (text, _) = rest.split_once(close).expect("what is opened is closed");
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(title: &str) -> Page {
        Page::new(&Lines {
            channel: ChannelId::parse("phone").unwrap(),
            codes: vec![Code { code: "*4545*1#".into(), title: title.into() }],
            words: vec![Code { code: "VISIT".into(), title: title.into() }],
            languages: ["or", "en"].map(|tag| Lang::parse(tag).unwrap()).to_vec(),
        })
    }

    fn lines_of(page: &Page) -> serde_json::Value {
        let (_, rest) = page.html.split_once(r#"id="lines">"#).unwrap();
        serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
    }

    #[test]
    fn the_page_says_what_can_be_dialled() {
        let expected = json!({
            "channel": "phone",
            "codes": [{ "code": "*4545*1#", "title": "After a hospital visit" }],
            "words": [{ "code": "VISIT", "title": "After a hospital visit" }],
            "languages": ["or", "en"],
        });
        assert_eq!(lines_of(&page("After a hospital visit")), expected);
    }

    #[test]
    fn a_title_stays_a_title() {
        for title in ["</script><script>alert(1)</script>", "<!--<script>", "@LINES@", "\"\\\u{2028}&amp;"] {
            let page = page(title);
            assert_eq!(lines_of(&page)["codes"][0]["title"], title);
            assert_eq!(page.html.matches("<script>").count(), 1, "{title}");
        }
    }

    #[test]
    fn a_gateway_without_flows_still_has_a_phone() {
        let none = Lines {
            channel: ChannelId::parse("phone").unwrap(),
            codes: vec![],
            words: vec![],
            languages: vec![],
        };
        assert_eq!(lines_of(&Page::new(&none))["languages"], json!(["en"]));
    }

    #[test]
    fn the_policy_lets_nothing_else_run() {
        let Page { html, policy, channel: _ } = page("x");
        assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        for outside in ["http://", "https://", "style=", "onclick", "@import", "url("] {
            let found = html.replace("http://www.w3.org/2000/svg", "").contains(outside);
            assert!(!found, "{outside} in the page");
        }
    }
}
