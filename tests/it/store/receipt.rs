//! What a vendor says of an MT afterwards (P10: a state never goes back): receipts in any order, before the send's own
//! answer or after it, by our id or by the vendor's.

use super::{
    Bench, Counts, citizen, line, mt_of, only_queues, outbox,
    outbox::{both_timers, claimed_one, mt_1, said, timer_id},
    phone, prompt, put, put_mt, turn_of, with_queues,
};
use matamat::{
    domain::{
        delivery::Verdict,
        id::{CitizenId, MtId, Partition, VendorKey, Version},
        message::MtState,
        time::Timestamp,
    },
    store::{
        Committed, Item, ItemState, JOINS_MAX, Join, Joined, LEASE, LIFE_LINES, MtHeader, Queue, QueueOp,
        Receipt, Received, SentLine, Settle, Settled,
    },
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many orders of the same acts are tried.
const ORDERS: u32 = 60;
/// The vendor's time of every receipt.
const THEN: Timestamp = Timestamp(1_795_511_523_000);
/// How many joins one commit puts at a time.
const BITE: usize = 500;

fn receipt(mt: MtId, part: u8, state: Option<MtState>, said: &str) -> Receipt {
    Receipt { mt, channel: phone(), part, state, said: said.into(), at: THEN }
}

/// A receipt for the first MT of citizen 1.
fn of_1(part: u8, state: MtState) -> Receipt {
    receipt(mt_1(), part, Some(state), state.name())
}

/// A prompt that both timers follow.
fn followed(bench: &Bench) -> MtHeader {
    MtHeader { then: both_timers(), ..prompt(bench.at(86_400)) }
}

/// Puts the first MT of a citizen into the outbox and brings it to where a receipt shall find it.
async fn bring(bench: &Bench, who: CitizenId, to: &str) {
    let mt = put_mt(mt_of(who, 1), 100, bench.at(-5), followed(bench));
    assert_eq!(bench.commit(&with_queues(turn_of(who, 0, 100), vec![mt])).await, Committed::Done);
    if to == "waits" {
        return;
    }
    let item = bench.claim_one(&outbox(), who.partition(), 1).await;
    let verdict = match to {
        "claimed" => return,
        "lapsed" => return bench.pass(LEASE.as_secs() + 1),
        "in doubt" => {
            bench.pass(LEASE.as_secs() + 1);
            bench.claim(&outbox(), who.partition(), 2).await;
            return;
        }
        "unknown" => Verdict::Unknown(bench.at(60)),
        "again" => Verdict::Again(bench.at(60)),
        "given back" => Verdict::Later(bench.at(60)),
        "dead" => Verdict::Dead("blocked".into()),
        other => panic!("no such place: {other}"),
    };
    assert_eq!(bench.settle(&outbox(), &item, verdict).await, Settled::Done);
}

pub async fn a_receipt_ends_an_mt_wherever_it_lies(bench: &Bench) {
    let places = ["waits", "claimed", "lapsed", "in doubt", "unknown", "again", "given back", "dead"];
    let states = MtState::ALL.into_iter().cycle();
    for ((n, to), state) in (1..).zip(places).zip(states) {
        let who = citizen(n);
        bring(bench, who, to).await;
        let timers = bench.counts(&Queue::Timer).await;
        let receipt = receipt(mt_of(who, 1), 0, Some(state), "Success");
        for expected in [Received::Moved, Received::Known] {
            assert_eq!(bench.receipt(&receipt).await, expected, "{to}");
        }
        let found = bench.store.find(&outbox(), who.partition(), &mt_of(who, 1).to_string()).await;
        assert_eq!(found, Ok(None), "{to}");
        let counts = Counts { put: u64::from(n), done: u64::from(n), ..Counts::default() };
        assert_eq!(bench.counts(&outbox()).await, counts, "{to}");
        let started = Counts { put: timers.put + 2, waiting: timers.waiting + 2, ..timers };
        assert_eq!(bench.counts(&Queue::Timer).await, started, "{to}");
        assert_eq!(bench.life(mt_of(who, 1)).await.parts, [(0, state)], "{to}");
        for kind in ["remind", "expiry"] {
            let found = bench.store.find(&Queue::Timer, who.partition(), &timer_id(who, kind)).await;
            assert_eq!(found.expect("an answer").map(|f| f.state), Some(ItemState::Waiting), "{to}");
        }
    }
}

pub async fn the_state_is_the_highest_ever_heard(bench: &Bench) {
    use MtState::{Accepted, Delivered, Expired, Failed, Rejected, Sent};
    type Heard<'a> = (u8, MtState, Received, &'a [(u8, MtState)]);
    let heard: [Heard<'_>; 8] = [
        (2, Sent, Received::Moved, &[(2, Sent)]),
        (2, Accepted, Received::Known, &[(2, Sent)]),
        (1, Failed, Received::Moved, &[(1, Failed), (2, Sent)]),
        (1, Expired, Received::Known, &[(1, Failed), (2, Sent)]),
        (1, Rejected, Received::Moved, &[(1, Rejected), (2, Sent)]),
        (2, Delivered, Received::Moved, &[(1, Rejected), (2, Delivered)]),
        (2, Failed, Received::Known, &[(1, Rejected), (2, Delivered)]),
        (0, Delivered, Received::Moved, &[(0, Delivered), (1, Rejected), (2, Delivered)]),
    ];
    for (part, state, expected, parts) in heard {
        for expected in [expected, Received::Known] {
            assert_eq!(bench.receipt(&of_1(part, state)).await, expected, "part {part} {state:?}");
        }
        assert_eq!(bench.life(mt_1()).await.parts, parts, "after part {part} {state:?}");
    }
    assert_eq!(
        bench.life(mt_1()).await.lines.len(),
        heard.len(),
        "people see what was late, too, and each once"
    );
}

/// The MT may have left long ago in a gateway that died; its life begins with what is heard.
pub async fn a_receipt_before_the_send_makes_the_life(bench: &Bench) {
    assert_eq!(bench.store.life(&mt_1()).await, Ok(None));
    assert_eq!(bench.receipt(&of_1(0, MtState::Sent)).await, Received::Moved);
    let life = bench.life(mt_1()).await;
    assert_eq!((&life.parts[..], said(&life)), (&[(0, MtState::Sent)][..], vec!["sent"]));
    assert_eq!((life.lines[0].at, life.vendor_id), (THEN, None), "by the vendor's clock");
    assert_eq!(bench.counts(&outbox()).await, Counts::default(), "nothing was there to end");
    assert_eq!(bench.counts(&Queue::Timer).await, Counts::default());
}

pub async fn a_word_in_no_list_is_only_a_line(bench: &Bench) {
    claimed_one(bench, followed(bench)).await;
    let word = receipt(mt_1(), 0, None, "Buffered 12");
    for _ in 0..2 {
        assert_eq!(bench.receipt(&word).await, Received::Known);
    }
    let life = bench.life(mt_1()).await;
    assert_eq!((&life.parts[..], said(&life)), (&[][..], vec!["Buffered 12"]));
    assert_eq!(bench.counts(&outbox()).await, Counts { put: 1, waiting: 1, ..Counts::default() });
    assert_eq!(bench.counts(&Queue::Timer).await, Counts::default());
}

pub async fn a_settle_after_a_receipt_is_told_all_the_same(bench: &Bench) {
    let item = claimed_one(bench, followed(bench)).await;
    bench.receipt(&of_1(0, MtState::Delivered)).await;
    let refused = bench.settle_told(&outbox(), &item, Verdict::Again(bench.at(0)), line("500")).await;
    assert_eq!(refused, Settled::Stale);
    assert_eq!(said(&bench.life(mt_1()).await), ["delivered"], "what did not count is not told");
    let sent = SentLine {
        said: "accepted".into(),
        vendor_id: Some("AT-7".into()),
        thread: Some(b"How was it?".to_vec()),
    };
    for _ in 0..2 {
        let settled = bench.settle_told(&outbox(), &item, Verdict::Accepted, Some(sent.clone())).await;
        assert_eq!(settled, Settled::Stale);
    }
    let life = bench.life(mt_1()).await;
    assert_eq!(
        (&life.parts[..], said(&life)),
        (&[(0, MtState::Delivered)][..], vec!["delivered", "accepted"])
    );
    assert_eq!(life.vendor_id.as_deref(), Some("AT-7"));
    assert_eq!(bench.store.thread(&citizen(1)).await, Ok(vec![b"How was it?".to_vec()]));
    assert_eq!(bench.counts(&outbox()).await, Counts { put: 1, done: 1, ..Counts::default() });
    assert_eq!(bench.counts(&Queue::Timer).await, Counts { put: 2, waiting: 2, ..Counts::default() });
}

pub async fn a_life_keeps_its_newest_lines(bench: &Bench) {
    let words: Vec<_> = (0..LIFE_LINES + 5).map(|n| format!("word {n}")).collect();
    for word in &words {
        bench.receipt(&receipt(mt_1(), 0, None, word)).await;
    }
    assert_eq!(said(&bench.life(mt_1()).await), words[5..]);
}

/// What happens to one MT, in some order.
#[derive(Debug, Clone, Copy)]
enum Act {
    Claim,
    Accepted,
    Heard(u8, MtState),
    Lapse,
}

/// The same acts in any order. An `Accepted` counts from any attempt, so it needs no claim before it.
fn orders() -> impl Strategy<Value = Vec<Act>> {
    use Act::{Accepted, Claim, Heard, Lapse};
    use MtState::{Delivered, Failed, Sent};
    let acts = vec![
        Claim,
        Lapse,
        Claim,
        Accepted,
        Accepted,
        Heard(1, Sent),
        Heard(1, Delivered),
        Heard(1, Delivered),
        Heard(1, Failed),
        Heard(2, Sent),
        Heard(2, Failed),
    ];
    Just(acts).prop_shuffle()
}

pub async fn every_order_ends_in_one_state(bench: &Bench) {
    let config = Config { cases: ORDERS, failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Handle::current();
    let case = AtomicU64::new(0);
    tokio::task::block_in_place(|| {
        TestRunner::new(config)
            .run(&orders(), |acts| {
                let case = case.fetch_add(1, Ordering::SeqCst);
                runtime.block_on(play(bench, case, acts))
            })
            .unwrap_or_else(|difference| panic!("{difference}"));
    });
}

/// Each order has a citizen of its own.
async fn play(bench: &Bench, case: u64, acts: Vec<Act>) -> Result<(), TestCaseError> {
    let mut who = citizen(1);
    who.0[1..9].copy_from_slice(&case.to_be_bytes());
    let (outbox_before, timers_before) = (bench.counts(&outbox()).await, bench.counts(&Queue::Timer).await);
    let mt = put_mt(mt_of(who, 1), 100, bench.at(-5), followed(bench));
    bench.commit(&with_queues(turn_of(who, 0, 100), vec![mt])).await;
    for (n, act) in (1..).zip(&acts) {
        one_act(bench, who, n, *act).await;
    }
    let life = bench.life(mt_of(who, 1)).await;
    let parts = [(0, MtState::Accepted), (1, MtState::Delivered), (2, MtState::Failed)];
    prop_assert_eq!(&life.parts[..], &parts[..], "{:?}", acts);
    prop_assert_eq!(life.vendor_id.as_deref(), Some("AT-7"));
    prop_assert_eq!(said(&life).iter().filter(|said| **said == "accepted").count(), 1);
    prop_assert_eq!(bench.store.thread(&who).await, Ok(vec![b"How was it?".to_vec()]));
    let Counts { put, done, .. } = outbox_before;
    prop_assert_eq!(bench.counts(&outbox()).await, Counts { put: put + 1, done: done + 1, ..outbox_before });
    let Counts { put, waiting, .. } = timers_before;
    let started = Counts { put: put + 2, waiting: waiting + 2, ..timers_before };
    prop_assert_eq!(bench.counts(&Queue::Timer).await, started);
    Ok(())
}

async fn one_act(bench: &Bench, who: CitizenId, token: u8, act: Act) {
    match act {
        Act::Claim => drop(bench.claim(&outbox(), who.partition(), token).await),
        Act::Lapse => bench.pass(LEASE.as_secs() + 1),
        Act::Heard(part, state) => {
            bench.receipt(&receipt(mt_of(who, 1), part, Some(state), state.name())).await;
        }
        Act::Accepted => {
            let settle = Settle {
                queue: outbox(),
                partition: who.partition(),
                id: mt_of(who, 1).to_string(),
                generation: Version(100),
                attempt: 1,
                verdict: Verdict::Accepted,
                sent: Some(SentLine {
                    said: "accepted".into(),
                    vendor_id: Some("AT-7".into()),
                    thread: Some(b"How was it?".to_vec()),
                }),
            };
            bench.other.settle(&settle).await.expect("a settle");
        }
    }
}

/// A vendor's id in partition 3.
fn key(n: u8) -> VendorKey {
    let mut key = [n; 16];
    key[0] = 3;
    VendorKey(key)
}

/// Where [`key`] lies.
const THERE: Partition = Partition(3);

fn join(key: VendorKey, state: Option<MtState>, generation: u64, due: Timestamp) -> Join {
    match put(&Queue::Join, &Join::item_id(&key, state, 0), generation, due) {
        QueueOp::Put(put) => Join { key, put },
        QueueOp::Cancel { .. } => unreachable!("a put is a put"),
    }
}

async fn joined(bench: &Bench, join: &Join) -> Joined {
    bench.store.join(join).await.expect("a join")
}

pub async fn a_vendors_id_finds_its_mt(bench: &Bench) {
    let by = async |key| bench.other.by_vendor_id(&key).await.expect("an answer");
    assert_eq!(by(key(1)).await, None);
    bench.store.keep_vendor_id(&key(1), &mt_1(), 0).await.expect("kept");
    bench.store.keep_vendor_id(&key(2), &mt_of(citizen(2), 1), 255).await.expect("kept");
    bench.store.keep_vendor_id(&key(1), &mt_1(), 0).await.expect("kept again");
    assert_eq!(by(key(1)).await, Some((mt_1(), 0)));
    assert_eq!(by(key(2)).await, Some((mt_of(citizen(2), 1), 255)));
    assert_eq!(by(key(3)).await, None);
}

/// A join names no citizen: what stands in its place is the vendor's id itself.
pub async fn a_join_waits_where_its_vendors_id_is(bench: &Bench) {
    let due = bench.at(-5);
    assert_eq!(joined(bench, &join(key(1), Some(MtState::Delivered), 100, due)).await, Joined::Waits);
    assert_eq!(bench.counts(&Queue::Join).await, Counts { put: 1, waiting: 1, ..Counts::default() });
    let item = bench.claim_one(&Queue::Join, THERE, 1).await;
    let id = format!("{}:delivered", key(1));
    let expected = Item {
        payload: format!("{id} of 100").into_bytes(),
        id,
        generation: Version(100),
        attempt: 1,
        first_attempt: item.first_attempt,
        unknowns: 0,
        due,
        citizen: CitizenId(key(1).0),
        record: None,
        mt: None,
    };
    assert_eq!(item, expected);
    assert_eq!(bench.settle(&Queue::Join, &item, Verdict::Accepted).await, Settled::Done);
    assert_eq!(bench.counts(&Queue::Join).await, Counts { put: 1, done: 1, ..Counts::default() });
}

pub async fn a_join_again_takes_no_further_place(bench: &Bench) {
    for (generation, due) in [(100, -5), (101, -3), (99, -9)] {
        let again = join(key(1), Some(MtState::Sent), generation, bench.at(due));
        assert_eq!(joined(bench, &again).await, Joined::Waits);
    }
    assert_eq!(joined(bench, &join(key(1), None, 100, bench.at(60))).await, Joined::Waits, "another state");
    let expected = Counts { put: 4, replaced: 2, waiting: 2, ..Counts::default() };
    assert_eq!(bench.counts(&Queue::Join).await, expected);
    assert_eq!(bench.claim_one(&Queue::Join, THERE, 1).await.generation, Version(101));
}

pub async fn a_vendors_id_makes_its_joins_due(bench: &Bench) {
    let late = bench.at(3_600);
    let states = [Some(MtState::Sent), Some(MtState::Delivered), None, Some(MtState::Failed)];
    for state in states {
        joined(bench, &join(key(1), state, 100, bench.at(-5))).await;
    }
    let claimed = bench.claim(&Queue::Join, THERE, 1).await.items;
    let state_of = |item: &Item| item.id.rsplit(':').next().map(str::to_owned);
    for item in &claimed {
        match state_of(item).as_deref() {
            Some("failed") => bench.settle(&Queue::Join, item, Verdict::Dead("no".into())).await,
            Some("sent") => continue,
            _ => bench.settle(&Queue::Join, item, Verdict::Again(late)).await,
        };
    }
    joined(bench, &join(key(2), None, 100, late)).await;
    assert_eq!(bench.claim(&Queue::Join, THERE, 2).await.items, [], "nothing is due yet");

    bench.store.keep_vendor_id(&key(1), &mt_1(), 0).await.expect("kept");
    let mut due = bench.claim(&Queue::Join, THERE, 3).await;
    due.items.sort_by(|a, b| a.id.cmp(&b.id));
    let due: Vec<_> = due.items.iter().filter_map(state_of).collect();
    assert_eq!(due, ["delivered", "unknown"], "not what is claimed, nor dead, nor another vendor id's");
    assert_eq!(bench.counts(&Queue::Join).await, Counts { put: 5, waiting: 4, dead: 1, ..Counts::default() });
}

/// The places are taken by turns' puts, many at a time, because one by one would take long.
pub async fn joins_have_a_limit(bench: &Bench) {
    let due = bench.at(3_600);
    let ids: Vec<_> = (0..JOINS_MAX - 1).map(|n| format!("{n:032x}:sent")).collect();
    for bite in ids.chunks(BITE) {
        let ops = bite.iter().map(|id| put(&Queue::Join, id, 100, due)).collect();
        let fill = only_queues(citizen(THERE.0), ops);
        assert_eq!(bench.store.commit(&fill).await, Ok(Committed::Done));
    }
    let last = join(key(1), Some(MtState::Sent), 100, due);
    assert_eq!(joined(bench, &last).await, Joined::Waits, "the last place");
    let before = bench.tally(&Queue::Join).await;
    assert_eq!(before.waiting, JOINS_MAX as u64);
    assert_eq!(joined(bench, &join(key(2), Some(MtState::Sent), 100, due)).await, Joined::Full);
    assert_eq!(bench.tally(&Queue::Join).await, before, "it is not counted here");
    assert_eq!(joined(bench, &last).await, Joined::Waits, "the same one again takes no place");
    let elsewhere = VendorKey([4; 16]);
    assert_eq!(joined(bench, &join(elsewhere, None, 100, due)).await, Joined::Waits, "another partition");
    assert!(bench.tally(&Queue::Join).await.balances());
}
