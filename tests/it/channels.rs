//! Channels as a telco sees them: the table of described vendors, vendors' files with a fault, the simulator's wire, and
//! whatever bytes a stranger sends.

use matamat::{
    channel::{
        self, Callback, CallbackKind, Channel, TurnOutcome, described::Described, description, guard::Guard,
        line::Line, request, simulator::Simulator,
    },
    domain::{
        lang::Lang,
        message::{Inbound, Reply, UssdEvent, UssdInput},
        time::Timestamp,
    },
    findings::{Findings, Source},
};
use proptest::prelude::*;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

const NOW: Timestamp = Timestamp(1_795_511_523_120);

#[test]
fn every_vendor_of_the_table_loads_and_proves_itself_by_its_examples() {
    let findings = Findings::default();
    let described = channel::all_described(&findings);
    assert_eq!(described.len(), channel::DESCRIBED.len(), "{:#?}", findings.into_sorted());
    for (vendor, (name, _)) in described.iter().zip(channel::DESCRIBED) {
        assert_eq!(vendor.name, name);
    }
}

/// Vendors that we made up, so that every primitive is used by some file: each carries its own examples.
#[test]
fn whatever_a_vendor_is_like_a_file_describes_it() {
    let files = files_in("tests/vendors");
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        check_loads(&file.display().to_string(), &fs::read_to_string(&file).expect("readable"));
    }
}

/// The file that the guide makes, piece by piece, is a good one, and so is its file for USSD.
#[test]
fn the_guides_own_files_load() {
    let guide = include_str!("../../docs/CHANNELS.md");
    let (sms, ussd) = guide.split_once("\n## USSD").expect("a section of its own");
    let blocks = |text: &'static str| -> Vec<_> {
        text.split("```toml\n").skip(1).map(|b| b.split("```").next().expect("a piece")).collect()
    };
    let (sms, ussd) = (blocks(sms), blocks(ussd));
    assert!(sms[0].starts_with("[[channel]]") && sms.len() == 8, "the channel, and the pieces of its file");
    check_loads("docs/CHANNELS.md", &sms[1..].join("\n"));
    assert_eq!(ussd.len(), 1);
    check_loads("docs/CHANNELS.md, USSD", ussd[0]);
}

fn check_loads(name: &str, text: &str) {
    let findings = Findings::default();
    let loaded = description::load(&Source::new(name, text), &findings);
    let found: Vec<_> = findings.into_sorted().iter().map(ToString::to_string).collect();
    assert!(loaded.is_some() && found.is_empty(), "{}", found.join("\n"));
}

fn files_in(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("readable").map(|f| f.expect("readable").path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "toml"));
    files
}

/// One fault a file, its finding beside it. `UPDATE=1` writes what is found now.
#[test]
fn a_vendors_file_with_a_fault_says_where_and_what() {
    let files = files_in("tests/broken_vendors");
    assert!(files.len() >= 40, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).expect("readable");
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let findings = Findings::default();
        let loaded = description::load(&Source::new(&name, &text), &findings);
        assert!(loaded.is_none(), "{name} loads");
        let found: Vec<_> = findings.into_sorted().iter().map(ToString::to_string).collect();
        let found = found.join("\n\n") + "\n";
        let beside = file.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&beside, &found).expect("written");
        }
        assert_eq!(found, fs::read_to_string(&beside).unwrap_or_default(), "{name}");
    }
}

/// Raw requests and what the simulator understood, or why it refused.
#[test]
fn the_simulators_wire_by_example() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/channels/simulator");
    let simulator = Simulator::new(Guard::Open, "IN".into());
    let mut checked = 0;
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|e| e != "http") {
            continue;
        }
        let raw = fs::read(&path).expect("readable");
        let is_mo = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("mo"));
        let kind = if is_mo { CallbackKind::Mo } else { CallbackKind::Ussd };
        let callback = request::parse(&raw, kind, NOW).expect("a request");
        let got = match simulator.decode(&callback) {
            Ok(inbound) => format!("{inbound:#?}\n"),
            Err(refusal) => format!("refused ({}): {refusal}\n", refusal.reason()),
        };
        let beside = path.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&beside, &got).expect("written");
        }
        assert_eq!(got, fs::read_to_string(&beside).unwrap_or_default(), "{}", path.display());
        checked += 1;
    }
    assert!(checked >= 14, "{checked} examples");
}

/// The bundled vendors, the made-up ones and the simulator, put together once.
static CHANNELS: LazyLock<Vec<Box<dyn Channel>>> = LazyLock::new(|| {
    let made_up = files_in("tests/vendors").into_iter().filter_map(|file| {
        let text = fs::read_to_string(&file).expect("readable");
        description::load(&Source::new(&file.display().to_string(), &text), &Findings::default())
    });
    let described = channel::all_described(&Findings::default()).into_iter().chain(made_up);
    let described = described.map(|d| Described::new(d, Guard::Open, Line::of_examples("IN", [])));
    let mut channels: Vec<_> = described.map(|d| Box::new(d) as Box<dyn Channel>).collect();
    channels.push(Box::new(Simulator::new(Guard::Open, "IN".into())));
    channels
});

fn callback(method: &str, content_type: &str, query: &str, body: &[u8]) -> Callback {
    callback_to(CallbackKind::Ussd, method, content_type, query, body)
}

fn callback_to(kind: CallbackKind, method: &str, content_type: &str, query: &str, body: &[u8]) -> Callback {
    Callback {
        kind,
        method: method.to_owned(),
        tail: vec![query.to_owned()],
        query: query.to_owned(),
        headers: vec![("content-type".into(), content_type.to_owned())],
        body: body.to_vec(),
        peer: None,
        at: NOW,
    }
}

/// Whatever a channel makes of it, it makes something of it, and what it says of a refusal holds nothing of what was sent.
fn check_survives(callback: &Callback, outcome: &TurnOutcome) {
    for (channel, kind) in CHANNELS.iter().flat_map(|channel| DOORS.map(|kind| (channel, kind))) {
        let callback = Callback { kind, ..callback.clone() };
        if let Err(refusal) = channel.decode(&callback) {
            assert!(!refusal.to_string().contains("9437000001"), "{refusal}");
        }
        let answer = channel.answer(&callback, outcome);
        assert!([200, 202, 503].contains(&answer.status), "{answer:?}");
        if let (false, TurnOutcome::Screen(reply)) = (kind == CallbackKind::Ussd, outcome) {
            assert!(reply.text.chars().count() < 20 || !answer.body.contains(&reply.text), "{answer:?}");
        }
    }
}

/// The doors that something is built for.
const DOORS: [CallbackKind; 3] = [CallbackKind::Ussd, CallbackKind::Mo, CallbackKind::Dlr];

/// Names that some vendor looks at.
const NAMES: &str = "sessionId|phoneNumber|serviceCode|text|status|MSISDN|USSDCODE|INPUT|clean|x|from|to|id|date|mobile|message|ref|state";
/// Values that somebody may send: numbers, dials, bytes in percent signs, signs that are no escape.
const VALUES: &str = "|x?%2B919437000001|09437000001|\\*415\\*33(\\*[0-9]){0,3}(%23)?|(%[0-9a-f]{2}){1,4}|%z[+&=;*#]{0,3}|.{0,12}";

fn outcomes() -> impl Strategy<Value = TurnOutcome> {
    let screen = (".{0,200}", any::<bool>())
        .prop_map(|(text, end)| TurnOutcome::Screen(Reply { text, end, language: Lang::EN }));
    prop_oneof![4 => screen, 1 => Just(TurnOutcome::Taken), 1 => Just(TurnOutcome::Unstored)]
}

proptest! {
    #[test]
    fn any_bytes_are_understood_or_refused(
        body in prop::collection::vec(any::<u8>(), 0..300), query in ".{0,60}", header in ".{0,40}",
        method in "GET|POST|PUT|x", outcome in outcomes(),
    ) {
        check_survives(&callback(&method, &header, &query, &body), &outcome);
    }

    #[test]
    fn any_form_is_understood_or_refused(
        pairs in prop::collection::vec((NAMES, VALUES), 0..8),
        charset in "utf-8|utf-16be|latin1|gb18030|hz-gb-2312|\"iso-2022-jp\"|klingon|", outcome in outcomes(),
    ) {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let form = pairs.join("&");
        let content_type = format!("application/x-www-form-urlencoded; charset={charset}");
        check_survives(&callback("POST", &content_type, &form, form.as_bytes()), &outcome);
        check_survives(&callback("GET", &content_type, &form, b""), &outcome);
    }

    #[test]
    fn any_json_is_understood_or_refused(
        members in prop::collection::btree_map(
            "Type|Mobile|SessionId|ServiceCode|Message|Sequence|Language|msisdn|session|event|input|type|mobile|message|text|id|at|results|status",
            "\\[\\{\"id\":1,\"status\":\\{\"name\":\"DELIVRD\"\\}\\}\\]|\"message\"|\"[a-zA-Z+*#0-9]{0,14}\"|-?[0-9]{1,20}|1e[0-9]{1,3}|true|null|\\{\\}|\\[1\\]|\"x?919437000001\"|[\\[{]{0,200}", 0..9),
        outcome in outcomes(),
    ) {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let json = format!("{{{}}}", members.join(","));
        check_survives(&callback("POST", "application/json", "", json.as_bytes()), &outcome);
    }

    #[test]
    fn what_was_typed_arrives_as_it_was(text in ".{0,80}") {
        let encoded: String = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).collect();
        let raw = format!("POST /ussd\n\nsessionId=s&phoneNumber=%2B919437000001&text={encoded}");
        let callback = request::parse(raw.as_bytes(), CallbackKind::Ussd, NOW).expect("a request");
        let inbound = CHANNELS[0].decode(&callback).expect("a good step");
        let Inbound::Ussd(step) = &inbound[0] else { panic!("no step: {inbound:?}") };
        prop_assert_eq!(step.event, if text.is_empty() { UssdEvent::Start } else { UssdEvent::Continue });
        prop_assert_eq!(&step.input, &UssdInput::History(text));
    }

    /// Said to a vendor that takes JSON, a screen is one JSON document with that very text in it, whatever the text is.
    #[test]
    fn a_screen_cannot_break_out_of_json(text in ".{0,200}", session in "[^\\x00-\\x1f]{1,20}") {
        let json_last = CHANNELS.iter().find(|channel| is_json(channel.as_ref())).expect("a vendor of tests/vendors");
        let step = serde_json::json!({ "Type": "Response", "Mobile": "919437000001", "SessionId": session });
        let callback = callback("POST", "application/json", "", step.to_string().as_bytes());
        for end in [false, true] {
            let screen = TurnOutcome::Screen(Reply { text: text.clone(), end, language: Lang::EN });
            let said: serde_json::Value = serde_json::from_str(&json_last.answer(&callback, &screen).body).expect("JSON");
            prop_assert_eq!((said["Message"].as_str(), said["SessionId"].as_str()), (Some(text.as_str()), Some(session.as_str())));
        }
    }
}

fn is_json(channel: &dyn Channel) -> bool {
    let screen = TurnOutcome::Screen(Reply { text: String::new(), end: false, language: Lang::EN });
    let answer = channel.answer(&callback("POST", "", "", b""), &screen);
    answer.body.contains("\"Message\"")
}
