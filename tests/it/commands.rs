//! The commands, as a person types them.

use crate::running::Home;
use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

/// Runs the binary in the repository's root, where the shipped configuration and flows are.
fn run(arguments: &[&str], typed: &str) -> Output {
    fed(
        Command::new(env!("CARGO_BIN_EXE_matamat")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")),
        typed,
    )
}

fn fed(command: &mut Command, typed: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the binary starts");
    child.stdin.take().expect("piped").write_all(typed.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn every_scripted_conversation_goes_as_written() {
    let scripts =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flows")).expect("readable");
    let mut scripts: Vec<_> = scripts.map(|s| s.expect("readable").path().display().to_string()).collect();
    scripts.sort();
    assert!(scripts.len() >= 9, "{scripts:?}");
    let mut arguments = vec!["replay"];
    if std::env::var_os("UPDATE").is_some() {
        arguments.push("--update");
    }
    arguments.extend(scripts.iter().map(String::as_str));
    let output = run(&arguments, "");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn replay_says_the_first_difference_with_its_line() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("differs.txt");
    let script =
        "language: en\n\n> dial *4545*1#\n< How were you treated at the hospital?\n< 1 badly - 5 well\n> 5\n";
    std::fs::write(&path, script).expect("written");
    let name = path.display().to_string();
    let output = run(&["replay", &name], "");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains(&format!("{name}:5: expected\n  < 1 badly - 5 well")), "{said}");
    assert!(said.contains("< 1 very badly - 5 very well"), "{said}");
}

#[test]
fn what_simulate_writes_replay_reads() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("kept.txt").display().to_string();
    let context = ["--context", "visit.office=Capital Hospital"];
    let arguments = ["simulate", "hospital-visit", "--language", "en", "--write", &path];
    let output = run(&[&arguments[..], &context].concat(), "2\nnonsense\n1\n! 49h\ndial\n");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for part in ["treated at Capital Hospital", "What went wrong?", "= partial: overall=2 topic=behaviour"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(run(&["replay", &path], "").status.success());
    let unknown = run(&["simulate", "hospital"], "");
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("there are: hospital-visit"), "{}", text(&unknown.stderr));
}

#[test]
fn check_tells_every_fault_of_every_file_at_once() {
    let output = run(&["check"], "");
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let more = "[store]\nurl = 'redis+cluster://u:s3cret@h:1'\ndurability = 'replica'\n[server]\nlisten = 'everywhere'\n\
                [[channel]]\nid = 'k'\nvendor = 'kannel'\n[[channel]]\nid = 'A'\nvendor = 'africastalkin'\ntps = 5\n\
                [[department]]\nid = 'd'\nkind = 'webhook'\n[[route]]\nto = 'e'\nwhen = 'overal <= 2'\n";
    let home = Home::new("", "");
    std::fs::write(home.path("config.toml"), more).expect("written");
    home.set("MATAMAT_SERVER__LISTN", "127.0.0.1:1");
    let output = home.command(&["check"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    for part in [
        "`redis+cluster://` is not built yet",
        "the durability \"replica\" is not built yet",
        "`server.listen` must be an address and a port",
        "the vendor \"kannel\" is not built yet",
        "\"A\" cannot be a channel's id",
        "did you mean \"africastalking\"?",
        "`channel.tps` is not built yet",
        "departments of kind \"webhook\" are not built yet",
        "MATAMAT_SERVER__LISTN",
        "did you mean `listen`?",
        "config.toml:2:7",
    ] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    assert!(!said.contains("s3cret"), "a line that may hold a secret is not drawn:\n{said}");
    home.set("MATAMAT_STORE__PASSWORD", "hunter2");
    home.set("MATAMAT_ADMIN__TOKEN", "literal-tok");
    home.set("MATAMAT_SERVER__LISTEN", "0.0.0.0:1");
    let said = text(&home.command(&["check"]).output().expect("it runs").stderr);
    assert!(said.contains("MATAMAT_STORE__PASSWORD"), "{said}");
    assert!(!said.contains("hunter2") && !said.contains("literal-tok"), "{said}");
}

#[test]
fn a_route_is_checked_against_the_answers_that_there_are() {
    let route = "[[department]]\nid = 'ledger'\nkind = 'file'\npath = 'x'\n[[route]]\nto = 'leger'\n\
                 [[route]]\nto = 'ledger'\nwhen = \"overal <= 2\"\n[[route]]\nto = 'ledger'\nwhen = \"overall <= '2'\"\n";
    let home = Home::new("", route);
    let output = home.command(&["check"]).output().expect("it runs");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in ["there is no department \"leger\"", "known are: ledger", "overal", "did you mean", "'2'"] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
}

#[test]
fn channel_decode_says_what_was_understood_or_why_not() {
    let home = Home::new("", "");
    let decode = |channel: &str, kind: &str, request: &str| {
        let arguments = ["channel", "decode", channel, kind, "--now", "2026-11-24T09:12:03.120Z"];
        let output = fed(&mut home.command(&arguments), request);
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let step = "POST /in/at-en/ussd HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n\
                sessionId=s1&phoneNumber=%2B919437000001&serviceCode=%2A4545%2A1%23&text=2%2A1";
    let (code, printed, _) = decode("at-en", "ussd", step);
    let expected = serde_json::json!({
        "in": [{ "kind": "ussd", "from": "+91…0001", "session": "s1", "event": "continue", "input": "2*1",
                 "history": true, "code": "*4545*1#", "at": "2026-11-24T09:12:03.120Z" }],
        "answer": { "status": 200, "body": "CON …" },
    });
    assert_eq!(code, Some(0));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).expect("JSON"), expected);
    let (code, printed, _) = decode("at-en", "ussd", "POST /x\n\nsessionId=s1&text=");
    assert_eq!(code, Some(1));
    assert!(printed.contains("malformed") && printed.contains("`from`"), "{printed}");
    let (code, printed, _) = decode("at-en", "mo", "POST /x\n\n");
    assert_eq!(code, Some(1), "{printed}");
    let (code, _, said) = decode("nobody", "ussd", step);
    assert!(code == Some(1) && said.contains("there are: at-en, at-or, phone"), "{said}");
    let (code, _, said) = decode("at-en", "ussd", "hello");
    assert!(code == Some(1) && said.contains("the first line must be a method and a path"), "{said}");
}

#[test]
fn every_command_has_help_for_a_tired_human() {
    for command in [&["serve"][..], &["check"], &["simulate"], &["replay"], &["channel", "decode"]] {
        let output = run(&[command, &["--help"]].concat(), "");
        let help = text(&output.stdout);
        assert!(output.status.success() && help.contains("Usage:") && help.lines().count() >= 8, "{help}");
    }
}

const SMS_LINE: &str = "[[channel]]\nid = 'at-sms'\nvendor = 'africastalking'\nbearer = 'sms'\naddress = '22384'\n\
    auth = { secret = 's3cret' }\nsecret = { username = 'vma', api_key = 'k-0001' }\n";

#[test]
fn channel_decode_reads_messages_and_receipts() {
    let home = Home::new("", SMS_LINE);
    let check = |kind: &str, request: &str, code: i32, expected: serde_json::Value| {
        let arguments = ["channel", "decode", "at-sms", kind, "--now", "2026-11-24T09:12:03.120Z"];
        let output = fed(&mut home.command(&arguments), request);
        let printed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!((output.status.code(), printed), (Some(code), expected), "{request}");
    };
    let answer = serde_json::json!({ "status": 200, "body": "" });
    check(
        "mo",
        "POST /in/at-sms/mo/s3cret\n\nfrom=%2B254711000001&to=22384&text=MAJI+2&id=9f1c&date=2026-03-02+09%3A59%3A45",
        0,
        serde_json::json!({
            "in": [{ "kind": "mo", "from": "+25…0001", "to": "22384", "text": "MAJI 2", "id": "9f1c",
                     "at": "2026-03-02T09:59:45.000Z" }],
            "answer": answer,
        }),
    );
    check(
        "dlr",
        "POST /in/at-sms/dlr/s3cret\n\nid=ATXid_1&status=Failed&phoneNumber=%2B254711000001&failureReason=UserIsInactive",
        0,
        serde_json::json!({
            "in": [{ "kind": "dlr", "id": "ATXid_1", "word": "Failed", "status": "failed", "code": "UserIsInactive",
                     "at": "2026-11-24T09:12:03.120Z" }],
            "answer": answer,
        }),
    );
    check(
        "mo",
        "POST /in/at-sms/mo/s3cret\n\nfrom=SAFARICOM&text=Offer",
        0,
        serde_json::json!({ "in": [{ "ignored": "sender" }], "answer": answer }),
    );
    let refused =
        |reason: &str, detail: &str| serde_json::json!({ "refused": { "reason": reason, "detail": detail } });
    check(
        "mo",
        "POST /in/at-sms/mo/wrong\n\nfrom=%2B254711000001&text=4",
        1,
        refused("unauthorized", "the secret in the path is wrong or missing"),
    );
    check("ussd", "POST /in/at-sms/ussd/s3cret\n\n", 1, refused("door", "this channel has no door for ussd"));
}

#[test]
fn what_a_channel_names_exists() {
    let check = |more: &str, expected: &[&str]| {
        let home = Home::new("", &format!("{SMS_LINE}{more}"));
        let output = home.command(&["check"]).output().expect("it runs");
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.success(), expected.is_empty(), "{more}: {said}");
        for part in expected {
            assert!(said.contains(part), "{part} is not in:\n{said}");
        }
    };
    let ussd = "[[channel]]\nid = 'dials'\nvendor = 'africastalking'\nauth = 'none'\n";
    check(&format!("{ussd}sms_via = 'at-sms'\nflows = ['hospital-visit']\n"), &[]);
    check(&format!("{ussd}sms_via = 'phone'\n"), &[]);
    check(&format!("{ussd}sms_via = 'at-en'\n"), &["the channel \"at-en\" sends no SMS"]);
    check(&format!("{ussd}sms_via = 'nobody'\n"), &["there is no channel \"nobody\""]);
    check(
        &format!("{ussd}flows = ['hospital-visits', 'other']\n"),
        &[
            "there is no flow \"hospital-visits\"",
            "did you mean \"hospital-visit\"?",
            "there is no flow \"other\"",
        ],
    );
}
