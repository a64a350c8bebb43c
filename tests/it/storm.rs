//! Two gateways on one Redis, and everything dies again and again: a gateway or `redis-server` by signal 9, while a telco that
//! knows every message it was ever given talks to both. At `durability = "disk"` nothing is lost and nothing is doubled.
//!
//! Every citizen holds conversations: a keyword or an invitation begins one, a question arrives, a rating answers it, the last
//! words arrive. An MO is posted, with the id it has, to one gateway after the other until one takes it; receipts likewise.
//! A send that nobody can know of is in doubt for ten minutes; at the end both gateways start with their clocks moved on.

use crate::{
    redis_server::{Flavour, RedisServer},
    running::{Gateway, Home, http, until},
    telco::Telco,
};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Citizens who hold conversations at the same time.
const CITIZENS: usize = 60;
/// Kills in a short run, and in `tests/run --all`.
const KILLS: [usize; 2] = [20, 200];
/// How many conversations go by between two kills, if they can.
const BETWEEN_KILLS: u64 = 12;
/// How long at most the storm waits for them: most may wait for one that is down.
const BREATH: Duration = Duration::from_secs(2);
/// How long the calm after the storm may take.
const CALM: Duration = Duration::from_secs(180);
/// What left less than so long before a kill may not have been settled.
const IN_FLIGHT: Duration = Duration::from_millis(300);

/// The telco, and whom it calls.
struct World {
    telco: Arc<Telco>,
    doors: Mutex<[Option<SocketAddr>; 2]>,
    calm: AtomicBool,
}

impl World {
    /// Posts a receipt for every MT, in the order in which they came, each until somebody takes it.
    fn post_receipts(&self) {
        for next in 0.. {
            let mt = self.telco.wait_long_for(next + 1);
            let form = format!("id={}&status=Success&phoneNumber=%2B{}", mt.id, &mt.to[1..]);
            self.deliver("/in/at/dlr", &form);
        }
    }

    /// Posts a form to one gateway after the other until one has taken it.
    fn deliver(&self, path: &str, form: &str) {
        self.post(path, &[("Content-Type", "application/x-www-form-urlencoded")], form);
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) {
        for turn in 0.. {
            let door = self.doors.lock().expect("nobody panics with it")[turn % 2];
            let reply = door.and_then(|at| http(at, "POST", path, headers, body.as_bytes()).ok());
            match reply {
                Some(reply) if reply.status == 200 => return,
                Some(reply) => assert!(reply.status >= 500, "{path} {body}: {} {}", reply.status, reply.body),
                None => {}
            }
            thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Waits for a text to this number that holds `part`, behind the first `read` ones; how many are read then.
    fn wait_for(&self, number: &str, part: &str, read: usize) -> usize {
        let mut state = self.telco.state();
        loop {
            let texts = state.texts.get(number).map_or(&[][..], Vec::as_slice);
            if let Some(at) = texts.iter().skip(read).position(|text| text.contains(part)) {
                return read + at + 1;
            }
            state = self.telco.changed.wait(state).expect("nobody panics with it");
        }
    }
}

/// One citizen: conversations one after the other, until it is calm.
fn live(world: &World, who: usize) {
    let number = format!("+91943700{who:04}");
    let (mut message, mut read) = (0, 0);
    let mut write = |text: &str| {
        message += 1;
        let form = format!(
            "from=%2B{}&to=4545&text={text}&id=mo-{who}-{message}&date=2026-11-24T09%3A12%3A03Z",
            &number[1..]
        );
        world.deliver("/in/at/mo", &form);
    };
    for conversation in 0.. {
        if who.is_multiple_of(2) {
            write("MO");
        } else {
            let body = format!(
                "{{\"key\":\"v-{who}-{conversation}\",\"msisdn\":\"{number}\",\"flow\":\"hospital-visit\",\"channel\":\"at\"}}"
            );
            world.post("/v1/invitations", &[("Content-Type", "application/json")], &body);
        }
        read = world.wait_for(&number, "How were you treated", read);
        write("5");
        read = world.wait_for(&number, "reference number", read);
        world.telco.state().finished += 1;
        world.telco.changed.notify_all();
        if world.calm.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// The gateways and their Redis, which die and come back.
struct Storm {
    redis: RedisServer,
    homes: [Home; 2],
    gateways: [Option<Gateway>; 2],
    world: Arc<World>,
    /// MTs that may come twice, because they were in flight at a kill.
    may_repeat: usize,
}

impl Storm {
    fn start(&mut self, at: usize) {
        let gateway = self.homes[at].start();
        self.world.doors.lock().expect("nobody panics with it")[at] = Some(gateway.address);
        self.gateways[at] = Some(gateway);
    }

    fn kill(&mut self, at: usize) {
        self.world.doors.lock().expect("nobody panics with it")[at] = None;
        self.gateways[at] = None;
    }

    /// One blow: a gateway, the other, Redis, in turn.
    fn blow(&mut self, n: usize) {
        self.may_repeat += self.in_flight();
        match n % 3 {
            2 => {
                self.redis.kill();
                self.redis.restart();
            }
            at => {
                self.kill(at);
                self.start(at);
            }
        }
    }

    fn in_flight(&self) -> usize {
        let now = Instant::now();
        self.world
            .telco
            .state()
            .came
            .iter()
            .rev()
            .take_while(|mt| now.duration_since(mt.at) < IN_FLIGHT)
            .count()
    }

    /// Waits for conversations to go by, or for a breath.
    fn breathe(&self) {
        let end = Instant::now() + BREATH;
        let enough = self.world.telco.state().finished + BETWEEN_KILLS;
        let mut state = self.world.telco.state();
        while state.finished < enough {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.world.telco.changed.wait_timeout(state, left).expect("nobody panics with it").0;
        }
    }

    fn metrics(&self) -> String {
        self.gateways[0].as_ref().expect("it runs").get("/metrics").body
    }
}

#[test]
fn nothing_is_lost_and_nothing_is_doubled_in_a_storm() {
    let kills = KILLS[usize::from(std::env::var("MATAMAT_TESTS").is_ok_and(|tests| tests == "all"))];
    let (telco, address) = Telco::start();
    let world = Arc::new(World { telco, doors: Mutex::default(), calm: AtomicBool::new(false) });
    let posting = world.clone();
    thread::spawn(move || posting.post_receipts());
    let redis = RedisServer::with(Flavour::Disk);
    let shared = tempfile::tempdir().expect("a directory");
    let more = format!(
        "[store]\ndurability = 'disk'\n[[channel]]\nid = 'at'\nvendor = 'africastalking'\nbearer = 'sms'\n\
         language = 'en'\naddress = '4545'\nsend_url = 'http://{address}/send'\ntps = 2000\nauth = 'none'\n\
         secret = {{ username = 'u', api_key = 'k' }}\n\
         [[department]]\nid = 'ledger'\nkind = 'file'\npath = '{}/responses.ndjson'\n[[route]]\nto = 'ledger'\n",
        shared.path().display()
    );
    let homes = [Home::new(&redis.url(), &more), Home::new(&redis.url(), &more)];
    let mut storm = Storm { redis, homes, gateways: [None, None], world: world.clone(), may_repeat: 0 };
    // Both must have the same keys: the second gets the first's.
    storm.start(0);
    let keys = std::fs::read(storm.homes[0].path("data/keys")).expect("made");
    std::fs::create_dir_all(storm.homes[1].path("data")).expect("a folder");
    std::fs::write(storm.homes[1].path("data/keys"), keys).expect("written");
    storm.start(1);
    let citizens: Vec<_> = (0..CITIZENS)
        .map(|who| {
            let world = world.clone();
            thread::spawn(move || live(&world, who))
        })
        .collect();
    for n in 0..kills {
        storm.breathe();
        storm.blow(n);
    }
    world.calm.store(true, Ordering::SeqCst);
    calm_down(&mut storm, &citizens);
    citizens.into_iter().for_each(|citizen| citizen.join().expect("its conversations ended"));
    check(&storm, shared.path());
}

/// Starts both again and again with their clocks moved on, so that what is in doubt is looked at, until all have finished.
fn calm_down(storm: &mut Storm, citizens: &[thread::JoinHandle<()>]) {
    let end = Instant::now() + CALM;
    for minutes in (11..).step_by(11) {
        for at in 0..2 {
            let ended = storm.gateways[at].take().expect("it runs");
            storm.world.doors.lock().expect("nobody panics with it")[at] = None;
            ended.terminate();
        }
        for at in 0..2 {
            storm.homes[at].set("MATAMAT_SHIFT_CLOCK", &format!("{minutes}m"));
            storm.start(at);
        }
        let round = Instant::now() + Duration::from_secs(10);
        while Instant::now() < round {
            if citizens.iter().all(thread::JoinHandle::is_finished) {
                return;
            }
            thread::park_timeout(Duration::from_millis(50));
        }
        let open = citizens.iter().filter(|citizen| !citizen.is_finished()).count();
        assert!(Instant::now() < end, "{open} conversations are still open:\n{}", storm.metrics());
    }
}

fn check(storm: &Storm, shared: &std::path::Path) {
    let finished = storm.world.telco.state().finished as usize;
    let ids: BTreeSet<String> = until("every response is in the file", || {
        let text = std::fs::read_to_string(shared.join("responses.ndjson")).unwrap_or_default();
        let id = |line: &str| {
            serde_json::from_str::<serde_json::Value>(line).ok()?["id"].as_str().map(str::to_owned)
        };
        let ids: BTreeSet<String> = text.lines().filter_map(id).collect();
        (ids.len() >= finished).then_some(ids)
    });
    assert_eq!(ids.len(), finished, "completions, doubled 0 by id");
    let came = storm.world.telco.state().came.len();
    let repeated = came - 2 * finished;
    assert!(repeated <= storm.may_repeat, "{repeated} MTs came twice, {} were in flight", storm.may_repeat);
    let metrics = storm.metrics();
    for queue in ["outbox:at", "completion:ledger", "timer", "join"] {
        balances(&metrics, queue);
    }
    println!("{finished} conversations, {came} MTs, {repeated} repeated, {} in flight", storm.may_repeat);
}

/// P4, by what operators see.
fn balances(metrics: &str, queue: &str) {
    let sum = |name: &str| -> f64 {
        let here = |line: &&str| {
            line.starts_with(&format!("{name}{{")) && line.contains(&format!("queue=\"{queue}\""))
        };
        metrics.lines().filter(here).filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    let out = ["done_total", "suppressed_total", "dropped_total", "replaced_total", "waiting", "dead"];
    let out: f64 = out.iter().map(|part| sum(&format!("matamat_queue_{part}"))).sum();
    assert_eq!(sum("matamat_queue_in_total"), out, "{queue}:\n{metrics}");
    assert_eq!(sum("matamat_queue_dead"), 0.0, "{queue}");
}
