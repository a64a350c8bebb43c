//! What loading promises beside its single faults (those are in `tests/broken_flows`).

use super::*;
use crate::{
    domain::completion::Value,
    expr::Scope,
    flow::{bundled, graph::Form, graph::Target, node::Kind, texts},
};
use proptest::prelude::*;

fn load_bundled() -> Vec<Flow> {
    let findings = Findings::default();
    let flows = load_all(&bundled::flows(), &bundled::texts(), &findings);
    let found: Vec<_> = findings.into_sorted().iter().map(ToString::to_string).collect();
    assert_eq!(found, Vec::<String>::new());
    flows
}

fn hospital_visit() -> Flow {
    load_bundled().into_iter().find(|flow| flow.id.as_str() == "hospital-visit").expect("it is bundled")
}

#[test]
fn the_bundled_flows_are_without_a_finding() {
    assert_eq!(load_bundled().len(), bundled::flows().len());
    let findings = Findings::default();
    let texts = texts::load(&bundled::texts(), &findings).expect("good texts");
    assert_eq!(findings.into_sorted(), []);
    let languages: Vec<_> = texts.closing.0.iter().map(|(lang, _)| lang.to_string()).collect();
    assert_eq!(languages, ["en", "or", "hi"]);
}

#[test]
fn one_question_for_everybody_and_two_more_for_the_unhappy() {
    let flow = hospital_visit();
    let ids: Vec<_> = flow.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["overall", "topic", "contact", "thanks"]);
    let leads = |rating: i64| {
        let (given, link) = (Value::Integer(rating), &flow.nodes[0].next);
        let scope = Scope {
            answer: &|node| (node == "overall").then_some(&given),
            context: &[],
            without: &|_| None,
            flow: "hospital-visit",
            status: None,
            language: "or",
            channel: "phone",
            bearer: "ussd",
            now: Default::default(),
            reference: "",
        };
        let taken =
            link.iter().find(|link| link.when.as_ref().is_none_or(|when| when.holds(&scope) == Ok(true)));
        taken.map(|link| link.goto)
    };
    assert_eq!([1, 3, 4, 5].map(leads), [1, 1, 3, 3].map(|at| Some(Target::Node(at))));
    assert_eq!(flow.nodes[0].otherwise, Target::Node(3));
    assert!(matches!(&flow.nodes[2].kind, Kind::YesNo(contact) if contact.consents_msisdn));
    assert_eq!(flow.nodes[3].next[0].goto, Target::End);
}

/// By USSD an Odia page holds 70 UTF-16 units, so every screen of it is one page, options and all.
#[test]
fn every_odia_screen_of_the_hospital_visit_is_one_page() {
    let flow = hospital_visit();
    let odia = flow.languages[0];
    for node in &flow.nodes {
        let mut screen = node.words.pick(odia, Form::Screen).fallback.clone();
        if let Kind::Choice(choice) = &node.kind {
            for (at, option) in choice.options.iter().enumerate() {
                screen += &format!("\n{} {}", at + 1, option.words.pick(odia, Form::Screen).fallback);
            }
        }
        let units = screen.encode_utf16().count();
        assert!(units <= 70, "{} takes {units} units:\n{screen}", node.id);
    }
}

#[test]
fn a_stored_revision_is_compiled_to_the_same() {
    let flow = hospital_visit();
    let again = reload(&flow.stored).expect("what was stored can be loaded");
    assert_eq!((again.revision, &again.stored), (flow.revision, &flow.stored));
    assert_eq!(format!("{:?}", again.nodes), format!("{:?}", flow.nodes));
    let mut damaged = flow.stored.to_vec();
    damaged[0] = VERSION_OF_TOMORROW;
    assert!(reload(&damaged).is_none() && reload(&[]).is_none() && reload(&flow.stored[..40]).is_none());
}

const VERSION_OF_TOMORROW: u8 = 200;

#[test]
fn a_revision_is_what_the_files_say_and_not_where_they_lie() {
    let revision = |name: &str, text: &str, texts: &str| {
        let flow = Source::new(name, text);
        load(&flow, &Source::new("texts.toml", texts), &Findings::default()).expect("a good flow").revision
    };
    let (flow, texts) = (bundled::flows()[0].text.clone(), bundled::texts().text);
    let first = revision("flows/a.toml", &flow, &texts);
    assert_eq!(first, revision("/srv/flows/a.toml", &flow, &texts));
    assert_ne!(first, revision("flows/a.toml", &format!("{flow}\n# edited\n"), &texts));
    assert_ne!(first, revision("flows/a.toml", &flow, &format!("{texts}\n# edited\n")));
}

fn check_all(flows: &[(&str, &str)], expected: &[&str]) {
    let flows: Vec<_> = flows
        .iter()
        .map(|(name, head)| {
            let node = "[[node]]\nid = 'n'\nkind = 'rating'\ntext.en = 'How?'\n";
            Source::new(name, &format!("title = 'T'\nlanguages = ['en']\n{head}\n{node}"))
        })
        .collect();
    let findings = Findings::default();
    load_all(&flows, &bundled::texts(), &findings);
    let found: Vec<_> = findings.into_sorted().iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn two_flows_share_neither_id_nor_code() {
    check_all(
        &[("a.toml", "id = 'a'\nstart.ussd = ['*1#']"), ("b.toml", "id = 'b'\nstart.ussd = ['*2#']")],
        &[],
    );
    check_all(
        &[("a.toml", "id = 'a'\nstart.ussd = ['*1#']"), ("b.toml", "id = 'a'\nstart.ussd = ['*1#']")],
        &[
            "b.toml:3:6: the id `a` is taken by a.toml\n\n  hint: every flow needs its own",
            "b.toml:4:15: the code `*1#` is taken by a.toml\n\n  hint: every flow needs its own",
        ],
    );
}

fn check_texts(change: impl Fn(String) -> String, expected: &[&str]) {
    let findings = Findings::default();
    let texts = Source::new("texts.toml", &change(bundled::texts().text.to_string()));
    load_all(&bundled::flows(), &texts, &findings);
    let found: Vec<_> = findings.into_sorted().iter().map(|finding| finding.what.clone()).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_engines_texts_are_checked_once_for_all_flows() {
    check_texts(|texts| texts, &[]);
    check_texts(
        |texts| texts.replace("[back]", "[bakc]"),
        &["`back` has no text in `en` and `or` and `hi`", "the engine never says `bakc`"],
    );
    check_texts(
        |texts| texts.replace("[hint.rating]", "[hint.raiting]"),
        &["`hint.rating` has no text in `en` and `or` and `hi`", "the engine never says `hint.raiting`"],
    );
    check_texts(|texts| texts.replace("text.hi = \"पीछे\"\n", ""), &["`back` has no text in `hi`"]);
    check_texts(|texts| texts.replace("\"Back\"", "\"{{ overall }} Back\""), &["there is no name `overall`"]);
}

#[test]
fn a_flow_lays_its_own_words_over_the_engines() {
    let text = format!("{}\n[texts.more]\ntext.en = \"Next page\"\n", bundled::flows()[0].text);
    let flow =
        load(&Source::new("a.toml", &text), &bundled::texts(), &Findings::default()).expect("a good flow");
    let said = |tag: &str| {
        let lang = Lang::parse(tag).expect("a language");
        flow.texts.more.pick(lang, Form::Screen).fallback.clone()
    };
    assert_eq!([said("en"), said("or")], ["Next page", "ଆଗକୁ"]);
}

proptest! {
    /// Whatever an author leaves out, adds or misplaces: no panic, and a flow comes out exactly when there is no error.
    #[test]
    fn any_damage_is_told_or_harmless(from in 0usize..3_000, length in 0usize..60, put in "[\\PC\n]{0,20}") {
        let text = bundled::flows()[0].text.to_string();
        let place = |at: usize| (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        let (from, to) = (place(from.min(text.len())), place((from + length).min(text.len())));
        let damaged = format!("{}{put}{}", &text[..from], &text[to.max(from)..]);
        let findings = Findings::default();
        let loaded = load(&Source::new("x.toml", &damaged), &bundled::texts(), &findings);
        prop_assert_eq!(loaded.is_some(), findings.errors() == 0);
        for finding in findings.into_sorted() {
            prop_assert!(finding.span.end <= damaged.len(), "{finding}");
        }
    }
}
