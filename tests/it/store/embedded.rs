//! What only the embedded store promises: one file, one gateway, many commits to one fsync.

use super::{
    Bench, Counts, DOUBT, citizen, claim_of, dialogue_of, ledger, line, mt_of, only_queues, outbox, phone,
    prompt, put, put_mt, queues, record, timers_turn, turn_of, with_queues, with_step,
};
use futures_util::{FutureExt, future::join_all};
use matamat::{
    domain::{
        delivery::Verdict,
        id::{EventId, InvitationId, Revision, VendorKey, Version},
        message::MtState,
        time::{Clock, Timestamp},
    },
    store::{
        Commit, Committed, Invite, Invited, KeysFound, LIFE_AFTER_END, LIFE_MAX, Load, Queue, QueueOp,
        RECORD_TTL, Receipt, Received, Reserve, Reserved, SLOT_AHEAD, SentLine, Store, StoreError,
        THREAD_TTL, VENDOR_KEY_TTL,
        embedded::{Embedded, OpenError},
        record::{Dialogue, Record},
    },
};
use std::{any::Any, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;

/// When the clocks of these stores stand at first.
const START: Timestamp = Timestamp(1_795_511_523_120);
/// Commits under way at once.
const IN_FLIGHT: u8 = 64;

pub async fn memory() -> Bench {
    let clock = Clock::manual(START);
    bench(Embedded::memory(clock.clone()).expect("a store"), clock, Box::new(()))
}

pub async fn file() -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::manual(START);
    bench(open(&folder, &clock), clock, Box::new(folder))
}

/// The lock lets only one gateway in, so the other one is the same again.
fn bench(store: Embedded, clock: Clock, keep: Box<dyn Any + Send + Sync>) -> Bench {
    let store: Arc<dyn Store> = Arc::new(store);
    let moved = clock.clone();
    Bench {
        other: store.clone(),
        store,
        now: Box::new(move || clock.now()),
        move_clock: Box::new(move |by| moved.advance(by)),
        _keep: keep,
    }
}

fn path(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("made/on the way/matamat.db")
}

fn open(folder: &TempDir, clock: &Clock) -> Embedded {
    Embedded::open(&path(folder), clock.clone()).expect("a store")
}

/// Sends commits while somebody else writes to the file, so that all of them wait by the time that the writer may begin:
/// on a disk of any speed.
async fn at_once(
    folder: &TempDir,
    store: &Embedded,
    commits: &[Commit],
) -> Vec<Result<Committed, StoreError>> {
    let beside = rusqlite::Connection::open(path(folder)).expect("a connection");
    beside.execute_batch("BEGIN IMMEDIATE").expect("the write lock");
    let release = async { beside.execute_batch("COMMIT").expect("released") };
    tokio::join!(join_all(commits.iter().map(|commit| store.commit(commit))), release).0
}

#[tokio::test]
async fn many_commits_share_an_fsync() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder, &Clock::manual(START));
    for round in 0..10 {
        let commits: Vec<_> = (0..IN_FLIGHT).map(|n| turn_of(citizen(n), round, round + 1)).collect();
        let done = at_once(&folder, &store, &commits).await;
        assert!(done.iter().all(|done| *done == Ok(Committed::Done)), "{done:?}");
    }
    let (commits, fsyncs) = (10 * u64::from(IN_FLIGHT), store.fsyncs());
    assert!((1..=commits / 8).contains(&fsyncs), "{commits} commits, {fsyncs} fsyncs");
}

#[tokio::test]
async fn what_changes_nothing_needs_no_fsync() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder, &Clock::manual(START));
    store.commit(&turn_of(citizen(1), 0, 100)).await.expect("a commit");
    let before = store.fsyncs();
    store.commit(&turn_of(citizen(1), 0, 200)).await.expect("a conflict");
    store.load(&Load { citizen: citizen(1), dialogue: None, event: None }).await.expect("a load");
    store.health().await.expect("health");
    assert_eq!((before, store.fsyncs()), (1, 1));
}

/// Every eighth commit ends with an item that no queue takes; the rest of the batch stands, and nothing of that one.
#[tokio::test]
async fn one_commit_that_fails_fails_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder, &Clock::manual(START));
    let bad = |n: u8| n.is_multiple_of(8);
    let commit = |n| {
        let last = if bad(n) { "no such id!" } else { "rsp" };
        with_queues(
            turn_of(citizen(n), 0, 100),
            vec![put(&ledger(), "rsp", 99, START), put(&ledger(), last, 100, START)],
        )
    };
    let commits: Vec<_> = (0..IN_FLIGHT).map(commit).collect();
    let done = at_once(&folder, &store, &commits).await;
    assert!(store.fsyncs() <= u64::from(IN_FLIGHT / 8), "they shared batches: {} fsyncs", store.fsyncs());
    for (n, done) in (0..).zip(done) {
        match bad(n) {
            true => assert!(matches!(done, Err(StoreError::Refused(_))), "{n}: {done:?}"),
            false => assert_eq!(done, Ok(Committed::Done), "{n}"),
        }
        let loaded =
            store.load(&Load { citizen: citizen(n), dialogue: None, event: None }).await.expect("a load");
        assert_eq!(loaded.record.is_some(), !bad(n), "{n}");
    }
    let tally = store.tally(&[ledger()]).await.expect("a tally").remove(0);
    let good = u64::from(IN_FLIGHT - IN_FLIGHT / 8);
    assert_eq!((tally.put, tally.replaced, tally.waiting), (2 * good, good, good));
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::manual(START);
    let who = citizen(1);
    let commit = with_queues(
        with_step(turn_of(who, 0, 100), &Dialogue::default(), 1, "How?"),
        vec![put(&Queue::Timer, "c1:expiry", 100, START), put(&ledger(), "rsp_1", 100, START)],
    );
    let first = bench(open(&folder, &clock), clock.clone(), Box::new(()));
    first.commit(&commit).await;
    first.store.put_revision(Revision([1; 32]), b"a flow").await.expect("kept");
    first.store.adopt_keys([1; 16]).await.expect("adopted");
    let before = (first.load(who, Some(dialogue_of(who))).await, first.tallies().await);
    drop(first);

    let again = bench(open(&folder, &clock), clock, Box::new(()));
    assert_eq!((again.load(who, Some(dialogue_of(who))).await, again.tallies().await), before);
    assert_eq!(again.store.revision(Revision([1; 32])).await, Ok(Some(b"a flow".to_vec())));
    assert_eq!(again.store.adopt_keys([2; 16]).await, Ok(KeysFound::Other));
    assert!(matches!(again.commit(&commit).await, Committed::Seen(_)), "a repeat is known");
}

#[tokio::test]
async fn leases_end_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::manual(START);
    let first = bench(open(&folder, &clock), clock.clone(), Box::new(()));
    first.commit(&only_queues(citizen(1), vec![put(&ledger(), "rsp_1", 100, START)])).await;
    let held = first.claim_one(&ledger(), citizen(1).partition(), 1).await;
    drop(first);
    let again = bench(open(&folder, &clock), clock, Box::new(()));
    let item = again.claim_one(&ledger(), citizen(1).partition(), 2).await;
    assert_eq!((held.attempt, item.attempt, item.due), (1, 2, START));
}

#[tokio::test]
async fn a_second_gateway_is_refused_and_a_command_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::manual(START);
    let first = bench(open(&folder, &clock), clock.clone(), Box::new(()));
    first.commit(&only_queues(citizen(1), vec![put(&ledger(), "rsp_1", 100, START)])).await;
    first.claim_one(&ledger(), citizen(1).partition(), 1).await;

    let refused = Embedded::open(&path(&folder), clock.clone()).err().expect("refused");
    assert!(matches!(refused, OpenError::Locked(_)), "{refused}");
    assert!(refused.to_string().contains("another gateway"), "{refused}");

    let command = Embedded::beside(&path(&folder), clock.clone()).expect("welcome");
    let beside = bench(command, clock.clone(), Box::new(()));
    assert_eq!(beside.counts(&ledger()).await, Counts { put: 1, waiting: 1, ..Counts::default() });
    assert_eq!(
        beside.claim(&ledger(), citizen(1).partition(), 2).await.items,
        [],
        "the gateway's lease holds"
    );
    beside.commit(&turn_of(citizen(2), 0, 100)).await;
    assert_eq!(
        first.load(citizen(2), None).await.record,
        Some(record(100)),
        "each sees what the other wrote"
    );
    drop(first);
    assert!(Embedded::open(&path(&folder), clock).is_ok(), "the lock went with the gateway");
}

#[tokio::test]
async fn a_file_that_is_not_ours_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::manual(START);
    let refusal = |path: &Path| Embedded::open(path, clock.clone()).err().expect("refused");

    let later = folder.path().join("later.db");
    drop(Embedded::open(&later, clock.clone()).expect("a store"));
    rusqlite::Connection::open(&later).expect("opened").pragma_update(None, "user_version", 99).expect("set");
    assert!(matches!(refusal(&later), OpenError::Newer { found: 99, .. }));

    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "not a database, but long enough to have a header ".repeat(50)).expect("written");
    assert!(matches!(refusal(&text), OpenError::Sqlite { .. }));
    assert!(matches!(refusal(&text.join("below.db")), OpenError::Io { .. }));
}

/// A server forgets by its own clock, so only here can thirty days go by.
#[tokio::test]
async fn a_record_lapses_unless_its_citizen_said_stop() {
    let bench = memory().await;
    let stopped =
        Commit { record: Some(Record { consent: 2, ..record(100) }), ..turn_of(citizen(2), 0, 100) };
    let late = put(&ledger(), "rsp_1", 100, bench.at(0).plus(RECORD_TTL));
    bench.commit(&with_queues(turn_of(citizen(1), 0, 100), vec![late])).await;
    bench.commit(&stopped).await;
    bench.pass(RECORD_TTL.as_secs() - 1);
    assert_eq!(bench.load(citizen(1), None).await.record, Some(record(100)));
    bench.pass(1);
    assert_eq!(bench.load(citizen(1), None).await.record, None);
    assert_eq!(bench.claim_one(&ledger(), citizen(1).partition(), 1).await.record, None);
    assert_eq!(bench.commit(&turn_of(citizen(1), 100, 200)).await, Committed::Conflict(None));
    assert_eq!(bench.commit(&turn_of(citizen(1), 0, 300)).await, Committed::Done, "a first turn again");
    bench.pass(100 * RECORD_TTL.as_secs());
    assert_eq!(bench.load(citizen(2), None).await.record, stopped.record);
}

/// Swept or not, it is over.
#[tokio::test]
async fn a_dialogue_is_ignored_from_the_end_of_its_time() {
    let bench = memory().await;
    let commit = with_step(turn_of(citizen(1), 0, 100), &Dialogue::default(), 1, "How?");
    let ttl = commit.dialogue.as_ref().expect("a dialogue").ttl;
    bench.commit(&commit).await;
    bench.pass(ttl.as_secs() - 1);
    assert!(bench.load(citizen(1), Some(dialogue_of(citizen(1)))).await.dialogue.is_some());
    bench.pass(1);
    assert_eq!(bench.load(citizen(1), Some(dialogue_of(citizen(1)))).await.dialogue, None);
    assert_eq!(bench.commit(&commit).await, Committed::Conflict(Some(record(100))));
}

/// Each is there until its last second is over, and not after it; a line that tells nothing new does not keep a life.
#[tokio::test]
async fn what_comes_with_mts_is_forgotten_after_its_time() {
    let bench = memory().await;
    let (who, mt, key) = (citizen(1), mt_of(citizen(1), 1), VendorKey([3; 16]));
    let heard =
        |state| Receipt { mt, channel: phone(), part: 0, state, said: format!("{state:?}"), at: START };
    bench.store.keep_vendor_id(&key, &mt, 0).await.expect("kept");
    bench.store.receipt(&heard(Some(MtState::Sent))).await.expect("heard");
    bench.pass(VENDOR_KEY_TTL.as_secs() - 1);
    assert_eq!(bench.store.by_vendor_id(&key).await, Ok(Some((mt, 0))));
    bench.pass(1);
    assert_eq!(bench.store.by_vendor_id(&key).await, Ok(None));

    bench.store.receipt(&heard(Some(MtState::Delivered))).await.expect("heard");
    bench.pass(LIFE_AFTER_END.as_secs() - 1);
    bench.store.receipt(&heard(None)).await.expect("heard");
    assert_eq!(bench.life(mt).await.parts, [(0, MtState::Delivered)]);
    bench.pass(1);
    assert_eq!(bench.store.life(&mt).await, Ok(None));

    bench.store.receipt(&heard(Some(MtState::Sent))).await.expect("heard");
    bench.pass(LIFE_MAX.as_secs() - 1);
    bench.store.receipt(&heard(Some(MtState::Delivered))).await.expect("heard");
    assert!(bench.store.life(&mt).await.expect("an answer").is_some());
    bench.pass(1);
    assert_eq!(bench.store.life(&mt).await, Ok(None), "and never longer than that");
    assert_eq!(bench.store.thread(&who).await, Ok(vec![]));
}

#[tokio::test]
async fn a_thread_is_forgotten_after_its_last_line() {
    let bench = memory().await;
    let mts = [1, 2].map(|n| put_mt(mt_of(citizen(1), n), 100, START, prompt(bench.at(30 * 86_400))));
    bench.commit(&with_queues(turn_of(citizen(1), 0, 100), mts.to_vec())).await;
    let items = bench.claim(&outbox(), citizen(1).partition(), 1).await.items;
    for (item, verdict) in items.iter().zip([Verdict::Accepted, Verdict::Accepted]) {
        let told =
            SentLine { thread: Some(item.id.clone().into_bytes()), ..line("accepted").expect("a line") };
        bench.settle_told(&outbox(), item, verdict, Some(told)).await;
        bench.pass(THREAD_TTL.as_secs() - 1);
        assert!(!bench.store.thread(&citizen(1)).await.expect("a thread").is_empty());
    }
    assert_eq!(bench.store.thread(&citizen(1)).await.expect("a thread").len(), 2, "the last line keeps all");
    bench.pass(1);
    assert_eq!(bench.store.thread(&citizen(1)).await, Ok(vec![]));
}

/// By the clock, not by whoever sweeps: the very moment decides.
#[tokio::test]
async fn marks_and_invitations_lapse_at_their_moment() {
    let bench = memory().await;
    let ttl = Duration::from_secs(60);
    let turn = |expected, version| Commit {
        event: Some(EventId([1; 16])),
        mark: Some(ttl),
        ..turn_of(citizen(1), expected, version)
    };
    bench.commit(&turn(0, 100)).await;
    let QueueOp::Put(timer) = put(&Queue::Timer, "c2:invite:1", 100, bench.at(60)) else {
        unreachable!("a put is a put")
    };
    let invite = Invite {
        citizen: citizen(2),
        id: InvitationId([1; 16]),
        known_until: bench.now().plus(ttl),
        record: record(0),
        timer,
    };
    assert_eq!(bench.store.invite(&invite).await, Ok(Invited::Taken));
    bench.pass(59);
    assert_eq!(bench.commit(&turn(100, 200)).await, Committed::Seen(None));
    assert_eq!(bench.store.invite(&invite).await, Ok(Invited::Repeated));
    bench.pass(1);
    assert_eq!(bench.commit(&turn(100, 200)).await, Committed::Done);
    assert_eq!(bench.store.invite(&invite).await, Ok(Invited::Taken));
}

/// The gateway that died may have sent it.
#[tokio::test]
async fn an_mt_whose_lease_ended_at_the_start_is_in_doubt() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::manual(START);
    let first = bench(open(&folder, &clock), clock.clone(), Box::new(()));
    let mt = put_mt(mt_of(citizen(1), 1), 100, START, prompt(first.at(86_400)));
    first.commit(&with_queues(turn_of(citizen(1), 0, 100), vec![mt])).await;
    first.claim_one(&outbox(), citizen(1).partition(), 1).await;
    drop(first);
    let again = bench(open(&folder, &clock), clock, Box::new(()));
    let claimed = again.claim(&outbox(), citizen(1).partition(), 1).await;
    assert_eq!(
        (claimed.items, claimed.next_due),
        (vec![], Some(START.plus(DOUBT))),
        "though the token is the same"
    );
    again.pass(DOUBT.as_secs());
    let item = again.claim_one(&outbox(), citizen(1).partition(), 2).await;
    assert_eq!((item.attempt, item.unknowns), (2, 1));
}

/// After a long text the vendor is owed a pause, whoever sent it.
#[tokio::test]
async fn slots_are_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::manual(START);
    let reserve = Reserve { channel: phone(), segments: 10, tps: 1 };
    let first = open(&folder, &clock).reserve(&reserve).await;
    assert_eq!(first, Ok(Reserved::In(Duration::ZERO)));
    let wait = Duration::from_secs(10) - SLOT_AHEAD;
    assert_eq!(open(&folder, &clock).reserve(&reserve).await, Ok(Reserved::Wait(wait)));
}

/// An idle sender asks many times a second.
#[tokio::test]
async fn what_moves_nothing_needs_no_fsync() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::manual(START);
    let store = open(&folder, &clock);
    let reserve = Reserve { channel: phone(), segments: 1, tps: 1 };
    let heard = Receipt {
        mt: mt_of(citizen(1), 1),
        channel: phone(),
        part: 0,
        state: Some(MtState::Sent),
        said: "Sent".into(),
        at: START,
    };
    store.reserve(&reserve).await.expect("a slot");
    store.receipt(&heard).await.expect("heard");
    let before = store.fsyncs();
    assert!(matches!(store.reserve(&reserve).await, Ok(Reserved::Wait(_))));
    assert_eq!(store.receipt(&heard).await, Ok(Received::Known));
    store.claim(&claim_of(&outbox(), citizen(1).partition(), 1)).await.expect("a claim");
    assert_eq!((before, store.fsyncs()), (2, 2));
}

/// What was asked for before the end is done, also when the asker does not wait.
#[tokio::test]
async fn a_dropped_store_finishes_what_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Clock::manual(START);
    let store = Arc::new(open(&folder, &clock));
    let commits: Vec<_> = (0..IN_FLIGHT).map(|n| turn_of(citizen(n), 0, 100)).collect();
    {
        let mut asked: Vec<_> = commits.iter().map(|commit| store.commit(commit)).collect();
        asked.iter_mut().for_each(|commit| assert!(commit.now_or_never().is_none_or(|done| done.is_ok())));
    }
    drop(store);
    let again = bench(open(&folder, &clock), clock, Box::new(()));
    for n in 0..IN_FLIGHT {
        assert_eq!(again.load(citizen(n), None).await.record, Some(record(100)), "{n}");
    }
}

#[tokio::test]
async fn versions_of_all_sixty_four_bits_are_kept() {
    let bench = memory().await;
    let high = u64::MAX - 1;
    bench
        .commit(&with_queues(turn_of(citizen(1), 0, high), vec![put(&Queue::Timer, "t", high, START)]))
        .await;
    let older = vec![put(&Queue::Timer, "t", 7, START)];
    bench.commit(&with_queues(turn_of(citizen(1), high, u64::MAX), older)).await;
    let item = bench.claim_one(&Queue::Timer, citizen(1).partition(), 1).await;
    assert_eq!(item.generation, Version(high));
    assert_eq!(bench.commit(&timers_turn(citizen(1), u64::MAX, "t", Version(high))).await, Committed::Done);
    assert!(bench.store.tally(&queues()).await.expect("tallies").iter().all(|t| t.balances()));
}
