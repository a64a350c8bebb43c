//! What is accepted is never lost (P4): claimed with a lease, settled by attempt, dead letters beside it. Every helper of
//! the bench checks after its act that all queues balance.

use super::{
    Bench, Counts, cancel, citizen, ledger, only_queues, put, put_dead, record, turn_of, with_queues,
};
use matamat::{
    domain::{
        delivery::Verdict,
        id::{DepartmentId, PARTITIONS, Partition, Version},
    },
    store::{Claim, Claimed, Committed, Item, ItemState, LEASE, Queue, QueueOp, Settled},
};

/// A little longer than a lease.
const PAST_THE_LEASE: u64 = LEASE.as_secs() + 1;
/// The partition of the citizen that these promises are about.
const HERE: Partition = Partition(1);

/// Changes queues on behalf of citizen 1, who has no record.
async fn change(bench: &Bench, ops: Vec<QueueOp>) {
    assert_eq!(bench.commit(&only_queues(citizen(1), ops)).await, Committed::Done);
}

/// Puts `rsp_1` of version 100, due five seconds ago.
async fn put_one(bench: &Bench) {
    change(bench, vec![put(&ledger(), "rsp_1", 100, bench.at(-5))]).await;
}

/// Puts it and claims it.
async fn claimed_one(bench: &Bench) -> Item {
    put_one(bench).await;
    bench.claim_one(&ledger(), HERE, 1).await
}

async fn check_counts(bench: &Bench, expected: Counts) {
    assert_eq!(bench.counts(&ledger()).await, expected);
}

pub async fn a_claimed_item_is_ours_for_a_while(bench: &Bench) {
    let due = bench.at(-5);
    let ops = vec![put(&ledger(), "rsp_1", 100, due), put(&ledger(), "rsp_2", 100, bench.at(60))];
    bench.commit(&with_queues(turn_of(citizen(1), 0, 100), ops)).await;
    let before = bench.now();
    let item = bench.claim_one(&ledger(), HERE, 1).await;
    assert!(item.first_attempt >= before && item.first_attempt <= bench.now(), "{item:?}");
    let expected = Item {
        mt: None,
        id: "rsp_1".into(),
        generation: Version(100),
        attempt: 1,
        first_attempt: item.first_attempt,
        unknowns: 0,
        due,
        citizen: citizen(1),
        record: Some(record(100)),
        payload: b"rsp_1 of 100".to_vec(),
    };
    assert_eq!(item, expected);
    assert_eq!(bench.claim(&ledger(), HERE, 2).await.items, [], "nobody else gets it");
    check_counts(bench, Counts { put: 2, waiting: 2, ..Counts::default() }).await;
    assert_eq!(bench.settle(&ledger(), &item, Verdict::Accepted).await, Settled::Done);
    check_counts(bench, Counts { put: 2, done: 1, waiting: 1, ..Counts::default() }).await;
}

pub async fn a_claim_sent_again_gets_the_same_items(bench: &Bench) {
    let ops = (1..=3).map(|n| put(&ledger(), &format!("rsp_{n}"), 100, bench.at(n - 10))).collect();
    change(bench, ops).await;
    let claim = |token| Claim { queue: ledger(), partition: HERE, max: 2, token: [token; 16], doubt: None };
    let first = bench.store.claim(&claim(1)).await.expect("a claim");
    let other = bench.other.claim(&claim(2)).await.expect("a claim");
    let again = bench.store.claim(&claim(1)).await.expect("a claim");
    let ids = |c: &Claimed| c.items.iter().map(|i| (i.id.clone(), i.attempt)).collect::<Vec<_>>();
    assert_eq!(ids(&first), [("rsp_1".into(), 1), ("rsp_2".into(), 1)]);
    assert_eq!(ids(&other), [("rsp_3".into(), 1)]);
    assert_eq!(first.items, again.items, "the attempt is not raised either");

    bench.settle(&ledger(), &first.items[0], Verdict::Accepted).await;
    let rest = bench.store.claim(&claim(1)).await.expect("a claim");
    assert_eq!(ids(&rest), [("rsp_2".into(), 1)], "without what was settled meanwhile");
}

pub async fn a_lapsed_lease_is_one_attempt_more(bench: &Bench) {
    let first = claimed_one(bench).await;
    bench.pass(LEASE.as_secs() - 5);
    assert_eq!(bench.claim(&ledger(), HERE, 2).await.items, [], "not yet");
    bench.pass(6);
    let second = bench.claim_one(&ledger(), HERE, 1).await;
    assert_eq!(second, Item { attempt: 2, ..first.clone() }, "also by the same token");
    for verdict in [Verdict::Again(bench.at(60)), Verdict::Dead("no".into()), Verdict::Later(bench.at(0))] {
        assert_eq!(bench.settle(&ledger(), &first, verdict).await, Settled::Stale);
    }
    assert_eq!(bench.settle(&ledger(), &second, Verdict::Again(bench.at(60))).await, Settled::Done);
}

/// People are not told that somebody works on what nobody holds any more.
pub async fn an_item_whose_lease_lapsed_is_found_waiting(bench: &Bench) {
    let item = claimed_one(bench).await;
    for (pass, state) in [(LEASE.as_secs() - 5, ItemState::Claimed), (10, ItemState::Waiting)] {
        bench.pass(pass);
        let found = bench.store.find(&ledger(), HERE, &item.id).await.expect("an answer");
        assert_eq!(found.map(|found| found.state), Some(state));
    }
}

pub async fn accepted_counts_from_any_attempt(bench: &Bench) {
    let first = claimed_one(bench).await;
    bench.pass(PAST_THE_LEASE);
    let second = bench.claim_one(&ledger(), HERE, 2).await;
    assert_eq!(bench.settle(&ledger(), &first, Verdict::Accepted).await, Settled::Done);
    assert_eq!(bench.settle(&ledger(), &second, Verdict::Accepted).await, Settled::Stale, "counted once");
    check_counts(bench, Counts { put: 1, done: 1, ..Counts::default() }).await;
}

pub async fn accepted_counts_for_a_dead_letter(bench: &Bench) {
    let item = claimed_one(bench).await;
    bench.settle(&ledger(), &item, Verdict::Dead("refused".into())).await;
    check_counts(bench, Counts { put: 1, dead: 1, ..Counts::default() }).await;
    assert_eq!(
        bench.settle(&ledger(), &item, Verdict::Accepted).await,
        Settled::Done,
        "it got there after all"
    );
    check_counts(bench, Counts { put: 1, done: 1, ..Counts::default() }).await;
    assert_eq!(bench.store.dead(&ledger(), 10).await, Ok(vec![]));
}

pub async fn accepted_counts_while_the_item_waits(bench: &Bench) {
    for verdict in
        [Verdict::Again(bench.at(600)), Verdict::Unknown(bench.at(600)), Verdict::Later(bench.at(0))]
    {
        let item = claimed_one(bench).await;
        bench.settle(&ledger(), &item, verdict).await;
        assert_eq!(bench.settle(&ledger(), &item, Verdict::Accepted).await, Settled::Done);
    }
    check_counts(bench, Counts { put: 3, done: 3, ..Counts::default() }).await;
}

pub async fn a_verdict_counts_only_while_the_lease_holds(bench: &Bench) {
    let item = claimed_one(bench).await;
    let verdicts = [
        Verdict::Again(bench.at(600)),
        Verdict::Unknown(bench.at(600)),
        Verdict::Dead("no".into()),
        Verdict::Suppressed("expired"),
        Verdict::Later(bench.at(0)),
    ];
    for attempt in [0, 2] {
        let other = Item { attempt, ..item.clone() };
        for verdict in verdicts.clone() {
            assert_eq!(bench.settle(&ledger(), &other, verdict).await, Settled::Stale, "attempt {attempt}");
        }
    }
    let other = Item { generation: Version(99), ..item.clone() };
    assert_eq!(
        bench.settle(&ledger(), &other, Verdict::Accepted).await,
        Settled::Stale,
        "another generation"
    );
    let other = Item { id: "rsp_2".into(), ..item.clone() };
    assert_eq!(bench.settle(&ledger(), &other, Verdict::Accepted).await, Settled::Stale, "no such item");
    bench.pass(PAST_THE_LEASE);
    for verdict in verdicts {
        assert_eq!(bench.settle(&ledger(), &item, verdict).await, Settled::Stale, "the lease is over");
    }
    assert_eq!(bench.claim_one(&ledger(), HERE, 2).await.attempt, 2, "and it is just due again");
}

pub async fn again_is_due_when_it_asked(bench: &Bench) {
    let item = claimed_one(bench).await;
    let due = bench.at(100);
    assert_eq!(bench.settle(&ledger(), &item, Verdict::Again(due)).await, Settled::Done);
    bench.pass(90);
    let early = bench.claim(&ledger(), HERE, 2).await;
    assert_eq!((early.items, early.next_due), (vec![], Some(due)));
    bench.pass(20);
    let second = bench.claim_one(&ledger(), HERE, 3).await;
    assert_eq!(second, Item { attempt: 2, due, ..item });
}

pub async fn two_unknowns_in_a_row_are_a_dead_letter(bench: &Bench) {
    put_one(bench).await;
    let unknown = [true, false, true, true];
    for (n, unknown) in (0..).zip(unknown) {
        let item = bench.claim_one(&ledger(), HERE, n).await;
        let verdict = if unknown { Verdict::Unknown(bench.at(10)) } else { Verdict::Again(bench.at(10)) };
        assert_eq!(bench.settle(&ledger(), &item, verdict).await, Settled::Done);
        assert_eq!(item.unknowns, u8::from(n == 1 || n == 3), "so many in a row before attempt {n}");
        bench.pass(20);
    }
    let dead = bench.store.dead(&ledger(), 10).await.expect("a list");
    assert_eq!((dead.len(), dead[0].attempts), (1, 4));
    assert!(dead[0].why.contains("unknown"), "a person reads why: {}", dead[0].why);
    check_counts(bench, Counts { put: 1, dead: 1, ..Counts::default() }).await;
}

pub async fn an_item_given_back_was_no_attempt(bench: &Bench) {
    let item = claimed_one(bench).await;
    assert_eq!(bench.settle(&ledger(), &item, Verdict::Later(item.due)).await, Settled::Done);
    let again = bench.claim_one(&ledger(), HERE, 2).await;
    assert_eq!((again.attempt, again.due, again.unknowns), (1, item.due, 0), "due at once, where it was");
}

pub async fn a_settle_sent_again_counts_once(bench: &Bench) {
    let verdicts = [
        Verdict::Accepted,
        Verdict::Again(bench.at(600)),
        Verdict::Unknown(bench.at(600)),
        Verdict::Dead("no".into()),
        Verdict::Suppressed("expired"),
        Verdict::Later(bench.at(0)),
    ];
    for (n, verdict) in (1..).zip(verdicts) {
        let id = format!("rsp_{n}");
        let who = citizen(n);
        let due = bench.at(-5);
        bench.commit(&only_queues(who, vec![put(&ledger(), &id, 100, due)])).await;
        let item = bench.claim_one(&ledger(), who.partition(), 1).await;
        assert_eq!(bench.settle(&ledger(), &item, verdict.clone()).await, Settled::Done);
        let before = bench.counts(&ledger()).await;
        assert_eq!(bench.settle(&ledger(), &item, verdict.clone()).await, Settled::Stale, "{verdict:?}");
        assert_eq!(bench.counts(&ledger()).await, before, "{verdict:?}");
    }
}

pub async fn what_nobody_needs_is_counted_by_its_reason(bench: &Bench) {
    for reason in ["stopped", "expired", "stopped"] {
        let item = claimed_one(bench).await;
        assert_eq!(bench.settle(&ledger(), &item, Verdict::Suppressed(reason)).await, Settled::Done);
    }
    let tally = bench.tally(&ledger()).await;
    assert_eq!(tally.suppressed, [("expired".into(), 1), ("stopped".into(), 2)]);
}

pub async fn dead_letters_are_listed_oldest_first(bench: &Bench) {
    let since = bench.now();
    for n in [3, 1, 2] {
        let (who, due) = (citizen(n), bench.at(-5));
        bench.commit(&only_queues(who, vec![put(&ledger(), &format!("rsp_{n}"), 100, due)])).await;
        let item = bench.claim_one(&ledger(), who.partition(), 1).await;
        bench.settle(&ledger(), &item, Verdict::Dead(format!("refused {n}"))).await;
        bench.pass(2);
    }
    let dead = bench.store.dead(&ledger(), 2).await.expect("a list");
    let ids: Vec<_> = dead.iter().map(|d| d.id.as_str()).collect();
    assert_eq!(ids, ["rsp_3", "rsp_1"]);
    let first = &dead[0];
    assert_eq!((&first.queue, first.partition, first.citizen), (&ledger(), Partition(3), citizen(3)));
    assert_eq!((first.generation, first.attempts, first.why.as_str()), (Version(100), 1, "refused 3"));
    assert_eq!(first.payload, b"rsp_3 of 100");
    assert!(since <= first.at && first.at < dead[1].at, "{dead:?}");
    assert_eq!(
        bench.claim(&ledger(), Partition(3), 9).await,
        Claimed::default(),
        "nobody is given a dead letter"
    );
}

pub async fn born_dead_is_dead(bench: &Bench) {
    let unrouted = Queue::Completion(DepartmentId::parse("police").expect("an id"));
    change(bench, vec![put_dead(&unrouted, "rsp_1", 100, bench.at(-5), "unrouted")]).await;
    assert_eq!(bench.counts(&unrouted).await, Counts { put: 1, dead: 1, ..Counts::default() });
    assert_eq!(bench.claim(&unrouted, HERE, 1).await, Claimed::default());
    let dead = bench.store.dead(&unrouted, 10).await.expect("a list");
    assert_eq!((dead.len(), dead[0].why.as_str(), dead[0].attempts), (1, "unrouted", 0));
}

pub async fn a_newer_item_replaces_what_waits(bench: &Bench) {
    put_one(bench).await;
    for generation in [100, 200] {
        change(bench, vec![put(&ledger(), "rsp_1", generation, bench.at(-1))]).await;
    }
    check_counts(bench, Counts { put: 3, replaced: 2, waiting: 1, ..Counts::default() }).await;
    let item = bench.claim_one(&ledger(), HERE, 1).await;
    assert_eq!((item.generation, item.payload), (Version(200), b"rsp_1 of 200".to_vec()));
}

pub async fn an_older_item_is_what_is_replaced(bench: &Bench) {
    put_one(bench).await;
    change(bench, vec![put(&ledger(), "rsp_1", 99, bench.at(-9))]).await;
    check_counts(bench, Counts { put: 2, replaced: 1, waiting: 1, ..Counts::default() }).await;
    let item = bench.claim_one(&ledger(), HERE, 1).await;
    assert_eq!((item.generation, item.payload), (Version(100), b"rsp_1 of 100".to_vec()));
}

pub async fn a_claimed_item_gives_way(bench: &Bench) {
    let older = claimed_one(bench).await;
    let due = bench.at(60);
    change(bench, vec![put(&ledger(), "rsp_1", 200, due)]).await;
    check_counts(bench, Counts { put: 2, replaced: 1, waiting: 1, ..Counts::default() }).await;
    for verdict in [Verdict::Accepted, Verdict::Dead("no".into()), Verdict::Later(bench.at(0))] {
        assert_eq!(bench.settle(&ledger(), &older, verdict).await, Settled::Stale);
    }
    bench.pass(40);
    let early = bench.claim(&ledger(), HERE, 2).await;
    assert_eq!((early.items, early.next_due), (vec![], Some(due)), "due when the newer asked");
    bench.pass(30);
    let newer = bench.claim_one(&ledger(), HERE, 3).await;
    assert_eq!((newer.generation, newer.attempt, newer.due), (Version(200), 1, due));
}

pub async fn a_dead_letter_gives_way(bench: &Bench) {
    let older = claimed_one(bench).await;
    bench.settle(&ledger(), &older, Verdict::Dead("no".into())).await;
    change(bench, vec![put(&ledger(), "rsp_1", 99, bench.at(-1))]).await;
    check_counts(bench, Counts { put: 2, replaced: 1, dead: 1, ..Counts::default() }).await;
    change(bench, vec![put(&ledger(), "rsp_1", 200, bench.at(-1))]).await;
    check_counts(bench, Counts { put: 3, replaced: 2, waiting: 1, ..Counts::default() }).await;
    let newer = bench.claim_one(&ledger(), HERE, 2).await;
    assert_eq!((newer.generation, newer.attempt, newer.unknowns), (Version(200), 1, 0));
}

pub async fn a_cancel_counts_as_suppressed(bench: &Bench) {
    change(bench, vec![cancel(&ledger(), "rsp_1")]).await;
    check_counts(bench, Counts::default()).await;

    put_one(bench).await;
    change(bench, vec![cancel(&ledger(), "rsp_1"), cancel(&ledger(), "rsp_1")]).await;
    check_counts(bench, Counts { put: 1, suppressed: 1, ..Counts::default() }).await;

    let item = claimed_one(bench).await;
    change(bench, vec![cancel(&ledger(), "rsp_1")]).await;
    assert_eq!(bench.settle(&ledger(), &item, Verdict::Accepted).await, Settled::Stale, "it was claimed");

    let item = claimed_one(bench).await;
    bench.settle(&ledger(), &item, Verdict::Dead("no".into())).await;
    change(bench, vec![cancel(&ledger(), "rsp_1")]).await;
    check_counts(bench, Counts { put: 3, suppressed: 3, ..Counts::default() }).await;
    assert_eq!(bench.tally(&ledger()).await.suppressed, [("cancelled".into(), 3)]);
}

pub async fn oldest_due_first_and_the_next_is_told(bench: &Bench) {
    let dues =
        [("rsp_1", -20), ("rsp_2", -40), ("rsp_3", -30), ("rsp_4", 20)].map(|(id, s)| (id, bench.at(s)));
    change(bench, dues.iter().map(|(id, due)| put(&ledger(), id, 100, *due)).collect()).await;
    let claim = |max, token| Claim { queue: ledger(), partition: HERE, max, token: [token; 16], doubt: None };
    let two = bench.store.claim(&claim(2, 1)).await.expect("a claim");
    let ids: Vec<_> = two.items.iter().map(|i| i.id.as_str()).collect();
    assert_eq!((ids, two.next_due), (vec!["rsp_2", "rsp_3"], Some(dues[0].1)));
    let one = bench.store.claim(&claim(2, 2)).await.expect("a claim");
    assert_eq!((one.items.len(), one.next_due), (1, Some(dues[3].1)));
    assert_eq!(bench.store.claim(&claim(0, 3)).await.expect("a claim").items, [], "none were asked for");
    bench.pass(10);
    for item in two.items.iter().chain(&one.items) {
        bench.settle(&ledger(), item, Verdict::Accepted).await;
    }
    bench.pass(20);
    let last = bench.claim(&ledger(), HERE, 4).await;
    assert_eq!((last.items.len(), last.next_due), (1, None), "what was just claimed is not what is next");
}

pub async fn a_sweep_tells_when_each_queue_is_due(bench: &Bench) {
    let (soon, late) = (bench.at(-5), bench.at(500));
    let ops = vec![
        put(&Queue::Timer, "c1:expiry", 100, late),
        put(&ledger(), "rsp_1", 100, soon),
        put_dead(&ledger(), "rsp_2", 100, bench.at(-50), "unrouted"),
    ];
    change(bench, ops).await;
    let queues = super::queues();
    let sweep = async || bench.other.sweep(HERE, &queues).await.expect("a sweep");
    assert_eq!(sweep().await, [Some(late), Some(soon), None, None, None]);
    assert_eq!(bench.tally(&ledger()).await.oldest_due, Some(soon));
    let before = bench.now().plus(LEASE);
    bench.claim_one(&ledger(), HERE, 1).await;
    let lease = sweep().await[1].expect("a claimed item waits for the end of its lease");
    assert!(before <= lease && lease <= bench.now().plus(LEASE));
    assert_eq!(
        bench.store.sweep(Partition(2), &queues).await,
        Ok(vec![None; queues.len()]),
        "another partition"
    );
}

pub async fn queues_and_partitions_do_not_mix(bench: &Bench) {
    let police = &super::queues()[2];
    for n in [0, 1, PARTITIONS - 1] {
        let due = bench.at(-5);
        let ops = vec![put(&ledger(), "rsp_1", 100, due), put(police, "rsp_1", 100, due)];
        bench.commit(&only_queues(citizen(n), ops)).await;
    }
    for n in [0, 1, PARTITIONS - 1] {
        let item = bench.claim_one(&ledger(), Partition(n), n).await;
        assert_eq!(item.citizen, citizen(n));
    }
    check_counts(bench, Counts { put: 3, waiting: 3, ..Counts::default() }).await;
    assert_eq!(bench.claim(&Queue::Timer, HERE, 9).await, Claimed::default());
    let item = bench.claim_one(police, HERE, 7).await;
    bench.settle(police, &item, Verdict::Accepted).await;
    check_counts(bench, Counts { put: 3, waiting: 3, ..Counts::default() }).await;
}
