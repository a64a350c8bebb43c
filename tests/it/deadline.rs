//! P6: a dial is answered inside its deadline, whatever the store does; what the turn did meanwhile is not lost, and
//! everything goes on by itself. A real Redis behind a proxy that stalls and cuts.

use crate::{
    proxy::Proxy,
    redis_server::{Flavour, RedisServer},
    running::{CITIZEN, Gateway, Home, until},
};
use std::time::{Duration, Instant};

/// A channel that is waited for one second.
const HASTY: &str = "[[channel]]\nid = 'hasty'\nvendor = 'africastalking'\nbearer = 'ussd'\naddress = '*4545*1#'\n\
                     language = 'en'\ndeadline = '1s'\nauth = 'none'\n";
/// What goes out when the open question cannot.
const CLOSING: &str = "END Please dial again. What you answered is kept.";
/// Generous: the test machine is busy. The store alone would be waited for four seconds.
const IN_TIME: Duration = Duration::from_millis(2_500);

fn in_time(gateway: &Gateway, session: &str, history: &str) -> String {
    let begun = Instant::now();
    let screen = gateway.dial("hasty", CITIZEN, session, history).expect("an answer");
    assert!(begun.elapsed() < IN_TIME, "{:?} for {screen}", begun.elapsed());
    screen
}

fn store(gateway: &Gateway) -> String {
    let ready: serde_json::Value = serde_json::from_str(&gateway.get("/readyz").body).expect("JSON");
    ready["store"].as_str().expect("a word").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_stalls_costs_a_redial_and_no_answer() {
    let redis = RedisServer::start();
    let proxy = Proxy::before(redis.port()).await;
    let home = Home::new(&proxy.url(), HASTY);
    let gateway = home.start();
    assert!(in_time(&gateway, "a", "").starts_with("CON How"));
    proxy.stall();
    assert_eq!(in_time(&gateway, "a", "2"), CLOSING);
    proxy.resume();
    // The turn went on by itself: a repeat of the step gets the screen it made, a redial the open question.
    let own = until("the step's own screen", || {
        let screen = gateway.dial("hasty", CITIZEN, "a", "2").expect("an answer");
        screen.starts_with("CON What").then_some(screen)
    });
    assert_eq!(in_time(&gateway, "b", ""), own);
    assert!(in_time(&gateway, "b", "1").starts_with("CON May"));
    assert!(in_time(&gateway, "b", "1*1").starts_with("END Thank"));
    let lines = until("the line", || (!home.responses().is_empty()).then(|| home.responses()));
    assert_eq!(lines[0]["data"]["answers"].as_array().map(Vec::len), Some(3), "every answer once: {lines:?}");
    assert!(gateway.metric("matamat_turns_total{bearer=\"ussd\",outcome=\"deadline\"}") >= Some(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_that_was_lost_on_its_way_is_known_when_it_is_repeated() {
    let redis = RedisServer::start();
    let proxy = Proxy::before(redis.port()).await;
    let home = Home::new(&proxy.url(), HASTY);
    let gateway = home.start();
    in_time(&gateway, "a", "");
    proxy.stall_answers();
    assert_eq!(in_time(&gateway, "a", "2"), CLOSING);
    proxy.cut();
    proxy.resume();
    until("the step's own screen", || {
        let screen = gateway.dial("hasty", CITIZEN, "a", "2").expect("an answer");
        screen.starts_with("CON What").then_some(())
    });
    assert!(in_time(&gateway, "a", "2*1").starts_with("CON May"), "it was answered once");
}

#[test]
fn a_store_that_is_away_is_told_and_found_again_by_itself() {
    let redis = RedisServer::with(Flavour::Disk);
    let home = Home::new(&redis.url(), HASTY);
    let gateway = home.start();
    in_time(&gateway, "a", "");
    redis.kill();
    assert_eq!(in_time(&gateway, "a", "2"), CLOSING);
    let ended = "sessionId=a&phoneNumber=%2B919437000001&serviceCode=*4545*1%23&status=Incomplete";
    let reply = gateway.post_form("/in/hasty/ussd", ended).expect("an answer");
    assert_eq!(reply.status, 503, "what needs no screen shall be sent again: {}", reply.body);
    until("readyz says so", || (store(&gateway) == "away").then_some(()));
    assert_eq!(gateway.get("/readyz").status, 503);
    redis.restart();
    until("it is found again", || (gateway.get("/readyz").status == 200).then_some(()));
    until("a redial shows the open question", || {
        gateway.dial("hasty", CITIZEN, "b", "").expect("an answer").starts_with("CON How").then_some(())
    });
    let log = gateway.terminate();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_gateway_may_start_before_its_store() {
    let redis = RedisServer::start();
    let home = Home::new(&redis.url(), HASTY);
    home.start().terminate();
    redis.kill();
    let gateway = home.start_unready();
    assert_eq!(gateway.get("/readyz").status, 503);
    assert_eq!(in_time(&gateway, "a", ""), CLOSING);
    redis.restart();
    until("it is found", || (gateway.get("/readyz").status == 200).then_some(()));
    until("a dial is answered", || {
        gateway.dial("hasty", CITIZEN, "b", "").expect("an answer").starts_with("CON How").then_some(())
    });
}

#[test]
fn a_store_without_room_is_told_and_goes_on_when_there_is_room() {
    let redis = RedisServer::start();
    let home = Home::new(&redis.url(), HASTY);
    let gateway = home.start();
    in_time(&gateway, "a", "");
    redis.cli(&["config", "set", "maxmemory", "1"]);
    assert_eq!(in_time(&gateway, "a", "2"), CLOSING);
    until("readyz says so", || (store(&gateway) == "full").then_some(()));
    redis.cli(&["config", "set", "maxmemory", "0"]);
    until("there is room again", || (gateway.get("/readyz").status == 200).then_some(()));
    assert!(in_time(&gateway, "a", "2").starts_with("CON What"), "the repeat is answered now");
}
