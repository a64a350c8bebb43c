//! What only a real Redis shows: round trips and commands, bytes, lost answers, stalls, restarts, memory that is full, TLS,
//! and servers that cannot keep what `durability` claims. The promises of every store are in `store/`.

use crate::{
    proxy::Proxy,
    redis_server::{Flavour, RedisServer},
};
use matamat::{
    domain::{
        completion::Value,
        id::{ChannelId, CitizenId, DialogueId, EventId, FlowId, Partition, ResponseId, Revision, Version},
        keys::Sealed,
        lang::Lang,
        message::{Bearer, Reply},
        time::{Clock, Timestamp},
    },
    flow::session::{Given, Place, Session},
    store::{
        Claim, Commit, Committed, Durability, Health, Load, Put, Queue, QueueOp, SavedDialogue, Settle,
        Settled, Store, StoreError,
        payload::TimerPayload,
        record::{Dialogue, Record},
        redis::{Redis, Target},
    },
};
use std::{
    process::Command,
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// A dial's deadline: an act that takes longer is of no use to anybody.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long a store may take to find its server again.
const FOUND_WITHIN: Duration = Duration::from_secs(15);
/// What a turn may send: record, dialogue, and a few hundred bytes of framing.
const TURN_BYTES: u64 = 1_500;
/// When the sessions of these tests began.
pub const NOW: Timestamp = Timestamp(1_795_511_523_120);
/// The longest Odia screen that one page carries, 70 UCS-2 units.
pub const SCREEN: &str = "ହସ୍ପିଟାଲରେ ଆପଣଙ୍କ ସହ କିପରି ବ୍ୟବହାର ହେଲା? 1 ବହୁତ ଖରାପ … 5 ବହୁତ ଭଲ";

async fn store_at(url: &str, claim: Durability) -> Result<Redis, StoreError> {
    Redis::connect(&Target::parse(url).expect("a good URL"), claim, Clock::shifted()).await
}

pub async fn store(url: &str) -> Redis {
    store_at(url, Durability::Process).await.expect("a store")
}

pub fn citizen(n: u8) -> CitizenId {
    let mut id = [0x3c; 16];
    id[0] = n;
    CitizenId(id)
}

/// A citizen in the middle of `hospital-visit` by USSD, at the third question.
pub fn record(version: u64) -> Record {
    let given =
        |node: &str, value, said: &str| Given { node: node.into(), value, said: said.into(), at: NOW };
    let session = Session {
        invited: false,
        response: ResponseId([0xd4; 16]),
        flow: FlowId::parse("hospital-visit").expect("an id"),
        revision: Revision([0xe5; 32]),
        language: Lang::parse("or").expect("a tag"),
        bearer: Bearer::Ussd,
        channel: ChannelId::parse("at-ussd").expect("an id"),
        started: NOW,
        expires: NOW.plus(Duration::from_secs(48 * 3_600)),
        place: Place::At { node: "contact".into(), page: 0, tries: 0 },
        answers: vec![
            given("overall", Value::Integer(2), "୨"),
            given("topic", Value::Text("behaviour".into()), "1"),
        ],
        context: Vec::new(),
    };
    Record {
        told: None,
        version: Version(version),
        consent: 0,
        asked: Version(version),
        number: Sealed { key: 1, bytes: vec![0xa9; 53] },
        language: Lang::parse("or"),
        dialogue: Some(DialogueId([0xc3; 16])),
        session: Some(session),
    }
}

/// Step `n` of a citizen's dialogue, which finds version `n - 1`.
pub fn step(citizen: CitizenId, before: &Dialogue, n: u8) -> Commit {
    let reply = Reply { text: SCREEN.into(), end: false, language: Lang::parse("or").expect("a tag") };
    let event = EventId([n; 16]);
    let dialogue = before.after("4*1*1".into(), event, reply);
    Commit {
        citizen,
        event: Some(event),
        expected: Version(u64::from(n) - 1),
        record: Some(record(u64::from(n))),
        dialogue: Some(SavedDialogue { id: DialogueId([0xc3; 16]), dialogue, ttl: Duration::from_secs(780) }),
        timer: None,
        mark: None,
        queues: Vec::new(),
    }
}

fn expiry(citizen: CitizenId, version: u64) -> QueueOp {
    QueueOp::Put(Put {
        mt: None,
        queue: Queue::Timer,
        id: format!("{citizen}:expiry"),
        generation: Version(version),
        due: NOW,
        dead: None,
        payload: TimerPayload::Expiry(ResponseId([0xd4; 16])).encode(),
    })
}

/// The first turn, with the session's timer.
fn first_turn(citizen: CitizenId) -> Commit {
    Commit { queues: vec![expiry(citizen, 1)], ..step(citizen, &Dialogue::default(), 1) }
}

fn dialogue_after(commit: &Commit) -> Dialogue {
    commit.dialogue.clone().expect("a step saves its dialogue").dialogue
}

fn load_of(citizen: CitizenId) -> Load {
    Load { citizen, dialogue: Some(DialogueId([0xc3; 16])), event: None }
}

/// Looks until the store is as wanted.
async fn until(store: &Redis, wanted: Health) {
    let started = Instant::now();
    while store.health().await != Ok(wanted) {
        assert!(started.elapsed() < FOUND_WITHIN, "not {wanted:?} in time");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_is_one_mget_and_one_script_and_two_round_trips() {
    const TURNS: u8 = 100;
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port()).await;
    let store = store(&proxy.url()).await;
    let who = citizen(7);
    let mut dialogue = Dialogue::default();
    server.cli(&["CONFIG", "RESETSTAT"]);
    let (before, bytes) = (proxy.round_trips(), proxy.request_bytes());
    for n in 1..=TURNS {
        let found = store.load(&load_of(who)).await.expect("a load");
        assert_eq!(found.record.is_some(), n > 1);
        let turn = step(who, &dialogue, n);
        assert_eq!(store.commit(&turn).await, Ok(Committed::Done));
        dialogue = dialogue_after(&turn);
    }
    assert_eq!(proxy.round_trips() - before, 2 * u64::from(TURNS));
    assert!((proxy.request_bytes() - bytes) / u64::from(TURNS) < TURN_BYTES);
    assert_eq!((server.calls("evalsha"), server.calls("mget")), (100, 100));
    // Of the script: two reads, two writes. Nothing else was asked.
    assert_eq!((server.calls("getrange"), server.calls("set")), (200, 200));
    for other in ["get", "time", "hget", "hset", "zadd", "hincrby", "script|load", "ping"] {
        assert_eq!(server.calls(other), 0, "{other}");
    }
}

/// Redis commands that scripts and clients called since the last reset, without `EVALSHA` and what the test itself asks.
pub fn script_calls(server: &RedisServer) -> u64 {
    let ours =
        ["get", "getrange", "exists", "set", "hget", "hset", "hdel", "zadd", "zrem", "hincrby", "time"];
    ours.iter().map(|command| server.calls(command)).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_keeps_to_its_budget_of_calls() {
    let server = RedisServer::start();
    let store = store(&server.url()).await;
    let who = citizen(7);
    let first = first_turn(who);
    let second = step(who, &dialogue_after(&first), 2);
    let department = |id: &str| {
        QueueOp::Put(Put {
            mt: None,
            queue: Queue::Completion(matamat::domain::id::DepartmentId::parse(id).expect("an id")),
            id: "rsp_1".into(),
            generation: Version(3),
            due: NOW,
            dead: None,
            payload: vec![7; 400],
        })
    };
    let cancel = QueueOp::Cancel { queue: Queue::Timer, id: format!("{who}:expiry") };
    let last = Commit {
        queues: vec![cancel, department("ledger"), department("health")],
        ..step(who, &dialogue_after(&second), 3)
    };
    for (turn, budget) in [(&first, 8), (&second, 4), (&last, 18)] {
        server.cli(&["CONFIG", "RESETSTAT"]);
        assert_eq!(store.commit(turn).await, Ok(Committed::Done));
        assert_eq!(script_calls(&server), budget);
    }
}

pub fn memory(server: &RedisServer, pattern: &str) -> u64 {
    let script = "local sum = 0 for _, key in ipairs(redis.call('KEYS', ARGV[1])) do \
                  sum = sum + redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0') end return sum";
    let told = server.cli(&["EVAL", script, "0", pattern]);
    told.trim().trim_start_matches("(integer) ").parse().unwrap_or_else(|_| panic!("{told}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_citizen_in_mid_dialogue_takes_little_memory() {
    const CITIZENS: u64 = 512;
    let server = RedisServer::start();
    let store = store(&server.url()).await;
    for n in 0..CITIZENS {
        // All in one partition, so that its queue is as big as a state's.
        let mut id = [0x3c; 16];
        id[8..].copy_from_slice(&n.to_be_bytes());
        let first = Commit { dialogue: None, event: None, ..first_turn(CitizenId(id)) };
        let mut second = step(CitizenId(id), &dialogue_after(&first_turn(CitizenId(id))), 2);
        second.dialogue.as_mut().expect("a step").id = DialogueId(id);
        assert_eq!(store.commit(&first).await, Ok(Committed::Done));
        assert_eq!(store.commit(&second).await, Ok(Committed::Done));
    }
    let session = memory(&server, "*:c:*") / CITIZENS;
    let all = memory(&server, "mm:*") / CITIZENS;
    assert!(session <= 400, "{session} B");
    assert!(all <= 1_200, "{all} B");
}

/// Days later the dialogue is forgotten and the timer has run: the record is all there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_citizen_who_has_answered_takes_less() {
    let server = RedisServer::start();
    let store = store(&server.url()).await;
    let over = Record { session: None, dialogue: None, ..record(1) };
    let last = Commit {
        record: Some(over),
        dialogue: None,
        event: None,
        ..step(citizen(7), &Dialogue::default(), 1)
    };
    assert_eq!(store.commit(&last).await, Ok(Committed::Done));
    let all = memory(&server, "*:c:*") + memory(&server, "*:u:*") + memory(&server, "*:q:*");
    assert!((1..=300).contains(&all), "{all} B");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_happens_once() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port()).await;
    let store = store(&proxy.url()).await;
    let first = first_turn(citizen(7));
    for lost in 1..=2 {
        proxy.lose_answers(lost);
        let committed = store.commit(&first).await;
        assert_eq!(
            committed,
            Ok(Committed::Seen(Some(dialogue_after(&first)))),
            "sent again, it finds its own event"
        );
        let tally = store.tally(&[Queue::Timer]).await.expect("a tally").remove(0);
        assert_eq!((tally.put, tally.replaced, tally.waiting), (1, 0, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_does_not_answer_is_waited_for_only_so_long() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port()).await;
    let store = store(&proxy.url()).await;
    proxy.stall();
    let (first, load) = (first_turn(citizen(7)), load_of(citizen(7)));
    let committed = timeout(DEADLINE, store.commit(&first)).await.expect("an answer in time");
    assert!(matches!(committed, Err(StoreError::Unknown(_))), "{committed:?}");
    let loaded = timeout(DEADLINE, store.load(&load)).await.expect("an answer in time");
    assert!(matches!(loaded, Err(StoreError::Away(_) | StoreError::Unknown(_))), "{loaded:?}");
    proxy.resume();
    until(&store, Health::Ok).await;
    let committed = store.commit(&first_turn(citizen(7))).await.expect("an answer");
    assert!(matches!(committed, Committed::Done | Committed::Seen(_)), "whichever send was first");
    assert_eq!(store.tally(&[Queue::Timer]).await.expect("a tally")[0].put, 1, "it happened once");
}

/// The first send happened and its answer was lost; the second was refused. "It did not happen" would be a lie.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_once_unknown_is_not_called_refused() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port()).await;
    let store = store(&proxy.url()).await;
    let first = first_turn(citizen(7));
    proxy.stall_answers();
    let meanwhile = async {
        let started = Instant::now();
        while server.calls("evalsha") == 0 {
            assert!(started.elapsed() < DEADLINE, "the commit was not sent");
            tokio::task::yield_now().await;
        }
        server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
        proxy.cut();
        proxy.resume();
    };
    let (committed, ()) = tokio::join!(store.commit(&first), meanwhile);
    assert!(matches!(committed, Err(StoreError::Unknown(_))), "{committed:?}");
    assert!(store.load(&load_of(citizen(7))).await.expect("a load").record.is_some(), "it did happen");
}

/// Time-outs in a row: the connection is replaced, though nobody ended it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_connection_is_replaced() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port()).await;
    let store = store(&proxy.url()).await;
    let before = proxy.connections();
    proxy.stall_answers();
    assert!(store.commit(&first_turn(citizen(7))).await.is_err());
    proxy.resume();
    until(&store, Health::Ok).await;
    assert!(proxy.connections() > before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_went_away_is_found_again_by_itself() {
    let server = RedisServer::with(Flavour::Disk);
    let store = store_at(&server.url(), Durability::Disk).await.expect("a store");
    let first = first_turn(citizen(7));
    assert_eq!(store.commit(&first).await, Ok(Committed::Done));

    server.kill();
    until(&store, Health::Away).await;
    let started = Instant::now();
    let refused = store.commit(&step(citizen(7), &dialogue_after(&first), 2)).await;
    assert!(matches!(refused, Err(StoreError::Away(_))), "{refused:?}");
    assert!(started.elapsed() < Duration::from_secs(1), "told at once");

    server.restart();
    until(&store, Health::Ok).await;
    assert_eq!(store.commit(&first).await, Ok(Committed::Seen(Some(dialogue_after(&first)))), "disk kept it");
    let second = step(citizen(7), &dialogue_after(&first), 2);
    assert_eq!(store.commit(&second).await, Ok(Committed::Done), "and the scripts are there again");
}

/// A refused connection means that nothing was sent: the caller may act on that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_listens_nothing_happened() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port()).await;
    let store = store(&proxy.url()).await;
    proxy.refuse().await;
    proxy.cut();
    until(&store, Health::Away).await;
    let refused = store.commit(&first_turn(citizen(7))).await;
    assert!(matches!(refused, Err(StoreError::Away(_))), "{refused:?}");
    proxy.accept();
    until(&store, Health::Ok).await;
    assert_eq!(store.commit(&first_turn(citizen(7))).await, Ok(Committed::Done));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_were_flushed_are_told_again() {
    let server = RedisServer::start();
    let store = store(&server.url()).await;
    server.cli(&["SCRIPT", "FLUSH"]);
    assert_eq!(store.commit(&first_turn(citizen(7))).await, Ok(Committed::Done));
    server.cli(&["SCRIPT", "FLUSH"]);
    assert_eq!(store.tally(&[Queue::Timer]).await.expect("a tally")[0].put, 1, "in a pipeline too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_may_start_before_its_store() {
    let server = RedisServer::start();
    server.kill();
    let target = Target::parse(&server.url()).expect("a good URL");
    let refused = Redis::connect(&target, Durability::Process, Clock::shifted()).await.err();
    assert!(matches!(refused, Some(StoreError::Away(_))), "{refused:?}");
    let store = Redis::start(&target, Durability::Process, Clock::shifted());
    assert_eq!(store.health().await, Ok(Health::Away));
    server.restart();
    until(&store, Health::Ok).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_without_room_says_so_and_can_still_be_emptied() {
    let server = RedisServer::start();
    let store = store(&server.url()).await;
    let who = citizen(7);
    assert_eq!(store.commit(&first_turn(who)).await, Ok(Committed::Done));
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(store.health().await, Ok(Health::Full));
    let second = step(who, &dialogue_after(&first_turn(who)), 2);
    let full = store.commit(&second).await;
    assert!(matches!(full, Err(StoreError::Full(_))), "{full:?}");
    assert!(store.load(&load_of(who)).await.expect("a load").record.is_some(), "reading goes on");

    let claim = Claim { queue: Queue::Timer, partition: Partition(7), max: 1, token: [1; 16], doubt: None };
    let item = store.claim(&claim).await.expect("a claim").items.remove(0);
    let settle = Settle {
        sent: None,
        queue: Queue::Timer,
        partition: Partition(7),
        id: item.id,
        generation: item.generation,
        attempt: item.attempt,
        verdict: matamat::domain::delivery::Verdict::Accepted,
    };
    assert_eq!(store.settle(&settle).await, Ok(Settled::Done), "work done frees memory");
    let new = store_at(&server.url(), Durability::Process).await.expect("a restarted gateway").health().await;
    assert_eq!(new, Ok(Health::Full));

    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(store.health().await, Ok(Health::Ok));
    assert_eq!(store.commit(&second).await, Ok(Committed::Done));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_of_durability_that_cannot_hold_is_refused() {
    let table = [
        (Flavour::Memory, Durability::Process, Ok("appendonly is no")),
        (Flavour::Memory, Durability::Disk, Err("appendonly no")),
        (Flavour::With(&["--appendonly", "yes"]), Durability::Disk, Err("appendfsync everysec")),
        (Flavour::Disk, Durability::Disk, Ok("")),
        (Flavour::Disk, Durability::Replica, Err("not built yet")),
        (
            Flavour::With(&["--rename-command", "CONFIG", "", "--appendonly", "yes"]),
            Durability::Disk,
            Ok("cannot be verified"),
        ),
        (
            Flavour::With(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]),
            Durability::Process,
            Err("maxmemory-policy is allkeys-lru"),
        ),
        (
            Flavour::With(&["--cluster-enabled", "yes"]),
            Durability::Process,
            Err("the cluster's state is fail"),
        ),
    ];
    for (flavour, claim, expected) in table {
        let server = RedisServer::with(flavour.clone());
        let got =
            store_at(&server.url(), claim).await.map(|s| s.notes().join("; ")).map_err(|e| e.to_string());
        let fits = match (&got, expected) {
            (Ok(notes), Ok("")) => notes.is_empty(),
            (Ok(told), Ok(wanted)) | (Err(told), Err(wanted)) => told.contains(wanted),
            _ => false,
        };
        assert!(fits, "{flavour:?} {claim:?}: {got:?}, not {expected:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_a_later_release_wrote_is_left_alone() {
    let server = RedisServer::start();
    server.cli(&["SET", "mm:{meta}:format", "2"]);
    let refused = store_at(&server.url(), Durability::Process).await.err().map(|e| e.to_string());
    assert!(refused.as_deref().is_some_and(|e| e.contains("format 2")), "{refused:?}");
}

/// Makes an authority and a certificate for `localhost` with openssl.
fn certificates(folder: &std::path::Path) {
    let openssl = |arguments: &str| {
        let done = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
        let done = done.expect("openssl is installed");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.crt -days 2 -subj /CN=test-authority"));
    openssl(&format!(
        "req -x509 {key} -keyout server.key -out server.crt -days 2 -subj /CN=localhost -CA ca.crt -CAkey ca.key \
         -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE"
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_may_be_by_tls_and_is_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path());
    let server = RedisServer::with(Flavour::Tls(folder.path().to_owned()));
    let tls = store(&server.url()).await;
    assert_eq!(tls.commit(&first_turn(citizen(7))).await, Ok(Committed::Done));

    let without = server.url().split('?').next().expect("a URL").to_owned();
    assert!(store_at(&without, Durability::Process).await.is_err(), "nobody here trusts that authority");
    let other_name = server.url().replace("localhost", "127.0.0.1");
    assert!(store_at(&other_name, Durability::Process).await.is_err(), "the certificate is for localhost");
}
