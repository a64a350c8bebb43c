//! SMS as a channel speaks it: what a configured channel needs, what leaves by it, where its receipts come back to, and what
//! its vendor may say. Each vendor's own examples stand in its file.

use matamat::{
    channel::{
        self, Callback, CallbackKind, Channel, DESCRIBED, Refusal, Request, Sent, Settings, Tools,
        TurnOutcome, described::Described, description, guard::Guard, line::Line, request,
        simulator::Simulator,
    },
    domain::{
        id::MtId,
        lang::Lang,
        message::{ChannelFacts, Coding, Dlr, Inbound, Mt, MtState, Reply},
        msisdn::Msisdn,
        secret::SecretSource,
        time::Timestamp,
        wire::{HttpRequest, HttpResponse},
    },
    findings::{Findings, Source, Table},
};
use proptest::prelude::*;
use secrecy::ExposeSecret;

const NOW: Timestamp = Timestamp(1_795_511_523_120);
const REF: &str = "0123456789abcdef0123456789abcdef";

type Built = (ChannelFacts, Box<dyn Channel>);

/// Puts a channel together as the gateway does; the findings beside it.
fn build(keys: &str) -> (Option<Built>, Vec<String>) {
    let text = format!("[[channel]]\nid = 'line'\n{keys}\n");
    let (source, findings) = (Source::new("c.toml", &text), Findings::default());
    let settings = Table::read(&source, &findings, |top| Settings::read(&top.tables("channel")[0]));
    let tools = Tools {
        read: &|path| std::fs::read_to_string(path),
        secret: &|source| match source {
            SecretSource::Literal(secret) => Ok(secret.expose_secret().to_owned().into()),
            _ => Err("not here".to_owned()),
        },
        public_url: "https://gw.example.org/",
    };
    let built = settings.and_then(|settings| channel::build(&settings, &tools, &findings));
    let told = findings.into_sorted();
    let told = told.iter().map(|f| format!("{} ({})", f.what, f.hint.as_deref().unwrap_or("")));
    (built, told.collect())
}

const AT: &str = "vendor = 'africastalking'\nbearer = 'sms'\naddress = '22384'\n";
const AT_SECRETS: &str = "secret = { username = 'vma', api_key = 'k-0001' }\n";
const TWILIO: &str = "vendor = 'twilio'\nbearer = 'sms'\naddress = '+15005550010'\n";

fn check_fault(keys: &str, expected: &[&str]) {
    let (built, told) = build(keys);
    assert!(built.is_none() && told == expected, "{keys}: {told:#?}");
}

#[test]
fn a_channel_has_what_its_bearer_and_its_vendor_need() {
    assert!(build(&format!("{AT}{AT_SECRETS}")).0.is_some());
    check_fault(
        AT,
        &[
            "the channel \"line\" has no secret \"api_key\" (secret = { api_key = { env = \"NAME\" } })",
            "the channel \"line\" has no secret \"username\" (secret = { username = { env = \"NAME\" } })",
        ],
    );
    check_fault(
        &format!("{AT}secret = {{ username = 'vma', apikey = 'k', api_key = 'k' }}\n"),
        &["the vendor \"africastalking\" knows no secret \"apikey\" (it needs: api_key, username)"],
    );
    check_fault(
        "vendor = 'africastalking'\nbearer = 'ussd'\nsecret = { username = 'vma' }\n",
        &["the vendor \"africastalking\" knows no secret \"username\" (it needs none)"],
    );
    check_fault(
        &format!("{AT}secret = {{ username = 'vma', api_key = {{ env = 'AT_KEY' }} }}\n"),
        &["not here ()"],
    );
    check_fault(
        "vendor = 'twilio'\nsecret = { auth_token = 't' }",
        &[
            "the vendor \"twilio\" has no `[[in]]` of kind \"ussd\" (a channel with bearer = \"ussd\" needs it)",
        ],
    );
    check_fault(
        "vendor = 'file:tests/vendors/get-code-history.toml'\nbearer = 'sms'",
        &["the vendor \"get-code-history\" has no [send] (a channel with bearer = \"sms\" needs it)"],
    );
    let only_sends = "vendor = 'file:tests/vendors/text-body.toml'\nbearer = 'sms'\nsecret = { key = 'k' }";
    assert!(build(only_sends).0.is_some(), "a vendor may send and bring no messages");
}

#[test]
fn facts_tell_whether_receipts_name_our_id() {
    let echoes = |keys: &str| {
        let (built, told) = build(keys);
        let (facts, codec) = built.unwrap_or_else(|| panic!("{told:?}"));
        (facts.sms.map(|sms| sms.echoes), codec.is_signed())
    };
    assert_eq!(echoes(&format!("{AT}{AT_SECRETS}")), (Some(false), false));
    assert_eq!(
        echoes(&format!("{TWILIO}secret = {{ account_sid = 'AC1', auth_token = 't' }}")),
        (Some(true), true)
    );
    assert_eq!(echoes("vendor = 'simulator'"), (Some(true), false));
    assert_eq!(echoes("vendor = 'africastalking'\nbearer = 'ussd'"), (None, false));
}

fn raw(kind: CallbackKind, raw: &str) -> Callback {
    request::parse(raw.as_bytes(), kind, NOW).expect("a request")
}

/// A channel answers at the doors of its bearer only.
#[test]
fn each_kind_comes_to_its_own_door() {
    let at_sms = build(&format!("{AT}{AT_SECRETS}")).0.expect("good").1;
    let at_ussd = build("vendor = 'africastalking'\nbearer = 'ussd'").0.expect("good").1;
    let phone = build("vendor = 'simulator'").0.expect("good").1;
    use CallbackKind::*;
    for (name, codec, doors) in
        [("sms", &at_sms, &[Mo, Dlr][..]), ("ussd", &at_ussd, &[Ussd]), ("phone", &phone, &[Ussd, Mo])]
    {
        for kind in [Mo, Ussd, Dlr, MissedCall] {
            let refused = codec.decode(&raw(kind, "POST /x\n\nnothing")).expect_err("nothing is in it");
            let door = matches!(refused, Refusal::NoSuchDoor(_));
            assert_eq!(door, !doors.contains(&kind), "{name} {kind:?}: {refused:?}");
        }
    }
}

/// Signed over the address that the vendor was told, its secret included; the value is by another hand than ours.
#[test]
fn twilio_is_let_in_by_its_signature() {
    let keys = format!(
        "{TWILIO}secret = {{ account_sid = 'AC1', auth_token = 'example-twilio-token' }}\nauth = {{ secret = 's3cret' }}"
    );
    let codec = build(&keys).0.expect("good").1;
    let decode = |path: &str, signature: &str, from: &str| {
        codec.decode(&raw(
            CallbackKind::Mo,
            &format!(
                "POST {path}\nHost: other.example\nContent-Type: application/x-www-form-urlencoded\n{signature}\n\n\
                 AccountSid=AC11111111111111111111111111111111&Body=Road+bad+&From=%2B{from}&\
                 MessageSid=SM22222222222222222222222222222222&NumMedia=0&To=%2B15005550010"
            ),
        ))
    };
    let good = "X-Twilio-Signature: gwGmav6aM2OeqVjgy176Bc6dTLM=";
    let inbound = decode("/in/line/mo/s3cret", good, "919437000010").expect("signed");
    assert!(matches!(&inbound[..], [Inbound::Mo(mo)] if mo.text == "Road bad "), "{inbound:?}");
    let unsigned = Err(Refusal::Unauthorized("the signature is wrong or missing".into()));
    assert_eq!(decode("/in/line/mo/s3cret", good, "919437000011"), unsigned);
    assert_eq!(decode("/in/line/mo/s3cret/", "X-Other: 1", "919437000010"), unsigned);
    assert_eq!(decode("/in/line/mo/s3cret?x=1", good, "919437000010"), unsigned);
    let no_secret = Err(Refusal::Unauthorized("the secret in the path is wrong or missing".into()));
    assert_eq!(decode("/in/line/mo", good, "919437000010"), no_secret);
}

fn mt(text: &str) -> Mt {
    Mt {
        id: MtId::parse(REF).expect("an id"),
        to: Msisdn::from_e164("+919437000001").expect("a number"),
        text: text.to_owned(),
        coding: Coding::Ucs2,
        segments: 1,
        language: Lang::EN,
        template: None,
    }
}

fn http(codec: &dyn Channel, mt: &Mt) -> HttpRequest {
    match codec.encode(mt, NOW).expect("it sends") {
        Request::Http(request) => request,
        other => panic!("{other:?}"),
    }
}

/// The fields of a form of ours.
fn fields(request: &HttpRequest) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        percent_encoding::percent_decode_str(&text.replace('+', " "))
            .decode_utf8()
            .expect("UTF-8")
            .into_owned()
    };
    let body = std::str::from_utf8(&request.body).expect("ASCII");
    body.split('&')
        .map(|pair| pair.split_once('=').expect("a pair"))
        .map(|(n, v)| (decoded(n), decoded(v)))
        .collect()
}

fn field(request: &HttpRequest, name: &str) -> Option<String> {
    fields(request).into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

#[test]
fn a_channel_may_send_elsewhere_and_nothing_of_a_request_is_shown() {
    let elsewhere = "send_url = 'http://127.0.0.1:9/version1/messaging'\n";
    let codec = build(&format!("{AT}{AT_SECRETS}{elsewhere}")).0.expect("good").1;
    let request = http(codec.as_ref(), &mt("Asante"));
    assert_eq!(request.url, "http://127.0.0.1:9/version1/messaging");
    assert_eq!(field(&request, "from").as_deref(), Some("22384"));
    let shown = format!("{request:?} {:?}", mt("Asante").to);
    assert!(
        !shown.contains("9437000001") && !shown.contains("k-0001") && !shown.contains("Asante"),
        "{shown}"
    );
}

/// A request that would break in two is not sent.
#[test]
fn a_header_holds_one_line() {
    let codec =
        build(&format!("{AT}secret = {{ username = 'vma', api_key = \"k\\r\\nX: y\" }}")).0.expect("good").1;
    let why = codec.encode(&mt("x"), NOW).expect_err("two lines");
    assert_eq!(why, "the header apiKey would hold more than printable ASCII");
}

#[test]
fn the_simulator_sends_into_a_thread() {
    let line = match Simulator::new(Guard::Open, "IN".into()).encode(&mt("ହଁ \"4\""), NOW) {
        Ok(Request::Thread(line)) => line,
        other => panic!("{other:?}"),
    };
    let said: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
    let expected = serde_json::json!({
        "id": REF, "text": "ହଁ \"4\"", "at": "2026-11-24T09:12:03.120Z", "language": "en",
    });
    assert_eq!(said, expected);
}

fn described(vendor: &str, guard: Guard, line: Line) -> Described {
    let (name, text) = DESCRIBED.iter().find(|(name, _)| *name == vendor).expect("a vendor");
    let findings = Findings::default();
    let description = description::load(&Source::new(name, text), &findings);
    Described::new(description.unwrap_or_else(|| panic!("{:?}", findings.into_sorted())), guard, line)
}

fn batch(results: usize, broken: usize) -> Result<Vec<Inbound>, Refusal> {
    let text = include_str!("../vendors/json-batch.toml");
    let description = description::load(&Source::new("json-batch.toml", text), &Findings::default());
    let codec = Described::new(description.expect("good"), Guard::Open, Line::of_examples("IN", []));
    let good = (0..results).map(|n| format!("{{\"id\":{n},\"status\":{{\"name\":\"DELIVRD\"}}}}"));
    let all: Vec<_> = good.chain((0..broken).map(|_| "{}".to_owned())).collect();
    codec.decode(&raw(CallbackKind::Dlr, &format!("POST /dlr\n\n{{\"results\":[{}]}}", all.join(","))))
}

#[test]
fn a_batch_has_a_limit_and_its_good_receipts_count() {
    assert_eq!(batch(1_000, 0).map(|all| all.len()), Ok(1_000));
    let read = batch(3, 2).expect("good ones");
    assert_eq!(read[3..], [Inbound::Ignored("malformed"), Inbound::Ignored("malformed")], "counted");
    assert_eq!(batch(0, 0).map(|all| all.len()), Ok(0));
    assert_eq!(batch(1_001, 0), Err(Refusal::Malformed("more than 1000 receipts at once".into())));
    assert!(matches!(batch(0, 2), Err(Refusal::Malformed(_))));
    let one = batch(1, 0).expect("a good one");
    let Inbound::Dlr(Dlr { id, state, part: 0, .. }) = &one[0] else { panic!("{one:?}") };
    assert_eq!((id.as_deref(), *state), (Some("0"), Some(MtState::Delivered)));
}

#[test]
fn a_message_is_kept_whole_and_a_word_is_cut() {
    let codec = described("africastalking", Guard::Open, Line::of_examples("KE", []));
    let long = "ଓ".repeat(6_000);
    let written = raw(CallbackKind::Mo, &format!("POST /mo\n\nfrom=%2B254711000001&text={long}"));
    let inbound = codec.decode(&written).expect("good");
    let Inbound::Mo(mo) = &inbound[0] else { panic!("{inbound:?}") };
    assert_eq!(mo.text, long);
    assert_eq!((mo.id.as_deref(), mo.sent), (None, None), "without an id and a time nothing is a repeat");
    let receipt = raw(CallbackKind::Dlr, &format!("POST /dlr\n\nid=1&status={long}&failureReason={long}"));
    let inbound = codec.decode(&receipt).expect("good");
    let Inbound::Dlr(dlr) = &inbound[0] else { panic!("{inbound:?}") };
    assert_eq!((dlr.word.chars().count(), dlr.code.chars().count(), dlr.state), (64, 64, None));
}

#[test]
fn what_the_vendor_is_told_carries_no_text() {
    let screen = TurnOutcome::Screen(Reply { text: "Thank you".into(), end: true, language: Lang::EN });
    let nothing = r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#;
    let phone = Simulator::new(Guard::Open, "IN".into());
    let (at, twilio) = (
        described("africastalking", Guard::Open, Line::of_examples("KE", [])),
        described("twilio", Guard::Open, Line::of_examples("US", [])),
    );
    let table: [(&dyn Channel, &str, &str); 3] = [
        (&at, "text/plain; charset=utf-8", ""),
        (&twilio, "text/xml", nothing),
        (&phone, "application/json", "{}"),
    ];
    for (codec, kind, body) in table {
        for (door, outcome) in [(CallbackKind::Mo, &screen), (CallbackKind::Dlr, &TurnOutcome::Taken)] {
            let answer = codec.answer(&raw(door, "POST /x\n\n"), outcome);
            assert_eq!(
                (answer.status, answer.content_type.as_str(), answer.body.as_str()),
                (200, kind, body)
            );
            assert_eq!(codec.answer(&raw(door, "POST /x\n\n"), &TurnOutcome::Unstored).status, 503);
        }
    }
}

proptest! {
    /// Whatever the secret in the path is, a receipt that comes to the address which a send named brings our id back.
    #[test]
    fn a_receipt_comes_back_to_where_its_send_said(secret in "[ -~]{1,20}|[^\\x00-\\x1f]{1,6}") {
        let line = Line::of_examples("US", ["account_sid"]);
        // Unsigned here: the signature has its own tests.
        let text = include_str!("../../src/channel/vendors/twilio.toml").replace("scheme = \"twilio\"", "scheme = \"none\"")
            .replace("secret.auth_token", "secret.account_sid").replace("YWNjb3VudF9zaWQ6YXV0aF90b2tlbg==", "YWNjb3VudF9zaWQ6YWNjb3VudF9zaWQ=");
        let findings = Findings::default();
        let description = description::load(&Source::new("twilio.toml", &text), &findings);
        let description = description.unwrap_or_else(|| panic!("{:?}", findings.into_sorted()));
        let codec = Described::new(description, Guard::Secret(secret.as_str().into()), line);
        let callback_url = field(&http(&codec, &mt("x")), "StatusCallback").expect("it is named");
        let receipt = format!("POST {callback_url}\nContent-Type: application/x-www-form-urlencoded\n\nMessageSid=SM1&MessageStatus=sent");
        let inbound = codec.decode(&raw(CallbackKind::Dlr, &receipt)).expect("let in");
        let Inbound::Dlr(dlr) = &inbound[0] else { panic!("{inbound:?}") };
        prop_assert_eq!(dlr.reference.as_deref(), Some(REF));
        prop_assert_eq!(dlr.state, Some(MtState::Sent));
    }

    /// What is sent is the very text, whatever it is, and no field of it breaks out.
    #[test]
    fn a_text_is_sent_as_it_is(text in "\\PC{0,80}|(.|\n){0,80}", from in "[^\\x00-\\x1f]{1,11}") {
        for (vendor, name, count) in [("africastalking", "message", 6), ("twilio", "Body", 4)] {
            let mut line = Line::of_examples("IN", ["username", "api_key", "account_sid", "auth_token"]);
            line.address = from.clone();
            let request = http(&described_once(vendor, line), &mt(&text));
            prop_assert_eq!(fields(&request).len(), count);
            prop_assert_eq!(field(&request, name), Some(text.clone()));
            prop_assert_eq!(&request.method, "POST");
        }
    }

    /// Whatever a vendor answers means something, and no reason holds a number.
    #[test]
    fn any_answer_means_something(
        status in 100..600_u16, number in "[0-9]{7,15}",
        shape in "\\{\"code\":\"?N\"?\\}|\\{\"sid\":N\\}|\\{\"SMSMessageData\":\\{\"Recipients\":\\[\\{\"statusCode\":(406|405|501|101|N)\\}\\]\\}\\}|<html>N|[\\[{]{0,200}|.{0,60}",
        after in "[0-9]{1,25}|.{0,20}",
    ) {
        let body = shape.replace('N', &number).into_bytes();
        let response = HttpResponse { status, headers: vec![("retry-after".into(), after)], body };
        for vendor in ["africastalking", "twilio"] {
            let codec = described_once(vendor, Line::of_examples("IN", []));
            match codec.read(&response) {
                Sent::Retry(why) | Sent::Permanent(why) | Sent::Configuration(why) => {
                    prop_assert!(!why.contains(&number) && why.starts_with("status "), "{}", why);
                }
                Sent::Accepted(_) => prop_assert!([200, 201].contains(&status), "{}", status),
                Sent::Throttled(after) => prop_assert!(after.is_none_or(|after| after.as_secs() <= 3600)),
                Sent::Unknown => {}
            }
        }
    }
}

/// A vendor with its guard open.
fn described_once(vendor: &str, line: Line) -> Described {
    described(vendor, Guard::Open, line)
}
