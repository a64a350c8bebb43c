//! The spool: what a telco was told is taken is on a disk, in its order, also when the store is away and the gateway dies.
//!
//! First the file by itself, then the real gateway on a Redis that is killed.

use crate::{
    proxy::Proxy,
    redis_server::{Flavour, RedisServer},
    running::{CITIZEN, Gateway, Home, Reply, files, http, until},
};
use futures_util::future::join_all;
use matamat::{
    domain::{
        id::ChannelId,
        keys::Keys,
        message::{Dlr, Mo, MtState},
        msisdn::Msisdn,
        time::{Clock, Timestamp},
    },
    store::{
        SpoolSettings,
        spool::{Kept, Spool, SpoolError, SpoolOpenError, Spooled},
    },
};
use proptest::prelude::*;
use std::{collections::VecDeque, net::SocketAddr, path::Path, sync::Arc, time::Duration};

fn keys() -> Arc<Keys> {
    Arc::new(Keys::new(&[1; 32], (7, [2; 32]), None))
}

fn settings(folder: &Path, max: u64) -> SpoolSettings {
    SpoolSettings { file: folder.join("deep/spool.db"), max }
}

/// Opens it. A process that another test starts holds our lock between its fork and its exec, so a locked spool that was
/// just closed is asked again.
fn open_with(keys: Arc<Keys>, folder: &Path, max: u64, clock: &Clock) -> Spool {
    until("the spool opens", || match Spool::open(&settings(folder, max), keys.clone(), clock.clone()) {
        Err(SpoolOpenError::Locked(_)) => None,
        opened => Some(opened.expect("it opens").expect("there is one")),
    })
}

fn open(folder: &Path, max: u64, clock: &Clock) -> Spool {
    open_with(keys(), folder, max, clock)
}

fn mo(text: &str) -> Spooled {
    Spooled {
        channel: ChannelId::parse("k4545").expect("an id"),
        random: [7; 16],
        what: Kept::Mo(Mo {
            from: Msisdn::from_e164("+919437000111").expect("a number"),
            to: "4545".into(),
            text: text.into(),
            id: None,
            sent: None,
            at: Timestamp(1_795_511_523_120),
        }),
    }
}

fn dlr(word: &str) -> Spooled {
    let what = Kept::Dlr(Dlr {
        reference: None,
        id: Some("v-1".into()),
        part: 0,
        state: Some(MtState::Delivered),
        word: word.into(),
        code: String::new(),
        at: Timestamp(1_795_511_523_120),
    });
    Spooled { what, ..mo("") }
}

/// Keeps everybody else from writing to a spool's file, until it is rolled back.
fn hold(file: &Path) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(file).expect("a file");
    db.execute_batch("BEGIN IMMEDIATE").expect("nobody writes just now");
    db
}

/// What waits, in its order: texts and words, with their ids.
async fn waiting(spool: &Spool) -> Vec<(i64, String)> {
    let oldest = spool.oldest(1_000).await.expect("it answers");
    let text = |spooled: Spooled| match spooled.what {
        Kept::Mo(mo) => mo.text,
        Kept::Dlr(dlr) => dlr.word,
    };
    oldest.into_iter().map(|one| (one.id, text(one.spooled.expect("it can be read")))).collect()
}

async fn texts(spool: &Spool) -> Vec<String> {
    waiting(spool).await.into_iter().map(|(_, text)| text).collect()
}

#[tokio::test]
async fn what_is_put_comes_out_in_its_order_also_after_a_restart() {
    let (folder, clock) = (tempfile::tempdir().expect("a folder"), Clock::manual(Timestamp(1_000_000)));
    let spool = open(folder.path(), 100, &clock);
    assert_eq!((spool.waiting(), spool.oldest_at()), (0, None));
    spool.put(&[mo("a"), dlr("b")]).await.expect("taken");
    clock.advance(Duration::from_secs(5));
    spool.put(&[mo("c")]).await.expect("taken");
    assert_eq!((spool.waiting(), spool.oldest_at()), (3, Some(Timestamp(1_000_000))));
    drop(spool);

    let spool = open(folder.path(), 100, &clock);
    assert_eq!((spool.waiting(), spool.oldest_at()), (3, Some(Timestamp(1_000_000))));
    assert_eq!(texts(&spool).await, ["a", "b", "c"]);
    let oldest = spool.oldest(1).await.expect("it answers").remove(0);
    assert_eq!(oldest.spooled, Ok(mo("a")), "whole, with what names its event");
    let ids: Vec<i64> = waiting(&spool).await.into_iter().map(|(id, _)| id).collect();
    spool.remove(ids[..2].to_vec()).await.expect("forgotten");
    assert_eq!((spool.waiting(), spool.oldest_at()), (1, Some(Timestamp(1_005_000))));
    spool.remove(ids).await.expect("what is gone already changes nothing");
    assert_eq!((spool.waiting(), spool.oldest_at()), (0, None));
    spool.put(&[mo("d")]).await.expect("taken");
    drop(spool);
    assert_eq!(texts(&open(folder.path(), 100, &clock)).await, ["d"]);
}

#[tokio::test]
async fn waiting_puts_are_one_fsync() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = open(folder.path(), 1_000, &Clock::shifted());
    let all: Vec<[Spooled; 1]> = (0..400).map(|n| [mo(&n.to_string())]).collect();
    // Nobody is let into the file until all have asked.
    let held = hold(&folder.path().join("deep/spool.db"));
    let puts = join_all(all.iter().map(|one| spool.put(one)));
    let (put, ()) = tokio::join!(puts, async { held.execute_batch("ROLLBACK").expect("let go") });
    put.into_iter().for_each(|put| put.expect("taken"));
    assert_eq!(spool.waiting(), 400);
    assert!(spool.fsyncs() <= 4, "{} fsyncs for 400 puts", spool.fsyncs());
    let expected: Vec<String> = (0..400).map(|n| n.to_string()).collect();
    assert_eq!(texts(&spool).await, expected);
}

#[tokio::test]
async fn a_full_spool_takes_all_of_a_callback_or_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = open(folder.path(), 3, &Clock::shifted());
    spool.put(&[mo("a"), mo("b")]).await.expect("taken");
    let refused = spool.put(&[mo("c"), mo("d")]).await;
    assert!(matches!(&refused, Err(SpoolError::Full(why)) if why.contains('3')), "{refused:?}");
    spool.put(&[mo("e")]).await.expect("there was room for one");
    assert_eq!(texts(&spool).await, ["a", "b", "e"]);
    let ids = waiting(&spool).await;
    spool.remove(vec![ids[0].0]).await.expect("forgotten");
    spool.put(&[mo("f")]).await.expect("there is room again");
    assert_eq!(texts(&spool).await, ["b", "e", "f"]);
}

#[tokio::test]
async fn what_was_set_aside_stands_in_nobodys_way_and_is_tried_again_at_the_next_start() {
    let (folder, clock) = (tempfile::tempdir().expect("a folder"), Clock::manual(Timestamp(1_000_000)));
    let spool = open(folder.path(), 3, &clock);
    spool.put(&[mo("a"), mo("b"), mo("c")]).await.expect("taken");
    let first = waiting(&spool).await[0].0;
    spool.set_aside(first, "there is no channel k4545 any more".into()).await.expect("set aside");
    assert_eq!(texts(&spool).await, ["b", "c"]);
    assert_eq!((spool.waiting(), spool.aside()), (2, 1));
    assert!(spool.put(&[mo("d")]).await.is_err(), "it takes room all the same");
    spool.remove(vec![first]).await.expect("answered");
    drop(spool);
    let spool = open(folder.path(), 3, &clock);
    assert_eq!((spool.waiting(), spool.aside()), (3, 0));
    assert_eq!(texts(&spool).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn what_another_key_sealed_is_told_and_not_thrown_away() {
    let (folder, clock) = (tempfile::tempdir().expect("a folder"), Clock::shifted());
    open(folder.path(), 3, &clock).put(&[mo("a")]).await.expect("taken");
    let other = Arc::new(Keys::new(&[1; 32], (8, [3; 32]), None));
    let spool = open_with(other, folder.path(), 3, &clock);
    let unread = spool.oldest(1).await.expect("it answers").remove(0);
    assert!(unread.spooled.is_err_and(|why| why.contains("key")));
    drop(spool);
    assert_eq!(texts(&open(folder.path(), 3, &clock)).await, ["a"], "the right key file is back");
}

#[tokio::test]
async fn no_number_and_no_word_is_in_the_file_in_clear() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = open(folder.path(), 100, &Clock::shifted());
    spool.put(&[mo("they asked me for money"), dlr("DELIVRD")]).await.expect("taken");
    let files = files(folder.path());
    assert!(files.iter().any(|(path, bytes)| path.ends_with("spool.db-wal") && bytes.len() > 200));
    for (path, bytes) in files {
        for secret in [&b"9437000111"[..], b"money", b"4545", b"DELIVRD", b"v-1"] {
            let found = bytes.windows(secret.len()).any(|part| part == secret);
            assert!(!found, "{} is in {}", String::from_utf8_lossy(secret), path.display());
        }
    }
}

#[test]
fn a_spool_has_one_gateway_and_a_format_that_is_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, settings) = (Clock::shifted(), settings(folder.path(), 10));
    let spool = open(folder.path(), 10, &clock);
    let second = Spool::open(&settings, keys(), clock.clone()).err().expect("refused");
    assert!(matches!(second, SpoolOpenError::Locked(_)), "{second}");
    assert!(second.to_string().contains("[spool] file"), "it says what to do: {second}");
    drop(spool);
    let db = rusqlite::Connection::open(&settings.file).expect("a file");
    db.pragma_update(None, "user_version", 99).expect("written");
    drop(db);
    let newer = until("it is not locked any more", || {
        let refused = Spool::open(&settings, keys(), clock.clone()).err().expect("refused");
        (!matches!(refused, SpoolOpenError::Locked(_))).then_some(refused)
    });
    assert!(matches!(newer, SpoolOpenError::Newer { found: 99, .. }), "{newer}");
    let none = SpoolSettings { max: 0, ..settings };
    assert!(Spool::open(&none, keys(), clock).expect("nothing to open").is_none());
}

#[derive(Debug, Clone)]
enum Move {
    Put(usize),
    Forget(usize),
    Reopen,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// The spool is a queue with a limit, whatever is done to it in whatever order.
    #[test]
    fn a_spool_is_a_queue(moves in proptest::collection::vec(prop_oneof![
        4 => (1_usize..4).prop_map(Move::Put),
        2 => (1_usize..4).prop_map(Move::Forget),
        1 => Just(Move::Reopen),
    ], 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            const MAX: usize = 8;
            let (folder, clock) = (tempfile::tempdir().expect("a folder"), Clock::shifted());
            let mut spool = open(folder.path(), MAX as u64, &clock);
            let (mut model, mut next) = (VecDeque::new(), 0);
            for one in moves {
                match one {
                    Move::Put(n) => {
                        let texts: Vec<String> = (0..n).map(|at| (next + at).to_string()).collect();
                        next += n;
                        let all: Vec<Spooled> = texts.iter().map(|text| mo(text)).collect();
                        let fits = model.len() + n <= MAX;
                        assert_eq!(spool.put(&all).await.is_ok(), fits);
                        if fits { model.extend(texts); }
                    }
                    Move::Forget(n) => {
                        let ids = waiting(&spool).await.into_iter().take(n).map(|(id, _)| id).collect();
                        spool.remove(ids).await.expect("forgotten");
                        model.drain(..n.min(model.len()));
                    }
                    Move::Reopen => {
                        drop(spool);
                        spool = open(folder.path(), MAX as u64, &clock);
                    }
                }
                assert_eq!(spool.waiting(), model.len() as u64);
                assert_eq!(VecDeque::from(texts(&spool).await), model);
            }
        });
    }
}

// ---- with the gateway around it ----

/// An SMS line beside the phone, whose vendor is not there: only its doors are used.
const LINE: &str = "[[channel]]\nid = 'at-sms'\nvendor = 'africastalking'\nbearer = 'sms'\naddress = '4545'\ntps = 20\n\
                    country = 'IN'\nsend_url = 'http://127.0.0.1:9/'\nsecret = { username = 'u', api_key = 'k' }\nauth = 'none'\n";
/// What a citizen writes from the first word to the thanks, under the vendor's ids.
const CONVERSATION: [(&str, &str); 4] = [("m-1", "MO"), ("m-2", "2"), ("m-3", "3"), ("m-4", "1")];

/// An SMS from the citizen's simulated phone.
fn writes(gateway: &Gateway, id: &str, text: &str) -> Reply {
    writes_to(gateway.address, id, text)
}

fn writes_to(gateway: SocketAddr, id: &str, text: &str) -> Reply {
    let body = serde_json::json!({ "msisdn": CITIZEN, "text": text, "id": id }).to_string();
    http(gateway, "POST", "/in/phone/mo", &[], body.as_bytes()).expect("an answer")
}

/// A receipt for an MT that nobody knows yet.
fn reports(gateway: &Gateway, id: &str) -> Reply {
    let body = format!("id={id}&status=Success&phoneNumber=%2B919437000001");
    gateway.post_form("/in/at-sms/dlr", &body).expect("an answer")
}

fn spooled(gateway: &Gateway) -> f64 {
    gateway.metric("matamat_spool_waiting").expect("it is told")
}

fn turns(gateway: &Gateway, outcome: &str) -> f64 {
    gateway
        .metric(&format!("matamat_turns_total{{bearer=\"sms\",outcome=\"{outcome}\"}}"))
        .unwrap_or_default()
}

fn readiness(gateway: &Gateway) -> serde_json::Value {
    serde_json::from_str(&gateway.get("/readyz").body).expect("JSON")
}

/// Waits until the one response is there, and sees that every answer is the one that was written to its question.
fn answered_in_order(home: &Home) {
    let lines = until("the response", || Some(home.responses()).filter(|lines| !lines.is_empty()));
    assert_eq!(lines.len(), 1);
    let data = &lines[0]["data"];
    let answers = data["answers"].as_array().expect("a list").iter();
    let said: Vec<_> =
        answers.map(|a| (a["node"].as_str().unwrap_or(""), a["said"].as_str().unwrap_or(""))).collect();
    assert_eq!(said, [("overall", "2"), ("topic", "3"), ("contact", "1")]);
    assert_eq!((&data["status"], &data["bearer"]), (&"complete".into(), &"sms".into()));
}

/// The heart of it: the store dies, messages and a receipt come in, the gateway dies too; all of it is there in its order
/// when both are back, once each.
#[test]
fn what_a_telco_was_told_is_taken_survives_the_store_and_the_gateway() {
    let redis = RedisServer::with(Flavour::Disk);
    let home = Home::new(&redis.url(), LINE);
    let gateway = home.start();
    redis.kill();
    for (id, text) in CONVERSATION {
        let reply = writes(&gateway, id, text);
        assert_eq!((reply.status, reply.body.as_str()), (200, "{}"), "taken, and never a text");
    }
    assert_eq!(reports(&gateway, "ATXid_1").status, 200);
    assert_eq!((spooled(&gateway), turns(&gateway, "spooled"), turns(&gateway, "done")), (5.0, 4.0, 0.0));
    let away = readiness(&gateway);
    assert_eq!((&away["ready"], &away["store"]), (&false.into(), &"away".into()));
    until("its age is told", || readiness(&gateway)["spool_age_s"].as_u64().filter(|age| *age >= 1));
    drop(gateway);

    let gateway = home.start_unready();
    assert_eq!(spooled(&gateway), 5.0, "kill -9 took nothing of it");
    assert_eq!(writes(&gateway, "m-1", "MO").status, 200, "a store that was never reached is away too");
    for (path, bytes) in home.files() {
        let found = bytes.windows(10).any(|part| part == b"9437000001");
        assert!(!found, "the number is in {}", path.display());
    }
    redis.restart();
    until("all of it is in the store", || (spooled(&gateway) == 0.0).then_some(()));
    answered_in_order(&home);
    assert_eq!((turns(&gateway, "done"), turns(&gateway, "repeat")), (4.0, 1.0), "m-1 came twice");
    let joined = gateway.metric("matamat_receipts_total{channel=\"at-sms\",outcome=\"joined\"}");
    assert_eq!(joined, Some(1.0));
    until("it is ready", || (readiness(&gateway)["ready"] == true).then_some(()));
    assert_eq!(readiness(&gateway)["spool_age_s"], 0);
    assert_eq!(writes(&gateway, "m-4", "1").status, 200);
    assert_eq!(turns(&gateway, "repeat"), 2.0, "a repeat of what was replayed is known");
    let log = gateway.terminate();
    assert!(!log.contains("9437000001") && log.contains("the spool is empty"), "{log}");
}

/// How long a message is given to overtake those in the spool: several times what a turn takes.
const OVERTAKING: Duration = Duration::from_millis(500);

#[test]
fn what_comes_when_the_store_is_back_waits_behind_what_came_before() {
    let redis = RedisServer::with(Flavour::Disk);
    let home = Home::new(&redis.url(), LINE);
    let gateway = home.start();
    redis.kill();
    let (before, after) = CONVERSATION.split_at(2);
    before.iter().for_each(|(id, text)| assert_eq!(writes(&gateway, id, text).status, 200));
    // The store is back and nothing can be replayed yet, so what comes now could overtake.
    let held = hold(&home.path("data/spool.db"));
    redis.restart();
    until("the store is back", || (readiness(&gateway)["ready"] == true).then_some(()));
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|threads| {
        let address = gateway.address;
        threads.spawn(move || {
            after
                .iter()
                .for_each(|(id, text)| tell.send(writes_to(address, id, text).status).expect("heard"));
        });
        assert!(told.recv_timeout(OVERTAKING).is_err(), "it overtook what waits in the spool");
        held.execute_batch("ROLLBACK").expect("let go");
    });
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [200, 200]);
    answered_in_order(&home);
}

/// The gateway dies with a replayed turn committed and its callback still in the spool.
#[cfg(feature = "fail-points")]
#[test]
fn a_replay_that_was_cut_off_happens_once() {
    let redis = RedisServer::with(Flavour::Disk);
    let home = Home::new(&redis.url(), LINE);
    let gateway = home.start();
    redis.kill();
    CONVERSATION.iter().for_each(|(id, text)| assert_eq!(writes(&gateway, id, text).status, 200));
    drop(gateway);
    redis.restart();
    home.set("MATAMAT_FAIL_POINT", "after-commit");
    let (signal, ..) = home.spawn().ended();
    assert_eq!(signal, Some(libc::SIGKILL), "it died in the replay");
    home.unset("MATAMAT_FAIL_POINT");
    let gateway = home.start();
    until("all of it is in the store", || (spooled(&gateway) == 0.0).then_some(()));
    answered_in_order(&home);
    assert_eq!((turns(&gateway, "repeat"), turns(&gateway, "done")), (1.0, 3.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_says_nothing_does_not_keep_a_telco_waiting() {
    let redis = RedisServer::start();
    let proxy = Proxy::before(redis.port()).await;
    let home = Home::new(&proxy.url(), LINE);
    let gateway = home.start();
    proxy.stall();
    assert_eq!(writes(&gateway, "m-1", "MO").status, 200);
    proxy.resume();
    let taken = || turns(&gateway, "done") + turns(&gateway, "repeat");
    until("it is in the store, once", || (taken() >= 1.0 && spooled(&gateway) == 0.0).then_some(()));
    assert_eq!((turns(&gateway, "spooled"), taken()), (1.0, 1.0));
}

#[test]
fn a_full_spool_asks_the_telco_to_come_again() {
    let redis = RedisServer::start();
    let home = Home::new(&redis.url(), &format!("{LINE}[spool]\nmax = 2\n"));
    let gateway = home.start();
    redis.kill();
    assert_eq!(writes(&gateway, "m-1", "MO").status, 200);
    assert_eq!(reports(&gateway, "ATXid_1").status, 200);
    assert_eq!(writes(&gateway, "m-2", "2").status, 503);
    assert_eq!(reports(&gateway, "ATXid_2").status, 503);
    assert_eq!((spooled(&gateway), turns(&gateway, "failed")), (2.0, 1.0));
    redis.restart();
    until("there is room again", || (spooled(&gateway) == 0.0).then_some(()));
    assert_eq!(writes(&gateway, "m-2", "2").status, 200, "the telco came again");

    let none = Home::new(&redis.url(), &format!("{LINE}[spool]\nmax = 0\n"));
    std::fs::create_dir(none.path("data")).expect("made");
    std::fs::copy(home.path("data/keys"), none.path("data/keys")).expect("copied");
    let gateway = none.start();
    redis.kill();
    assert_eq!(writes(&gateway, "m-3", "MO").status, 503, "without a spool there is only the store");
    assert!(!none.path("data/spool.db").exists());
}

#[test]
fn two_gateways_on_one_spool_are_one_too_many() {
    let redis = RedisServer::start();
    let home = Home::new(&redis.url(), "");
    let gateway = home.start();
    let (_, code, said) = home.spawn().ended();
    assert!(code == Some(1) && said.contains("spool.db.lock") && said.contains("[spool] file"), "{said}");
    home.set("MATAMAT_SPOOL__FILE", "data/second.db");
    home.start().terminate();
    gateway.terminate();
}

#[test]
fn a_channel_that_was_taken_out_keeps_nobody_waiting() {
    let redis = RedisServer::start();
    let home = Home::new(&redis.url(), LINE);
    let gateway = home.start();
    redis.kill();
    assert_eq!(reports(&gateway, "ATXid_1").status, 200);
    assert_eq!(writes(&gateway, "m-1", "MO").status, 200);
    drop(gateway);
    redis.restart();
    let config = std::fs::read_to_string(home.path("config.toml")).expect("a file");
    std::fs::write(home.path("config.toml"), config.replace(LINE, "")).expect("written");
    let gateway = home.start();
    until("the message is in the store", || (turns(&gateway, "done") == 1.0).then_some(()));
    until("the receipt is set aside", || (gateway.metric("matamat_spool_aside") == Some(1.0)).then_some(()));
    assert!(gateway.terminate().contains("no channel at-sms"));
    std::fs::write(home.path("config.toml"), config).expect("written");
    let gateway = home.start();
    let joined = "matamat_receipts_total{channel=\"at-sms\",outcome=\"joined\"}";
    until("the receipt is in the store", || (gateway.metric(joined) == Some(1.0)).then_some(()));
    until("and nowhere else", || (spooled(&gateway) == 0.0).then_some(()));
    assert_eq!(gateway.metric("matamat_spool_aside"), Some(0.0));
}
