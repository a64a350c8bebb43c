//! The sender against a pretend vendor in this process: what it adds to a reply on an idle gateway, and how well it keeps a
//! TPS, alone and beside a second sender on the same store. Prints one line for each; every figure is from the vendor's
//! stamps.
//!
//! ```text
//! cargo bench --bench sender                         an embedded store, in a folder of the target directory
//! REDIS=redis://127.0.0.1:6379 cargo bench --bench sender     that server (it is emptied of nothing: take a fresh one)
//! TPS=200 SECONDS=20 REPLIES=500 cargo bench --bench sender
//! ```

use futures_util::{StreamExt, stream};
use matamat::{
    channel::{Answer, Callback, Channel, Refusal, Request, Sent, TurnOutcome},
    domain::{
        delivery::RetrySchedule,
        id::{ChannelId, EventId, Partition, Version},
        keys::Keys,
        lang::Lang,
        message::{ChannelFacts, Coding, Inbound, Mt, Screen, SmsFacts},
        msisdn::Msisdn,
        time::{Clock, Timestamp},
        wire::{HttpRequest, HttpResponse},
    },
    link::http::Http,
    store::{
        Commit, Committed, Durability, MtHeader, MtKind, Put, Queue, QueueOp, Store, Then,
        due::Due,
        embedded::Embedded,
        payload::OwedMt,
        record::Record,
        redis::{Redis, Target},
    },
    work::{Desk, sender::Sender},
};
use std::{
    env,
    future::Future,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// How long the vendor takes to answer.
const VENDOR: Duration = Duration::from_millis(30);
/// Commits under way while an outbox is filled.
const FILL: usize = 128;
/// The first part of a run is not counted: connections are made in it.
const SETTLING: Duration = Duration::from_secs(1);

/// A vendor that takes everything after a while, on a thread of its own, and keeps when each request began.
struct Vendor {
    url: String,
    seen: watch::Receiver<Vec<Instant>>,
}

impl Vendor {
    fn start(takes: Duration) -> Vendor {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let url = format!("http://{}/send", listener.local_addr().expect("bound"));
        let (stamp, seen) = watch::channel(Vec::new());
        thread::spawn(move || {
            run(async move {
                let listener = TcpListener::from_std(listener).expect("a socket");
                let stamp = Arc::new(stamp);
                while let Ok((connection, _)) = listener.accept().await {
                    tokio::spawn(take(connection, takes, stamp.clone()));
                }
            })
        });
        Vendor { url, seen }
    }

    async fn wait_for(&mut self, number: usize) -> Vec<Instant> {
        self.seen.wait_for(|seen| seen.len() >= number).await.expect("the vendor runs").clone()
    }
}

/// Requests of this program come whole, in one read.
async fn take(mut connection: TcpStream, takes: Duration, stamp: Arc<watch::Sender<Vec<Instant>>>) {
    connection.set_nodelay(true).expect("a socket");
    let mut block = [0; 4096];
    while connection.read(&mut block).await.is_ok_and(|read| read > 0) {
        let at = Instant::now();
        stamp.send_modify(|seen| seen.push(at));
        tokio::time::sleep(takes).await;
        let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    }
}

fn run<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(what)
}

struct Line(String);

impl Channel for Line {
    fn decode(&self, _: &Callback) -> Result<Vec<Inbound>, Refusal> {
        Err(Refusal::NoSuchDoor("it only sends".into()))
    }

    fn answer(&self, _: &Callback, _: &TurnOutcome) -> Answer {
        Answer { status: 404, content_type: String::new(), headers: Vec::new(), body: String::new() }
    }

    fn encode(&self, mt: &Mt, _: Timestamp) -> Result<Request, String> {
        let (url, body) = (self.0.clone(), format!("{} {}", mt.id, mt.text).into_bytes());
        let timeout = Duration::from_secs(10);
        Ok(Request::Http(HttpRequest { method: "POST".into(), url, headers: Vec::new(), body, timeout }))
    }

    fn read(&self, _: &HttpResponse) -> Sent {
        Sent::Accepted(None)
    }
}

/// One process, as far as a sender can tell.
struct Gateway {
    store: Arc<dyn Store>,
    due: Arc<Due>,
    keys: Arc<Keys>,
    queue: Queue,
}

fn number(name: &str, default: u32) -> u32 {
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// A store of the kind asked for; two gateways on the embedded one share it.
async fn store(folder: &Path) -> Arc<dyn Store> {
    let clock = Clock::System { shift_ms: 0 };
    match env::var("REDIS") {
        Ok(url) => {
            let target = Target::parse(&url).expect("a URL");
            Arc::new(Redis::connect(&target, Durability::Process, clock).await.expect("a store"))
        }
        Err(_) => Arc::new(Embedded::open(&folder.join("matamat.db"), clock).expect("a store")),
    }
}

fn facts(channel: &ChannelId, tps: u32) -> ChannelFacts {
    let sms = SmsFacts {
        tps,
        quiet: None,
        retry: RetrySchedule(vec![Duration::from_secs(5)]),
        echoes: true,
        segments_max: 8,
    };
    ChannelFacts {
        id: channel.clone(),
        address: "4545".into(),
        flows: Vec::new(),
        sms: Some(sms),
        sms_via: None,
        deadline: Duration::from_secs(5),
        screen: Screen::default(),
        language: None,
        country: "IN".into(),
        session_limit: Duration::from_secs(180),
    }
}

impl Gateway {
    /// A gateway whose sender runs on a thread of its own, as in `serve`, until the process ends.
    fn start(store: Arc<dyn Store>, channel: &ChannelId, tps: u32, url: &str) -> Gateway {
        let queue = Queue::Outbox(channel.clone());
        let due = Arc::new(Due::of([queue.clone()]));
        let keys = Arc::new(Keys::new(&[7; 32], (1, [8; 32]), None));
        let codec = Arc::new(Line(url.into()));
        let facts = Arc::new(facts(channel, tps));
        let sender = Sender::new(facts, codec, keys.clone(), Http::new(), chrono_tz::UTC).expect("it sends");
        let (to_store, to_due) = (store.clone(), due.clone());
        thread::spawn(move || {
            let (_running, stop) = watch::channel(false);
            let clock = Clock::System { shift_ms: 0 };
            run(sender.run(Desk { store: to_store, due: to_due, clock, stop, spool: None }));
        });
        Gateway { store, due, keys, queue }
    }

    /// The turn of a citizen of its own that says a text; noted as the turn would.
    async fn say(&self, n: u32, urgent: bool, noted: bool) {
        let number = Msisdn::parse(&format!("+91987{n:07}"), "IN").expect("a number");
        let citizen = self.keys.citizen(&number);
        let now = Clock::System { shift_ms: 0 }.now();
        let generation = Version::default().next(now.millis(), n as u16);
        let mut record = Record::fresh(self.keys.seal(&citizen, &number));
        record.version = generation;
        let text = format!("{n} thank you");
        let put = Put {
            queue: self.queue.clone(),
            id: self.keys.mt(&citizen, generation).to_string(),
            generation,
            due: now,
            dead: None,
            payload: OwedMt { text, coding: Coding::Gsm7, language: Lang::EN, template: None }.encode(),
            mt: Some(MtHeader {
                consent: 0,
                kind: MtKind::Notice,
                urgent,
                expires: now.plus(Duration::from_secs(86_400)),
                segments: 1,
                then: Then::default(),
            }),
        };
        let mut event = [0; 16];
        getrandom::fill(&mut event).expect("randomness");
        let commit = Commit {
            citizen,
            event: Some(EventId(event)),
            expected: Version::default(),
            record: Some(record),
            dialogue: None,
            mark: Some(Duration::from_secs(3_600)),
            timer: None,
            queues: vec![QueueOp::Put(put.clone())],
        };
        assert_eq!(self.store.commit(&commit).await, Ok(Committed::Done));
        if noted {
            self.due.note_put(&put, citizen.partition());
        }
    }

    fn wake(&self) {
        Partition::all().for_each(|partition| self.due.note(&self.queue, partition, Timestamp(0)));
    }
}

/// Replies one at a time on an idle gateway: from the commit's answer to the request at the vendor.
async fn replies(store: Arc<dyn Store>, channel: ChannelId, number: u32) {
    let mut vendor = Vendor::start(Duration::ZERO);
    let gateway = Gateway::start(store, &channel, 1_000, &vendor.url);
    let mut delays = Vec::new();
    for n in 0..number {
        gateway.say(n, true, true).await;
        let committed = Instant::now();
        let seen = vendor.wait_for(n as usize + 1).await;
        delays.push(seen[n as usize].saturating_duration_since(committed));
    }
    let first = delays[0];
    delays.sort();
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
    let (p50, p99, most) = (at(0.5), at(0.99), at(1.0));
    println!(
        "reply, idle: {number} of them: p50 {p50:.1?} p99 {p99:.1?} most {most:.1?}, the first {first:.1?}"
    );
}

/// A full outbox, and the vendor's stamps.
async fn tps(store: Arc<dyn Store>, channel: ChannelId, from: u32, senders: usize, tps: u32, seconds: u32) {
    let mut vendor = Vendor::start(VENDOR);
    let start = |_| Gateway::start(store.clone(), &channel, tps, &vendor.url);
    let gateways: Vec<Gateway> = (0..senders).map(start).collect();
    let number = tps * seconds;
    let fill = stream::iter(0..number).for_each_concurrent(FILL, |n| gateways[0].say(from + n, false, false));
    fill.await;
    gateways.iter().for_each(Gateway::wake);
    let seen = vendor.wait_for(number as usize).await;
    report(&seen, senders, tps);
}

fn report(seen: &[Instant], senders: usize, tps: u32) {
    let mut at: Vec<Duration> = seen.iter().map(|at| at.duration_since(seen[0])).collect();
    at.sort();
    at.retain(|at| *at >= SETTLING);
    let most = |window: Duration| {
        let ends = at.iter().map(|start| at.partition_point(|other| *other < *start + window));
        ends.enumerate().map(|(start, end)| end - start).max().unwrap_or(0)
    };
    let span = at[at.len() - 1] - at[0];
    let rate = (at.len() - 1) as f64 / span.as_secs_f64();
    let ten =
        tens(&at).iter().map(|n| format!("{:+.2}%", (n / f64::from(tps) - 1.0) * 100.0)).collect::<Vec<_>>();
    println!(
        "{senders} sender(s), {tps} TPS: {rate:.1}/s over {span:.1?}; most in a second {} (limit {:.0}); every ten seconds {}",
        most(Duration::from_secs(1)),
        f64::from(tps) * 1.2 + 1.0,
        ten.join(" "),
    );
}

/// The rate of each whole ten seconds.
fn tens(at: &[Duration]) -> Vec<f64> {
    let ten = Duration::from_secs(10);
    let whole = (at[at.len() - 1] - at[0]).as_secs() / 10;
    let within = |n: u32| {
        let (from, to) = (at[0] + ten * n, at[0] + ten * (n + 1));
        (at.partition_point(|at| *at < to) - at.partition_point(|at| *at < from)) as f64 / 10.0
    };
    (0..whole as u32).map(within).collect()
}

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let (rate, seconds, count) = (number("TPS", 1_000), number("SECONDS", 22), number("REPLIES", 300));
    run(async {
        let store = store(folder.path()).await;
        let channel = |name: &str| ChannelId::parse(name).expect("an id");
        replies(store.clone(), channel("idle"), count).await;
        let first = 1_000_000;
        tps(store.clone(), channel("alone"), first, 1, rate, seconds).await;
        tps(store.clone(), channel("beside"), first + rate * seconds, 2, rate, seconds).await;
    });
    // The senders' threads wait for work for ever.
    std::process::exit(0);
}
