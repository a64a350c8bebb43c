//! Acts in any order, from two gateways that know only what they were told, against a model that fits a page. Every
//! answer is compared, and every tally after every act.
//!
//! Due times are multiples of [`TICK`] from the start, the clock stands half a tick beside them, and a lease is no
//! multiple of a tick: so no act looks at a moment that a server's own clock could be on either side of.

use super::{
    Bench, citizen, dialogue_of, each_history, ledger, only_queues, put, record, timers_turn, turn_of,
    with_queues, with_step,
};
use matamat::{
    domain::{
        delivery::Verdict,
        id::{CitizenId, EventId, Partition, Version},
        time::Timestamp,
    },
    store::{
        Claim, Claimed, Commit, Committed, Item, LEASE, Queue, QueueOp, Settle, Settled, Tally,
        record::{Dialogue, KEPT_STEPS},
    },
};
use proptest::{prelude::*, test_runner::TestCaseError};
use std::{collections::BTreeMap, time::Duration};

/// How many histories are tried.
const CASES: u32 = 40;
/// The longest history.
const ACTS: usize = 30;
/// Seconds; see above.
const TICK: i64 = 8;
/// How far two readings of a server's clock may lie apart.
const NEAR: Duration = Duration::from_millis(1_500);
/// The ids that items have.
const IDS: [&str; 2] = ["a", "b"];

/// One act of a history, before it is known what it will meet.
#[derive(Debug, Clone)]
enum Act {
    /// A turn of one of two citizens: with or without an event, on the right version or a wrong one.
    Turn { who: u8, event: Option<u8>, stale: bool, ops: Vec<Op> },
    /// The turn of a timer.
    TimersTurn { who: u8, id: usize, generation: u64, stale: bool, writes: bool },
    /// Asks for work.
    Claim { who: u8, timer: bool, token: u8 },
    /// Settles one of the items that were claimed so far.
    Settle { which: prop::sample::Index, how: u8, ticks: i64 },
    /// Time goes by.
    Pass { ticks: u64 },
}

#[derive(Debug, Clone)]
enum Op {
    Put { timer: bool, id: usize, generation: u64, ticks: i64, dead: bool },
    Cancel { timer: bool, id: usize },
}

fn op() -> impl Strategy<Value = Op> {
    let put = (any::<bool>(), 0..2_usize, 1..4_u64, -3..4_i64, prop::bool::weighted(0.1));
    prop_oneof![
        4 => put.prop_map(|(timer, id, generation, ticks, dead)| Op::Put { timer, id, generation, ticks, dead }),
        1 => (any::<bool>(), 0..2_usize).prop_map(|(timer, id)| Op::Cancel { timer, id }),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let ops = prop::collection::vec(op(), 0..3);
    let stale = || prop::bool::weighted(0.2);
    prop_oneof![
        4 => (0..2_u8, prop::option::of(1..5_u8), stale(), ops)
            .prop_map(|(who, event, stale, ops)| Act::Turn { who, event, stale, ops }),
        2 => (0..2_u8, 0..2_usize, 1..4_u64, stale(), any::<bool>()).prop_map(
            |(who, id, generation, stale, writes)| Act::TimersTurn { who, id, generation, stale, writes }),
        4 => (0..2_u8, any::<bool>(), 0..3_u8).prop_map(|(who, timer, token)| Act::Claim { who, timer, token }),
        4 => (any::<prop::sample::Index>(), 0..6_u8, 0..4_i64)
            .prop_map(|(which, how, ticks)| Act::Settle { which, how, ticks }),
        2 => (1..5_u64).prop_map(|ticks| Act::Pass { ticks }),
    ]
}

pub async fn the_model_agrees(bench: &Bench) {
    each_history(prop::collection::vec(act(), 1..ACTS), CASES, |case, acts| check(bench, case, acts)).await;
}

/// Plays one history, and takes out what it leaves, so that the next begins with empty queues.
async fn check(bench: &Bench, case: u64, acts: Vec<Act>) -> Result<(), TestCaseError> {
    let mut model = Model::new(bench, case).await;
    let mut played = Ok(());
    for act in acts {
        played = model.play(&act).await.and(model.same_tallies(&act).await);
        if played.is_err() {
            break;
        }
    }
    for who in model.citizens {
        let found = bench.load(who, None).await.record.map_or(Version(0), |r| r.version);
        let cancel = |queue: Queue, id: &str| QueueOp::Cancel { queue, id: id.into() };
        let all = IDS.iter().flat_map(|id| [cancel(Queue::Timer, id), cancel(ledger(), id)]).collect();
        bench.commit(&Commit { expected: found, ..only_queues(who, all) }).await;
    }
    played
}

/// An item as the model knows it.
#[derive(Debug, Clone)]
struct Known {
    item: Item,
    /// When it is next looked at: due, or the end of the lease.
    at: Timestamp,
    token: Option<u8>,
    dead: bool,
}

type Place = (Queue, Partition, String);

struct Model<'a> {
    bench: &'a Bench,
    citizens: [CitizenId; 2],
    start: Timestamp,
    now: i64,
    acts: u64,
    versions: BTreeMap<CitizenId, u64>,
    dialogues: BTreeMap<CitizenId, Dialogue>,
    items: BTreeMap<Place, Known>,
    counts: BTreeMap<Queue, Tally>,
    before: BTreeMap<Queue, Tally>,
    claimed: Vec<(Queue, Item)>,
}

impl<'a> Model<'a> {
    async fn new(bench: &'a Bench, case: u64) -> Model<'a> {
        let whose = |n: u8| {
            let mut id = citizen(n);
            id.0[1..9].copy_from_slice(&case.to_be_bytes());
            id
        };
        let before = [Queue::Timer, ledger()];
        let tallies = bench.store.tally(&before).await.expect("tallies");
        let start = bench.now();
        bench.pass(TICK as u64 / 2);
        Model {
            bench,
            citizens: [whose(1), whose(2)],
            start,
            now: TICK / 2,
            acts: 0,
            versions: BTreeMap::new(),
            dialogues: BTreeMap::new(),
            items: BTreeMap::new(),
            counts: before.iter().map(|q| (q.clone(), Tally::default())).collect(),
            before: before.into_iter().zip(tallies).collect(),
            claimed: Vec::new(),
        }
    }

    fn at(&self, seconds: i64) -> Timestamp {
        Timestamp(self.start.0 + seconds * 1_000)
    }

    /// A moment so many ticks from the last full tick.
    fn tick(&self, ticks: i64) -> Timestamp {
        self.at(self.now - TICK / 2 + ticks * TICK)
    }

    async fn play(&mut self, act: &Act) -> Result<(), TestCaseError> {
        self.acts += 1;
        match act {
            Act::Turn { who, event, stale, ops } => {
                let commit = self.turn(*who, *event, *stale, ops);
                self.commit(&commit).await
            }
            Act::TimersTurn { who, id, generation, stale, writes } => {
                let who = self.citizens[usize::from(*who)];
                let expected = self.expected(who, *stale);
                let record = writes.then(|| record(self.acts));
                let turn = timers_turn(who, expected, IDS[*id], Version(*generation));
                self.commit(&Commit { record, ..turn }).await
            }
            Act::Claim { who, timer, token } => {
                self.claim(self.citizens[usize::from(*who)], *timer, *token).await
            }
            Act::Settle { which, how, ticks } => self.settle(which, *how, *ticks).await,
            Act::Pass { ticks } => {
                self.now += *ticks as i64 * TICK;
                self.bench.pass(ticks * TICK as u64);
                Ok(())
            }
        }
    }

    fn expected(&self, who: CitizenId, stale: bool) -> u64 {
        self.versions.get(&who).copied().unwrap_or(0) + if stale { 1_000 } else { 0 }
    }

    fn turn(&self, who: u8, event: Option<u8>, stale: bool, ops: &[Op]) -> Commit {
        let who = self.citizens[usize::from(who)];
        let turn = turn_of(who, self.expected(who, stale), self.acts);
        let turn = match event {
            Some(event) => {
                let before = self.dialogues.get(&who).cloned().unwrap_or_default();
                with_step(turn, &before, event, &format!("screen {}", self.acts))
            }
            None => turn,
        };
        with_queues(turn, ops.iter().map(|op| self.op(op)).collect())
    }

    fn op(&self, op: &Op) -> QueueOp {
        let queue = |timer: &bool| if *timer { Queue::Timer } else { ledger() };
        match op {
            Op::Cancel { timer, id } => QueueOp::Cancel { queue: queue(timer), id: IDS[*id].into() },
            Op::Put { timer, id, generation, ticks, dead } => {
                let due = self.tick(*ticks);
                match dead {
                    true => super::put_dead(&queue(timer), IDS[*id], *generation, due, "unrouted"),
                    false => put(&queue(timer), IDS[*id], *generation, due),
                }
            }
        }
    }

    async fn commit(&mut self, commit: &Commit) -> Result<(), TestCaseError> {
        let expected = self.committed(commit);
        let store = if self.acts.is_multiple_of(2) { &self.bench.store } else { &self.bench.other };
        prop_assert_eq!(store.commit(commit).await, Ok(expected), "{:?}", commit);
        let loaded = self.bench.load(commit.citizen, Some(dialogue_of(commit.citizen))).await;
        let version = loaded.record.map(|r| r.version.0);
        prop_assert_eq!(version, self.versions.get(&commit.citizen).copied());
        prop_assert_eq!(loaded.dialogue.as_ref(), self.dialogues.get(&commit.citizen));
        Ok(())
    }

    /// What a commit must answer; changes the model as it must change the store.
    fn committed(&mut self, commit: &Commit) -> Committed {
        let who = commit.citizen;
        let seen = |d: &&Dialogue| commit.event.is_some_and(|event: EventId| d.reply_to(&event).is_some());
        if let Some(dialogue) = self.dialogues.get(&who).filter(seen) {
            return Committed::Seen(Some(dialogue.clone()));
        }
        let own =
            commit.timer.as_ref().map(|t| ((Queue::Timer, who.partition(), t.id.clone()), t.generation));
        if let Some((place, generation)) = &own
            && !self.items.get(place).is_some_and(|k| k.item.generation == *generation && !k.dead)
        {
            return Committed::Gone;
        }
        if self.expected(who, false) != commit.expected.0 {
            return Committed::Conflict(self.versions.get(&who).map(|v| record(*v)));
        }
        if let Some((place, _)) = own {
            self.items.remove(&place);
            self.count(&Queue::Timer).done += 1;
        }
        if let Some(record) = &commit.record {
            self.versions.insert(who, record.version.0);
        }
        if let Some(saved) = &commit.dialogue {
            assert!(saved.dialogue.steps.len() <= KEPT_STEPS);
            self.dialogues.insert(who, saved.dialogue.clone());
        }
        commit.queues.iter().for_each(|op| self.change(who, op));
        Committed::Done
    }

    fn count(&mut self, queue: &Queue) -> &mut Tally {
        self.counts.get_mut(queue).expect("one of the two queues")
    }

    fn change(&mut self, who: CitizenId, op: &QueueOp) {
        let put = match op {
            QueueOp::Put(put) => put,
            QueueOp::Cancel { queue, id } => {
                let gone = self.items.remove(&(queue.clone(), who.partition(), id.clone()));
                self.count(queue).suppressed.extend(gone.map(|_| ("cancelled".into(), 1)));
                return;
            }
        };
        self.count(&put.queue).put += 1;
        let place = (put.queue.clone(), who.partition(), put.id.clone());
        let there = self.items.get(&place).map(|k| k.item.generation);
        if there.is_some() {
            self.count(&put.queue).replaced += 1;
        }
        if there.is_none_or(|there| there <= put.generation) {
            let item = Item {
                mt: None,
                id: put.id.clone(),
                generation: put.generation,
                attempt: 0,
                first_attempt: Timestamp(0),
                unknowns: 0,
                due: put.due,
                citizen: who,
                record: None,
                payload: put.payload.clone(),
            };
            self.items.insert(place, Known { item, at: put.due, token: None, dead: put.dead.is_some() });
        }
    }

    async fn claim(&mut self, who: CitizenId, timer: bool, token: u8) -> Result<(), TestCaseError> {
        let queue = if timer { Queue::Timer } else { ledger() };
        let expected = self.claims(&queue, who.partition(), token);
        let claim = Claim {
            queue: queue.clone(),
            partition: who.partition(),
            max: 100,
            token: [token + 1; 16],
            doubt: None,
        };
        let mut got = self.bench.store.claim(&claim).await.expect("a claim");
        got.items.sort_by(|a, b| a.id.cmp(&b.id));
        for (got, expected) in got.items.iter_mut().zip(&expected.items) {
            prop_assert!(near(Some(got.first_attempt), Some(expected.first_attempt)), "{:?}", got);
            got.first_attempt = expected.first_attempt;
        }
        prop_assert_eq!(&got.items, &expected.items);
        prop_assert!(
            near(got.next_due, expected.next_due),
            "{:?}, expected {:?}",
            got.next_due,
            expected.next_due
        );
        self.claimed.extend(got.items.into_iter().map(|item| (queue.clone(), item)));
        Ok(())
    }

    fn claims(&mut self, queue: &Queue, partition: Partition, token: u8) -> Claimed {
        let now = self.at(self.now);
        let here = |place: &Place| place.0 == *queue && place.1 == partition;
        let holds = |k: &Known| k.token == Some(token) && k.at > now && !k.dead;
        let again = self.items.iter().any(|(place, k)| here(place) && holds(k));
        let mut claimed = Claimed::default();
        for (_, known) in self.items.iter_mut().filter(|(place, k)| here(place) && !k.dead) {
            let due = !again && known.at <= now;
            if due {
                known.at = now.plus(LEASE);
                known.token = Some(token);
                known.item.attempt += 1;
                if known.item.first_attempt == Timestamp(0) {
                    known.item.first_attempt = now;
                }
            }
            if due || (again && holds(known)) {
                let version = self.versions.get(&known.item.citizen);
                claimed.items.push(Item { record: version.map(|v| record(*v)), ..known.item.clone() });
            } else {
                claimed.next_due = Some(claimed.next_due.map_or(known.at, |next| next.min(known.at)));
            }
        }
        claimed
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
        let (queue, item) = which.get(&self.claimed).clone();
        let due = item.due;
        let settle = Settle {
            partition: item.citizen.partition(),
            id: item.id,
            generation: item.generation,
            attempt: item.attempt,
            sent: None,
            verdict: match how {
                0 => Verdict::Accepted,
                1 => Verdict::Again(self.tick(ticks)),
                2 => Verdict::Unknown(self.tick(ticks)),
                3 => Verdict::Dead("refused".into()),
                4 => Verdict::Suppressed("expired"),
                _ => Verdict::Later(due),
            },
            queue,
        };
        let expected = self.settled(&settle);
        prop_assert_eq!(self.bench.other.settle(&settle).await, Ok(expected), "{:?}", settle);
        Ok(())
    }

    fn settled(&mut self, settle: &Settle) -> Settled {
        let now = self.at(self.now);
        let place = (settle.queue.clone(), settle.partition, settle.id.clone());
        let Some(known) = self.items.get_mut(&place).filter(|k| k.item.generation == settle.generation)
        else {
            return Settled::Stale;
        };
        let holds =
            known.token.is_some() && known.at > now && known.item.attempt == settle.attempt && !known.dead;
        if !holds && settle.verdict != Verdict::Accepted {
            return Settled::Stale;
        }
        known.token = None;
        let unknowns = std::mem::take(&mut known.item.unknowns);
        match &settle.verdict {
            Verdict::Accepted => {
                self.items.remove(&place);
                self.count(&settle.queue).done += 1;
            }
            Verdict::Suppressed(reason) => {
                self.items.remove(&place);
                self.count(&settle.queue).suppressed.push(((*reason).into(), 1));
            }
            Verdict::Dead(_) => known.dead = true,
            Verdict::Unknown(_) if unknowns == 1 => known.dead = true,
            Verdict::Unknown(due) => (known.item.unknowns, known.item.due, known.at) = (1, *due, *due),
            Verdict::Again(due) => (known.item.due, known.at) = (*due, *due),
            Verdict::Later(due) => {
                known.item.attempt -= 1;
                (known.item.unknowns, known.item.due, known.at) = (unknowns, *due, *due);
            }
        }
        Settled::Done
    }

    async fn same_tallies(&mut self, act: &Act) -> Result<(), TestCaseError> {
        for (queue, before) in &self.before {
            let got = self.bench.tally(queue).await;
            prop_assert!(got.balances(), "{} after {:?}: {:?}", queue, act, got);
            let here = || self.items.iter().filter(|(place, _)| place.0 == *queue).map(|(_, known)| known);
            let counted = &self.counts[queue];
            let suppressed = |t: &Tally| t.suppressed.iter().map(|(_, n)| n).sum::<u64>();
            let grown = [
                got.put - before.put,
                got.done - before.done,
                suppressed(&got) - suppressed(before),
                got.replaced - before.replaced,
                got.waiting,
                got.dead,
            ];
            let expected = [
                counted.put,
                counted.done,
                suppressed(counted),
                counted.replaced,
                here().filter(|k| !k.dead).count() as u64,
                here().filter(|k| k.dead).count() as u64,
            ];
            prop_assert_eq!(grown, expected, "{} after {:?}", queue, act);
            let oldest = here().filter(|k| !k.dead).map(|k| k.at).min();
            prop_assert!(near(got.oldest_due, oldest), "{:?}, expected {:?}", got.oldest_due, oldest);
        }
        Ok(())
    }
}

fn near(a: Option<Timestamp>, b: Option<Timestamp>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Duration::from_millis(a.0.abs_diff(b.0)) <= NEAR,
        (a, b) => a == b,
    }
}
