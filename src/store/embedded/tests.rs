//! What needs a hand inside: a disk without room, a COMMIT that fails, the ways SQLite takes to its rows.

use super::{Embedded, Fault, schema};
use crate::{
    domain::{
        id::{CitizenId, DepartmentId, Version},
        time::{Clock, Timestamp},
    },
    store::{Commit, Committed, Health, Put, Queue, QueueOp, Store, StoreError},
};
use futures_util::future::join_all;
use rusqlite::Connection;
use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// Pages that a small store is given beyond what it has.
const A_FEW_PAGES: i64 = 20;
/// A payload that needs more pages than that.
const TOO_LARGE: usize = 200_000;
/// How long a row may lie about after its time.
const SWEPT_WITHIN: Duration = Duration::from_secs(10);

fn put(n: u8, bytes: usize) -> Commit {
    Commit {
        citizen: CitizenId([n; 16]),
        event: None,
        expected: Version(0),
        record: None,
        dialogue: None,
        timer: None,
        mark: None,
        queues: vec![QueueOp::Put(Put {
            queue: ledger(),
            id: format!("rsp_{n}"),
            generation: Version(1),
            due: Timestamp(0),
            dead: None,
            payload: vec![7; bytes],
            mt: None,
        })],
    }
}

fn ledger() -> Queue {
    Queue::Completion(DepartmentId::parse("ledger").expect("an id"))
}

/// Lets the store grow to its size now and so many pages more: a disk of that size.
async fn limit_to(store: &Embedded, more: i64) {
    let limit = move |db: &Connection, _| -> Result<(), Fault> {
        let pages: i64 = db.pragma_query_value(None, "page_count", |row| row.get(0))?;
        db.pragma_update_and_check(None, "max_page_count", pages + more, |_| Ok(()))?;
        Ok(())
    };
    store.writer.ask(limit).await.expect("a limit");
}

#[tokio::test]
async fn a_full_disk_is_said_and_survived() {
    let folder = tempfile::tempdir().expect("a folder");
    let file =
        Embedded::open(&folder.path().join("matamat.db"), Clock::manual(Timestamp(1))).expect("a store");
    let memory = Embedded::memory(Clock::manual(Timestamp(1))).expect("a store");
    for store in [file, memory] {
        limit_to(&store, A_FEW_PAGES).await;
        let (large, small) = (put(1, TOO_LARGE), put(2, 10));
        let answers = join_all([&large, &small].map(|commit| store.commit(commit))).await;
        assert!(matches!(answers[0], Err(StoreError::Full(_))), "{:?}", answers[0]);
        let small_stands = match &answers[1] {
            Ok(Committed::Done) => 1,
            Err(StoreError::Full(_)) => 0,
            other => panic!("beside what found no room: {other:?}"),
        };
        let tally = store.tally(&[ledger()]).await.expect("a tally").remove(0);
        assert!(tally.balances(), "{tally:?}");
        assert_eq!(tally.put, small_stands, "an answer tells what happened");

        limit_to(&store, 10 * TOO_LARGE as i64).await;
        assert_eq!(store.health().await, Ok(Health::Ok), "there is room again");
        assert_eq!(store.commit(&large).await, Ok(Committed::Done));
    }
}

#[tokio::test]
async fn health_says_full_until_there_is_room() {
    let store = Embedded::memory(Clock::manual(Timestamp(1))).expect("a store");
    limit_to(&store, 0).await;
    let refused = store.commit(&put(1, TOO_LARGE)).await;
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    let full = store.health().await;
    limit_to(&store, A_FEW_PAGES).await;
    assert_eq!((full, store.health().await), (Ok(Health::Full), Ok(Health::Ok)));
}

/// Keeps the writer inside an act until the gate opens, so that what is asked meanwhile goes into one batch.
async fn gate(store: &Embedded) -> (mpsc::Sender<()>, impl Future<Output = Result<(), StoreError>>) {
    let (open, gate) = mpsc::channel();
    let entered = Arc::new(Notify::new());
    let inside = entered.clone();
    let mut held = Box::pin(store.writer.ask(move |_, _| {
        inside.notify_one();
        gate.recv().expect("somebody opens the gate");
        Ok(())
    }));
    tokio::select! {
        _ = &mut held => panic!("the gate is closed"),
        () = entered.notified() => (open, held),
    }
}

/// A foreign key that is looked at only by COMMIT stands for an fsync that fails: nobody in the batch can be told.
#[tokio::test]
async fn a_failed_commit_is_unknown_for_all_in_it() {
    let store = Embedded::memory(Clock::manual(Timestamp(1))).expect("a store");
    let prepare = |db: &Connection, _| -> Result<(), Fault> {
        Ok(db.execute_batch(
            "CREATE TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TABLE child (parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED);",
        )?)
    };
    store.writer.ask(prepare).await.expect("tables");
    let orphan = |db: &Connection, _| -> Result<(), Fault> {
        db.execute("INSERT INTO child VALUES (7)", [])?;
        Ok(())
    };
    let commits: Vec<_> = (0..10).map(|n| put(n, 10)).collect();
    let (open, hold) = gate(&store).await;
    let (orphan, commits, (), held) = tokio::join!(
        store.writer.ask(orphan),
        join_all(commits.iter().map(|commit| store.commit(commit))),
        async { open.send(()).expect("the writer waits") },
        hold,
    );
    held.expect("a transaction of its own");
    assert!(matches!(orphan, Err(StoreError::Unknown(_))), "{orphan:?}");
    assert!(commits.iter().all(|done| matches!(done, Err(StoreError::Unknown(_)))), "{commits:?}");
    assert_eq!(store.tally(&[ledger()]).await.expect("a tally")[0].put, 0);
    assert_eq!(store.commit(&put(99, 10)).await, Ok(Committed::Done), "and the next one goes");
}

/// A row whose time is over is ignored at once; here it is also seen to go.
#[tokio::test]
async fn the_writer_sweeps_by_itself() {
    let clock = Clock::manual(Timestamp(1));
    let store = Embedded::memory(clock.clone()).expect("a store");
    let lapses = |db: &Connection, now: Timestamp| -> Result<(), Fault> {
        db.execute("INSERT INTO dialogue VALUES (x'01', x'00', ?1)", [now.0 + 1])?;
        Ok(())
    };
    let rows = |db: &Connection, _| -> Result<i64, Fault> {
        Ok(db.query_row("SELECT count(*) FROM dialogue", [], |row| row.get(0))?)
    };
    store.writer.ask(lapses).await.expect("a row");
    assert_eq!(store.writer.ask(rows).await, Ok(1));
    clock.advance(Duration::from_millis(1));
    let started = Instant::now();
    while store.writer.ask(rows).await != Ok(0) {
        assert!(started.elapsed() < SWEPT_WITHIN, "still there");
    }
}

/// A claim must not walk through all that waits, nor a sweep, nor a settle.
#[test]
fn every_way_to_an_item_is_an_index() {
    let db = schema::writer(None).expect("a store in memory");
    schema::make(&db).expect("tables");
    let ways = [
        ("queue = 'q' AND partition = 1 AND id = 'i'", "PRIMARY KEY (queue=? AND partition=? AND id=?)"),
        (
            "queue = 'q' AND partition = 1 AND bulk = 1 AND at <= 5 AND died IS NULL ORDER BY at, id",
            "item_waiting (queue=? AND partition=? AND bulk=? AND at<?)",
        ),
        (
            "queue = 'q' AND partition = 1 AND bulk = 0 AND died IS NULL AND NOT (token IS 't' AND at > 5) ORDER BY at",
            "item_waiting (queue=? AND partition=? AND bulk=?)",
        ),
        (
            "token = 't' AND queue = 'q' AND partition = 1 AND at > 5",
            "item_claimed (token=? AND queue=? AND partition=?)",
        ),
        (
            "queue = 'join' AND partition = 1 AND id > 'k:' AND id < 'k;' AND died IS NULL AND token IS NULL AND at > 5",
            "PRIMARY KEY (queue=? AND partition=? AND id>? AND id<?)",
        ),
        ("queue = 'q' AND died IS NOT NULL ORDER BY died, partition, id", "item_dead (queue=?"),
    ];
    for (condition, way) in ways {
        let explain = format!("EXPLAIN QUERY PLAN SELECT payload FROM item WHERE {condition}");
        let mut explain = db.prepare(&explain).expect("a statement");
        let plan: Vec<String> = explain
            .query_map([], |row| row.get(3))
            .expect("a plan")
            .collect::<Result<_, _>>()
            .expect("lines");
        assert!(plan.len() == 1 && plan[0].contains(way), "{condition}: {plan:?}, expected {way}");
    }
}
