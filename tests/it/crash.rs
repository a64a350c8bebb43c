//! What a crash may do, line by line: the built binary is killed with signal 9 at a named place, started again without it,
//! and the whole state is compared with that of a gateway that nobody killed. On both stores.
//!
//! | dies | after restart |
//! |---|---|
//! | before the commit | nothing happened; the telco repeats the callback |
//! | after the commit, before the answer | the repeat is recognised and gets the saved screen |
//! | in the forwarder, after the department has it | sent once more under the same id |
//! | a timer that fires twice | the second time it finds its session over and only removes itself |

use crate::{
    redis_server::RedisServer,
    running::{CITIZEN, Gateway, Home, LIMIT, until},
};
use std::collections::BTreeSet;

/// Everything that a department, an operator and a citizen can see of a gateway's state.
#[derive(Debug, PartialEq, Eq)]
struct State {
    /// Queue, and what it counts.
    queues: Vec<String>,
    /// What departments have, each response once, without its id and its moments.
    responses: BTreeSet<String>,
    /// What the citizen sees at the next dial.
    redial: String,
}

fn state(home: &Home, gateway: &Gateway) -> State {
    let metrics = gateway.get("/metrics").body;
    let mut queues: Vec<_> = metrics
        .lines()
        .filter(|line| line.starts_with("matamat_queue_") && !line.contains("oldest"))
        .map(str::to_owned)
        .collect();
    queues.sort();
    let responses = home.responses().iter().map(|line| plain(line.clone())).collect();
    // The redial comes last: it begins a new session where none is open.
    let redial = gateway.dial("at-en", CITIZEN, "redial", "").expect("a screen");
    State { queues, responses, redial }
}

/// A response without what differs between two runs.
fn plain(mut line: serde_json::Value) -> String {
    for key in ["id", "timestamp"] {
        line[key] = "…".into();
    }
    for key in ["id", "started_at", "completed_at"] {
        line["data"][key] = "…".into();
    }
    line["data"]["citizen"]["id"] = "…".into();
    let answers = line["data"]["answers"].as_array_mut().expect("a list");
    answers.iter_mut().for_each(|answer| answer["at"] = "…".into());
    line.to_string()
}

/// Dials `before`, dies at `point` in the step `at`, is started again, repeats the step and dials the rest. The state is
/// that of a gateway that nobody killed, and the screens are the same but for the reference number.
fn check(point: &str, before: &[&str], at: &str, rest: &[&str]) {
    let on = |store: &dyn Fn() -> String| {
        let calm = Home::new(&store(), "");
        let gateway = calm.start();
        let expected = [before, &[at], rest].map(|h| gateway.play("at-en", CITIZEN, "s", h)).concat();
        settled(&gateway, &calm, rest.last().is_some());
        let calm_state = state(&calm, &gateway);
        gateway.terminate();

        let home = Home::new(&store(), "");
        let gateway = home.start();
        let mut screens = gateway.play("at-en", CITIZEN, "s", before);
        gateway.terminate();
        home.set("MATAMAT_FAIL_POINT", point);
        let gateway = home.start();
        let broken = gateway.dial("at-en", CITIZEN, "s", at);
        let (signal, ..) = gateway.ended();
        assert_eq!(signal, Some(libc::SIGKILL), "it died at {point}");
        home.unset("MATAMAT_FAIL_POINT");
        let gateway = home.start();
        let again = gateway.dial("at-en", CITIZEN, "s", at).expect("a screen");
        if let Ok(first) = broken {
            assert_eq!(first, again, "the repeat gets the same bytes");
        }
        screens.push(again);
        screens.extend(gateway.play("at-en", CITIZEN, "s", rest));
        settled(&gateway, &home, rest.last().is_some());
        assert_eq!(without_reference(&screens), without_reference(&expected), "{point}");
        assert_eq!(state(&home, &gateway), calm_state, "{point}");
    };
    on(&String::new);
    let servers = [RedisServer::start(), RedisServer::start()];
    let next = std::cell::Cell::new(0);
    on(&|| {
        next.set(next.get() + 1);
        servers[next.get() - 1].url()
    });
}

/// Nothing waits any more but timers.
fn settled(gateway: &Gateway, home: &Home, complete: bool) {
    until("the response is settled", || {
        let waiting = gateway.metric("matamat_queue_waiting{queue=\"completion:ledger\"}");
        (waiting == Some(0.0) && home.responses().is_empty() != complete).then_some(())
    });
}

fn without_reference(screens: &[String]) -> Vec<String> {
    let digits = |c: char| if c.is_ascii_digit() { '#' } else { c };
    screens
        .iter()
        .map(|s| if s.starts_with("END") { s.chars().map(digits).collect() } else { s.clone() })
        .collect()
}

#[test]
fn dies_before_the_commit() {
    check("before-commit", &["", "1"], "1*1", &["1*1*1"]);
}

#[test]
fn dies_after_the_commit_and_before_the_answer() {
    check("after-commit", &["", "1"], "1*1", &["1*1*1"]);
}

#[test]
fn dies_at_the_very_first_commit() {
    check("before-commit", &[], "", &["1", "1*1", "1*1*1"]);
    check("after-commit", &[], "", &["1", "1*1", "1*1*1"]);
}

#[test]
fn dies_in_the_forwarder_after_the_department_has_it() {
    let on = |store: &str| {
        let home = Home::new(store, "");
        home.set("MATAMAT_FAIL_POINT", "after-forward");
        let gateway = home.start();
        // The last answer may or may not be told before the forwarder dies.
        for history in ["", "1", "1*1", "1*1*1"] {
            let _ = gateway.dial("at-en", CITIZEN, "s", history);
        }
        let (signal, ..) = gateway.ended();
        assert_eq!(signal, Some(libc::SIGKILL));
        assert_eq!(home.responses().len(), 1, "the department has it, and we do not know");
        // The lease ends; the embedded store ends it at start, Redis when its clock is there.
        home.unset("MATAMAT_FAIL_POINT");
        home.set("MATAMAT_SHIFT_CLOCK", "1m");
        let gateway = home.start();
        until("it is settled", || {
            let done = gateway.metric("matamat_queue_done_total{queue=\"completion:ledger\"}");
            (done == Some(1.0)).then_some(())
        });
        let lines = home.responses();
        assert_eq!(lines.len(), 2, "sent once more");
        assert_eq!(lines[0]["id"], lines[1]["id"], "under the same id");
        assert_eq!(lines[0]["data"], lines[1]["data"]);
        assert_eq!(gateway.metric("matamat_queue_waiting{queue=\"completion:ledger\"}"), Some(0.0));
        assert_eq!(gateway.metric("matamat_queue_in_total{queue=\"completion:ledger\"}"), Some(1.0));
    };
    on("");
    on(&RedisServer::start().url());
}

#[test]
fn a_timer_that_fires_twice_ends_one_session_once() {
    let partial = "[[department]]\nid = 'ledger'\nkind = 'file'\npath = 'data/responses.ndjson'\n\
                   [[route]]\nto = 'ledger'\npartial = true\n";
    let on = |store: &str| {
        let home = Home::new(store, partial);
        let gateway = home.start();
        gateway.play("at-en", CITIZEN, "s", &["", "2"]);
        gateway.terminate();
        // It dies with the timer in hand, and once more after the timer's turn was committed.
        for (point, shift) in [("timer-fired", "49h"), ("after-commit", "50h")] {
            home.set("MATAMAT_FAIL_POINT", point);
            home.set("MATAMAT_SHIFT_CLOCK", shift);
            let (signal, _, log) = home.spawn().ended();
            assert_eq!(signal, Some(libc::SIGKILL), "{point}: {log}");
        }
        home.unset("MATAMAT_FAIL_POINT");
        home.set("MATAMAT_SHIFT_CLOCK", "51h");
        let gateway = home.start();
        let lines =
            until("the partial response", || (!home.responses().is_empty()).then(|| home.responses()));
        assert_eq!(lines[0]["type"], "response.partial");
        assert_eq!(lines[0]["data"]["answers"][0]["value"], 2);
        until("the timer is gone", || {
            (gateway.metric("matamat_queue_waiting{queue=\"timer\"}") == Some(0.0)).then_some(())
        });
        assert_eq!(gateway.metric("matamat_queue_done_total{queue=\"timer\"}"), Some(1.0));
        assert_eq!(gateway.metric("matamat_queue_in_total{queue=\"completion:ledger\"}"), Some(1.0), "once");
        let fresh = gateway.dial("at-en", CITIZEN, "t", "").expect("a screen");
        assert!(fresh.starts_with("CON How"), "the session is over within {LIMIT:?}: {fresh}");
        assert_eq!(home.responses().len(), 1);
    };
    on("");
    on(&RedisServer::start().url());
}
