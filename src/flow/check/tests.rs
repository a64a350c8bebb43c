//! What loading promises beside its single faults (those are in `tests/broken_flows`).

use super::*;
use crate::{
    domain::completion::Value,
    expr::Scope,
    flow::{
        bundled,
        entry::{Control, control},
        graph::{Form, Target, Words},
        node::Kind,
        texts,
    },
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

/// A revision that was stored before this release's engine had words for reminders, "not me" and STOP: whoever is inside it
/// stays inside it (P7), and hears the bundled words.
#[test]
fn a_revision_of_an_older_release_is_compiled_with_the_bundled_words() {
    let kept = include_bytes!("samples/revision-1.bin");
    let flow = reload(kept).expect("an older release's revision is compiled");
    let revision = "sha256:fc6e28ce9812c4af634dc51347a5f7b18459175572c50089f8bf09b88ab40cce";
    assert_eq!((flow.revision.to_string().as_str(), &*flow.stored), (revision, &kept[..]));
    let said = |words: &Words, tag: &str| {
        let language = Lang::parse(tag).expect("a language");
        words.pick(language, Form::Full).fallback.clone()
    };
    assert_eq!(said(&flow.texts.wrong_number, "or"), "ମୁଁ ନୁହେଁ");
    assert_eq!(said(&flow.texts.remind, "en"), "We have not had your answer yet.");
    assert_eq!(said(&flow.texts.skip, "en"), "Skip", "its own words stay");
    assert_eq!(control(&flow.texts, "stop"), Some(Control::Stop));
}

/// A language that the bundled words do not have hears what this release added in their first.
#[test]
fn a_stored_language_that_is_not_bundled_is_helped_out() {
    let texts = include_str!("../../../flows/texts.toml");
    let (_, texts) = texts.split_once("# Said before").expect("the texts behind the words");
    let texts = texts.replace("text.hi", "text.te").replace("ussd.hi", "ussd.te");
    let (before, after) = texts.split_once("[remind]").expect("the reminder");
    let (_, after) = after.split_once("# To an answer").expect("what comes behind it");
    let texts = format!("languages = [\"en\", \"or\", \"te\"]\n# Said before{before}# To an answer{after}");
    let flow =
        "id = 'a'\ntitle = 'A'\nlanguages = ['te']\n[[node]]\nid = 'n'\nkind = 'rating'\ntext.te = '?'\n";
    let (flow, texts) = (Source::new("a.toml", flow), Source::new("texts.toml", &texts));
    let findings = Findings::default();
    assert!(load(&flow, &texts, &findings).is_none(), "in a new file it is a fault");
    let missing = findings.into_sorted().into_iter().map(|finding| finding.what).collect::<Vec<_>>();
    assert_eq!(missing.len(), 5, "the reminder, and each of the words: {missing:?}");
    let (stored, _) = stored::store(&flow, &texts);
    let again = reload(&stored).expect("in a stored one it is not");
    let telugu = again.languages[0];
    assert_eq!(again.texts.remind.pick(telugu, Form::Full).fallback, "We have not had your answer yet.");
    assert_eq!(again.texts.back.pick(telugu, Form::Full).fallback, "पीछे");
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
fn two_flows_share_neither_id_nor_code_nor_word() {
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

#[test]
fn a_word_opens_one_flow_however_it_is_written() {
    check_all(
        &[
            ("a.toml", "id = 'mo'\nstart.sms = ['MO', 'MO SARKAR']"),
            ("b.toml", "id = 'b'\nstart.sms = ['M']"),
        ],
        &[],
    );
    check_all(
        &[
            ("a.toml", "id = 'a'\nstart.sms = ['MO SARKAR']"),
            ("b.toml", "id = 'b'\nstart.sms = ['Mosarkar']"),
        ],
        &["b.toml:4:14: the word `Mosarkar` is taken by a.toml\n\n  hint: every flow needs its own"],
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
fn control_words_are_checked() {
    let with = |old: &'static str, new: &'static str| move |texts: String| texts.replace(old, new);
    check_texts(
        with("\"HELP\", \"INFO\"", "\"HELP\", \"quit\""),
        &["\"quit\" already means \"no more messages\""],
    );
    check_texts(with("\"INFO\"", "\"1\""), &["a word needs a letter"]);
    check_texts(with("\"INFO\"", "\" \""), &["a word needs a letter"]);
    check_texts(with("\"INFO\"", "\"ହଁ\""), &["\"ହଁ\" is an answer to a question"]);
    check_texts(with("help.en", "halp.en"), &["no message asks for `halp`"]);
    check_texts(with("help.en", "help.te"), &["`te` is none of the languages of this file"]);
    check_texts(
        |texts| {
            let (before, after) = texts.split_once("not-me.en").expect("its words");
            let (_, after) = after.split_once("# Said before").expect("what comes behind them");
            format!("{before}# Said before{after}")
        },
        &["no word asks for \"you do not mean me\""],
    );
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
