//! Invitations: taken once, however often a file is run; and they change nothing of a citizen who is known.

use super::{Bench, Counts, citizen, put, record, turn_of};
use matamat::{
    domain::id::{InvitationId, Version},
    store::{Commit, Invite, Invited, Put, Queue, QueueOp, record::Record},
};
use std::time::{Duration, Instant};

/// How long a forgotten invitation may still be found.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(5);

/// The `n`th invitation of citizen 1, due in a minute, known for a day.
fn invite(bench: &Bench, n: u8) -> Invite {
    let QueueOp::Put(timer) = put(&Queue::Timer, &format!("c1:invite:{n}"), 100, bench.at(60)) else {
        unreachable!("a put is a put")
    };
    Invite {
        citizen: citizen(1),
        id: InvitationId([n; 16]),
        known_until: bench.at(86_400),
        record: Record::fresh(record(0).number),
        timer,
    }
}

async fn invited(bench: &Bench, invite: &Invite) -> Invited {
    let invited = bench.store.invite(invite).await.expect("an invitation is taken");
    assert!(bench.tally(&Queue::Timer).await.balances());
    invited
}

pub async fn an_invitation_is_taken_once(bench: &Bench) {
    let first = invite(bench, 1);
    assert_eq!(invited(bench, &first).await, Invited::Taken);
    assert_eq!(bench.load(citizen(1), None).await.record, Some(first.record.clone()), "it makes the record");
    assert_eq!(invited(bench, &first).await, Invited::Repeated);
    let again = Invite { timer: invite(bench, 7).timer, ..first };
    assert_eq!(bench.other.invite(&again).await, Ok(Invited::Repeated), "in whatever words");
    assert_eq!(bench.counts(&Queue::Timer).await, Counts { put: 1, waiting: 1, ..Counts::default() });

    assert_eq!(invited(bench, &invite(bench, 2)).await, Invited::Taken, "another one of the same citizen");
    bench.pass(90);
    let begins = bench.claim(&Queue::Timer, citizen(1).partition(), 1).await.items;
    let begins: Vec<_> = begins.iter().map(|i| (i.id.as_str(), i.generation, i.citizen)).collect();
    let timer = |id| (id, Version(100), citizen(1));
    assert_eq!(begins, [timer("c1:invite:1"), timer("c1:invite:2")]);
}

pub async fn an_invitation_changes_no_record(bench: &Bench) {
    let known = Record { consent: 3, ..record(100) };
    bench.commit(&Commit { record: Some(known.clone()), ..turn_of(citizen(1), 0, 100) }).await;
    assert_eq!(
        invited(bench, &invite(bench, 1)).await,
        Invited::Taken,
        "also of who said STOP: the turn judges"
    );
    assert_eq!(bench.load(citizen(1), None).await.record, Some(known));
}

pub async fn a_record_outlives_the_wait_for_an_invitation(bench: &Bench) {
    let days = |n: i64| bench.at(n * 86_400);
    let late = |n| Invite { timer: Put { due: days(25), ..invite(bench, n).timer }, ..invite(bench, n) };
    // Somebody new, and somebody whose last turn was 20 days before.
    bench.commit(&Commit { record: Some(record(100)), ..turn_of(citizen(2), 0, 100) }).await;
    bench.pass(20 * 86_400);
    let known = Invite { citizen: citizen(2), ..late(2) };
    assert_eq!(invited(bench, &late(1)).await, Invited::Taken);
    assert_eq!(invited(bench, &known).await, Invited::Taken);
    bench.pass(54 * 86_400);
    for who in [citizen(1), citizen(2)] {
        assert!(bench.load(who, None).await.record.is_some(), "25 days of waiting, and 30 more");
    }
}

/// The store's clock may be a server's own, so this waits for the moment itself, and a clock by hand is moved there.
pub async fn an_invitation_is_forgotten_after_its_time(bench: &Bench) {
    let known = Duration::from_millis(20);
    let short = Invite { known_until: bench.now().plus(known), ..invite(bench, 1) };
    assert_eq!(invited(bench, &short).await, Invited::Taken);
    (bench.move_clock)(known);
    let started = Instant::now();
    while invited(bench, &Invite { known_until: bench.at(86_400), ..short.clone() }).await
        == Invited::Repeated
    {
        assert!(started.elapsed() < FORGOTTEN_WITHIN, "still known");
        tokio::task::yield_now().await;
    }
    let expected = Counts { put: 2, replaced: 1, waiting: 1, ..Counts::default() };
    assert_eq!(bench.counts(&Queue::Timer).await, expected, "taken again");
}
