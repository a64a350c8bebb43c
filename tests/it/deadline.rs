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

/// Dials the same step again and again, as a network does, until its screen begins so.
fn at_last(gateway: &Gateway, session: &str, history: &str, begins: &str) -> String {
    until(begins, || {
        let screen = gateway.dial("hasty", CITIZEN, session, history).expect("an answer");
        screen.starts_with(begins).then_some(screen)
    })
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
    at_last(&gateway, "a", "", "CON How");
    proxy.stall();
    assert_eq!(in_time(&gateway, "a", "2"), CLOSING);
    proxy.resume();
    // The turn went on by itself: a repeat of the step gets the screen it made, a redial the open question.
    let own = at_last(&gateway, "a", "2", "CON What");
    assert_eq!(at_last(&gateway, "b", "", "CON What"), own);
    at_last(&gateway, "b", "1", "CON May");
    at_last(&gateway, "b", "1*1", "END Thank");
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
    at_last(&gateway, "a", "", "CON How");
    proxy.stall_answers();
    assert_eq!(in_time(&gateway, "a", "2"), CLOSING);
    proxy.cut();
    proxy.resume();
    at_last(&gateway, "a", "2", "CON What");
    at_last(&gateway, "a", "2*1", "CON May");
}

#[test]
fn a_store_that_is_away_is_told_and_found_again_by_itself() {
    let redis = RedisServer::with(Flavour::Disk);
    let home = Home::new(&redis.url(), HASTY);
    let gateway = home.start();
    at_last(&gateway, "a", "", "CON How");
    redis.kill();
    assert_eq!(in_time(&gateway, "a", "2"), CLOSING);
    let ended = "sessionId=a&phoneNumber=%2B919437000001&serviceCode=*4545*1%23&status=Incomplete";
    let reply = gateway.post_form("/in/hasty/ussd", ended).expect("an answer");
    assert_eq!(reply.status, 503, "what needs no screen shall be sent again: {}", reply.body);
    until("readyz says so", || (store(&gateway) == "away").then_some(()));
    assert_eq!(gateway.get("/readyz").status, 503);
    redis.restart();
    until("it is found again", || (gateway.get("/readyz").status == 200).then_some(()));
    at_last(&gateway, "b", "", "CON How");
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
    at_last(&gateway, "b", "", "CON How");
}

#[test]
fn a_store_without_room_is_told_and_goes_on_when_there_is_room() {
    let redis = RedisServer::start();
    let home = Home::new(&redis.url(), HASTY);
    let gateway = home.start();
    at_last(&gateway, "a", "", "CON How");
    redis.cli(&["config", "set", "maxmemory", "1"]);
    assert_eq!(in_time(&gateway, "a", "2"), CLOSING);
    until("readyz says so", || (store(&gateway) == "full").then_some(()));
    redis.cli(&["config", "set", "maxmemory", "0"]);
    until("there is room again", || (gateway.get("/readyz").status == 200).then_some(()));
    at_last(&gateway, "a", "2", "CON What");
}

#[test]
fn a_store_that_came_back_empty_gets_our_keys_and_flows_again() {
    let redis = RedisServer::start();
    let home = Home::new(&redis.url(), HASTY);
    let gateway = home.start();
    at_last(&gateway, "a", "", "CON How");
    redis.cli(&["flushall"]);
    let log = gateway.line("the store came back empty");
    assert!(log.contains("ERROR"), "{log}");
    // Another gateway, with keys of its own, is not let in.
    let stranger = Home::new(&redis.url(), HASTY);
    let (_, code, said) = stranger.spawn().ended();
    assert!(code == Some(1) && said.contains("has been used before"), "{said}");
    at_last(&gateway, "b", "", "CON How");
}
