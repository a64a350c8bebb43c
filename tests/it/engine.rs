//! Properties of the engine, over the shipped flow and one with every kind of node: whatever citizens type, whenever.
//! Between any two steps the session is stored and read back.

use matamat::{
    domain::{
        completion::{Status, Value},
        id::{ChannelId, ResponseId, Version},
        keys::Sealed,
        lang::Lang,
        message::{Bearer, Coding, Screen},
        time::Timestamp,
    },
    findings::{Findings, Source},
    flow::{
        check,
        effect::{Effect, Fault, TimerKind},
        event::{Canvas, Event},
        graph::Flow,
        session::{Place, Session},
        step::{self, DIRECT_MAX, Step, TRIES, step},
    },
    store::record::Record,
    text::{gsm::fits, heard::Heard, segments::segments},
};
use proptest::prelude::*;
use std::{sync::LazyLock, time::Duration};

const START: Timestamp = Timestamp(1_795_511_523_120);

/// Every kind of node, a branch on each kind of answer, a long question that is paged.
const ALL_KINDS: &str = r#"
id = "all-kinds"
title = "Every kind of node"
languages = ["en", "or"]
start = { ussd = ["*1#"] }
remind = ["6h", "24h", "40h"]
[context]
"visit.office" = { max = 30, without = { en = "the office", or = "ଅଫିସ" } }
[[node]]
id = "welcome"
kind = "say"
text.en = "About {{ visit.office }}."
text.or = "{{ visit.office }}"
[[node]]
id = "overall"
kind = "rating"
scale = 10
text.en = "How were you treated? 1 very badly, 10 very well"
text.or = "ବ୍ୟବହାର କିପରି ଥିଲା? 1 - 10"
next = [{ when = "overall >= 8", goto = "words" }, { when = "overall <= 2", goto = "contact" }, { goto = "topic" }]
[[node]]
id = "topic"
kind = "choice"
text.en = "What went wrong on that day, and where? Choose what comes nearest to it; you can tell us more in your own words later on."
text.or = "କ'ଣ ଅସୁବିଧା ହେଲା? ଯାହା ସବୁଠାରୁ ଅଧିକ ମିଶୁଛି ତାହା ବାଛନ୍ତୁ।"
options = [
  { value = "behaviour", text = { en = "Behaviour of the staff at the desk", or = "ବ୍ୟବହାର" } },
  { value = "money", text = { en = "Money was asked for something free", or = "ଟଙ୍କା ମାଗିଲେ" }, goto = "contact" },
  { value = "delay", text = { en = "It took far too long", or = "ଡେରି" } },
]
[[node]]
id = "contact"
kind = "yes-no"
consent = "msisdn"
text.en = "May the office see your number?"
text.or = "ଅଫିସ ଆପଣଙ୍କ ନମ୍ବର ଦେଖିପାରିବ କି?"
[[node]]
id = "words"
kind = "text"
optional = true
max = 40
text.en = "Is there anything you want to say?"
text.or = "କିଛି କହିବେ କି?"
[[node]]
id = "thanks"
kind = "say"
text.en = "Thank you. {{ reference }}"
text.or = "ଧନ୍ୟବାଦ। {{ reference }}"
"#;

/// A flow that can go round: whoever says no at the end begins again, perhaps along the other branch.
const ROUND: &str = r#"
id = "round"
title = "Asks whether it is right"
languages = ["en"]
start = { ussd = ["*2#"] }
[context]
"visit.office" = { max = 60, without = { en = "another office" } }
[[node]]
id = "overall"
kind = "rating"
scale = 2
text.en = "How was it? 1 bad, 2 good"
next = [{ when = "overall == 2", goto = "right" }, { goto = "where" }]
otherwise = "end"
[[node]]
id = "where"
kind = "choice"
text.en = "Where?"
options = [
  { value = "here", text.en = "{{ visit.office }}" },
  { value = "there", text.en = "Elsewhere" },
]
[[node]]
id = "contact"
kind = "yes-no"
consent = "msisdn"
text.en = "May the office that can put it right see your number, so that it can ask you what happened there?"
[[node]]
id = "right"
kind = "yes-no"
text.en = "Is that right?"
next = [{ when = "right", goto = "thanks" }, { goto = "overall" }]
otherwise = "thanks"
[[node]]
id = "thanks"
kind = "say"
text.en = """
Thank you for telling us how you were treated. Every answer is read.
Your reference number is {{ reference }}"""
"#;

static FLOWS: LazyLock<[Flow; 3]> = LazyLock::new(|| {
    let texts = Source::new("flows/texts.toml", include_str!("../../flows/texts.toml"));
    [include_str!("../../flows/hospital-visit.toml"), ALL_KINDS, ROUND].map(|text| {
        let findings = Findings::default();
        let flow = check::load(&Source::new("flow.toml", text), &texts, &findings);
        flow.unwrap_or_else(|| panic!("{:#?}", findings.into_sorted()))
    })
});

fn fresh(flow: &Flow, language: usize) -> Session {
    Session {
        response: ResponseId([5; 16]),
        flow: flow.id.clone(),
        revision: flow.revision,
        language: flow.languages[language % flow.languages.len()],
        bearer: Bearer::Ussd,
        channel: ChannelId::parse("at-ussd").expect("an id"),
        started: START,
        expires: START.plus(flow.expires),
        place: Place::Fresh,
        answers: Vec::new(),
        context: Vec::new(),
        invited: false,
    }
}

/// Stored and read back.
fn reloaded(session: Session) -> Session {
    let record = Record {
        told: None,
        version: Version(1),
        consent: 0,
        asked: Version(1),
        number: Sealed { key: 1, bytes: vec![1] },
        language: Some(Lang::EN),
        dialogue: None,
        session: Some(session),
    };
    Record::decode(&record.encode()).expect("what was written is read").session.expect("the session")
}

fn shown(step: &Step) -> Vec<(&str, bool)> {
    fn show(effect: &Effect) -> Option<(&str, bool)> {
        if let Effect::Show { text, end } = effect { Some((text, *end)) } else { None }
    }
    step.effects.iter().filter_map(show).collect()
}

/// What goes out by SMS: the text, and whether it puts a question.
fn sent(step: &Step) -> Vec<(&str, bool)> {
    fn say(effect: &Effect) -> Option<(&str, bool)> {
        if let Effect::Say { text, prompt, .. } = effect { Some((text, *prompt)) } else { None }
    }
    step.effects.iter().filter_map(say).collect()
}

fn reminder(step: &Step) -> Option<(u8, Duration)> {
    step.effects
        .iter()
        .find_map(|effect| if let Effect::Say { remind, .. } = effect { *remind } else { None })
}

fn screens() -> impl Strategy<Value = Screen> {
    (20_u16..=182, 12_u16..=80, any::<bool>()).prop_map(|(septets, ucs2, latin)| Screen {
        septets,
        ucs2,
        latin,
    })
}

/// What people type, and what nobody should.
fn typed() -> impl Strategy<Value = String> {
    const USUAL: [&str; 17] = [
        "1",
        "2",
        "3",
        "5",
        "8",
        "9",
        "0",
        "00",
        "98",
        "98",
        "98",
        "99",
        "୨",
        "ହଁ",
        "no",
        "Money was asked",
        "",
    ];
    prop_oneof![
        4 => prop::sample::select(&USUAL[..]).prop_map(str::to_owned),
        1 => ".*",
        1 => "[0-9*#]{0,12}",
        1 => "[\u{200b}-\u{200f}\u{b00}-\u{b7f}0-9]{0,40}",
    ]
}

fn canvases() -> impl Strategy<Value = Canvas> {
    prop_oneof![2 => screens().prop_map(Canvas::Screen), 1 => Just(Canvas::Sms)]
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (typed(), screens()).prop_map(|(typed, screen)| Event::Dialled { typed, screen }),
        18 => (typed(), canvases()).prop_map(|(text, on)| Event::Answered { text, on }),
        2 => Just(Event::Opened),
        2 => Just(Event::Invited),
        2 => (0_u8..8).prop_map(|nth| Event::Reminded { nth }),
        1 => any::<u8>().prop_map(|nth| Event::Reminded { nth }),
        2 => Just(Event::HandedOver),
        1 => canvases().prop_map(|on| Event::NotMe { on }),
        1 => Just(Event::Stopped),
        1 => Just(Event::Expired),
    ]
}

/// Whether somebody waits for a screen.
fn waits(event: &Event) -> bool {
    use Event::*;
    matches!(event, Dialled { .. } | Answered { on: Canvas::Screen(_), .. } | NotMe { on: Canvas::Screen(_) })
}

/// Whether an event puts the open question, or the last words, into an SMS.
fn is_said(event: &Event, was_fresh: bool) -> bool {
    match event {
        Event::Answered { on, .. } | Event::NotMe { on } => *on == Canvas::Sms,
        Event::Opened => true,
        Event::Invited => was_fresh,
        Event::Reminded { .. } | Event::HandedOver => !was_fresh,
        Event::Dialled { .. } | Event::Stopped | Event::Expired => false,
    }
}

fn screen_of(event: &Event) -> Screen {
    match event {
        Event::Dialled { screen, .. }
        | Event::Answered { on: Canvas::Screen(screen), .. }
        | Event::NotMe { on: Canvas::Screen(screen) } => *screen,
        _ => Screen::default(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("MATAMAT_TESTS").is_some() { 5_000 } else { 400 }))]

    /// Any bytes, any order, by USSD and by SMS: no panic; every screen fits; one screen a step where somebody waits, and one
    /// SMS where it goes by SMS; one response a life; nothing after the end; a re-run makes the same; stored and read back it
    /// goes on the same. The timer starts with the session and goes with it, who answered anything gets a response, and a
    /// redial changes nothing but the screen. An SMS is never empty; one that asks supersedes what asked before it.
    #[test]
    fn any_events_in_any_order(
        which in 0_usize..3, language in 0_usize..2, invited in any::<bool>(), office in "[a-zଅ-ହ\\r\\n ]{0,12}",
        events in prop::collection::vec(events(), 1..25),
        times in prop::collection::vec(-1_000_000_i64..1_000_000_000, 25),
    ) {
        let flow = &FLOWS[which];
        let context = vec![("visit.office".to_owned(), office)];
        let mut session = Session { invited, context, ..fresh(flow, language) };
        let mut responses = 0;
        for (event, ms) in events.into_iter().zip(times) {
            let now = Timestamp(START.0 + ms);
            let was_over = session.place == Place::Over;
            let was_fresh = session.place == Place::Fresh;
            let was_asked = matches!(session.place, Place::At { .. });
            let given = session.answers.clone();
            let first = step(flow, session.clone(), event.clone(), now);
            let second = step(flow, reloaded(session), event.clone(), now);
            prop_assert_eq!(&first, &second, "a re-run after a reload makes the same");
            let screens = shown(&first);
            prop_assert_eq!(screens.len(), usize::from(!was_over && waits(&event)), "{:?} on {:?}", &event, &first.effects);
            let said = sent(&first);
            let owed = !was_over && is_said(&event, was_fresh);
            prop_assert_eq!(said.len(), usize::from(owed), "{:?} on {:?}", &event, &first.effects);
            for (text, prompt) in &said {
                prop_assert!(!text.trim().is_empty() && !text.contains('\r'), "{:?}", text);
                prop_assert!(!text.contains("98 "), "an SMS has no pages: {:?}", text);
                prop_assert_eq!(*prompt, first.session.place != Place::Over, "an SMS asks, or it is the last");
                prop_assert!(first.effects.contains(&Effect::Asked), "what asked before is superseded");
                let nth = if let Event::Reminded { nth } = &event { *nth } else { 0 };
                let due = flow.remind.get(usize::from(nth)).filter(|_| *prompt).map(|_| nth + 1);
                prop_assert_eq!(reminder(&first).map(|(next, _)| next), due, "{:?}", &first.effects);
            }
            for (text, end) in &screens {
                prop_assert!(fits(text, screen_of(&event)), "{:?} does not fit {:?}", text, &event);
                prop_assert_eq!(*end, first.session.place == Place::Over, "the last screen ends the dialogue");
            }
            let lost = |e: &Effect| matches!(e, Effect::Fault { fault: Fault::Lost, .. });
            prop_assert!(!first.effects.iter().any(lost), "nobody gets lost in a flow that loaded");
            responses += first.effects.iter().filter(|e| matches!(e, Effect::Respond(_))).count();
            prop_assert!(responses <= 1, "one response a life");
            if was_over {
                prop_assert!(first.effects.is_empty(), "nothing after the end: {:?}", first.effects);
            }
            let ends = !was_over && first.session.place == Place::Over;
            let by_mistake = matches!(event, Event::NotMe { .. })
                || matches!(&event, Event::Answered { text, .. } if Heard::of(text).as_str() == "99" && invited && given.is_empty() && was_asked);
            let owed = usize::from(ends && !by_mistake && !first.session.answers.is_empty());
            let has = |wanted: fn(&Effect) -> bool| first.effects.iter().filter(|e| wanted(e)).count();
            prop_assert_eq!(has(|e| matches!(e, Effect::Respond(_))), owed, "{:?}", &first.effects);
            prop_assert_eq!(has(|e| matches!(e, Effect::CancelTimer(_))), usize::from(ends));
            let begins = usize::from(was_fresh && (waits(&event) || is_said(&event, true)) && !by_mistake);
            prop_assert_eq!(has(|e| matches!(e, Effect::StartTimer { .. })), begins);
            if was_asked && matches!(event, Event::Dialled { .. }) {
                prop_assert_eq!(first.effects.len(), 1, "the open question, and no new one: {:?}", first.effects);
                prop_assert_eq!(&first.session.answers, &given);
            }
            session = first.session;
        }
    }

    /// What was answered stays until the citizen goes back for it, in the order given.
    #[test]
    fn no_answer_is_lost(which in 0_usize..2, answers in prop::collection::vec(typed(), 1..25)) {
        let flow = &FLOWS[which];
        let screen = Screen::default();
        let dialled = Event::Dialled { typed: String::new(), screen };
        let mut session = step(flow, fresh(flow, 0), dialled, START).session;
        for text in answers {
            let before = session.clone();
            let after = step(flow, session, Event::Answered { text: text.clone(), on: Canvas::Screen(screen) }, START).session;
            let gone = before.answers.iter().filter(|given| !after.answers.contains(given)).count();
            let goes_back = ["0", "00"].contains(&Heard::of(&text).as_str());
            prop_assert!(gone == 0 || (gone == 1 && goes_back), "{:?} lost {:?}", text, before.answers);
            prop_assert!(after.answers.len() <= before.answers.len() + 1);
            session = after;
        }
    }

    /// However often a citizen went back or round, what is left is one way through the flow: who types just that comes to the
    /// same place with the same answers, so nothing from a branch that was left accuses anybody.
    #[test]
    fn the_answers_tell_one_way_through_the_flow(typed in prop::collection::vec("[012]", 1..25)) {
        let (flow, screen) = (&FLOWS[2], Screen::default());
        let mut session = dialled(flow, fresh(flow, 0), "", screen).session;
        for text in typed {
            session = answered(flow, session, &text, screen).session;
        }
        let mut straight = dialled(flow, fresh(flow, 0), "", screen).session;
        for given in &session.answers {
            straight = answered(flow, straight, &given.said, screen).session;
        }
        prop_assert_eq!(&straight.answers, &session.answers);
        prop_assert_eq!(&straight.place, &session.place);
    }

    /// Nonsense for ever ends the flow, and so does 1 for ever.
    #[test]
    fn there_is_always_a_way_out(which in 0_usize..2, language in 0_usize..2, nonsense in "[x-z?]{1,8}|1", screen in screens()) {
        let flow = &FLOWS[which];
        let mut session = step(flow, fresh(flow, language), Event::Dialled { typed: String::new(), screen }, START).session;
        let most = flow.nodes.len() * usize::from(TRIES);
        let mut steps = 0;
        while session.place != Place::Over {
            prop_assert!(steps < most, "{:?} is still at {:?}", nonsense, session.place);
            session = step(flow, session, Event::Answered { text: nonsense.clone(), on: Canvas::Screen(screen) }, START).session;
            steps += 1;
        }
    }

    /// Every page of a question can be reached with the key that it names, and all of it is on one of them: after an
    /// answer, behind something that was said before it, and with a hint.
    #[test]
    fn all_of_a_question_can_be_read(screen in screens(), hinted in any::<bool>()) {
        // What is said before a question has one page at most.
        let screen = Screen { latin: false, septets: screen.septets.max(40), ..screen };
        let options = ["1 Behaviour of the staff at the desk", "2 Money was asked for something free", "3 It took far too long"];
        let first = ["About the office.", "How were you treated? 1 very badly, 10 very well"];
        let consent = ["May the office see your number?", "1 Yes", "2 No"];
        for (typed, expected) in [("5", &options[..]), ("", &first[..]), ("5*2", &consent[..])] {
            let dialled = Event::Dialled { typed: typed.into(), screen };
            let mut last = step(&FLOWS[1], fresh(&FLOWS[1], 0), dialled, START);
            let mut seen = read(&mut last, screen);
            if hinted && !typed.is_empty() {
                last = step(&FLOWS[1], last.session, Event::Answered { text: "none".into(), on: Canvas::Screen(screen) }, START);
                seen = read(&mut last, screen);
            }
            for part in expected {
                prop_assert!(flat(&seen).contains(&flat(part)), "{} is not in {}", part, seen);
            }
        }
    }
}

/// Turns the pages to the last one, as a citizen would, and gives all that was on them.
fn read(last: &mut Step, screen: Screen) -> String {
    let mut seen = String::new();
    for _ in 0..70 {
        let text = shown(last)[0].0.to_owned();
        seen.push_str(&text);
        seen.push('\n');
        if !text.contains("98 More") {
            break;
        }
        *last = step(
            &FLOWS[1],
            last.session.clone(),
            Event::Answered { text: "98".into(), on: Canvas::Screen(screen) },
            START,
        );
    }
    seen
}

fn flat(text: &str) -> String {
    text.replace("98 More", "").split_whitespace().collect()
}

#[test]
fn an_answer_corrected_asks_again_what_came_after_it() {
    let flow = &FLOWS[1];
    let screen = Screen::default();
    let mut session =
        step(flow, fresh(flow, 0), Event::Dialled { typed: "5*2*1".into(), screen }, START).session;
    let nodes = |session: &Session| session.answers.iter().map(|g| g.node.clone()).collect::<Vec<_>>();
    assert_eq!(nodes(&session), ["overall", "topic", "contact"]);
    assert!(step::consents_msisdn(flow, &session));
    for _ in 0..3 {
        session =
            step(flow, session, Event::Answered { text: "0".into(), on: Canvas::Screen(screen) }, START)
                .session;
    }
    assert!(session.answers.is_empty(), "a branch that was left accuses nobody");
    let last = step(flow, session, Event::Answered { text: "9".into(), on: Canvas::Screen(screen) }, START);
    assert_eq!(nodes(&last.session), ["overall"]);
    assert!(!step::consents_msisdn(flow, &last.session), "the yes went with its question");
}

/// What was understood of an answer; `None` when it is asked again.
fn understood(flow: &Flow, asked: &Session, text: &str) -> Option<Value> {
    let after = answered(flow, asked.clone(), text, Screen::default()).session;
    after.answers.get(asked.answers.len()).map(|given| given.value.clone())
}

#[test]
fn an_option_is_taken_by_its_number_or_its_whole_text() {
    let flow = &FLOWS[0];
    let asked = dialled(flow, fresh(flow, 1), "2", Screen::default()).session;
    let table = [
        ("3", Some("delay")),
        ("୩", Some("delay")),
        ("three", Some("delay")),
        (" DELAY. ", Some("delay")),
        ("Not clean", Some("cleanliness")),
        ("something  else", Some("other")),
        ("clean", None),
        ("not", None),
        ("no", None),
        ("Money", None),
        ("2 Money was asked", None),
        ("6", None),
        ("12", None),
    ];
    for (typed, expected) in table {
        assert_eq!(understood(flow, &asked, typed), expected.map(|e| Value::Text(e.into())), "{typed:?}");
    }
}

#[test]
fn a_yes_is_a_yes_and_what_may_be_one_is_asked_again() {
    let flow = &FLOWS[0];
    let asked = dialled(flow, fresh(flow, 0), "2*1", Screen::default()).session;
    let table = [
        ("1", Some(true)),
        ("୧", Some(true)),
        ("ହଁ", Some(true)),
        ("ଠିକ୍ ଅଛି", Some(true)),
        ("2", Some(false)),
        ("ଦୁଇ", Some(false)),
        ("ନା", Some(false)),
        ("दो", None),
        ("do", None),
        ("ନାଁ ଓ ନମ୍ବର", None),
        ("ଆପତ୍ତି ନାହିଁ", None),
        ("3", None),
        ("1 2", None),
    ];
    for (typed, expected) in table {
        assert_eq!(understood(flow, &asked, typed), expected.map(Value::Boolean), "{typed:?}");
    }
}

fn answered(flow: &Flow, session: Session, text: &str, screen: Screen) -> Step {
    step(flow, session, Event::Answered { text: text.into(), on: Canvas::Screen(screen) }, START)
}

fn dialled(flow: &Flow, session: Session, typed: &str, screen: Screen) -> Step {
    step(flow, session, Event::Dialled { typed: typed.into(), screen }, START)
}

#[test]
fn a_flow_that_goes_round_forgets_the_branch_it_left() {
    let flow = &FLOWS[2];
    // Badly, here, yes; not right; well, right.
    let last = dialled(flow, fresh(flow, 0), "1*1*1*2*2*1", Screen::default());
    assert_eq!(last.session.place, Place::Over);
    let given: Vec<_> = last.session.answers.iter().map(|given| given.node.as_str()).collect();
    assert_eq!(given, ["overall", "right"], "nobody is accused by what was taken back");
    assert!(!step::consents_msisdn(flow, &last.session), "the yes went with its question");
}

#[test]
fn an_option_is_shown_with_its_names_filled_in() {
    let flow = &FLOWS[2];
    let session =
        Session { context: vec![("visit.office".into(), "Capital Hospital".into())], ..fresh(flow, 0) };
    let screen = Screen::default();
    let last = dialled(flow, session, "1", screen);
    assert_eq!(shown(&last)[0].0, "Where?\n1 Capital Hospital\n2 Elsewhere\n0 Back");
}

#[test]
fn a_hint_never_takes_the_place_of_a_question_that_is_consented_to() {
    let flow = &FLOWS[2];
    let screen = Screen { septets: 120, ..Screen::default() };
    let asked = dialled(flow, fresh(flow, 0), "1*1", screen);
    assert!(shown(&asked)[0].0.contains("see your number"), "{:?}", asked.effects);
    let again = answered(flow, asked.session, "perhaps", screen);
    assert!(shown(&again)[0].0.contains("see your number"), "{:?}", again.effects);
}

#[test]
fn a_redial_shows_the_whole_question_without_a_hint() {
    let flow = &FLOWS[0];
    let screen = Screen::default();
    let asked = dialled(flow, fresh(flow, 0), "1", screen);
    let hinted = answered(flow, asked.session.clone(), "?", screen);
    assert_ne!(shown(&hinted), shown(&asked));
    let redialled = dialled(flow, hinted.session, "", screen);
    assert_eq!(shown(&redialled), shown(&asked));
    assert!(!redialled.effects.contains(&Effect::Asked), "the question is not new");
}

#[test]
fn the_last_screen_carries_the_reference_number_however_small_it_is() {
    let flow = &FLOWS[2];
    for septets in [20, 40, 70, 182] {
        let screen = Screen { septets, ..Screen::default() };
        let last = dialled(flow, fresh(flow, 0), "2*1", screen);
        let reference = last.session.response.reference();
        assert!(shown(&last)[0].0.contains(&reference), "{:?}", last.effects);
    }
}

#[test]
fn the_third_answer_that_is_not_understood_takes_the_way_out() {
    let flow = &FLOWS[0];
    let screen = Screen::default();
    let mut last = step(flow, fresh(flow, 1), Event::Dialled { typed: String::new(), screen }, START);
    let question = shown(&last)[0].0.to_owned();
    for _ in 1..TRIES {
        last = step(
            flow,
            last.session,
            Event::Answered { text: "seven".into(), on: Canvas::Screen(screen) },
            START,
        );
        let again = shown(&last)[0].0;
        assert!(again.ends_with(&question) && again != question, "a hint, and the question again: {again}");
    }
    last =
        step(flow, last.session, Event::Answered { text: "seven".into(), on: Canvas::Screen(screen) }, START);
    assert_eq!(last.session.place, Place::Over, "hospital-visit thanks and ends");
    assert!(!last.effects.iter().any(|e| matches!(e, Effect::Respond(_))), "no answer is no response");
}

#[test]
fn a_session_at_a_node_that_the_flow_does_not_have_ends_politely_with_what_there_is() {
    let flow = &FLOWS[0];
    let screen = Screen::default();
    let mut session = step(flow, fresh(flow, 1), Event::Dialled { typed: "2".into(), screen }, START).session;
    session.place = Place::At { node: "gone".into(), page: 3, tries: 1 };
    let on = Canvas::Screen(screen);
    let table = [
        (Event::Answered { text: "1".into(), on }, 1, 0),
        (Event::Dialled { typed: String::new(), screen }, 1, 0),
        (Event::Answered { text: "1".into(), on: Canvas::Sms }, 0, 1),
        (Event::Opened, 0, 1),
        // Nobody waits for a word.
        (Event::Reminded { nth: 1 }, 0, 0),
        (Event::HandedOver, 0, 0),
        (Event::Expired, 0, 0),
    ];
    for (event, screens, texts) in table {
        let last = step(flow, session.clone(), event.clone(), START);
        assert_eq!(last.session.place, Place::Over);
        assert!(last.effects.contains(&Effect::Respond(Status::Partial)), "{:?}", last.effects);
        assert_eq!(shown(&last).iter().filter(|(_, end)| *end).count(), screens, "{last:?}");
        assert_eq!(sent(&last).iter().filter(|(_, prompt)| !prompt).count(), texts, "{last:?}");
        let told = Effect::Fault { node: "gone".into(), fault: Fault::Lost };
        let met = event != Event::Expired;
        assert_eq!(last.effects.contains(&told), met, "a fault that somebody met is counted");
    }
}

#[test]
fn pages_are_turned_back_on_a_larger_screen_too() {
    let flow = &FLOWS[1];
    let small = Screen { septets: 40, ..Screen::default() };
    let mut last = dialled(flow, fresh(flow, 0), "5", small);
    for _ in 0..3 {
        last = answered(flow, last.session, "98", small);
    }
    assert!(matches!(last.session.place, Place::At { page: 3, .. }), "{:?}", last.session.place);
    let back = answered(flow, last.session, "0", Screen { septets: 182, ..small });
    assert!(matches!(back.session.place, Place::At { page: 0 | 1, .. }), "{:?}", back.session.place);
}

#[test]
fn a_direct_dial_answers_in_turn_and_has_a_limit() {
    let flow = &FLOWS[0];
    let screen = Screen::default();
    let dial =
        |typed: &str| step(flow, fresh(flow, 1), Event::Dialled { typed: typed.into(), screen }, START);
    assert!(shown(&dial("2*1"))[0].0.starts_with("May"));
    assert!(shown(&dial("5*9*9"))[0].1, "what is behind the end is not looked at");
    let long = "x*".repeat(DIRECT_MAX * 100);
    assert_eq!(dial(&long).session.place, Place::Over);
}

fn stepped(flow: &Flow, session: Session, event: Event) -> Step {
    step(flow, session, event, START)
}

fn by_sms(flow: &Flow, session: Session, text: &str) -> Step {
    stepped(flow, session, Event::Answered { text: text.into(), on: Canvas::Sms })
}

/// A conversation by SMS: what is sent, and what comes back.
#[test]
fn by_sms_a_question_comes_whole() {
    let flow = &FLOWS[1];
    let mut last = stepped(flow, fresh(flow, 0), Event::Opened);
    assert_eq!(sent(&last), [("About the office.\nHow were you treated? 1 very badly, 10 very well", true)]);
    let table = [
        (
            "seven?",
            "That was not understood. Please reply with a number.\nHow were you treated? 1 very badly, 10 very well",
        ),
        (
            "7",
            "What went wrong on that day, and where? Choose what comes nearest to it; you can tell us more in your own words \
             later on.\n1 Behaviour of the staff at the desk\n2 Money was asked for something free\n3 It took far too long",
        ),
        ("1", "May the office see your number?\n1 Yes\n2 No"),
        // Back is the last answer at once, whichever page a screen was on: an SMS has none.
        (
            "0",
            "What went wrong on that day, and where? Choose what comes nearest to it; you can tell us more in your own words \
             later on.\n1 Behaviour of the staff at the desk\n2 Money was asked for something free\n3 It took far too long",
        ),
        ("money was asked for something free", "May the office see your number?\n1 Yes\n2 No"),
        ("2", "Is there anything you want to say?\n00 Skip"),
    ];
    for (typed, expected) in table {
        last = by_sms(flow, last.session, typed);
        assert_eq!(sent(&last), [(expected, true)], "{typed}");
        assert_eq!(reminder(&last), Some((1, hours(6))), "each question is counted from its own prompt");
    }
    last = by_sms(flow, last.session, "They were friendly");
    let reference = last.session.response.reference();
    assert_eq!(sent(&last), [(format!("Thank you. {reference}").as_str(), false)]);
    assert_eq!(reminder(&last), None);
    assert!(last.effects.contains(&Effect::Respond(Status::Complete)));
}

const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

#[test]
fn a_reminder_puts_the_open_question_again_and_names_the_next() {
    let flow = &FLOWS[1];
    let asked = by_sms(flow, stepped(flow, fresh(flow, 0), Event::Opened).session, "1").session;
    let question = "May the office see your number?\n1 Yes\n2 No";
    let reminded = format!("We have not had your answer yet.\n{question}");
    let table = [
        (Event::Reminded { nth: 1 }, reminded.as_str(), Some((2, hours(18)))),
        (Event::Reminded { nth: 2 }, &reminded, Some((3, hours(16)))),
        (Event::Reminded { nth: 3 }, &reminded, None),
        (Event::Reminded { nth: 255 }, &reminded, None),
        (Event::HandedOver, question, Some((1, hours(6)))),
        (Event::Opened, question, Some((1, hours(6)))),
    ];
    for (event, text, remind) in table {
        let again = stepped(flow, asked.clone(), event.clone());
        assert_eq!(sent(&again), [(text, true)], "{event:?}");
        assert_eq!(reminder(&again), remind, "{event:?}");
        assert_eq!(again.session.answers, asked.answers, "{event:?}");
    }
}

#[test]
fn a_session_goes_on_by_the_other_bearer() {
    let flow = &FLOWS[1];
    let small = Screen { septets: 60, ..Screen::default() };
    let mut last = stepped(flow, fresh(flow, 0), Event::Opened);
    last = answered(flow, last.session, "5", small);
    last = answered(flow, last.session, "98", small);
    assert!(matches!(last.session.place, Place::At { page: 1, .. }), "{:?}", last.session.place);
    let question = by_sms(flow, last.session.clone(), "98");
    assert!(sent(&question)[0].0.starts_with("That was not understood."), "{:?}", question.effects);
    let back = by_sms(flow, last.session.clone(), "0");
    assert_eq!(
        sent(&back),
        [("How were you treated? 1 very badly, 10 very well", true)],
        "an SMS has no page before"
    );
    let next = by_sms(flow, last.session, "3");
    assert_eq!(sent(&next), [("May the office see your number?\n1 Yes\n2 No", true)]);
    let again = dialled(flow, next.session, "", Screen::default());
    assert_eq!(shown(&again), [("May the office see your number?\n1 Yes\n2 No\n0 Back", false)]);
}

/// Under the first question of an invitation, by either bearer; after an answer somebody was meant.
#[test]
fn whoever_was_not_meant_says_so_on_the_first_question_of_an_invitation() {
    let flow = &FLOWS[0];
    let invited = || Session { invited: true, ..fresh(flow, 1) };
    let first =
        "How were you treated at the hospital?\nReply with a number: 1 very badly - 5 very well\n99 Not me";
    let asked = stepped(flow, invited(), Event::Invited);
    assert_eq!(sent(&asked), [(first, true)]);
    assert_eq!(segments(first), (Coding::Gsm7, 1));
    assert!(asked.effects.iter().any(|effect| matches!(effect, Effect::StartTimer { .. })));
    let screen = dialled(flow, invited(), "", Screen::default());
    let first = "How were you treated at the hospital?\n1 very badly - 5 very well\n99 Not me";
    assert_eq!(shown(&screen), [(first, false)]);

    let sorry = "Thank you. Sorry to have troubled you.";
    let ended = |step: &Step| {
        assert_eq!(step.session.place, Place::Over);
        assert!(
            !step.effects.iter().any(|effect| matches!(effect, Effect::Respond(_))),
            "{:?}",
            step.effects
        );
    };
    let typed = by_sms(flow, asked.session.clone(), "୯୯");
    assert_eq!(sent(&typed), [(sorry, false)]);
    ended(&typed);
    let typed = answered(flow, screen.session, "99", Screen::default());
    assert_eq!(shown(&typed), [(sorry, true)]);
    ended(&typed);
    // The word, which the turn has read, at any question.
    let later = by_sms(flow, asked.session, "2").session;
    let word = stepped(flow, later.clone(), Event::NotMe { on: Canvas::Sms });
    assert_eq!(sent(&word), [(sorry, false)]);
    ended(&word);
    // The key is no longer offered, and not understood.
    let again = by_sms(flow, later, "99");
    assert!(sent(&again)[0].1 && !sent(&again)[0].0.contains("99"), "{:?}", again.effects);
    // Who came unasked is never anybody else.
    let unasked = by_sms(flow, stepped(flow, fresh(flow, 1), Event::Opened).session, "99");
    assert!(sent(&unasked)[0].1, "{:?}", unasked.effects);
}

/// On a screen without room for it "not me" costs nobody a page more; it works all the same.
#[test]
fn the_key_that_says_not_me_costs_no_page() {
    let flow = &FLOWS[0];
    let session = Session { invited: true, ..fresh(flow, 0) };
    let asked = dialled(flow, session, "", Screen::default());
    assert_eq!(shown(&asked), shown(&dialled(flow, fresh(flow, 0), "", Screen::default())));
    assert_eq!(answered(flow, asked.session, "99", Screen::default()).session.place, Place::Over);
}

#[test]
fn stop_and_expiry_end_without_a_word() {
    let flow = &FLOWS[0];
    let asked = stepped(flow, fresh(flow, 1), Event::Opened).session;
    let given = by_sms(flow, asked.clone(), "2").session;
    for event in [Event::Stopped, Event::Expired] {
        for (session, response) in [(&asked, None), (&given, Some(Effect::Respond(Status::Partial)))] {
            let last = stepped(flow, session.clone(), event.clone());
            assert_eq!(last.session.place, Place::Over);
            let mut expected = vec![Effect::CancelTimer(TimerKind::Expiry), Effect::Asked];
            expected.extend(response);
            assert_eq!(last.effects, expected, "{event:?}");
        }
    }
}

/// The template is that of the text as it was registered.
#[test]
fn a_text_names_its_dlt_template() {
    let text = include_str!("../../flows/hospital-visit.toml")
        .replace("text.en = \"What went wrong?\"", "text.en = \"What went wrong?\"\ntemplate.en = \"1007\"")
        .replace("text.en = \"Thank you.", "template.en = \"1008\"\ntext.en = \"Thank you.");
    let texts = Source::new("flows/texts.toml", include_str!("../../flows/texts.toml"));
    let flow =
        check::load(&Source::new("flow.toml", &text), &texts, &Findings::default()).expect("a good flow");
    let template = |step: &Step| {
        let of = |effect: &Effect| {
            if let Effect::Say { template, .. } = effect { Some(template.clone()) } else { None }
        };
        step.effects.iter().find_map(of).expect("something is said")
    };
    let first = stepped(&flow, fresh(&flow, 1), Event::Opened);
    assert_eq!(template(&first), None);
    let topic = by_sms(&flow, first.session.clone(), "2");
    assert_eq!(template(&topic).as_deref(), Some("1007"));
    let thanks = by_sms(&flow, first.session, "5");
    assert_eq!(template(&thanks).as_deref(), Some("1008"));
}
