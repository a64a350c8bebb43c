//! One sample: many citizens against one target, for a while.

use super::{
    Kind, Target,
    http::Connection,
    machine::{self, Cpu},
};
use std::{
    cell::{Cell, RefCell},
    fmt::Write as _,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, mpsc};

/// How long, after the end of a sample, what is under way may take before it counts as an error.
const GRACE: Duration = Duration::from_secs(1);
/// How many due turns may wait for a free connection; more are errors.
const MAX_BEHIND: usize = 100_000;

/// What is played.
pub struct Script {
    /// What is posted.
    pub kind: Kind,
    /// The code that is dialled.
    pub code: String,
    /// What is typed in each turn.
    pub turns: Vec<String>,
    /// How each answer begins.
    pub expect: Vec<String>,
    /// After so many turns a citizen gives up.
    pub give_up_after: usize,
    /// How many citizens there are.
    pub citizens: usize,
    /// The last six digits of the first one's number.
    pub first_citizen: u64,
    /// Vendor sessions are counted from here.
    pub first_session: u64,
}

/// Against whom, how hard, how long.
pub struct Plan {
    pub target: Target,
    pub connections: usize,
    pub warm_up: Duration,
    pub length: Duration,
    pub rate: Option<f64>,
    pub dialogues: Option<usize>,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Sample {
    pub seconds: f64,
    pub dialogues: u64,
    pub wrong: u64,
    pub errors: u64,
    /// The beginning of the last wrong answer, for whoever must find out why.
    pub last_wrong: Option<String>,
    pub cpu: Cpu,
    pub rss_kb: u64,
    pub calibration_ms: f64,
    pub steal_percent: f64,
    /// In microseconds, in any order until the sample is over, then sorted.
    latencies: Vec<u32>,
}

impl Sample {
    pub fn turns(&self) -> usize {
        self.latencies.len()
    }

    pub fn turns_per_second(&self) -> f64 {
        self.turns() as f64 / self.seconds
    }

    /// The latency that this part of all turns did not exceed, in microseconds.
    pub fn quantile(&self, part: f64) -> u32 {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((part * last as f64).round() as usize).copied().unwrap_or(0)
    }

    pub fn per_thousand(&self, cpu_seconds: f64) -> f64 {
        cpu_seconds * 1_000.0 / self.turns().max(1) as f64
    }
}

/// What all citizens of a sample share; one thread, so plain cells do.
struct Stage {
    script: Script,
    plan: Plan,
    due: Option<Mutex<mpsc::Receiver<Instant>>>,
    over: Cell<bool>,
    counting: Cell<bool>,
    begun: Cell<u64>,
    seen: RefCell<Sample>,
}

/// Plays one sample.
pub async fn sample(script: Script, plan: Plan) -> Sample {
    let calibration_ms = machine::calibrate();
    let end = Instant::now() + plan.warm_up + plan.length;
    let due = plan.rate.map(|rate| Mutex::new(metronome(rate, end)));
    let stage = Rc::new(Stage {
        script,
        plan,
        due,
        over: Cell::new(false),
        counting: Cell::new(false),
        begun: Cell::new(0),
        seen: RefCell::default(),
    });
    let local = tokio::task::LocalSet::new();
    local.run_until(perform(Rc::clone(&stage))).await;
    drop(local);
    let mut sample = stage.seen.take();
    sample.latencies.sort_unstable();
    sample.calibration_ms = calibration_ms;
    sample
}

async fn perform(stage: Rc<Stage>) {
    let Plan { target, connections, warm_up, length, dialogues, .. } = &stage.plan;
    let citizens: Vec<_> =
        (0..*connections).map(|n| tokio::task::spawn_local(citizen(Rc::clone(&stage), n))).collect();
    if dialogues.is_none() {
        tokio::time::sleep(*warm_up).await;
    }
    let cpu = Cpu::now(target.pid, target.redis);
    let (ticks, stolen) = machine::ticks();
    let began = Instant::now();
    stage.counting.set(true);
    if dialogues.is_none() {
        tokio::time::sleep(*length).await;
        stage.counting.set(false);
        stage.over.set(true);
    }
    let seconds = began.elapsed().as_secs_f64();
    let spent = Cpu::now(target.pid, target.redis).since(cpu);
    let (ticks_then, stolen_then) = machine::ticks();
    let unanswered = gather(citizens, dialogues.map_or(GRACE, |_| Duration::from_secs(3600))).await;
    let mut seen = stage.seen.borrow_mut();
    seen.seconds = if dialogues.is_some() { began.elapsed().as_secs_f64() } else { seconds };
    seen.cpu = spent;
    seen.rss_kb = machine::rss_kb(target.pid);
    seen.steal_percent = 100.0 * (stolen_then - stolen) / (ticks_then - ticks).max(1.0);
    seen.errors += unanswered;
}

/// Waits for what is under way; how many did not come back in time.
async fn gather(citizens: Vec<tokio::task::JoinHandle<()>>, grace: Duration) -> u64 {
    let end = tokio::time::Instant::now() + grace;
    let mut late = 0;
    for mut one in citizens {
        if tokio::time::timeout_at(end, &mut one).await.is_err() {
            one.abort();
            late += 1;
        }
    }
    late
}

/// One connection: citizens who dial one after the other, until the sample is over.
async fn citizen(stage: Rc<Stage>, index: usize) {
    let Target { address, path, .. } = &stage.plan.target;
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64 ^ ((index as u64 + 1) << 32);
    let mut connection = None;
    for dial in 0.. {
        let Some(ticket) = stage.begin() else { return };
        if connection.is_none() {
            connection = Connection::open(*address, path).await.ok();
        }
        let Some(open) = &mut connection else {
            stage.seen.borrow_mut().errors += 1;
            return;
        };
        let who = Caller {
            session: stage.script.first_session.wrapping_add(ticket << 8),
            number: stage.number(index, dial),
        };
        if dialogue(&stage, open, who, &mut dice).await.is_err() {
            connection = None;
        }
    }
}

/// The connection is no good any more.
struct Broken;

/// One dialogue: its vendor session, and who dials.
struct Caller {
    session: u64,
    number: u64,
}

async fn dialogue(
    stage: &Stage,
    connection: &mut Connection,
    who: Caller,
    dice: &mut u64,
) -> Result<(), Broken> {
    let Script { turns, expect, give_up_after, .. } = &stage.script;
    let mut form = String::new();
    for (turn, (typed, beginning)) in turns.iter().zip(expect).enumerate().take(*give_up_after) {
        next_form(&stage.script, &who, turn, &mut form);
        if turn > 0 || stage.script.kind != Kind::Ussd {
            draw(typed, dice, &mut form);
        }
        let Some(began) = stage.next_turn(turn == 0).await else { return Ok(()) };
        let answer = connection.post(&form).await;
        let latency = began.elapsed();
        let good = match &answer {
            Ok(a) if a.status == 200 && connection.body(*a).starts_with(beginning.as_bytes()) => Ok(true),
            Ok(a) => {
                let text = String::from_utf8_lossy(connection.body(*a)).chars().take(120).collect::<String>();
                stage.seen.borrow_mut().last_wrong = Some(format!("turn {turn}: {} {text}", a.status));
                Ok(false)
            }
            Err(_) => Err(Broken),
        };
        if !stage.saw(latency, &good) {
            return good.map(|_| ());
        }
    }
    if stage.counting.get() {
        stage.seen.borrow_mut().dialogues += 1;
    }
    Ok(())
}

/// The form of a turn, up to what is typed now: a USSD step has everything typed before it, an MO stands by itself.
fn next_form(script: &Script, who: &Caller, turn: usize, form: &mut String) {
    let Caller { session, number } = who;
    let written = match (script.kind, turn) {
        (Kind::Ussd, 0) => write!(
            form,
            "sessionId=ATUid_{session:016x}&phoneNumber=%2B{number}&serviceCode={}&networkCode=62120&text=",
            escaped(&script.code)
        ),
        (Kind::Ussd, 1) => Ok(()),
        (Kind::Ussd, _) => write!(form, "%2A"),
        (Kind::Dlr, _) => {
            form.clear();
            write!(form, "id=ATXid_{}&status=Success&phoneNumber=%2B{number}&retryCount=", session >> 8)
        }
        (Kind::Mo, _) => {
            form.clear();
            write!(form, "from=%2B{number}&to=4545&id=ATMo_{session:016x}_{turn}&date=2026-11-24T09%3A12%3A03Z&text=")
        }
    };
    written.expect("a String takes all");
}

impl Stage {
    /// A ticket for one more dialogue, if there is to be one.
    fn begin(&self) -> Option<u64> {
        let ticket = self.begun.get();
        let enough = self.plan.dialogues.is_some_and(|all| ticket >= all as u64);
        if self.over.get() || enough {
            return None;
        }
        self.begun.set(ticket + 1);
        Some(ticket)
    }

    /// The number of a connection's n-th citizen: no two connections ever share one.
    fn number(&self, connection: usize, dial: usize) -> u64 {
        let each = (self.script.citizens / self.plan.connections).max(1);
        919_437_000_000
            + self.script.first_citizen
            + (connection + self.plan.connections * (dial % each)) as u64
    }

    /// When the next turn began: now, or when it was due. `None` when there is to be no more. A dialogue that has begun
    /// is played to its end, also when the sample is over: a citizen who stopped half-way would resume there next time.
    async fn next_turn(&self, first: bool) -> Option<Instant> {
        let due = match &self.due {
            Some(due) if !self.over.get() => due.lock().await.recv().await,
            _ => None,
        };
        match due {
            Some(due) => Some(due),
            None if first && (self.over.get() || self.due.is_some()) => None,
            None => Some(Instant::now()),
        }
    }

    /// Counts a turn; whether the dialogue goes on.
    fn saw(&self, latency: Duration, good: &Result<bool, Broken>) -> bool {
        let counting = self.counting.get();
        let mut seen = self.seen.borrow_mut();
        match good {
            Ok(true) if counting => seen.latencies.push(latency.as_micros().min(u128::from(u32::MAX)) as u32),
            Ok(true) => {}
            Ok(false) => seen.wrong += 1,
            Err(Broken) => seen.errors += 1,
        }
        matches!(good, Ok(true))
    }
}

/// Turns that fall due at a steady rate, from a thread of its own: a runtime's timer is a millisecond coarse.
fn metronome(rate: f64, end: Instant) -> mpsc::Receiver<Instant> {
    let (due, turns) = mpsc::channel(MAX_BEHIND);
    std::thread::spawn(move || {
        let began = Instant::now();
        for n in 0_u64.. {
            let next = began + Duration::from_secs_f64(n as f64 / rate);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            if next > end || due.try_send(next).is_err() {
                return;
            }
        }
    });
    turns
}

/// A text as it is, or one number of a range `a-b`.
fn draw(typed: &str, dice: &mut u64, form: &mut String) {
    *dice ^= *dice << 13;
    *dice ^= *dice >> 7;
    *dice ^= *dice << 17;
    let range =
        typed.split_once('-').and_then(|(a, b)| Some((a.parse::<u64>().ok()?, b.parse::<u64>().ok()?)));
    match range {
        Some((low, high)) => write!(form, "{}", low + *dice % (high - low + 1)).expect("a String takes all"),
        None => form.push_str(&escaped(typed)),
    }
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut form, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => form.push(byte.into()),
            _ => write!(form, "%{byte:02X}").expect("a String takes all"),
        }
        form
    })
}
