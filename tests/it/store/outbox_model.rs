//! Turns, claims, settles, receipts, STOPs and lapsed leases in any order, against a model of an outbox that fits a page.
//! Every answer is compared, and the life of every MT and all tallies after every act. See [`super::model`] for how the clock
//! is kept away from the moments that acts look at.

use super::{
    Bench, citizen, each_history, mt_of, outbox, outbox::both_timers, phone, put_mt, record, turn_of,
    with_queues,
};
use matamat::{
    domain::{
        delivery::Verdict,
        id::{CitizenId, MtId, Version},
        message::MtState,
        time::Timestamp,
    },
    store::{
        Claim, Commit, Committed, Item, LEASE, MtHeader, MtKind, Queue, QueueOp, Receipt, Received, Settle,
        Settled, Then, record::Record,
    },
};
use proptest::{prelude::*, test_runner::TestCaseError};
use std::{collections::BTreeMap, time::Duration};

/// How many histories are tried.
const CASES: u32 = 60;
/// The longest history.
const ACTS: usize = 30;
/// Seconds; due times are multiples of it, and the clock stands half of it beside them.
const TICK: i64 = 8;
/// How long an MT stays in doubt; no multiple of a tick, nor is a lease.
const DOUBT: Duration = Duration::from_secs(14);

/// One act of a history, before it is known what it will meet.
#[derive(Debug, Clone)]
enum Act {
    /// A turn of the citizen: says an MT, or says STOP or START, or asks something new.
    Says { kind: MtKind, urgent: bool, expires: i64, due: i64, then: Then },
    /// STOP, or START after it.
    Consent,
    /// A new question.
    Asks,
    /// Asks for work.
    Claim { token: u8 },
    /// Settles one of the items that were claimed so far.
    Settle { which: prop::sample::Index, how: u8, ticks: i64 },
    /// A receipt for one of the MTs that were said so far.
    Heard { which: prop::sample::Index, part: u8, state: Option<MtState> },
    /// Time goes by.
    Pass { ticks: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    let kind =
        prop::sample::select(vec![MtKind::Prompt, MtKind::Prompt, MtKind::Notice, MtKind::Confirmation]);
    let then = prop::sample::select(vec![
        Then::default(),
        both_timers(),
        Then { remind: None, ..both_timers() },
        Then { expire: None, ..both_timers() },
    ]);
    let state = prop::option::weighted(0.8, prop::sample::select(MtState::ALL.to_vec()));
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (kind, any::<bool>(), 1..12_i64, -2..3_i64, then)
            .prop_map(|(kind, urgent, expires, due, then)| Act::Says { kind, urgent, expires, due, then }),
        1 => Just(Act::Consent),
        1 => Just(Act::Asks),
        6 => (0..3_u8).prop_map(|token| Act::Claim { token }),
        5 => (index(), 0..6_u8, 0..3_i64).prop_map(|(which, how, ticks)| Act::Settle { which, how, ticks }),
        3 => (index(), 0..3_u8, state).prop_map(|(which, part, state)| Act::Heard { which, part, state }),
        3 => (1..6_u64).prop_map(|ticks| Act::Pass { ticks }),
    ]
}

pub async fn the_model_of_an_outbox_agrees(bench: &Bench) {
    each_history(prop::collection::vec(act(), 1..ACTS), CASES, |case, acts| check(bench, case, acts)).await;
}

/// Plays one history, and takes out what it leaves, so that the next begins with an empty outbox.
async fn check(bench: &Bench, case: u64, acts: Vec<Act>) -> Result<(), TestCaseError> {
    let mut model = Model::new(bench, case).await;
    let mut played = Ok(());
    for act in acts {
        played = model.play(&act).await.and(model.same_everywhere(&act).await);
        if played.is_err() {
            break;
        }
    }
    let all = model.said.iter().map(|mt| QueueOp::Cancel { queue: outbox(), id: mt.to_string() }).collect();
    let turn = Commit { record: None, ..turn_of(model.who, model.record.version.0, 0) };
    bench.commit(&with_queues(turn, all)).await;
    played
}

/// An MT in the outbox, as the model knows it.
#[derive(Debug, Clone)]
struct Known {
    header: MtHeader,
    said: Version,
    due: Timestamp,
    /// When it is next looked at: due, or the end of the lease.
    at: Timestamp,
    attempt: u32,
    unknowns: u8,
    token: Option<u8>,
    dead: bool,
}

/// What the two queues counted.
#[derive(Debug, Clone, Default, PartialEq)]
struct Seen {
    said: u64,
    done: u64,
    suppressed: BTreeMap<String, u64>,
    waiting: u64,
    dead: u64,
    timers: u64,
    timers_replaced: u64,
}

struct Model<'a> {
    bench: &'a Bench,
    who: CitizenId,
    start: Timestamp,
    now: i64,
    record: Record,
    said: Vec<MtId>,
    items: BTreeMap<MtId, Known>,
    lives: BTreeMap<MtId, BTreeMap<u8, MtState>>,
    timers: BTreeMap<&'static str, Version>,
    seen: Seen,
    before: Seen,
    claimed: Vec<Item>,
}

impl<'a> Model<'a> {
    async fn new(bench: &'a Bench, case: u64) -> Model<'a> {
        let mut who = citizen(1);
        who.0[1..9].copy_from_slice(&case.to_be_bytes());
        bench.commit(&turn_of(who, 0, 1)).await;
        let start = bench.now();
        bench.pass(TICK as u64 / 2);
        Model {
            bench,
            who,
            start,
            now: TICK / 2,
            record: record(1),
            said: Vec::new(),
            items: BTreeMap::new(),
            lives: BTreeMap::new(),
            timers: BTreeMap::new(),
            seen: Seen::default(),
            before: seen(bench).await,
            claimed: Vec::new(),
        }
    }

    /// As the store's clock shows it, give or take what a server's own went on.
    fn clock(&self) -> Timestamp {
        Timestamp(self.start.0 + self.now * 1_000)
    }

    /// A moment so many ticks from the last full tick.
    fn tick(&self, ticks: i64) -> Timestamp {
        Timestamp(self.start.0 + (self.now - TICK / 2 + ticks * TICK) * 1_000)
    }

    async fn play(&mut self, act: &Act) -> Result<(), TestCaseError> {
        match act {
            Act::Says { kind, urgent, expires, due, then } => {
                let header = MtHeader {
                    consent: self.record.consent,
                    kind: *kind,
                    urgent: *urgent,
                    expires: self.tick(*expires),
                    segments: 1,
                    then: *then,
                };
                self.says(header, self.tick(*due)).await
            }
            Act::Consent => self.turn(|record| record.consent += 1, vec![]).await,
            Act::Asks => self.turn(|record| record.asked = record.version, vec![]).await,
            Act::Claim { token } => self.claim(*token).await,
            Act::Settle { which, how, ticks } => self.settle(which, *how, *ticks).await,
            Act::Heard { which, part, state } => self.heard(which, *part, *state).await,
            Act::Pass { ticks } => {
                self.now += *ticks as i64 * TICK;
                self.bench.pass(ticks * TICK as u64);
                Ok(())
            }
        }
    }

    async fn turn(
        &mut self,
        change: impl FnOnce(&mut Record),
        queues: Vec<QueueOp>,
    ) -> Result<(), TestCaseError> {
        let expected = self.record.version.0;
        self.record.version = Version(expected + 1);
        change(&mut self.record);
        let turn = turn_of(self.who, expected, expected + 1);
        let turn = Commit { record: Some(self.record.clone()), ..turn };
        prop_assert_eq!(self.bench.commit(&with_queues(turn, queues)).await, Committed::Done);
        Ok(())
    }

    async fn says(&mut self, header: MtHeader, due: Timestamp) -> Result<(), TestCaseError> {
        let mt = mt_of(self.who, self.said.len() as u8);
        let said = Version(self.record.version.0 + 1);
        self.said.push(mt);
        self.seen.said += 1;
        let known = Known { header, said, due, at: due, attempt: 0, unknowns: 0, token: None, dead: false };
        self.items.insert(mt, known);
        self.turn(|_| (), vec![put_mt(mt, said.0, due, header)]).await
    }

    async fn claim(&mut self, token: u8) -> Result<(), TestCaseError> {
        let claim = Claim {
            queue: outbox(),
            partition: self.who.partition(),
            max: 100,
            token: [token + 1; 16],
            doubt: Some(DOUBT),
        };
        let expected = self.claims(token);
        let got = self.bench.store.claim(&claim).await.expect("a claim").items;
        let urgent: Vec<_> = got.iter().map(|item| item.mt.is_some_and(|mt| mt.urgent)).collect();
        prop_assert!(urgent.is_sorted_by(|a, b| a >= b), "replies first: {:?}", urgent);
        let mut seen: Vec<_> = got.iter().map(|i| (i.id.clone(), i.attempt, i.unknowns, i.mt)).collect();
        seen.sort_by(|a, b| a.0.cmp(&b.0));
        prop_assert_eq!(seen, expected);
        prop_assert!(got.iter().all(|item| item.record.as_ref() == Some(&self.record)));
        self.claimed.extend(got);
        Ok(())
    }

    /// What a claim must bring, sorted by id; changes the model as it must change the store.
    fn claims(&mut self, token: u8) -> Vec<(String, u32, u8, Option<MtHeader>)> {
        let now = self.clock();
        let holds = |known: &Known| known.token == Some(token) && known.at > now && !known.dead;
        if !self.items.values().any(holds) {
            let due: Vec<_> =
                self.items.iter().filter(|(_, k)| k.at <= now && !k.dead).map(|(mt, _)| *mt).collect();
            due.into_iter().for_each(|mt| self.takes(mt, token, now));
        }
        let held = self.items.iter().filter(|(_, known)| holds(known));
        held.map(|(mt, k)| (mt.to_string(), k.attempt, k.unknowns, Some(k.header))).collect()
    }

    /// What a claim does with one MT that is due.
    fn takes(&mut self, mt: MtId, token: u8, now: Timestamp) {
        let known = self.items.get_mut(&mt).expect("it was just listed");
        if known.token.take().is_some() {
            return doubt(known, now.plus(DOUBT));
        }
        let Record { consent, asked, .. } = self.record;
        let Known { header, said, .. } = *known;
        let silenced = consent % 2 == 1 && header.kind != MtKind::Confirmation;
        let reason = match () {
            () if header.consent != consent || silenced => "consent",
            () if header.expires <= now => "expired",
            () if header.kind == MtKind::Prompt && said < asked => "superseded",
            () => {
                (known.token, known.at) = (Some(token), now.plus(LEASE));
                known.attempt += 1;
                return;
            }
        };
        self.items.remove(&mt);
        *self.seen.suppressed.entry(reason.into()).or_default() += 1;
    }

    async fn settle(
        &mut self,
        which: &prop::sample::Index,
        how: u8,
        ticks: i64,
    ) -> Result<(), TestCaseError> {
        if self.claimed.is_empty() {
            return Ok(());
        }
        let item = which.get(&self.claimed).clone();
        let due = self.tick(ticks);
        let verdict = match how {
            0 => Verdict::Accepted,
            1 => Verdict::Again(due),
            2 => Verdict::Unknown(due),
            3 => Verdict::Dead("refused".into()),
            4 => Verdict::Suppressed("quiet"),
            _ => Verdict::Later(due),
        };
        let settle = Settle {
            queue: outbox(),
            partition: self.who.partition(),
            id: item.id.clone(),
            generation: item.generation,
            attempt: item.attempt,
            verdict,
            sent: super::line("said"),
        };
        let expected = self.settled(&settle);
        prop_assert_eq!(self.bench.other.settle(&settle).await, Ok(expected), "{:?}", settle);
        Ok(())
    }

    fn settled(&mut self, settle: &Settle) -> Settled {
        let mt = MtId::parse(&settle.id).expect("an MT's id");
        if settle.verdict == Verdict::Accepted {
            self.raise(mt, 0, MtState::Accepted);
            return if self.ends(mt) { Settled::Done } else { Settled::Stale };
        }
        let now = self.clock();
        let ours = |k: &&mut Known| k.token.is_some() && k.at > now && k.attempt == settle.attempt && !k.dead;
        let Some(known) = self.items.get_mut(&mt).filter(ours) else { return Settled::Stale };
        known.token = None;
        self.lives.entry(mt).or_default();
        match &settle.verdict {
            Verdict::Accepted => unreachable!("it is above"),
            Verdict::Unknown(due) => doubt(known, *due),
            Verdict::Again(due) => (known.unknowns, known.due, known.at) = (0, *due, *due),
            Verdict::Later(due) => (known.attempt, known.due, known.at) = (known.attempt - 1, *due, *due),
            Verdict::Dead(_) => known.dead = true,
            Verdict::Suppressed(reason) => {
                self.items.remove(&mt);
                *self.seen.suppressed.entry((*reason).into()).or_default() += 1;
            }
        }
        Settled::Done
    }

    async fn heard(
        &mut self,
        which: &prop::sample::Index,
        part: u8,
        state: Option<MtState>,
    ) -> Result<(), TestCaseError> {
        if self.said.is_empty() {
            return Ok(());
        }
        let mt = *which.get(&self.said);
        let receipt = Receipt { mt, channel: phone(), part, state, said: "word".into(), at: self.start };
        self.lives.entry(mt).or_default();
        let moved = state.is_some_and(|state| self.raise(mt, part, state) | self.ends(mt));
        let expected = if moved { Received::Moved } else { Received::Known };
        prop_assert_eq!(self.bench.store.receipt(&receipt).await, Ok(expected), "{:?}", receipt);
        Ok(())
    }

    /// Whether a part's state is news.
    fn raise(&mut self, mt: MtId, part: u8, state: MtState) -> bool {
        let parts = self.lives.entry(mt).or_default();
        let before = parts.get(&part).copied();
        parts.insert(part, before.map_or(state, |before| before.max(state)));
        before.is_none_or(|before| before < state)
    }

    /// A vendor has this MT. Whether it was still there, wherever it lay.
    fn ends(&mut self, mt: MtId) -> bool {
        let Some(known) = self.items.remove(&mt) else { return false };
        self.seen.done += 1;
        let Then { remind, expire, .. } = known.header.then;
        let kinds = [("remind", remind.is_some()), ("expiry", expire.is_some())];
        for (kind, _) in kinds.into_iter().filter(|(_, starts)| *starts) {
            self.seen.timers += 1;
            let there = self.timers.entry(kind).or_default();
            self.seen.timers_replaced += u64::from(*there != Version::default());
            *there = known.said.max(*there);
        }
        true
    }

    async fn same_everywhere(&mut self, act: &Act) -> Result<(), TestCaseError> {
        for mt in &self.said {
            let life = self.bench.other.life(mt).await.expect("an answer");
            let parts = life.map(|life| life.parts.into_iter().collect::<BTreeMap<_, _>>());
            prop_assert_eq!(parts.as_ref(), self.lives.get(mt), "{} after {:?}", mt, act);
        }
        let Seen { said, done, suppressed, timers, timers_replaced, .. } = self.seen.clone();
        let expected = Seen {
            said: self.before.said + said,
            done: self.before.done + done,
            suppressed: sum(&self.before.suppressed, &suppressed),
            waiting: self.items.values().filter(|known| !known.dead).count() as u64,
            dead: self.items.values().filter(|known| known.dead).count() as u64,
            timers: self.before.timers + timers,
            timers_replaced: self.before.timers_replaced + timers_replaced,
        };
        prop_assert_eq!(seen(self.bench).await, expected, "after {:?}", act);
        Ok(())
    }
}

/// An attempt whose end nobody knows: until `due`, or for a person to look at.
fn doubt(known: &mut Known, due: Timestamp) {
    known.token = None;
    if known.unknowns == 1 {
        (known.dead, known.unknowns) = (true, 0);
    } else {
        (known.unknowns, known.due, known.at) = (1, due, due);
    }
}

fn sum(a: &BTreeMap<String, u64>, b: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut sum = a.clone();
    b.iter().for_each(|(reason, n)| *sum.entry(reason.clone()).or_default() += n);
    sum
}

async fn seen(bench: &Bench) -> Seen {
    let (outbox, timers) = (bench.tally(&outbox()).await, bench.tally(&Queue::Timer).await);
    assert!(outbox.balances() && timers.balances(), "{outbox:?} {timers:?}");
    Seen {
        said: outbox.put,
        done: outbox.done,
        suppressed: outbox.suppressed.into_iter().collect(),
        waiting: outbox.waiting,
        dead: outbox.dead,
        timers: timers.put,
        timers_replaced: timers.replaced,
    }
}
