//! Invitations: files as offices save them, and what becomes of each line.

use crate::{
    redis_server::RedisServer,
    running::{Gateway, Home, http, until},
};
use matamat::{
    domain::{
        delivery::RetrySchedule,
        id::{ChannelId, FlowId},
        invitation::Invitation,
        lang::Lang,
        message::{ChannelFacts, Screen, SmsFacts},
        time::Timestamp,
    },
    invitations::{Known, Sheet},
};
use proptest::prelude::*;
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::Arc,
    time::Duration,
};

/// When the files are read: 2026-11-24T09:12:03.120Z.
const NOW: Timestamp = Timestamp(1_795_511_523_120);

/// `tests/invitations/NAME.csv`, and what becomes of its lines in `NAME.txt` beside it. `UPDATE=1` rewrites.
#[test]
fn every_file_becomes_what_is_written_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invitations");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "csv"));
    files.sort();
    assert!(files.len() >= 18, "{files:?}");
    files.iter().for_each(|path| check(path));
}

fn check(path: &Path) {
    let got = outcome(&fs::read(path).expect("readable"));
    let beside = path.with_extension("txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&beside, &got).expect("written");
    }
    let expected = fs::read_to_string(&beside).unwrap_or_default();
    assert_eq!(got, expected, "{}", path.display());
}

#[test]
fn the_charset_and_the_line_ends_change_nothing() {
    for path in ["semicolons-and-blanks", "quotes", "as-the-readme-has-it"] {
        let path = format!("{}/tests/invitations/{path}.csv", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(path).expect("text");
        let expected = outcome(text.as_bytes());
        let units = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
        let marked = format!("\u{feff}{text}");
        let little: Vec<u8> = units(&marked).into_iter().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units(&marked).into_iter().flat_map(u16::to_be_bytes).collect();
        let crlf = text.replace('\n', "\r\n");
        for written in [marked.into_bytes(), little, big, crlf.into_bytes()] {
            assert_eq!(outcome(&written), expected);
        }
    }
}

#[test]
fn no_reason_tells_a_number() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invitations");
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|e| e == "csv") {
            let said = outcome(&fs::read(&path).expect("readable"));
            let digits = said.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
            assert!(digits < Some(8), "{}: {said}", path.display());
        }
    }
}

proptest! {
    /// Whatever a spreadsheet may write inside a field, quoted, comes back as it is but for the blanks around it.
    #[test]
    fn a_quoted_field_comes_back(
        values in proptest::collection::vec("[a \",;\t\n୪]{0,12}", 1..5),
        separator in prop::sample::select(vec![',', ';', '\t']),
        end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
    ) {
        let mut text = ["key", "msisdn", "flow", "x"].join(&separator.to_string()) + end;
        for value in &values {
            let quoted = format!("\"{}\"", value.replace('"', "\"\"").replace('\n', end));
            text += &(["k", "9437000001", "hospital-visit", &quoted].join(&separator.to_string()) + end);
        }
        let mut sheet = Sheet::open(text.as_bytes()).expect("a good header");
        for value in &values {
            let row = sheet.read().expect("readable").expect("a record").row.expect("a good one");
            prop_assert_eq!(&row.context[0].1, value.trim());
        }
        prop_assert!(sheet.read().expect("readable").is_none());
    }

    /// No file makes trouble, and no line is told twice or out of order.
    #[test]
    fn any_file_is_read_to_its_end(body in "[a\",;\n\r୪ ]{0,200}", bytes in any::<[u8; 4]>()) {
        let text = [b"key,msisdn,flow\n", body.as_bytes(), &bytes[..]].concat();
        let mut sheet = Sheet::open(&text[..]).expect("a good header");
        let mut before = 1;
        while let Some(written) = sheet.read().expect("readable") {
            prop_assert!(written.line > before, "{} after {before}", written.line);
            before = written.line;
        }
    }
}

/// What becomes of a file, for people: the fault of the file, or each record with its line and what was read or refused.
fn outcome(bytes: &[u8]) -> String {
    let mut sheet = match Sheet::open(bytes) {
        Ok(sheet) => sheet,
        Err(error) => return format!("error: {error}\n"),
    };
    let known = known();
    let mut said = String::new();
    while let Some(written) = sheet.read().expect("bytes in memory are readable") {
        let became = match written.row.and_then(|row| row.check(&known, NOW)) {
            Ok(invitation) => shown(&invitation),
            Err(refusal) => format!("refused: {refusal}"),
        };
        said.push_str(&format!("line {}: {became}\n", written.line));
    }
    said
}

fn shown(invitation: &Invitation) -> String {
    let Invitation { key, msisdn, flow, language, channel, context, not_before, not_after } = invitation;
    let mut said = format!("{key} {msisdn} {flow}");
    language.iter().for_each(|language| said.push_str(&format!(" in {language}")));
    channel.iter().for_each(|channel| said.push_str(&format!(" by {channel}")));
    if (*not_before, *not_after) != (NOW, NOW.plus(Duration::from_secs(7 * 86_400))) {
        said.push_str(&format!(" from {not_before} until {not_after}"));
    }
    let short = |value: &str| value.chars().take(60).collect::<String>();
    context.iter().for_each(|(name, value)| said.push_str(&format!(" {name}={:?}", short(value))));
    said
}

/// One flow in Odia and English; a line that only answers dials, one that sends, and one that sends in Kenya.
fn known() -> Known {
    let lang = |tag| Lang::parse(tag).expect("a tag");
    let flow = FlowId::parse("hospital-visit").expect("an id");
    let channels = [channel("at-ussd", "IN", false), channel("phone", "IN", true), channel("ke", "KE", true)];
    Known::new([(flow, vec![lang("or"), lang("en")])], channels.into_iter().map(Arc::new).collect())
}

fn channel(id: &str, country: &str, sends: bool) -> ChannelFacts {
    let sms =
        SmsFacts { tps: 10, quiet: None, retry: RetrySchedule(Vec::new()), echoes: true, segments_max: 10 };
    ChannelFacts {
        id: ChannelId::parse(id).expect("an id"),
        address: String::new(),
        flows: Vec::new(),
        sms: sends.then_some(sms),
        sms_via: None,
        deadline: Duration::from_secs(5),
        screen: Screen::default(),
        language: None,
        country: country.into(),
        session_limit: Duration::from_secs(180),
    }
}

/// Three people, as in the README.
const README: &str = include_str!("../invitations/as-the-readme-has-it.csv");

#[test]
fn the_readme_has_the_file_that_is_walked_with() {
    let indented: String = README.lines().map(|line| format!("   {line}\n")).collect();
    assert!(include_str!("../../README.md").contains(&indented), "{indented}");
}

/// Runs `matamat invite` in a home, with standard input.
fn invite(home: &Home, arguments: &[&str], typed: &[u8]) -> Told {
    let arguments = [&["invite"], arguments].concat();
    let mut child = home
        .command(&arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // It may be refused before it reads.
    let _ = child.stdin.take().expect("piped").write_all(typed);
    told(child)
}

/// What a command told, and its exit code.
struct Told {
    code: Option<i32>,
    out: String,
    err: String,
}

fn told(child: Child) -> Told {
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Told { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// The end of a run that went well, or as well as it could.
fn check_run(told: &Told, out: &str, code: i32) {
    assert_eq!((told.out.as_str(), told.code), (out, Some(code)), "{}", told.err);
}

/// The lines of the simulated phone's thread of a number, when there are `count`.
fn thread(gateway: &Gateway, msisdn: &str, count: usize) -> Vec<serde_json::Value> {
    let body = serde_json::json!({ "msisdn": msisdn }).to_string();
    until("the thread has its lines", || {
        let reply = http(gateway.address, "POST", "/phone/thread", &[], body.as_bytes()).expect("an answer");
        let said: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
        let lines = said["lines"].as_array().expect("a list").clone();
        assert!(lines.len() <= count, "{}", reply.body);
        (lines.len() == count).then_some(lines)
    })
}

#[test]
fn the_readme_walk_asks_in_odia_and_the_same_file_twice_asks_nobody_twice() {
    let home = Home::new("", "");
    fs::write(home.path("visits.csv"), README).expect("written");
    let gateway = home.start();
    check_run(&invite(&home, &["visits.csv"], b""), "taken=3 repeated=0 refused=0\n", 0);
    let lines = thread(&gateway, "9437000001", 1);
    let text = lines[0]["text"].as_str().expect("a text");
    assert!(text.chars().filter(|c| ('\u{b00}'..='\u{b7f}').contains(c)).count() > 10, "{text}");
    assert!(text.contains("Capital Hospital"), "{text}");
    check_run(&invite(&home, &["-"], README.as_bytes()), "taken=0 repeated=3 refused=0\n", 0);
    assert_eq!(thread(&gateway, "9437000001", 1), lines);
    for (name, expected) in [("in", 3.0), ("done", 3.0)] {
        let name = format!("matamat_queue_{name}_total{{queue=\"outbox:phone\"}}");
        until("every question was sent", || (gateway.metric(&name) == Some(expected)).then_some(()));
    }
    let log = gateway.terminate();
    assert!(!log.contains("94370"), "{log}");

    // The life of one of them, gateway or not.
    let id = lines[0]["id"].as_str().expect("an id").to_owned();
    let message = |arguments: &[&str]| {
        let arguments = [&["message"], arguments].concat();
        let child = home.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        told(child.expect("the binary starts"))
    };
    let table = message(&[&format!(" {} ", id.to_uppercase())]);
    assert_eq!(table.code, Some(0), "{}", table.err);
    assert!(table.out.starts_with(&format!("message    {id}\noutbox     in none")), "{}", table.out);
    assert!(table.out.contains("+05:30  accepted"), "{}", table.out);
    let json: serde_json::Value = serde_json::from_str(&message(&["--json", &id]).out).expect("JSON");
    assert_eq!((&json["id"], &json["outbox"]), (&id.clone().into(), &serde_json::Value::Null), "{json}");
    assert_eq!(json["life"]["lines"][0]["said"], "accepted", "{json}");
    let mistyped = if id.ends_with('0') { '1' } else { '0' };
    let mistyped = format!("{}{mistyped}", &id[..31]);
    for (id, said) in [(mistyped.as_str(), "is mistyped"), ("v-101", "32 hexadecimal digits")] {
        let refused = message(&[id]);
        assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""));
        assert!(refused.err.contains(said), "{}", refused.err);
    }
}

#[test]
fn a_message_that_waits_shows_its_text_and_what_keeps_it() {
    // Nobody listens at port 9: it is tried, and waits.
    let home = Home::new("", DEAF);
    let gateway = home.start();
    let typed = "key,msisdn,flow,language,channel\nv-1,+919437000001,hospital-visit,en,deaf\n";
    check_run(&invite(&home, &["-"], typed.as_bytes()), "taken=1 repeated=0 refused=0\n", 0);
    until("it was tried", || {
        (gateway.metric("matamat_sends_total{channel=\"deaf\",outcome=\"retry\"}")? >= 1.0).then_some(())
    });
    gateway.terminate();
    let path = home.path("data/matamat.db");
    let id: String = rusqlite::Connection::open(path)
        .and_then(|db| db.query_row("SELECT id FROM item WHERE queue = 'outbox:deaf'", [], |row| row.get(0)))
        .expect("it waits");
    let child = home.command(&["message", &id]).stdout(Stdio::piped()).spawn().expect("the binary starts");
    let table = told(child).out;
    for part in ["outbox     deaf: waiting\n", "coding     gsm7, ", "text       ", "language   en\n"] {
        assert!(table.contains(part), "{part} is not in {table}");
    }
    assert!(!table.contains("94370"), "{table}");
}

/// A channel whose vendor is not there.
const DEAF: &str = r#"
[[channel]]
id = "deaf"
vendor = "africastalking"
bearer = "sms"
address = "4545"
tps = 10
send_url = "http://127.0.0.1:9/"
secret = { username = "u", api_key = "k" }
auth = "none"
"#;

#[test]
fn a_run_tells_every_refused_line_and_takes_the_others() {
    let home = Home::new("", "");
    let _gateway = home.start();
    let typed = "key,msisdn,flow\nv-1,9437000001,hospital-visit\nv-2,12,hospital-visit\n\nv-1,9437000001,hospital-visit\n\
                 v-4,9437000004,nothing\n";
    let run = invite(&home, &["-"], typed.as_bytes());
    check_run(&run, "taken=1 repeated=1 refused=2\n", 0);
    let refused = "line 3: msisdn: the number cannot be a phone number in its country\n\
                   line 6: flow: there is none of this name; there are: ";
    assert!(run.err.starts_with(refused), "{}", run.err);
}

#[test]
fn what_cannot_be_begun_is_said_before_anybody_is_asked() {
    let home = Home::new("", "");
    fs::write(home.path("visits.csv"), README).expect("written");
    let said = |arguments: &[&str], typed: &str, expected: &str| {
        let run = invite(&home, arguments, typed.as_bytes());
        assert_eq!((run.code, run.out.as_str()), (Some(1), ""), "{}", run.err);
        assert!(run.err.contains(expected), "{expected} is not in {}", run.err);
    };
    said(&["visits.csv"], "", "there is no store at data/matamat.db yet");
    said(&["nowhere.csv"], "", "nowhere.csv cannot be read");
    said(&["-"], "key,phone\n", "msisdn and flow are not among them; there are: \"key\", \"phone\"");
    check_run(&invite(&home, &["--dry-run", "visits.csv"], b""), "taken=3 repeated=0 refused=0\n", 0);
    home.start().terminate();
    fs::rename(home.path("data/keys"), home.path("data/elsewhere")).expect("moved");
    said(&["visits.csv"], "", "there is no key file data/keys");
    assert!(!home.path("data/keys").exists(), "a command makes no keys");
    home.set(
        "MATAMAT_CHANNEL",
        "[{ id = \"u\", vendor = \"africastalking\", bearer = \"ussd\", auth = \"none\" }]",
    );
    said(&["visits.csv"], "", "no channel of this configuration sends SMS");
}

#[test]
fn ctrl_c_ends_a_run_that_waits_for_its_pipe_and_says_how_far_it_came() {
    let home = Home::new("", "");
    let _gateway = home.start();
    let mut child = home
        .command(&["invite", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // The refused line is told when the lines before it were handed on, and the pipe stays open.
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(README.as_bytes()).and_then(|()| stdin.write_all(b"v-9,1,x,,,\n")).expect("it reads");
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("it tells");
    assert!(line.starts_with("line 5: flow"), "{line}");
    // SAFETY: kill has no preconditions, and the child was not waited for, so the pid is its own.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("it ends");
    let run = told(child);
    check_run(&run, "taken=3 repeated=0 refused=1\n", 1);
    assert!(rest.starts_with("stopped\nevery line up to 5 is done. Give the same file again"), "{rest}");
    drop(stdin);
}

#[test]
fn a_store_that_goes_away_is_waited_for_and_comes_back() {
    let redis = RedisServer::start();
    let home = Home::new(&redis.url(), "");
    home.start().terminate();
    let mut child = home
        .command(&["invite", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"key,msisdn,flow\nv-0,1,hospital-visit\n").expect("it reads");
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    stderr.read_line(&mut line).expect("it tells");
    assert!(line.starts_with("line 2: msisdn"), "{line}");
    redis.kill();
    stdin.write_all(b"v-1,9437000001,hospital-visit\nv-2,9437000002,hospital-visit\n").expect("it reads");
    line.clear();
    stderr.read_line(&mut line).expect("it tells");
    assert!(line.ends_with("; trying for 60 s\n"), "{line}");
    redis.restart();
    drop(stdin);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("it ends");
    check_run(&told(child), "taken=2 repeated=0 refused=1\n", 0);
    assert_eq!(rest, "");
}

#[test]
fn v1_takes_a_list_and_says_what_became_of_each() {
    let home = Home::new("", "[admin]\ntoken = \"s3cret\"");
    let gateway = home.start();
    let bearer = [("Authorization", "Bearer s3cret")];
    let post = |body: &str, headers: &[(&str, &str)]| {
        http(gateway.address, "POST", "/v1/invitations", headers, body.as_bytes()).expect("an answer")
    };
    let list = r#"[
        {"key": "v-1", "msisdn": "9437000001", "flow": "hospital-visit", "language": "en",
         "context": {"visit.office": "Capital Hospital"}},
        {"key": "v-1", "msisdn": "+919437000001", "flow": "hospital-visit"},
        {"key": "v-2", "msisdn": "0674-2391234", "flow": "hospital-visit"},
        {"key": "v-3", "msisdn": "9437000003", "flow": "hospital-visit", "context": {"Visit": "x"}},
        {"key": "v-4", "msisdn": 9437000004, "flow": "hospital-visit"}]"#;
    let expected = serde_json::json!({
        "taken": 1, "repeated": 1,
        "refused": [
            { "at": 2, "reason": "msisdn: a landline or a service number, which takes no SMS" },
            { "at": 3, "reason": "context: a name is lower-case letters, digits and _, beginning with a letter, in parts \
                                  joined by dots" },
            { "at": 4, "reason": "msisdn: it is no text" },
        ],
    });
    let reply = post(list, &bearer);
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&reply.body).expect("JSON"), expected);
    let one = r#"{"key": "v-1", "msisdn": "9437000001", "flow": "hospital-visit"}"#;
    assert_eq!(post(one, &bearer).body, r#"{"refused":[],"repeated":1,"taken":0}"#);
    let many = format!("[{}]", vec!["{}"; 1001].join(","));
    let large = format!("\"{}\"", "x".repeat(1024 * 1024));
    for (body, status) in [("", 400), ("9", 400), ("[", 400), (many.as_str(), 413), (large.as_str(), 413)] {
        let reply = post(body, &bearer);
        assert_eq!(reply.status, status, "{}", reply.body);
    }
    assert_eq!(post(one, &[]).status, 401);
    assert_eq!(http(gateway.address, "GET", "/v1/invitations", &bearer, b"").expect("an answer").status, 405);
}

#[test]
fn a_large_file_takes_the_memory_of_a_small_one() {
    let home = Home::new("", "");
    let peak = |lines: usize| {
        let file = home.path("many.csv");
        let rows = (0..lines).map(|n| format!("v-{n},94{n:08},hospital-visit,Ward {n}\n"));
        fs::write(&file, format!("key,msisdn,flow,ward\n{}", rows.collect::<String>())).expect("written");
        let mut child = home
            .command(&["invite", "--dry-run", "many.csv"])
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("starts");
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
        let mut status = 0;
        // SAFETY: both places are ours for the call, which fills them; the child is waited for once, here.
        let usage = unsafe {
            assert_eq!(libc::wait4(child.id() as i32, &mut status, 0, usage.as_mut_ptr()), child.id() as i32);
            usage.assume_init()
        };
        assert_eq!(status, 0);
        let _ = child.try_wait();
        usage.ru_maxrss
    };
    let (small, large) = (peak(2_000), peak(20_000));
    assert!(large < small + 4 * 1024, "{small} KiB, then {large} KiB");
}
