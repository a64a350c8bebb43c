//! The sender against a pretend vendor: what becomes of an MT for what the vendor does, when it leaves, and when it does not.

use crate::{
    proxy::Proxy,
    redis_server::RedisServer,
    vendor::{Say, Seen, Vendor},
};
use matamat::{
    channel::{Answer, Callback, Channel, Refusal, Request, Sent, TurnOutcome},
    domain::{
        delivery::RetrySchedule,
        id::{ChannelId, CitizenId, EventId, MtId, Partition, Version},
        keys::{Keys, vendor_key},
        lang::Lang,
        message::{ChannelFacts, Coding, Inbound, Mo, Mt, MtState, Quiet, Screen, SmsFacts},
        msisdn::Msisdn,
        time::{Clock, Timestamp},
        wire::{HttpRequest, HttpResponse},
    },
    link::http::Http,
    store::{
        Commit, Committed, Durability, Found, ItemState, Join, Joined, Life, MtHeader, MtKind, Put, Queue,
        QueueOp, Reserve, Reserved, SpoolSettings, Store, Tally, Then,
        due::Due,
        embedded::Embedded,
        payload::{JoinPayload, OwedMt},
        record::Record,
        redis::{Redis, Target},
        spool::{Kept, Spool, Spooled},
    },
    work::{
        Desk, join,
        sender::{Sender, under_way_max},
    },
};
use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinHandle};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(2);
/// The first requests of a channel also pay for connecting: a rate is measured after them.
const SETTLING: usize = 20;
/// How long a vendor takes whose answer comes when the store is away.
const VENDOR_TAKES: Duration = Duration::from_millis(300);
/// How long the store is away, from before that answer: longer than the first waits of a settle, shorter than all of them.
const OUTAGE: Duration = Duration::from_millis(700);
/// A text for which the codec of these tests makes a line of a simulated phone.
const ON_THE_PHONE: &str = "on the phone";
/// A text that it cannot encode.
const UNFIT: &str = "unfit";

/// A codec that says what an answer means by its status alone.
struct Line {
    url: String,
    timeout: Duration,
}

impl Channel for Line {
    fn decode(&self, _: &Callback) -> Result<Vec<Inbound>, Refusal> {
        Err(Refusal::NoSuchDoor("it only sends".into()))
    }

    fn answer(&self, _: &Callback, _: &TurnOutcome) -> Answer {
        Answer { status: 404, content_type: String::new(), headers: Vec::new(), body: String::new() }
    }

    fn encode(&self, mt: &Mt, _: Timestamp) -> Result<Request, String> {
        match mt.text.as_str() {
            UNFIT => Err("it has no template".into()),
            ON_THE_PHONE => Ok(Request::Thread(mt.text.clone().into_bytes())),
            text => Ok(Request::Http(HttpRequest {
                method: "POST".into(),
                url: self.url.clone(),
                headers: Vec::new(),
                body: format!("{} {} {text}", mt.to.reveal(), mt.segments).into_bytes(),
                timeout: self.timeout,
            })),
        }
    }

    fn read(&self, response: &HttpResponse) -> Sent {
        let body = String::from_utf8_lossy(&response.body).into_owned();
        let header =
            |name: &str| response.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        match response.status {
            200 => Sent::Accepted(Some(body).filter(|id| !id.is_empty())),
            400 => Sent::Permanent(body),
            401 => Sent::Configuration(body),
            429 => Sent::Throttled(
                header("retry-after").map(|s| Duration::from_secs(s.parse().expect("seconds"))),
            ),
            503 => Sent::Retry(body),
            _ => Sent::Unknown,
        }
    }
}

/// A store, a vendor, and what a gateway has besides.
struct Bench {
    _redis: Option<RedisServer>,
    store: Arc<dyn Store>,
    clock: Clock,
    keys: Arc<Keys>,
    vendor: Vendor,
}

/// A sender that runs.
struct Running {
    due: Arc<Due>,
    stop: watch::Sender<bool>,
    ends: JoinHandle<()>,
}

/// An MT to be said.
#[derive(Clone)]
struct Said {
    text: &'static str,
    urgent: bool,
    segments: u16,
    /// How long ago its turn ran.
    ago: Duration,
}

impl Said {
    fn text(text: &'static str) -> Said {
        Said { text, urgent: true, segments: 1, ago: Duration::ZERO }
    }
}

/// An MT in the outbox.
#[derive(Clone, Copy)]
struct Owed {
    citizen: CitizenId,
    mt: MtId,
}

fn line(name: &str) -> ChannelId {
    ChannelId::parse(name).expect("an id")
}

fn outbox(channel: &str) -> Queue {
    Queue::Outbox(line(channel))
}

fn sms(tps: u32) -> SmsFacts {
    SmsFacts {
        tps,
        quiet: None,
        retry: RetrySchedule(vec![Duration::from_secs(3_600)]),
        echoes: true,
        segments_max: 8,
    }
}

fn facts(channel: &str, sms: SmsFacts) -> Arc<ChannelFacts> {
    Arc::new(ChannelFacts {
        id: line(channel),
        address: "4545".into(),
        flows: Vec::new(),
        sms: Some(sms),
        sms_via: None,
        deadline: Duration::from_secs(5),
        screen: Screen::default(),
        language: None,
        country: "IN".into(),
        session_limit: Duration::from_secs(180),
    })
}

impl Bench {
    async fn new() -> Bench {
        let clock = Clock::shifted();
        let store: Arc<dyn Store> = Arc::new(Embedded::memory(clock.clone()).expect("a store"));
        Bench::on(store, clock, None).await
    }

    async fn redis() -> Bench {
        let (clock, redis) = (Clock::shifted(), RedisServer::start());
        Bench::on(Bench::connect(&redis.url(), &clock).await, clock, Some(redis)).await
    }

    async fn connect(url: &str, clock: &Clock) -> Arc<dyn Store> {
        let target = Target::parse(url).expect("a good URL");
        Arc::new(Redis::connect(&target, Durability::Process, clock.clone()).await.expect("a store"))
    }

    async fn on(store: Arc<dyn Store>, clock: Clock, redis: Option<RedisServer>) -> Bench {
        let keys = Arc::new(Keys::new(&[7; 32], (1, [8; 32]), None));
        Bench { _redis: redis, store, clock, keys, vendor: Vendor::start().await }
    }

    /// Runs a sender of a process of its own: it finds what is due by what it is told.
    fn run(&self, channel: &str, sms: SmsFacts) -> Running {
        self.run_with(channel, sms, &self.vendor.url(&format!("/{channel}")), Duration::from_secs(20))
    }

    /// Runs a sender of a gateway with this spool.
    fn run_behind(&self, spool: &Arc<Spool>, channel: &str) -> Running {
        let codec = Arc::new(Line { url: self.vendor.url("/behind"), timeout: Duration::from_secs(20) });
        let facts = facts(channel, sms(100));
        let sender = Sender::new(facts, codec, self.keys.clone(), Http::new(), chrono_tz::UTC);
        let spool = Some(spool.clone());
        self.running([outbox(channel)], |desk| sender.expect("it sends").run(Desk { spool, ..desk }))
    }

    fn run_with(&self, channel: &str, sms: SmsFacts, url: &str, timeout: Duration) -> Running {
        let codec = Arc::new(Line { url: url.into(), timeout });
        let zone = chrono_tz::UTC;
        let sender = Sender::new(facts(channel, sms), codec, self.keys.clone(), Http::new(), zone);
        self.running([outbox(channel)], |desk| sender.expect("it sends").run(desk))
    }

    fn running<R>(&self, queues: impl IntoIterator<Item = Queue>, run: impl FnOnce(Desk) -> R) -> Running
    where
        R: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        let due = Arc::new(Due::of(queues));
        let desk = Desk {
            store: self.store.clone(),
            due: due.clone(),
            clock: self.clock.clone(),
            stop: stopped,
            spool: None,
        };
        Running { due, stop, ends: tokio::spawn(run(desk)) }
    }

    /// A turn of citizen number `n` that says this.
    async fn say(&self, channel: &str, n: u32, said: Said) -> Owed {
        let payload =
            OwedMt { text: said.text.into(), coding: Coding::Gsm7, language: Lang::EN, template: None };
        self.put(channel, n, &said, payload.encode()).await
    }

    async fn put(&self, channel: &str, n: u32, said: &Said, payload: Vec<u8>) -> Owed {
        let number = Msisdn::parse(&format!("+9198765{n:05}"), "IN").expect("a number");
        let citizen = self.keys.citizen(&number);
        let now = self.clock.now();
        let generation = Version((now.millis() - said.ago.as_millis() as u64) << 16 | u64::from(n as u16));
        let mt = self.keys.mt(&citizen, generation);
        let mut record = Record::fresh(self.keys.seal(&citizen, &number));
        record.version = generation;
        let header = MtHeader {
            consent: 0,
            kind: MtKind::Notice,
            urgent: said.urgent,
            expires: now.plus(Duration::from_secs(86_400)),
            segments: said.segments,
            then: Then::default(),
        };
        let put = Put {
            queue: outbox(channel),
            id: mt.to_string(),
            generation,
            due: now,
            dead: None,
            payload,
            mt: Some(header),
        };
        let mut event = [9; 16];
        event[..4].copy_from_slice(&n.to_be_bytes());
        let commit = Commit {
            citizen,
            event: Some(EventId(event)),
            expected: Version::default(),
            record: Some(record),
            dialogue: None,
            mark: Some(Duration::from_secs(3_600)),
            timer: None,
            queues: vec![QueueOp::Put(put)],
        };
        assert_eq!(self.store.commit(&commit).await, Ok(Committed::Done));
        Owed { citizen, mt }
    }

    async fn find(&self, channel: &str, owed: Owed) -> Option<Found> {
        let found = self.store.find(&outbox(channel), owed.citizen.partition(), &owed.mt.to_string());
        found.await.expect("an answer")
    }

    async fn life(&self, owed: Owed) -> Life {
        self.store.life(&owed.mt).await.expect("an answer").unwrap_or_default()
    }

    async fn tally(&self, queue: &Queue) -> Tally {
        let tally = self.store.tally(std::slice::from_ref(queue)).await.expect("an answer").remove(0);
        assert!(tally.balances(), "{queue}: {tally:?}");
        tally
    }

    /// Waits until so many MTs of a channel were accepted.
    async fn done(&self, channel: &str, number: u64) {
        let enough = async || (self.tally_now(channel).await.done >= number).then_some(());
        until("accepted", enough).await;
    }

    async fn tally_now(&self, channel: &str) -> Tally {
        self.tally(&outbox(channel)).await
    }
}

impl Running {
    /// Tells it that something is due, as the turn would.
    fn wake(&self, channel: &str, owed: Owed) {
        self.due.note(&outbox(channel), owed.citizen.partition(), Timestamp(0));
    }

    /// Tells it to look everywhere, as the sweep would.
    fn wake_all(&self, channel: &str) {
        Partition::all().for_each(|partition| self.due.note(&outbox(channel), partition, Timestamp(0)));
    }

    async fn end(self) {
        self.stop.send(true).expect("it runs");
        tokio::time::timeout(PATIENCE, self.ends).await.expect("it ends").expect("it does not panic");
    }
}

/// Looks until something is there.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
        tokio::time::sleep(LOOK).await;
    }
}

fn segments(seen: &Seen) -> u32 {
    let segments = seen.body.split(' ').nth(1).expect("segments");
    segments.parse().expect("a number")
}

/// How an MT is after one attempt.
#[derive(Debug, PartialEq)]
enum After {
    Accepted(Option<&'static str>),
    /// It waits: so many attempts counted, and due again in so many seconds.
    Waits(u32, std::ops::RangeInclusive<u64>),
    Dead(&'static str),
}

async fn check_outcome(say: Say, said: &str, after: After) {
    let bench = Bench::new().await;
    bench.vendor.always(say.clone());
    let running = bench.run_with("line", sms(100), &bench.vendor.url("/line"), Duration::from_millis(500));
    let owed = bench.say("line", 1, Said::text("hello")).await;
    running.wake("line", owed);
    let life =
        until("a line of its life", async || Some(bench.life(owed).await).filter(|l| !l.lines.is_empty()));
    let life = life.await;
    assert_eq!(life.lines[0].said, said, "{say:?}");
    let now = bench.clock.now();
    match (bench.find("line", owed).await, after) {
        (None, After::Accepted(id)) => {
            assert_eq!(life.vendor_id.as_deref(), id, "{say:?}");
            assert_eq!(bench.tally_now("line").await.done, 1, "{say:?}");
            if let Some(id) = id {
                let known = bench.store.by_vendor_id(&vendor_key("line", id)).await;
                assert_eq!(known, Ok(Some((owed.mt, 0))), "{say:?}");
            }
        }
        (Some(found), After::Waits(attempts, seconds)) => {
            let wait = found.due.since(now).as_secs();
            assert_eq!((found.attempts, &found.state), (attempts, &ItemState::Waiting), "{say:?}");
            assert!(seconds.contains(&wait), "{say:?}: due in {wait} s");
        }
        (Some(Found { state: ItemState::Dead(why), .. }), After::Dead(expected)) => {
            assert_eq!(why, expected, "{say:?}")
        }
        (found, after) => panic!("{say:?}: {found:?} is not {after:?}"),
    }
    assert_eq!(bench.vendor.seen().len(), 1, "{say:?}");
    assert!(
        bench.vendor.seen()[0].body.starts_with("+9198765"),
        "the number comes from the citizen's record"
    );
    running.end().await;
}

#[tokio::test]
async fn every_answer_of_a_vendor_has_its_end() {
    let with = |status: u16, body: &str| Say::Answer(status, Vec::new(), body.into());
    let after = |seconds: &str| Say::Answer(429, vec![("retry-after", seconds.into())], String::new());
    for (say, said, ends) in [
        (Say::body("ATXid_1"), "accepted: status 200", After::Accepted(Some("ATXid_1"))),
        (Say::status(200), "accepted: status 200", After::Accepted(None)),
        (with(503, "later"), "not now: later", After::Waits(1, 3_200..=4_000)),
        (
            with(400, "no such number +919876500001"),
            "refused: no such number +…",
            After::Dead("no such number +…"),
        ),
        (with(401, "bad key"), "the vendor refuses us: bad key", After::Waits(0, 28..=30)),
        (Say::status(429), "too fast for the vendor: status 429", After::Waits(0, 0..=1)),
        (after("77"), "too fast for the vendor: status 429", After::Waits(0, 75..=77)),
        (with(418, ""), "an answer that says neither yes nor no: status 418", After::Waits(1, 590..=600)),
        (
            Say::Close,
            "no answer: the connection ended before the whole answer was here",
            After::Waits(1, 590..=600),
        ),
        (Say::Hang, "no answer: none within 500ms", After::Waits(1, 590..=600)),
    ] {
        check_outcome(say, said, ends).await;
    }
}

#[tokio::test]
async fn a_vendor_nobody_can_reach_costs_an_attempt_and_leaves_no_doubt() {
    let bench = Bench::new().await;
    let nobody = format!("http://127.0.0.1:{}/line", crate::redis_server::free_port());
    let running = bench.run_with("line", sms(100), &nobody, Duration::from_secs(5));
    let owed = bench.say("line", 1, Said::text("hello")).await;
    running.wake("line", owed);
    let tried = async || bench.life(owed).await.lines.first().map(|line| line.said.clone());
    assert_eq!(until("a try", tried).await, "not sent: connection refused");
    // The retry list has one wait.
    bench.clock.advance(Duration::from_secs(4_000));
    let dead = until("its end", async || match bench.find("line", owed).await {
        Some(Found { state: ItemState::Dead(why), .. }) => Some(why),
        _ => None,
    });
    assert_eq!(dead.await, "after 2 attempts: not sent: connection refused");
    running.end().await;
}

#[tokio::test]
async fn what_the_store_did_not_take_is_told_to_it_again() {
    // With an id that is told first, and without.
    for (said, id) in [("ATXid_1", Some("ATXid_1")), ("", None)] {
        let (redis, clock) = (RedisServer::start(), Clock::shifted());
        let proxy = Proxy::before(redis.port()).await;
        let (through, direct) =
            (Bench::connect(&proxy.url(), &clock).await, Bench::connect(&redis.url(), &clock).await);
        let mut bench = Bench::on(through, clock, Some(redis)).await;
        bench.vendor.always(Say::body(said).after(VENDOR_TAKES));
        let running = bench.run("line", sms(100));
        let owed = bench.say("line", 1, Said::text("hello")).await;
        running.wake("line", owed);
        bench.store = direct;
        bench.vendor.wait_for(1).await;
        proxy.refuse().await;
        proxy.cut();
        tokio::time::sleep(OUTAGE).await;
        proxy.accept();
        bench.done("line", 1).await;
        assert_eq!(bench.life(owed).await.vendor_id.as_deref(), id);
        assert_eq!(bench.vendor.seen().len(), 1, "it was not sent again");
        running.end().await;
    }
}

#[tokio::test]
async fn what_can_never_leave_is_dead_before_the_wire() {
    let bench = Bench::new().await;
    let running = bench.run("line", sms(100));
    let long = Said { segments: 9, ..Said::text("hello") };
    let owed = [
        (bench.say("line", 1, Said::text(UNFIT)).await, "it has no template"),
        (bench.say("line", 2, long.clone()).await, "9 segments, and the channel takes at most 8"),
        (bench.put("line", 3, &Said::text(""), vec![1, 2, 3]).await, "format"),
    ];
    for (owed, expected) in owed {
        running.wake("line", owed);
        let dead = until("its end", async || match bench.find("line", owed).await {
            Some(Found { state: ItemState::Dead(why), .. }) => Some(why),
            _ => None,
        });
        let why = dead.await;
        assert!(why.contains(expected), "{why}");
    }
    assert_eq!(bench.vendor.seen().len(), 0);
    running.end().await;
}

#[tokio::test]
async fn a_simulated_phone_gets_its_line_without_a_wire() {
    let bench = Bench::new().await;
    let running = bench.run("phone", sms(100));
    let owed = bench.say("phone", 1, Said::text(ON_THE_PHONE)).await;
    running.wake("phone", owed);
    bench.done("phone", 1).await;
    let thread = bench.store.thread(&owed.citizen).await.expect("an answer");
    assert_eq!(thread, [ON_THE_PHONE.as_bytes()]);
    assert_eq!(bench.life(owed).await.lines[0].said, "accepted");
    assert_eq!(bench.vendor.seen().len(), 0);
    running.end().await;
}

#[tokio::test]
async fn a_channel_that_rests_spends_no_attempts_and_holds_up_no_other() {
    for (say, rest) in [
        (Say::Answer(429, vec![("retry-after", "600".into())], String::new()), 600),
        (Say::Answer(401, Vec::new(), "bad key".into()), 30),
    ] {
        let bench = Bench::new().await;
        let (tired, fresh) = (bench.run("tired", sms(100)), bench.run("fresh", sms(100)));
        bench.vendor.next([say.clone()]);
        let first = bench.say("tired", 1, Said::text("hello")).await;
        tired.wake("tired", first);
        until("the rest", async || bench.life(first).await.lines.first().cloned()).await;
        for n in 2..6 {
            tired.wake("tired", bench.say("tired", n, Said::text("hello")).await);
            fresh.wake("fresh", bench.say("fresh", n + 10, Said::text("hello")).await);
        }
        bench.done("fresh", 4).await;
        let by = |path: &str| bench.vendor.seen().iter().filter(|seen| seen.line.ends_with(path)).count();
        assert_eq!((by("/tired"), by("/fresh")), (1, 4), "{say:?}");
        bench.clock.advance(Duration::from_secs(rest));
        bench.done("tired", 5).await;
        assert_eq!(by("/tired"), 6, "{say:?}: one was sent twice, because the vendor did not take it");
        tired.end().await;
        fresh.end().await;
    }
}

#[tokio::test]
async fn after_a_rest_one_goes_alone_until_the_vendor_takes_it() {
    let bench = Bench::new().await;
    let running = bench.run("line", sms(1_000));
    bench.vendor.next([Say::status(401)]);
    let first = bench.say("line", 1, Said::text("hello")).await;
    running.wake("line", first);
    until("the rest", async || bench.life(first).await.lines.first().cloned()).await;
    let mut owed = vec![first];
    for n in 2..40 {
        owed.push(bench.say("line", n, Said::text("hello")).await);
    }
    running.wake_all("line");
    bench.vendor.next([Say::status(401).after(Duration::from_millis(300))]);
    bench.clock.advance(Duration::from_secs(30));
    bench.vendor.wait_for(2).await;
    until("the second rest", async || {
        let mut lines = 0;
        for owed in &owed {
            lines += bench.life(*owed).await.lines.len();
        }
        Some(()).filter(|()| lines == 2)
    })
    .await;
    assert_eq!(bench.vendor.seen().len(), 2, "one alone, and the vendor refused it");
    bench.clock.advance(Duration::from_secs(60));
    bench.done("line", 39).await;
    running.end().await;
}

#[tokio::test]
async fn a_slow_vendor_holds_back_claims() {
    let bench = Bench::new().await;
    let sms = sms(32);
    let most = under_way_max(sms.tps);
    assert_eq!(most, 64);
    bench.vendor.always(Say::Hang);
    for n in 0..100 {
        bench.say("line", n, Said::text("hello")).await;
    }
    let running = bench.run_with("line", sms, &bench.vendor.url("/line"), Duration::from_secs(3));
    running.wake_all("line");
    bench.vendor.wait_for(100).await;
    let at_once = bench.vendor.most_at_once();
    assert!((most / 2..=most).contains(&at_once), "{at_once} at once");
    running.end().await;
}

#[tokio::test]
async fn quiet_hours_hold_back_all_but_fresh_replies() {
    let bench = Bench::new().await;
    let minute = (bench.clock.now().0 / 60_000 % 1_440) as u16;
    let quiet = Quiet { from: (minute + 1_440 - 60) % 1_440, to: (minute + 60) % 1_440 };
    let running = bench.run("line", SmsFacts { quiet: Some(quiet), ..sms(100) });
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let invited = bench.say("line", 1, Said { urgent: false, ..Said::text("invited") }).await;
    let late = bench.say("line", 2, Said { ago: minutes(16), ..Said::text("late") }).await;
    for owed in [invited, late] {
        running.wake("line", owed);
        let until_then = until("its new due time", async || {
            bench.find("line", owed).await.filter(|found| found.due > bench.clock.now())
        });
        let found = until_then.await;
        assert_eq!((found.attempts, found.state), (0, ItemState::Waiting));
        assert!(found.due.since(bench.clock.now()) <= minutes(60));
    }
    let reply = bench.say("line", 3, Said { ago: minutes(14), ..Said::text("reply") }).await;
    running.wake("line", reply);
    bench.done("line", 1).await;
    assert!(bench.vendor.seen()[0].body.ends_with("reply"));
    bench.clock.advance(minutes(60));
    bench.done("line", 3).await;
    running.end().await;
}

#[tokio::test]
async fn what_gets_no_slot_within_ten_seconds_goes_back() {
    let bench = Bench::new().await;
    let sms = sms(10);
    let taken = Reserve { channel: line("line"), segments: 300, tps: sms.tps };
    assert!(matches!(bench.store.reserve(&taken).await, Ok(Reserved::In(_))), "half a minute of slots");
    let running = bench.run("line", sms);
    let owed = bench.say("line", 1, Said::text("hello")).await;
    running.wake("line", owed);
    let lease_ends = async || {
        let found =
            bench.store.sweep(owed.citizen.partition(), &[outbox("line")]).await.expect("an answer")[0];
        found.filter(|at| *at > bench.clock.now())
    };
    let first = until("the claim", lease_ends).await;
    bench.clock.advance(Duration::from_secs(11));
    until("a claim anew, since the first went back", async || {
        lease_ends().await.filter(|at| at.since(first) >= Duration::from_secs(10))
    })
    .await;
    assert_eq!(bench.vendor.seen().len(), 0);
    bench.clock.advance(Duration::from_secs(20));
    bench.done("line", 1).await;
    assert_eq!(bench.vendor.seen().len(), 1);
    running.end().await;
}

/// P9 as the vendor sees it: segments that began in any second, and over all.
fn check_tps(seen: &[Seen], tps: u32, longest: u32) {
    let starts: Vec<(Instant, u32)> = seen.iter().map(|seen| (seen.at, segments(seen))).collect();
    let most = f64::from(tps) * 1.2 + f64::from(longest);
    for (at, _) in &starts {
        let within = starts.iter().filter(|(other, _)| other >= at && *other < *at + Duration::from_secs(1));
        let began: u32 = within.map(|(_, segments)| segments).sum();
        assert!(f64::from(began) <= most, "{began} segments in a second of {tps} TPS");
    }
    let steady = &starts[SETTLING..];
    let (first, last) = (steady[0], steady[steady.len() - 1]);
    let total: u32 = steady[1..].iter().map(|(_, segments)| segments).sum();
    let rate = f64::from(total) / last.0.duration_since(first.0).as_secs_f64();
    assert!(rate <= f64::from(tps) * 1.05, "{rate:.1} segments a second of {tps} TPS");
    assert!(rate >= f64::from(tps) * 0.8, "only {rate:.1} segments a second of {tps} TPS");
}

#[tokio::test]
async fn two_senders_on_the_embedded_store_hold_the_tps_together() {
    check_two_senders(Bench::new().await).await;
}

#[tokio::test]
async fn two_senders_on_redis_hold_the_tps_together() {
    check_two_senders(Bench::redis().await).await;
}

async fn check_two_senders(bench: Bench) {
    for n in 0..120 {
        let segments = if n % 6 == 0 { 3 } else { 1 };
        bench.say("line", n, Said { segments, ..Said::text("hello") }).await;
    }
    let sender =
        |path: &str| bench.run_with("line", sms(50), &bench.vendor.url(path), Duration::from_secs(20));
    let (one, other) = (sender("/one"), sender("/other"));
    one.wake_all("line");
    other.wake_all("line");
    bench.done("line", 120).await;
    let seen = bench.vendor.seen();
    assert_eq!(seen.len(), 120);
    check_tps(&seen, 50, 3);
    for path in ["/one", "/other"] {
        assert!(seen.iter().any(|seen| seen.line.ends_with(path)), "{path} sent nothing");
    }
    one.end().await;
    other.end().await;
}

#[tokio::test]
async fn at_the_end_what_left_is_awaited_and_what_did_not_goes_back() {
    let bench = Bench::new().await;
    bench.vendor.always(Say::body("id").after(Duration::from_millis(300)));
    let mut owed = Vec::new();
    for n in 0..20 {
        owed.push(bench.say("line", n, Said::text("hello")).await);
    }
    let running = bench.run("line", sms(5));
    running.wake_all("line");
    bench.vendor.wait_for(1).await;
    running.end().await;
    let left = bench.vendor.seen().len() as u64;
    let tally = bench.tally_now("line").await;
    assert_eq!((tally.done, tally.waiting), (left, 20 - left), "{tally:?}");
    for owed in owed {
        if let Some(found) = bench.find("line", owed).await {
            assert_eq!((found.state, found.attempts), (ItemState::Waiting, 0));
        }
    }
}

#[tokio::test]
async fn nothing_leaves_while_a_stop_may_lie_in_the_spool() {
    let bench = Bench::new().await;
    let folder = tempfile::tempdir().expect("a folder");
    let settings = SpoolSettings { file: folder.path().join("spool.db"), max: 10 };
    let spool = Spool::open(&settings, bench.keys.clone(), bench.clock.clone()).expect("it opens");
    let spool = Arc::new(spool.expect("one is wanted"));
    let from = Msisdn::parse("+919876500001", "IN").expect("a number");
    let at = bench.clock.now();
    let stop = Mo { from, to: String::new(), text: "STOP".into(), id: None, sent: None, at };
    spool
        .put(&[Spooled { channel: line("line"), random: [7; 16], what: Kept::Mo(stop) }])
        .await
        .expect("kept");
    let owed = bench.say("line", 1, Said::text("a question")).await;
    let behind = bench.run_behind(&spool, "line");
    behind.wake("line", owed);
    // A gateway without a spool sends meanwhile; whoever would have sent at once has done so by then.
    let other = bench.say("other", 2, Said::text("another")).await;
    let beside = bench.run("other", sms(100));
    beside.wake("other", other);
    bench.vendor.wait_for(1).await;
    let waits = bench.find("line", owed).await.expect("it is there");
    assert_eq!((waits.state, waits.attempts), (ItemState::Waiting, 0), "not even claimed");
    let replayed = spool.oldest(10).await.expect("read").into_iter().map(|waiting| waiting.id);
    spool.remove(replayed.collect()).await.expect("removed");
    assert!(bench.vendor.wait_for(2).await[1].line.ends_with("/behind"));
    behind.end().await;
    beside.end().await;
}

#[tokio::test]
async fn a_reply_goes_before_what_nobody_waits_for_in_whatever_partition() {
    let bench = Bench::new().await;
    for n in 0..200 {
        bench.say("line", n, Said { urgent: false, ..Said::text("invited") }).await;
    }
    let running = bench.run("line", sms(20));
    running.wake_all("line");
    for n in 0..3 {
        let before = bench.vendor.wait_for(10 * n + 10).await.len();
        let owed = bench.say("line", 300 + n as u32, Said::text("reply")).await;
        let times = running.due.queue(&outbox("line")).expect("it works on it");
        times.note_urgent(owed.citizen.partition(), bench.clock.now());
        let position = until("the reply", async || {
            let seen = bench.vendor.seen();
            seen.iter().skip(before).position(|seen| seen.body.ends_with("reply"))
        });
        let position = position.await;
        // Claimed when it came, and reserved before that: 200 ms each, and one batch more for a store that is busy.
        assert!(position <= 12, "{position} others went first");
    }
    running.end().await;
}

#[tokio::test]
async fn a_receipt_that_came_first_is_joined_once_its_id_is_known() {
    let bench = Bench::new().await;
    let sending = bench.run("line", sms(100));
    let joining = bench.running([Queue::Join], join::run);
    let key = vendor_key("line", "ATXid_1");
    let now = bench.clock.now();
    let payload = JoinPayload {
        channel: line("line"),
        part: 0,
        state: Some(MtState::Delivered),
        said: "Success".into(),
        at: now,
        since: now,
    };
    let put = Put {
        queue: Queue::Join,
        id: Join::item_id(&key, Some(MtState::Delivered), 0),
        generation: Version(now.millis() << 16),
        due: now,
        dead: None,
        payload: payload.encode(),
        mt: None,
    };
    assert_eq!(bench.store.join(&Join { key, put }).await, Ok(Joined::Waits));
    let look = || joining.due.note(&Queue::Join, key.partition(), Timestamp(0));
    look();
    let tried = async || {
        let found = bench.store.find(
            &Queue::Join,
            key.partition(),
            &Join::item_id(&key, Some(MtState::Delivered), 0),
        );
        found.await.expect("an answer").filter(|found| found.attempts == 1 && found.due > now)
    };
    until("a look that finds nothing", tried).await;
    bench.vendor.next([Say::body("ATXid_1")]);
    let owed = bench.say("line", 1, Said::text("hello")).await;
    sending.wake("line", owed);
    bench.done("line", 1).await;
    look();
    until("the receipt", async || {
        let life = bench.life(owed).await;
        Some(()).filter(|()| life.parts.contains(&(0, MtState::Delivered)))
    })
    .await;
    let done = async || Some(bench.tally(&Queue::Join).await).filter(|tally| tally.done == 1);
    assert_eq!(until("the join's end", done).await.waiting, 0);
    sending.end().await;
    joining.end().await;
}
