//! The turn on the in-memory store: two devices at once, repeats, flows that change under people's feet, expiry.

use crate::{proxy::Proxy, redis_server::RedisServer};
use matamat::{
    app::Installation,
    domain::{
        id::{ChannelId, DepartmentId, Partition},
        keys::Keys,
        lang::Lang,
        message::{ChannelFacts, Reply, Screen, UssdEvent, UssdInput, UssdStep},
        msisdn::Msisdn,
        time::{Clock, Timestamp},
    },
    findings::{Findings, Source},
    flow::{self, check},
    route::Routes,
    store::{
        Claim, Durability, Load, Queue, Store,
        due::Due,
        embedded::Embedded,
        payload::OwedCompletion,
        redis::{Redis, Target},
    },
    turn::{Shelf, TimerTurn, Turns, UNROUTED, UssdTurn},
};
use std::{sync::Arc, time::Duration};

/// 24 November 2026, 09:12 UTC.
const START: Timestamp = Timestamp(1_795_511_523_120);

struct Bench {
    turns: Turns,
    clock: Clock,
    facts: ChannelFacts,
}

impl Bench {
    fn new() -> Bench {
        let clock = Clock::manual(START);
        let store = Embedded::memory(clock.clone()).expect("a store in memory");
        Bench::on(Arc::new(store), clock)
    }

    fn on(store: Arc<dyn Store>, clock: Clock) -> Bench {
        let (installation, found) = Installation::read(None);
        let installation = installation.unwrap_or_else(|| panic!("the shipped files are good: {found:?}"));
        let departments = installation.config.departments.iter().map(|d| Queue::Completion(d.id.clone()));
        Bench {
            turns: Turns {
                store,
                shelf: installation.shelf.clone(),
                routes: installation.routes.clone(),
                keys: Arc::new(Keys::new(&[1; 32], (1, [2; 32]), None)),
                clock: clock.clone(),
                due: Arc::new(Due::of(departments.chain([Queue::Timer]))),
                channels: Arc::default(),
            },
            clock,
            facts: ChannelFacts {
                id: ChannelId::parse("at-ussd").expect("an id"),
                address: "*4545*1#".into(),
                flows: Vec::new(),
                sms: None,
                sms_via: None,
                deadline: Duration::from_secs(5),
                screen: Screen::default(),
                language: Lang::parse("en"),
                country: "IN".into(),
                session_limit: Duration::from_secs(180),
            },
        }
    }

    fn step(&self, session: &str, history: &str) -> UssdStep {
        UssdStep {
            from: number(),
            session: Some(session.into()),
            event: UssdEvent::Continue,
            input: UssdInput::History(history.into()),
            code: "*4545*1#".into(),
            step: None,
            language: None,
            context: Vec::new(),
            at: self.clock.now(),
        }
    }

    async fn dial(&self, session: &str, history: &str) -> Reply {
        let step = self.step(session, history);
        match self.turns.ussd(&self.facts, &step, [0; 16]).await.expect("a turn") {
            UssdTurn::Screen(reply, _) => reply,
            UssdTurn::Closed => panic!("a screen was waited for"),
        }
    }

    async fn record(&self) -> matamat::store::record::Record {
        let citizen = self.turns.keys.citizen(&number());
        let loaded =
            self.turns.store.load(&Load { citizen, dialogue: None, event: None }).await.expect("a load");
        loaded.record.expect("a record")
    }

    async fn claim(&self, queue: &Queue) -> Vec<matamat::store::Item> {
        let mut items = Vec::new();
        for partition in Partition::all() {
            let claim =
                Claim { queue: queue.clone(), partition, max: 10, token: [partition.0; 16], doubt: None };
            items.extend(self.turns.store.claim(&claim).await.expect("a claim").items);
        }
        items
    }

    async fn balanced(&self, queue: &Queue) -> matamat::store::Tally {
        let tally = self.turns.store.tally(std::slice::from_ref(queue)).await.expect("a tally").remove(0);
        assert!(tally.balances(), "{queue}: {tally:?}");
        tally
    }
}

fn number() -> Msisdn {
    Msisdn::parse("+919437000001", "IN").expect("a number")
}

fn ledger() -> Queue {
    Queue::Completion(DepartmentId::parse("ledger").expect("an id"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_copies_of_every_step_at_once_get_one_screen_and_one_turn() {
    let bench = Arc::new(Bench::new());
    for history in ["", "1", "1*1", "1*1*1"] {
        let copies = (0..4).map(|_| {
            let bench = bench.clone();
            tokio::spawn(async move { bench.dial("s", history).await })
        });
        let mut screens: Vec<Reply> = Vec::new();
        for copy in copies.collect::<Vec<_>>() {
            screens.push(copy.await.expect("no panic"));
        }
        assert!(screens.iter().all(|screen| *screen == screens[0]), "at {history:?}: {screens:?}");
    }
    assert_eq!(bench.balanced(&ledger()).await.put, 1);
    assert_eq!(bench.balanced(&Queue::Timer).await.waiting, 0, "the end cancels the expiry");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_devices_of_one_citizen_never_mix() {
    let bench = Arc::new(Bench::new());
    bench.dial("a", "").await;
    bench.dial("b", "").await;
    // Both answer the open question at the same moment; one of the two answers it, the other answers what is open then.
    let answers = ["a", "b"].map(|session| {
        let bench = bench.clone();
        tokio::spawn(async move { bench.dial(session, "2").await })
    });
    for answer in answers {
        answer.await.expect("no panic");
    }
    let session = bench.record().await.session.expect("a session");
    let nodes: Vec<_> = session.answers.iter().map(|given| given.node.as_str()).collect();
    assert_eq!(nodes, ["overall", "topic"], "each answer landed once, one after the other");
}

#[tokio::test]
async fn a_flow_edited_while_people_are_inside_it_harms_nobody() {
    let mut bench = Bench::new();
    let first = bench.dial("s", "").await;
    let old = bench.turns.shelf.clone();
    // Another gateway starts with an edited file: other words, another revision.
    let text =
        include_str!("../../flows/hospital-visit.toml").replace("How were you treated", "How did it go");
    let (flow, texts) = (Source::new("flows/hospital-visit.toml", &text), texts());
    let findings = Findings::default();
    let flows = check::load_all(&[flow], &texts, &findings).into_iter().map(Arc::new).collect();
    let edited = Shelf::new(flows, flow::texts::load(&texts, &findings).expect("good texts"));
    assert_ne!(old.flows()[0].revision, edited.flows()[0].revision);
    assert!(edited.by_revision(old.flows()[0].revision).is_none(), "it does not know the old one");
    bench.turns.shelf = Arc::new(edited);
    let redial = bench.dial("t", "").await;
    assert_eq!(redial, first, "the session stays on the revision it began on");
    for history in ["5"] {
        assert!(bench.dial("t", history).await.end);
    }
    let fresh = bench.dial("u", "").await;
    assert!(fresh.text.starts_with("How did it go"), "a new session begins on the new one: {}", fresh.text);
}

fn texts() -> Source {
    Source::new("flows/texts.toml", include_str!("../../flows/texts.toml"))
}

#[tokio::test]
async fn expiry_ends_the_session_once_and_forwards_nothing_that_no_route_asks_for() {
    let bench = Bench::new();
    bench.dial("s", "").await;
    bench.dial("s", "2").await;
    assert_eq!(bench.claim(&Queue::Timer).await.len(), 0, "not due yet");
    bench.clock.advance(Duration::from_secs(48 * 3600 + 1));
    let due = bench.claim(&Queue::Timer).await;
    assert_eq!(due.len(), 1);
    assert_eq!(bench.turns.timer(&due[0]).await.expect("a turn"), TimerTurn::Fired);
    assert_eq!(bench.turns.timer(&due[0]).await.expect("a turn"), TimerTurn::Gone, "a second time");
    assert_eq!(bench.balanced(&Queue::Timer).await.done, 1);
    assert_eq!(bench.balanced(&ledger()).await.put, 0);
    assert!(bench.dial("t", "").await.text.starts_with("How"), "the next dial begins anew");
}

#[tokio::test]
async fn an_answer_after_the_end_gets_a_kind_word_and_a_stale_timer_removes_itself() {
    let bench = Bench::new();
    bench.dial("s", "").await;
    bench.dial("s", "2").await;
    bench.clock.advance(Duration::from_secs(48 * 3600 + 1));
    let due = bench.claim(&Queue::Timer).await;
    let late = bench.dial("s", "2*1").await;
    assert!(late.end, "{}", late.text);
    assert_eq!(bench.dial("s", "2*1").await, late, "and the repeat gets the same");
    assert!(matches!(bench.turns.timer(&due[0]).await.expect("a turn"), TimerTurn::Gone | TimerTurn::Stale));
    let tally = bench.balanced(&Queue::Timer).await;
    assert_eq!(tally.waiting, 0, "{tally:?}");
}

#[tokio::test]
async fn a_completion_that_no_route_wants_is_a_dead_letter() {
    let mut bench = Bench::new();
    bench.turns.routes = Arc::new(Routes::default());
    for history in ["", "5"] {
        bench.dial("s", history).await;
    }
    let unrouted = Queue::Completion(DepartmentId::parse(UNROUTED).expect("an id"));
    let tally = bench.balanced(&unrouted).await;
    assert_eq!((tally.put, tally.dead, tally.waiting), (1, 1, 0));
    let dead = bench.turns.store.dead(&unrouted, 10).await.expect("a list");
    assert_eq!(dead[0].why, "unrouted");
    let owed = OwedCompletion::decode(&dead[0].payload).expect("a completion");
    assert_eq!(owed.completion.answers[0].said, "5");
}

#[tokio::test]
async fn the_end_of_a_dialogue_closes_it_and_keeps_the_session_and_the_end_of_another_changes_nothing() {
    let bench = Bench::new();
    bench.dial("a", "").await;
    bench.dial("b", "").await;
    bench.dial("b", "2").await;
    let before = bench.record().await;
    for (session, changes) in [("a", false), ("never", false), ("b", true), ("b", false)] {
        let version = bench.record().await.version;
        let step = UssdStep { event: UssdEvent::Timeout, ..bench.step(session, "") };
        let ended = bench.turns.ussd(&bench.facts, &step, [0; 16]).await.expect("a turn");
        assert_eq!(ended, UssdTurn::Closed);
        assert_eq!(bench.record().await.version != version, changes, "{session}");
    }
    let after = bench.record().await;
    assert_eq!((after.dialogue, after.session), (None, before.session));
}

/// Two round trips a turn, nothing else: by the server's own counters and by a proxy that counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_turns_are_a_thousand_scripts_and_a_thousand_loads() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port()).await;
    let clock = Clock::shifted();
    let target = Target::parse(&proxy.url()).expect("a URL");
    let store = Redis::connect(&target, Durability::Process, clock.clone()).await.expect("it connects");
    let bench = Bench::on(Arc::new(store), clock);
    bench.turns.shelf.keep_all(&*bench.turns.store).await.expect("kept");
    let (scripts, loads, trips) = (server.calls("evalsha"), server.calls("mget"), proxy.round_trips());
    for session in 0..250 {
        for history in ["", "1", "1*1", "1*1*1"] {
            bench.dial(&session.to_string(), history).await;
        }
    }
    assert_eq!(server.calls("evalsha") - scripts, 1_000);
    assert_eq!(server.calls("mget") - loads, 1_000);
    assert_eq!(proxy.round_trips() - trips, 2_000);
}
