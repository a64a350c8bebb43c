//! The real server, a pretend telco, a real store: what a citizen, a telco and an operator see.

use std::io::{Read, Write};

use crate::{
    redis_server::{Flavour, RedisServer},
    running::{CITIZEN, Home, files, http, until},
};

/// Runs a check on the embedded store and on a Redis of its own.
fn on_both(check: impl Fn(&str)) {
    check("");
    let redis = RedisServer::start();
    check(&redis.url());
}

/// What typing 1 throughout shows, by how each screen begins.
const ALL_ONES: [&str; 4] = ["", "1", "1*1", "1*1*1"];

#[test]
fn a_session_runs_to_its_end_in_both_languages_on_both_stores() {
    on_both(|store| {
        let home = Home::new(store, "");
        let gateway = home.start();
        let english = gateway.play("at-en", CITIZEN, "s1", &ALL_ONES);
        for (screen, begins) in english.iter().zip(["CON How", "CON What", "CON May", "END Thank"]) {
            assert!(screen.starts_with(begins), "{screen}");
        }
        let odia = gateway.play("at-or", "+919437000002", "s2", &ALL_ONES);
        for (screen, begins) in odia.iter().zip(["CON ", "CON ", "CON ", "END "]) {
            assert!(screen.starts_with(begins), "{screen}");
            let odia = screen.chars().filter(|c| ('\u{b00}'..='\u{b7f}').contains(c)).count();
            assert!(odia > 10, "{screen}");
        }
        let lines = until("two lines", || (home.responses().len() == 2).then(|| home.responses()));
        let first = lines.iter().find(|line| line["data"]["language"] == "en").expect("the English one");
        assert_eq!(first["type"], "response.completed");
        let data = &first["data"];
        assert_eq!((&data["flow"], &data["status"]), (&"hospital-visit".into(), &"complete".into()));
        assert_eq!((&data["bearer"], &data["channel"]), (&"ussd".into(), &"at-en".into()));
        let answers: Vec<_> =
            data["answers"].as_array().expect("a list").iter().map(|a| a["value"].clone()).collect();
        assert_eq!(answers, [serde_json::json!(1), "behaviour".into(), true.into()]);
        assert_eq!(data["id"], first["id"]);
        let reference = english[3].split(|c: char| !c.is_ascii_digit() && c != '-').find(|w| w.len() == 11);
        assert!(reference.is_some(), "the last screen has a reference number: {}", english[3]);
    });
}

#[test]
fn a_repeated_step_gets_the_same_bytes_and_changes_nothing() {
    on_both(|store| {
        let home = Home::new(store, "");
        let gateway = home.start();
        let mut screens = Vec::new();
        for history in ALL_ONES {
            let first = gateway.dial("at-en", CITIZEN, "s1", history).expect("a screen");
            let again = gateway.dial("at-en", CITIZEN, "s1", history).expect("a screen");
            assert_eq!(first, again, "at {history:?}");
            screens.push(first);
        }
        let older = gateway.dial("at-en", CITIZEN, "s1", "1*1").expect("a screen");
        assert_eq!(older, screens[2], "the step before the last is kept too");
        until("the line", || (!home.responses().is_empty()).then_some(()));
        assert_eq!(home.responses().len(), 1);
        assert_eq!(gateway.metric("matamat_turns_total{bearer=\"ussd\",outcome=\"repeat\"}"), Some(5.0));
        assert_eq!(gateway.metric("matamat_queue_in_total{queue=\"completion:ledger\"}"), Some(1.0));
    });
}

#[test]
fn a_redial_shows_the_open_question_and_a_correction_is_one_key_away() {
    let home = Home::new("", "");
    let gateway = home.start();
    let screens = gateway.play("at-en", CITIZEN, "s1", &["", "2"]);
    let redial = gateway.dial("at-en", CITIZEN, "s2", "").expect("a screen");
    assert_eq!(redial, screens[1], "the question that was open");
    let back = gateway.dial("at-en", CITIZEN, "s2", "0").expect("a screen");
    assert!(back.starts_with("CON How"), "{back}");
    let end = gateway.dial("at-en", CITIZEN, "s2", "0*5").expect("a screen");
    assert!(end.starts_with("END Thank"), "a good rating asks nothing more: {end}");
    let lines = until("the line", || (!home.responses().is_empty()).then(|| home.responses()));
    assert_eq!(lines[0]["data"]["answers"].as_array().map(Vec::len), Some(1));
    assert_eq!(lines[0]["data"]["answers"][0]["value"], 5);
}

#[test]
fn the_number_is_nowhere_but_where_the_citizen_agreed() {
    let route = "[[department]]\nid = 'asks'\nkind = 'file'\npath = 'data/asks.ndjson'\n\
                 [[department]]\nid = 'ledger'\nkind = 'file'\npath = 'data/responses.ndjson'\n\
                 [[route]]\nto = 'asks'\nshare = ['msisdn']\n[[route]]\nto = 'ledger'\n";
    let redis = RedisServer::with(Flavour::Disk);
    let kept = redis.cli(&["config", "get", "dir"]);
    let kept = kept.lines().last().expect("a folder").to_owned();
    for (store, redis_files) in [(String::new(), None), (redis.url(), Some(kept))] {
        let home = Home::new(&store, route);
        let gateway = home.start();
        // The first agrees, the second does not, the third is never asked.
        gateway.play("at-en", "+919437000111", "a", &["", "1", "1*1", "1*1*1"]);
        gateway.play("at-en", "+919437000222", "b", &["", "1", "1*1", "1*1*2"]);
        gateway.play("at-en", "+919437000333", "c", &["", "5"]);
        let asks = until("three lines", || {
            let text = std::fs::read_to_string(home.path("data/asks.ndjson")).unwrap_or_default();
            (text.lines().count() == 3).then_some(text)
        });
        until("three more lines", || (home.responses().len() == 3).then_some(()));
        assert_eq!(asks.matches("+919437000111").count(), 1, "agreed, and asked for: {asks}");
        let metrics = gateway.get("/metrics").body;
        let mut places = vec![("metrics".to_owned(), metrics), ("log".to_owned(), gateway.terminate())];
        // Every key and every value that Redis was ever given is in its append-only file.
        let redis_files = redis_files.map(|folder| files(folder.as_ref())).unwrap_or_default();
        assert!(store.is_empty() || !redis_files.is_empty(), "Redis keeps a file");
        for (path, bytes) in home.files().into_iter().chain(redis_files) {
            places.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
        for (place, text) in places {
            let text = if place.ends_with("asks.ndjson") { text.replace("+919437000111", "") } else { text };
            for number in ["9437000111", "9437000222", "9437000333"] {
                assert!(!text.contains(number), "{number} is in {place}");
            }
        }
    }
}

#[test]
fn bad_input_gets_a_problem_document_and_a_counter() {
    let secret = "[[channel]]\nid = 'at-secret'\nvendor = 'africastalking'\nbearer = 'ussd'\naddress = '*4545*1#'\n\
                  auth = { secret = 'open%2Fsesame' }\n";
    let home = Home::new("", secret);
    let gateway = home.start();
    let good = "sessionId=s&phoneNumber=%2B919437000001&serviceCode=*4545*1%23&text=";
    let large = format!("{good}{}", "1".repeat(70_000));
    let form = "application/x-www-form-urlencoded";
    type Row<'a> = (&'a str, &'a str, &'a str, &'a [u8], u16, &'a str);
    let table: [Row<'_>; 14] = [
        ("POST", "/in/nowhere/ussd", form, good.as_bytes(), 404, "channel"),
        ("POST", "/in/at-en/telepathy", form, good.as_bytes(), 404, "door"),
        ("POST", "/in/at-en/mo", form, good.as_bytes(), 404, "door"),
        ("POST", "/in/at-en/ussd", form, b"", 400, "malformed"),
        ("POST", "/in/at-en/ussd", form, b"\xff\xfe\x00&&&=%zz", 400, "malformed"),
        (
            "POST",
            "/in/at-en/ussd",
            form,
            b"sessionId=s&phoneNumber=AD-VODAFN&serviceCode=x&text=",
            400,
            "malformed",
        ),
        (
            "POST",
            "/in/at-en/ussd",
            form,
            b"sessionId=s&phoneNumber=4545&serviceCode=x&text=",
            400,
            "malformed",
        ),
        ("POST", "/in/at-en/ussd", form, large.as_bytes(), 413, "too-large"),
        ("DELETE", "/in/at-en/ussd", form, b"", 405, "method"),
        ("POST", "/in/at-secret/ussd", form, good.as_bytes(), 403, "unauthorized"),
        ("POST", "/in/at-secret/ussd/open-sesame", form, good.as_bytes(), 403, "unauthorized"),
        ("POST", "/in/phone/ussd", "application/json", b"{\"msisdn\": 12", 400, "malformed"),
        ("POST", "/in/phone/ussd", "application/json", b"[]", 400, "malformed"),
        ("GET", "/nothing/here", form, b"", 404, ""),
    ];
    for (method, path, kind, body, status, reason) in table {
        let reply = http(gateway.address, method, path, &[("Content-Type", kind)], body).expect("an answer");
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.body);
        assert_eq!(reply.headers["content-type"], "application/problem+json", "{method} {path}");
        let problem: serde_json::Value = serde_json::from_str(&reply.body).expect("a problem document");
        assert_eq!(problem["status"], status, "{path}");
        assert!(problem["detail"].as_str().is_some_and(|d| !d.is_empty()), "{path}: {problem}");
        assert!(!reply.body.contains("VODAFN"), "nothing of what was sent comes back");
        if !reason.is_empty() {
            let counted = gateway.metric(&format!("matamat_refused_total{{reason=\"{reason}\"}}"));
            assert!(counted.is_some_and(|n| n >= 1.0), "{reason} after {method} {path}");
        }
    }
    let right = gateway.post_form("/in/at-secret/ussd/open%2Fsesame", good).expect("an answer");
    assert!(right.body.starts_with("CON "), "{}", right.body);
    for path in ["/healthz", "/readyz", "/metrics", "/phone"] {
        let asked = |method| http(gateway.address, method, path, &[], b"").expect("an answer");
        assert_eq!((asked("GET").status, asked("HEAD").status), (200, 200), "{path}");
        assert_eq!(
            (asked("POST").status, asked("POST").headers["allow"].as_str()),
            (405, "GET, HEAD"),
            "{path}"
        );
    }
    for probe in ["GET", "HEAD"] {
        let reply = http(gateway.address, probe, "/in/at-en/ussd", &[], b"").expect("an answer");
        assert_eq!(reply.status, 200, "a {probe} probe");
    }
    let log = gateway.terminate();
    assert!(!log.contains("panicked") && !log.contains("9437000001"), "{log}");
}

#[test]
fn odd_steps_get_a_valid_page_and_move_nothing() {
    let home = Home::new("", "");
    let gateway = home.start();
    // A step of a session nobody knows, for a citizen who is in no flow: the history is a direct dial.
    let direct = gateway.dial("at-en", CITIZEN, "unknown", "5").expect("a screen");
    assert!(direct.starts_with("END Thank"), "{direct}");
    // An end before its begin.
    let ended = "date=x&sessionId=never&serviceCode=*4545*1%23&networkCode=1&phoneNumber=%2B919437000009&status=Failed&cost=0&durationInMillis=1&hopsCount=0&input=&lastAppResponse=&errorMessage=x";
    assert_eq!(gateway.post_form("/in/at-en/ussd", ended).expect("an answer").status, 200);
    // A code that opens nothing, and fields nobody knows.
    let nothing = "sessionId=s9&phoneNumber=%2B919437000008&serviceCode=*999%23&text=&tomorrow=1";
    let reply = gateway.post_form("/in/at-en/ussd", nothing).expect("an answer");
    assert!(reply.status == 200 && reply.body.starts_with("END "), "{}", reply.body);
    // Invalid UTF-8 in an answer is an answer that is not understood.
    gateway.dial("at-en", "+919437000007", "s7", "").expect("a screen");
    let odd = "sessionId=s7&phoneNumber=%2B919437000007&serviceCode=*4545*1%23&text=%ff%fe";
    let reply = gateway.post_form("/in/at-en/ussd", odd).expect("an answer");
    assert!(reply.status == 200 && reply.body.starts_with("CON "), "{}", reply.body);
}

#[test]
fn a_fault_in_a_flow_stops_serve_with_the_message_of_check() {
    let home = Home::new("", "[flows]\ndir = 'my-flows'\n");
    std::fs::create_dir(home.path("my-flows")).expect("made");
    let broken =
        include_str!("../../flows/hospital-visit.toml").replacen("goto = \"thanks\"", "goto = \"thank\"", 1);
    std::fs::write(home.path("my-flows/hospital-visit.toml"), broken).expect("written");
    let said = |command: &str| {
        let output = home.command(&[command]).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{command}");
        String::from_utf8(output.stderr).expect("text")
    };
    let (check, serve) = (said("check"), said("serve"));
    assert!(check.contains("my-flows/hospital-visit.toml:") && check.contains("thank"), "{check}");
    assert!(check.contains("did you mean \"thanks\"?"), "{check}");
    let fault = check.lines().next().expect("a line");
    assert!(serve.contains(fault), "serve says the same:\n{serve}");
}

#[test]
fn a_stop_is_clean_and_a_second_gateway_on_one_file_is_refused() {
    let home = Home::new("", "");
    let gateway = home.start();
    gateway.dial("at-en", CITIZEN, "s1", "").expect("a screen");
    let (code, said) = refused(&home);
    assert!(code == Some(1) && said.contains("matamat.db") && said.contains("another"), "{said}");
    gateway.terminate();
    let gateway = home.start();
    let redial = gateway.dial("at-en", CITIZEN, "s2", "").expect("a screen");
    assert!(redial.starts_with("CON How"), "{redial}");
}

#[test]
fn a_store_with_other_keys_or_without_its_key_file_is_refused() {
    let home = Home::new("", "");
    home.start().terminate();
    std::fs::rename(home.path("data/keys"), home.path("kept")).expect("moved");
    let (code, log) = refused(&home);
    assert!(code == Some(1) && log.contains("data/keys"), "{log}");
    let other = Home::new("", "");
    other.start().terminate();
    std::fs::copy(other.path("data/keys"), home.path("data/keys")).expect("copied");
    let (code, log) = refused(&home);
    assert!(code == Some(1) && log.contains("other keys"), "{log}");
    std::fs::rename(home.path("kept"), home.path("data/keys")).expect("moved back");
    home.start().terminate();
}

/// Starts a gateway that must not run, and gives its exit code and what it said.
fn refused(home: &Home) -> (Option<i32>, String) {
    let (_, code, log) = home.spawn().ended();
    (code, log)
}

#[test]
fn beyond_loopback_the_operators_side_asks_for_its_token() {
    let open = "[admin]\ntoken = { env = 'OPERATORS' }\n";
    let home = Home::new("", open);
    home.set("MATAMAT_SERVER__LISTEN", "0.0.0.0:0");
    let (code, said) = refused(&home);
    assert!(code == Some(1) && said.contains("the environment has no OPERATORS"), "{said}");
    home.set("OPERATORS", "s3:cret");
    let gateway = home.start();
    let ask = |path: &str, method: &str, sent: &str| {
        let headers = [("Authorization", sent), ("Content-Type", "application/json")];
        let dial = br#"{"msisdn":"+919437000001","session":"s","code":"*4545*1#","event":"start"}"#;
        http(gateway.address, method, path, &headers, if method == "POST" { dial } else { b"" })
            .expect("an answer")
            .status
    };
    // "anybody:s3:cret" as a browser sends it.
    let basic = "Basic YW55Ym9keTpzMzpjcmV0";
    for (path, method) in
        [("/metrics", "GET"), ("/phone", "GET"), ("/phone/thread", "POST"), ("/in/phone/ussd", "POST")]
    {
        assert_eq!(ask(path, method, ""), 401, "{path}");
        assert_eq!(ask(path, method, "Bearer wrong"), 401, "{path}");
        assert_eq!(ask(path, method, "Bearer s3:cret"), 200, "{path}");
        assert_eq!(ask(path, method, basic), 200, "{path}");
    }
    assert_eq!((ask("/healthz", "GET", ""), ask("/readyz", "GET", "")), (200, 200), "probes need no token");
    assert!(gateway.dial("at-en", CITIZEN, "s", "").expect("a screen").starts_with("CON "), "telcos neither");
    assert!(!gateway.terminate().contains("s3:cret"));
}

#[test]
fn a_listener_of_the_operators_own_leaves_the_telcos_their_doors_only() {
    let home = Home::new("", "[admin]\nlisten = '127.0.0.1:0'\n");
    let gateway = home.start_unready();
    for path in ["/healthz", "/readyz", "/metrics", "/phone", "/phone/thread"] {
        assert_eq!(gateway.get(path).status, 404, "{path}");
    }
    let dial = br#"{"msisdn":"+919437000001","session":"s","code":"*4545*1#","event":"start"}"#;
    let reply = http(gateway.address, "POST", "/in/phone/ussd", &[], dial).expect("an answer");
    assert_eq!(reply.status, 404, "the phone for people is the operators'");
    until("telcos come in", || {
        gateway.dial("at-en", CITIZEN, "s", "").expect("a screen").starts_with("CON ").then_some(())
    });
}

#[test]
fn beyond_loopback_a_channel_authenticates_or_says_that_it_does_not() {
    let home = Home::new("", "[[channel]]\nid = 'careless'\nvendor = 'africastalking'\nbearer = 'ussd'\n");
    home.set("MATAMAT_SERVER__LISTEN", "0.0.0.0:0");
    let (code, said) = refused(&home);
    assert_eq!(code, Some(1));
    for part in
        ["the channel \"careless\" can be called from anywhere", "the operators' side", "token = { env"]
    {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    home.unset("MATAMAT_SERVER__LISTEN");
    home.start().terminate();
}

#[test]
fn a_page_of_somebody_elses_is_not_let_in_on_loopback() {
    let home = Home::new("", "");
    let gateway = home.start();
    let dial = br#"{"msisdn":"+919437000001","session":"s","code":"*4545*1#","event":"start"}"#;
    let own = format!("http://{}", gateway.address);
    let ask = |headers: &[(&str, &str)]| {
        http(gateway.address, "POST", "/in/phone/ussd", headers, dial).expect("an answer").status
    };
    assert_eq!(ask(&[("Origin", own.as_str())]), 200, "the phone page itself");
    assert_eq!(ask(&[("Origin", "http://evil.example"), ("Content-Type", "text/plain")]), 403);
    assert_eq!(ask(&[("Origin", "null")]), 403);
}

#[test]
fn a_body_that_does_not_come_in_is_not_waited_for() {
    let home = Home::new("", "");
    let gateway = home.start();
    let mut stalled = std::net::TcpStream::connect(gateway.address).expect("a connection");
    stalled
        .write_all(b"POST /in/at-en/ussd HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\ns")
        .expect("sent");
    stalled.set_read_timeout(Some(crate::running::LIMIT)).expect("set");
    let mut answer = [0; 64];
    let read = stalled.read(&mut answer).expect("an answer before the test's own limit");
    assert!(answer[..read].starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer[..read]));
}

/// An SMS line whose vendor is not there: only its doors are used.
const LINE: &str = "[[channel]]\nid = 'at-sms'\nvendor = 'africastalking'\nbearer = 'sms'\naddress = '+919437000100'\ntps = 20\n\
                    country = 'IN'\nsend_url = 'http://127.0.0.1:9/'\nsecret = { username = 'u', api_key = 'k' }\nauth = 'none'\n";

/// An MO form of Africa's Talking.
fn mo(from: &str, to: &str, text: &str, id: &str) -> String {
    format!(
        "from={}&to={}&text={text}&id={id}&date=2026-11-24T09:12:03Z",
        from.replace('+', "%2B"),
        to.replace('+', "%2B")
    )
}

#[test]
fn odd_messages_and_receipts_are_taken_and_counted() {
    let home = Home::new("", LINE);
    let gateway = home.start();
    let (mib, kib) = (1024 * 1024, 1024);
    let filled = |begin: &str, size: usize| format!("{begin}{}", "x".repeat(size - begin.len()));
    let (dlr, ours) = ("id=ATXid_9&status=Success&phoneNumber=", "919437000100");
    let counted = |name: &str| gateway.metric(name).unwrap_or_default();
    let refused = |reason: &str| format!("matamat_refused_total{{reason=\"{reason}\"}}");
    let turns = |outcome: &str| format!("matamat_turns_total{{bearer=\"sms\",outcome=\"{outcome}\"}}");
    let receipts =
        |outcome: &str| format!("matamat_receipts_total{{channel=\"at-sms\",outcome=\"{outcome}\"}}");
    let table: [(&str, &str, String, u16, String); 11] = [
        ("a word that opens a flow", "mo", mo(CITIZEN, ours, "MO", "1"), 200, turns("done")),
        ("the same message again", "mo", mo(CITIZEN, ours, "MO", "1"), 200, turns("repeat")),
        ("our address as another writes it", "mo", mo(CITIZEN, "09437000100", "2", "2"), 200, turns("done")),
        ("a text of nothing", "mo", mo(CITIZEN, ours, "", "3"), 200, turns("done")),
        ("an address that is not ours", "mo", mo(CITIZEN, "4546", "MO", "4"), 200, refused("address")),
        ("a sender whom nobody can answer", "mo", mo("AD-VODAFN", ours, "MO", "5"), 200, refused("sender")),
        ("64 KiB", "mo", filled(&mo("+919437000077", ours, "MO", "6"), 64 * kib), 200, turns("done")),
        (
            "one byte more",
            "mo",
            filled(&mo(CITIZEN, ours, "MO", "7"), 64 * kib + 1),
            413,
            refused("too-large"),
        ),
        ("a receipt for nobody's MT", "dlr", format!("{dlr}%2B919437000001"), 200, receipts("joined")),
        ("1 MiB of receipt", "dlr", filled(dlr, mib), 200, receipts("joined")),
        ("one byte more", "dlr", filled(dlr, mib + 1), 413, refused("too-large")),
    ];
    for (what, door, body, status, counter) in table {
        let before = counted(&counter);
        let reply = gateway.post_form(&format!("/in/at-sms/{door}"), &body).expect("an answer");
        assert_eq!(reply.status, status, "{what}: {}", reply.body);
        assert!(status != 200 || reply.body.is_empty(), "{what}: never a text in the answer: {}", reply.body);
        assert_eq!(counted(&counter), before + 1.0, "{what}: {counter}");
    }
    assert_eq!(counted("matamat_spool_waiting"), 0.0, "a store that answers needs no spool");
    let log = gateway.terminate();
    assert!(!log.contains("panicked") && !log.contains("9437000001"), "{log}");
}

#[test]
fn who_writes_too_fast_is_asked_for_again_and_loses_nothing() {
    let home = Home::new("", LINE);
    let gateway = home.start();
    let sent = |from: &str, n: u32| {
        let body = mo(from, "919437000100", "hello", &format!("{from}-{n}"));
        gateway.post_form("/in/at-sms/mo", &body).expect("an answer").status
    };
    let told: Vec<u16> = (0..60).map(|n| sent(CITIZEN, n)).collect();
    assert!(told[..30].iter().all(|status| *status == 200), "thirty at once: {told:?}");
    let again = told.iter().filter(|status| **status == 503).count() as f64;
    assert!(again > 0.0 && told.iter().all(|status| [200, 503].contains(status)), "{told:?}");
    assert_eq!(gateway.metric("matamat_turns_total{bearer=\"sms\",outcome=\"rate\"}"), Some(again));
    assert_eq!(sent("+919437000002", 0), 200, "another citizen is not held up");
    let first = told.iter().position(|status| *status == 503).expect("one") as u32;
    until("the vendor comes again", || (sent(CITIZEN, first) == 200).then_some(()));
}

#[test]
fn a_thread_is_asked_for_without_a_number_in_a_url() {
    let home = Home::new("", LINE);
    let gateway = home.start();
    let json = |path: &str, body: &str| {
        http(gateway.address, "POST", path, &[], body.as_bytes()).expect("an answer")
    };
    let thread = |number: &str| {
        let reply = json("/phone/thread", &format!("{{\"msisdn\":\"{number}\"}}"));
        assert_eq!(reply.status, 200, "{}", reply.body);
        let said: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
        said["lines"].as_array().expect("a list").clone()
    };
    assert_eq!(thread(CITIZEN), [] as [serde_json::Value; 0]);
    assert_eq!(
        json("/in/phone/mo", &format!("{{\"msisdn\":\"{CITIZEN}\",\"text\":\"MO\",\"id\":\"1\"}}")).status,
        200
    );
    let lines = until("the question", || Some(thread("9437000001")).filter(|lines| !lines.is_empty()));
    assert_eq!((lines.len(), &lines[0]["language"]), (1, &"or".into()));
    assert!(lines[0]["text"].as_str().is_some_and(|text| text.contains("1ରୁ 5")), "{lines:?}");
    assert!(lines[0]["id"].as_str().is_some_and(|id| id.len() == 32) && lines[0]["at"].is_string());
    assert_eq!(thread("+919437000002"), [] as [serde_json::Value; 0], "nobody else's");
    for (body, status) in [("", 400), ("{}", 400), ("{\"msisdn\":\"4545\"}", 400), ("[", 400)] {
        assert_eq!(json("/phone/thread", body).status, status, "{body}");
    }
    assert_eq!(json("/phone/thread", &"x".repeat(5_000)).status, 400);
    let read = gateway.get("/phone/thread");
    assert_eq!((read.status, read.headers["allow"].as_str()), (405, "POST"));
    let foreign = [("Origin", "http://evil.example")];
    let stolen = http(gateway.address, "POST", "/phone/thread", &foreign, b"{\"msisdn\":\"+919437000001\"}");
    assert_eq!(stolen.expect("an answer").status, 403);
}
