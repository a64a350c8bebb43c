//! What a crash may do to SMS, line by line: the built binary is killed with signal 9 at a named place, started again without
//! it, and what the citizen, the telco and the operator see is that of a gateway that nobody killed. On both stores, with a
//! telco that echoes our id and with one that does not.
//!
//! | dies | after restart |
//! |---|---|
//! | before the commit of an MO | nothing happened; the telco repeats it |
//! | after the commit, before the answer | the repeat is recognised, and the MT leaves once |
//! | after the vendor took the MT, before anything was written | in doubt: a receipt that echoes our id ends it; without one it is sent once more |
//! | with the vendor's id kept, before the settle | the receipt finds the MT and settles it: nothing is sent again |
//! | a receipt before the settle | whoever comes second finds the other's: one MT, one state |
//! | a reminder with its timer in hand | it fires again: one reminder |

use crate::{
    redis_server::RedisServer,
    running::{Gateway, Home, until},
    telco::{ECHO, Telco},
};
use std::{fs, net::SocketAddr};

/// Who writes.
const NUMBER: &str = "919437000001";
/// What an SMS line of each kind is.
const KINDS: [&str; 2] = ["at", "echo"];

/// Two SMS lines to one telco; the vendor's description of the second is a file.
fn home(store: &str, telco: SocketAddr) -> Home {
    let line = |id: &str, vendor: &str, secret: &str| {
        format!(
            "[[channel]]\nid = '{id}'\nvendor = '{vendor}'\nbearer = 'sms'\nlanguage = 'en'\naddress = '4545'\n\
             send_url = 'http://{telco}/send'\nauth = 'none'\nretry = ['5s', '1h']\n{secret}\n"
        )
    };
    let at = line("at", "africastalking", "secret = { username = 'u', api_key = 'k' }");
    let home = Home::new(store, &format!("{at}{}", line("echo", "file:echo.toml", "")));
    fs::write(home.path("echo.toml"), ECHO).expect("written");
    home
}

/// Runs it on the embedded store and on Redis, for a vendor of each kind.
fn on_all(check: impl Fn(&str, &str)) {
    for kind in KINDS {
        check("", kind);
        let redis = RedisServer::start();
        check(&redis.url(), kind);
    }
}

fn write(gateway: &Gateway, kind: &str, id: &str, text: &str) -> std::io::Result<u16> {
    let form = format!("from=%2B{NUMBER}&to=4545&text={text}&id={id}&date=2026-11-24T09%3A12%3A03Z");
    gateway.post_form(&format!("/in/{kind}/mo"), &form).map(|reply| reply.status)
}

fn receipt(gateway: &Gateway, kind: &str, mt: &crate::telco::Mt) {
    let form = match kind {
        "at" => format!("id={}&status=Success&phoneNumber=%2B{NUMBER}", mt.id),
        _ => format!("ref={}&status=Success", mt.reference),
    };
    let reply = gateway.post_form(&format!("/in/{kind}/dlr"), &form).expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.body);
}

/// The outbox is empty, and has counted so many in and out.
fn settled(gateway: &Gateway, kind: &str, done: f64) {
    let metric = |name: &str| gateway.metric(&format!("{name}{{queue=\"outbox:{kind}\"}}"));
    until("the outbox is empty", || {
        (metric("matamat_queue_waiting") == Some(0.0) && metric("matamat_queue_done_total") == Some(done))
            .then_some(())
    });
    assert_eq!(metric("matamat_queue_in_total"), Some(done));
    assert_eq!(metric("matamat_queue_dead"), Some(0.0));
}

/// A gateway that dies at `point`, which the telco's answer or the citizen's message leads it to.
fn dies(home: &Home, point: &str, kind: &str, id: &str, text: &str) {
    home.set("MATAMAT_FAIL_POINT", point);
    let gateway = home.start();
    let _ = write(&gateway, kind, id, text);
    let (signal, _, log) = gateway.ended();
    assert_eq!(signal, Some(libc::SIGKILL), "it died at {point}:\n{log}");
    home.unset("MATAMAT_FAIL_POINT");
}

#[test]
fn a_message_is_taken_once_whenever_it_dies() {
    on_all(|store, kind| {
        for point in ["before-commit", "after-commit"] {
            let (telco, at) = Telco::start();
            // A Redis is shared by both rounds; a citizen of its own for each keeps them apart.
            let home = home(store, at);
            if !store.is_empty() {
                RedisServer::flush(store);
            }
            dies(&home, point, kind, "1", "MO");
            let gateway = home.start();
            assert_eq!(write(&gateway, kind, "1", "MO").expect("an answer"), 200, "the telco repeats it");
            settled(&gateway, kind, 1.0);
            assert_eq!(write(&gateway, kind, "2", "5").expect("an answer"), 200);
            settled(&gateway, kind, 2.0);
            let came = telco.wait_for(2);
            assert!(came[0].text.starts_with("How were you"), "{point}: {}", came[0].text);
            assert!(came[1].text.contains("reference number"), "{point}: {}", came[1].text);
            assert_eq!(came.len(), 2, "{point}");
            until("the response is in the file", || (home.responses().len() == 1).then_some(()));
        }
    });
}

#[test]
fn in_doubt_a_receipt_ends_it_or_it_is_sent_once_more() {
    on_all(|store, kind| {
        let (telco, at) = Telco::start();
        let home = home(store, at);
        dies(&home, "after-send", kind, "1", "MO");
        let first = telco.wait_for(1).remove(0);
        // The lease is over; the claim that finds it cannot know, and leaves it in doubt.
        home.set("MATAMAT_SHIFT_CLOCK", "1m");
        let gateway = home.start();
        match kind {
            // It echoes our id: the receipt settles it.
            "echo" => {
                receipt(&gateway, kind, &first);
                settled(&gateway, kind, 1.0);
                assert_eq!(telco.wait_for(1).len(), 1, "nothing is sent again");
            }
            // Nobody knows what the vendor calls it: after the first wait of the retry list it is sent once more.
            _ => {
                let came = telco.wait_for(2);
                settled(&gateway, kind, 1.0);
                assert_eq!(came[0].text, came[1].text);
                assert_eq!(came.len(), 2);
            }
        }
        assert_eq!(
            gateway.metric("matamat_queue_waiting{queue=\"timer\"}"),
            Some(2.0),
            "expiry and reminder"
        );
    });
}

#[test]
fn with_the_vendors_id_kept_the_receipt_settles_it() {
    on_all(|store, kind| {
        let (telco, at) = Telco::start();
        let home = home(store, at);
        dies(&home, "before-settle", kind, "1", "MO");
        let first = telco.wait_for(1).remove(0);
        let gateway = home.start();
        receipt(&gateway, kind, &first);
        settled(&gateway, kind, 1.0);
        assert_eq!(telco.wait_for(1).len(), 1, "nothing is sent again");
    });
}

#[test]
fn a_receipt_before_the_settle_is_matched_by_whoever_comes_second() {
    on_all(|store, kind| {
        let (telco, at) = Telco::start();
        let home = home(store, at);
        dies(&home, "after-send", kind, "1", "MO");
        let first = telco.wait_for(1).remove(0);
        let gateway = home.start();
        // The telco's receipt comes while nothing is known of the send, and twice.
        receipt(&gateway, kind, &first);
        receipt(&gateway, kind, &first);
        let joined =
            gateway.metric(&format!("matamat_receipts_total{{channel=\"{kind}\",outcome=\"joined\"}}"));
        match kind {
            "echo" => settled(&gateway, kind, 1.0),
            _ => assert_eq!(joined, Some(2.0), "it waits for its MT"),
        }
        gateway.terminate();
        // The next send is accepted under an id of its own; the first receipt belongs to nobody and hurts nobody.
        home.set("MATAMAT_SHIFT_CLOCK", "2m");
        let gateway = home.start();
        settled(&gateway, kind, 1.0);
    });
}

#[test]
fn a_reminder_that_fires_twice_is_one_reminder() {
    on_all(|store, kind| {
        let (telco, at) = Telco::start();
        let home = home(store, at);
        let gateway = home.start();
        write(&gateway, kind, "1", "MO").expect("an answer");
        settled(&gateway, kind, 1.0);
        gateway.terminate();
        for (point, shift) in [("timer-fired", "7h"), ("after-commit", "8h")] {
            home.set("MATAMAT_FAIL_POINT", point);
            home.set("MATAMAT_SHIFT_CLOCK", shift);
            let (signal, _, log) = home.spawn().ended();
            assert_eq!(signal, Some(libc::SIGKILL), "{point}: {log}");
        }
        home.unset("MATAMAT_FAIL_POINT");
        home.set("MATAMAT_SHIFT_CLOCK", "9h");
        let gateway = home.start();
        settled(&gateway, kind, 2.0);
        let came = telco.wait_for(2);
        assert!(came[1].text.contains("How were you"), "{}", came[1].text);
        assert_eq!(came.len(), 2);
    });
}
