//! P3: two events for one citizen never mix.

use super::{Bench, citizen, turn_of};
use matamat::{
    domain::id::Version,
    store::{Commit, Committed, Load, Store, record::Record},
};
use std::sync::Arc;

/// Tasks that take turns on one citizen.
const TASKS: u64 = 8;
/// How many turns each task takes.
const TURNS: u64 = 50;
/// No turn needs more tries than there are turns at all.
const TRIES: u64 = TASKS * TURNS;

pub async fn two_first_turns_one_wins(bench: &Bench) {
    for n in 0..20 {
        let (one, two) = (turn_of(citizen(n), 0, 100), turn_of(citizen(n), 0, 200));
        let (a, b) = tokio::join!(bench.store.commit(&one), bench.other.commit(&two));
        let loser = match (a.expect("an answer"), b.expect("an answer")) {
            (Committed::Done, Committed::Conflict(found)) => (found, one.record),
            (Committed::Conflict(found), Committed::Done) => (found, two.record),
            both => panic!("one and only one wins: {both:?}"),
        };
        assert_eq!(loser.0, loser.1, "the loser reads what the winner wrote");
        assert_eq!(bench.load(citizen(n), None).await.record, loser.1);
    }
}

/// Every task reads, adds one and writes; on conflict again from what the conflict brought. The consent number counts
/// the turns, because it stands at a known place; the version rises by one each time.
pub async fn no_update_is_lost(bench: &Bench) {
    let tasks: Vec<_> = (0..TASKS)
        .map(|n| {
            tokio::spawn(takes_turns(if n % 2 == 0 { bench.store.clone() } else { bench.other.clone() }))
        })
        .collect();
    for task in tasks {
        task.await.expect("a task that ends well");
    }
    let last = bench.load(citizen(1), None).await.record.expect("a record");
    assert_eq!((last.version, u64::from(last.consent)), (Version(TASKS * TURNS), TASKS * TURNS));
}

async fn takes_turns(store: Arc<dyn Store>) {
    for _ in 0..TURNS {
        let mut found = store
            .load(&Load { citizen: citizen(1), dialogue: None, event: None })
            .await
            .expect("a load")
            .record;
        let mut tries = 0;
        while let Some(newer) = adds_one(&*store, found).await {
            (found, tries) = (Some(newer), tries + 1);
            assert!(tries < TRIES, "somebody always wins, so nobody loses this often");
        }
    }
}

/// One turn; `Some` is the record that was there first.
async fn adds_one(store: &dyn Store, found: Option<Record>) -> Option<Record> {
    let (version, consent) = found.map_or((0, 0), |r| (r.version.0, r.consent));
    let commit = turn_of(citizen(1), version, version + 1);
    let record = commit.record.map(|r| Record { consent: consent + 1, ..r });
    match store.commit(&Commit { record, ..commit }).await.expect("an answer") {
        Committed::Done => None,
        Committed::Conflict(newer) => Some(newer.expect("nobody removes a record")),
        other => panic!("{other:?}"),
    }
}
