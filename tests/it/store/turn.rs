//! What one turn commits: all of it or nothing (P1), once (P2), on the version it was decided on (P3).

use super::{
    Bench, Counts, cancel, citizen, dialogue_of, ledger, only_queues, put, record, timers_turn, turn_of,
    with_queues, with_step,
};
use matamat::{
    domain::{
        delivery::Verdict,
        id::{EventId, Revision, Version},
    },
    store::{
        Commit, Committed, Health, KeysFound, Load, Queue, SavedDialogue, StoreError,
        record::{Dialogue, Record},
    },
};
use std::time::{Duration, Instant};

/// How long a forgotten dialogue may still be found.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(5);

pub async fn a_commit_changes_all_that_it_names(bench: &Bench) {
    let who = citizen(7);
    let commit = with_step(turn_of(who, 0, 100), &Dialogue::default(), 1, "How?");
    let commit = with_queues(
        commit,
        vec![
            put(&Queue::Timer, "c7:expiry", 100, bench.at(3600)),
            put(&ledger(), "rsp_7", 100, bench.at(-1)),
        ],
    );
    assert_eq!(bench.commit(&commit).await, Committed::Done);

    let loaded = bench.load(who, Some(dialogue_of(who))).await;
    assert_eq!(loaded.record, commit.record);
    assert_eq!(loaded.dialogue, commit.dialogue.map(|d| d.dialogue));
    assert_eq!(bench.load(who, None).await.dialogue, None, "not asked for");
    assert_eq!(bench.counts(&Queue::Timer).await, Counts { put: 1, waiting: 1, ..Counts::default() });
    assert_eq!(bench.counts(&ledger()).await, Counts { put: 1, waiting: 1, ..Counts::default() });
    assert_eq!(
        bench.load(citizen(8), Some(dialogue_of(citizen(8)))).await,
        Default::default(),
        "nobody else"
    );
}

/// The last operation names an item by an id that no store takes.
pub async fn a_refused_commit_changes_nothing(bench: &Bench) {
    let long = "x".repeat(161);
    for bad in ["", "with blank", "UPPER", "ଅ", long.as_str()] {
        let before = (bench.load(citizen(1), Some(dialogue_of(citizen(1)))).await, bench.tallies().await);
        let commit = with_step(turn_of(citizen(1), 0, 100), &Dialogue::default(), 1, "How?");
        let ops = vec![put(&ledger(), "rsp_1", 100, bench.at(-1)), put(&Queue::Timer, bad, 100, bench.at(9))];
        let refused = bench.store.commit(&with_queues(commit, ops)).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{bad:?}: {refused:?}");
        let after = (bench.load(citizen(1), Some(dialogue_of(citizen(1)))).await, bench.tallies().await);
        assert_eq!(before, after, "{bad:?}");
    }
}

pub async fn a_repeat_is_seen_also_after_the_dialogue_moved_on(bench: &Bench) {
    let who = citizen(1);
    let first = with_step(turn_of(who, 0, 100), &Dialogue::default(), 1, "How?");
    let after_first = first.dialogue.clone().expect("a dialogue").dialogue;
    bench.commit(&first).await;
    assert_eq!(bench.commit(&first).await, Committed::Seen(Some(after_first.clone())));

    let second = with_step(turn_of(who, 100, 200), &after_first, 2, "What?");
    let after_second = second.dialogue.clone().expect("a dialogue").dialogue;
    bench.commit(&second).await;
    assert_eq!(bench.commit(&first).await, Committed::Seen(Some(after_second.clone())), "one step later");
    assert_eq!(bench.load(who, None).await.record, second.record, "and changed nothing");
    assert_eq!(bench.load(who, Some(dialogue_of(who))).await.dialogue, Some(after_second));
}

pub async fn a_repeat_two_steps_later_is_a_conflict(bench: &Bench) {
    let who = citizen(1);
    let first = with_step(turn_of(who, 0, 1), &Dialogue::default(), 1, "a");
    let mut dialogue = first.dialogue.clone().expect("a dialogue").dialogue;
    bench.commit(&first).await;
    for n in 1..=2 {
        let next = with_step(turn_of(who, n, n + 1), &dialogue, n as u8 + 1, "b");
        dialogue = next.dialogue.clone().expect("a dialogue").dialogue;
        assert_eq!(bench.commit(&next).await, Committed::Done);
    }
    assert_eq!(bench.commit(&first).await, Committed::Conflict(Some(record(3))));
}

/// A vendor's session id that comes twice names two dialogues of two citizens; what one saw is not the other's.
pub async fn a_repeat_on_another_dialogue_is_not_seen(bench: &Bench) {
    let one = with_step(turn_of(citizen(1), 0, 100), &Dialogue::default(), 1, "How?");
    let two = with_step(turn_of(citizen(2), 0, 100), &Dialogue::default(), 1, "How?");
    assert_eq!(bench.commit(&one).await, Committed::Done);
    assert_eq!(bench.commit(&two).await, Committed::Done);
}

/// The store's clock may be a server's own, so this waits for the moment itself, and a clock by hand is moved there.
pub async fn a_dialogue_is_forgotten_after_its_time(bench: &Bench) {
    let who = citizen(1);
    let ttl = Duration::from_millis(20);
    let commit = with_step(turn_of(who, 0, 100), &Dialogue::default(), 1, "How?");
    let saved = commit.dialogue.clone().map(|d| SavedDialogue { ttl, ..d });
    bench.commit(&Commit { dialogue: saved, ..commit.clone() }).await;
    (bench.move_clock)(ttl);
    let started = Instant::now();
    while bench.load(who, Some(dialogue_of(who))).await.dialogue.is_some() {
        assert!(started.elapsed() < FORGOTTEN_WITHIN, "still known");
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.commit(&commit).await, Committed::Conflict(Some(record(100))), "nor is the event");
}

/// A turn woken by an event that leaves no reply, only a mark.
fn marked(event: u8, expected: u64, version: u64, ttl: Duration) -> Commit {
    Commit { event: Some(EventId([event; 16])), mark: Some(ttl), ..turn_of(citizen(1), expected, version) }
}

async fn is_seen(bench: &Bench, event: u8) -> bool {
    let load = Load { citizen: citizen(1), dialogue: None, event: Some(EventId([event; 16])) };
    bench.store.load(&load).await.expect("a load").seen
}

pub async fn a_marked_event_is_seen_the_second_time(bench: &Bench) {
    let day = Duration::from_secs(86_400);
    let first = marked(1, 0, 100, day);
    assert!(!is_seen(bench, 1).await, "nobody has seen it yet");
    let early = bench.commit(&Commit { expected: Version(7), ..first.clone() }).await;
    assert_eq!(early, Committed::Conflict(None));
    assert!(!is_seen(bench, 1).await, "a refused turn leaves no mark");

    assert_eq!(bench.commit(&first).await, Committed::Done);
    assert_eq!((is_seen(bench, 1).await, is_seen(bench, 2).await), (true, false));
    assert_eq!(bench.commit(&first).await, Committed::Seen(None), "sent again");
    let again =
        with_queues(marked(1, 100, 200, day), vec![put(&Queue::Timer, "c1:expiry", 200, bench.at(9))]);
    assert_eq!(bench.commit(&again).await, Committed::Seen(None), "also on the right version");
    assert_eq!(bench.load(citizen(1), None).await.record, Some(record(100)), "and it changed nothing");
    assert_eq!(bench.counts(&Queue::Timer).await, Counts::default());
    assert_eq!(bench.commit(&marked(2, 100, 200, day)).await, Committed::Done, "another event");
}

/// See [`a_dialogue_is_forgotten_after_its_time`].
pub async fn a_mark_is_forgotten_after_its_time(bench: &Bench) {
    let ttl = Duration::from_millis(20);
    bench.commit(&marked(1, 0, 100, ttl)).await;
    (bench.move_clock)(ttl);
    let started = Instant::now();
    while is_seen(bench, 1).await {
        assert!(started.elapsed() < FORGOTTEN_WITHIN, "still known");
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.commit(&marked(1, 100, 200, ttl)).await, Committed::Done);
}

pub async fn a_conflict_brings_the_record_and_changes_nothing(bench: &Bench) {
    let who = citizen(1);
    let early = turn_of(who, 50, 60);
    assert_eq!(bench.commit(&early).await, Committed::Conflict(None), "nobody is there yet");

    bench.commit(&turn_of(who, 0, 100)).await;
    let late = with_queues(
        with_step(turn_of(who, 0, 200), &Dialogue::default(), 1, "How?"),
        vec![put(&ledger(), "rsp_1", 200, bench.at(-1))],
    );
    let before = bench.tallies().await;
    assert_eq!(bench.commit(&late).await, Committed::Conflict(Some(record(100))));
    assert_eq!(bench.tallies().await, before);
    let loaded = bench.load(who, Some(dialogue_of(who))).await;
    assert_eq!((loaded.record, loaded.dialogue), (Some(record(100)), None));
}

/// What a gateway does when an answer was lost: the same bytes again, at most three times.
pub async fn a_commit_sent_again_changes_nothing(bench: &Bench) {
    let who = citizen(1);
    let timer = put(&Queue::Timer, "c1:expiry", 50, bench.at(9));
    bench.commit(&with_queues(turn_of(who, 0, 50), vec![timer])).await;
    let commit = with_queues(
        with_step(turn_of(who, 50, 100), &Dialogue::default(), 1, "Thanks"),
        vec![cancel(&Queue::Timer, "c1:expiry"), put(&ledger(), "rsp_1", 100, bench.at(-1))],
    );
    assert_eq!(bench.commit(&commit).await, Committed::Done);
    let before = (bench.tallies().await, bench.load(who, Some(dialogue_of(who))).await);
    for _ in 0..3 {
        assert!(matches!(bench.commit(&commit).await, Committed::Seen(_)));
    }
    assert_eq!((bench.tallies().await, bench.load(who, Some(dialogue_of(who))).await), before);
}

/// A citizen at version 100 with a timer of that turn that is due.
async fn with_due_timer(bench: &Bench) {
    let due = put(&Queue::Timer, "c1:expiry", 100, bench.at(-5));
    bench.commit(&with_queues(turn_of(citizen(1), 0, 100), vec![due])).await;
}

pub async fn a_timers_turn_removes_its_timer(bench: &Bench) {
    with_due_timer(bench).await;
    let item = bench.claim_one(&Queue::Timer, citizen(1).partition(), 1).await;
    let expired = with_queues(
        Commit { record: Some(record(200)), ..timers_turn(citizen(1), 100, &item.id, item.generation) },
        vec![put(&ledger(), "rsp_1", 200, bench.at(-1))],
    );
    assert_eq!(bench.commit(&expired).await, Committed::Done);
    assert_eq!(bench.counts(&Queue::Timer).await, Counts { put: 1, done: 1, ..Counts::default() });
    assert_eq!(bench.counts(&ledger()).await, Counts { put: 1, waiting: 1, ..Counts::default() });
    assert_eq!(bench.load(citizen(1), None).await.record, Some(record(200)));
    assert_eq!(bench.commit(&expired).await, Committed::Gone, "sent again");
    assert_eq!(bench.counts(&ledger()).await.put, 1);
}

pub async fn a_timer_that_was_replaced_cancelled_or_run_is_gone(bench: &Bench) {
    with_due_timer(bench).await;
    let item = bench.claim_one(&Queue::Timer, citizen(1).partition(), 1).await;
    let expired = |expected| Commit {
        record: Some(record(900)),
        ..timers_turn(citizen(1), expected, &item.id, item.generation)
    };
    let newer = put(&Queue::Timer, "c1:expiry", 200, bench.at(60));
    bench.commit(&with_queues(turn_of(citizen(1), 100, 200), vec![newer])).await;
    assert_eq!(bench.commit(&expired(200)).await, Committed::Gone, "replaced");
    assert_eq!(
        bench.commit(&expired(100)).await,
        Committed::Gone,
        "the timer is looked for before the version"
    );

    let over = vec![cancel(&Queue::Timer, "c1:expiry")];
    bench.commit(&with_queues(turn_of(citizen(1), 200, 300), over)).await;
    assert_eq!(bench.commit(&expired(300)).await, Committed::Gone, "cancelled");
    assert_eq!(bench.load(citizen(1), None).await.record, Some(record(300)), "nothing changed");
}

pub async fn a_timers_turn_runs_whatever_the_attempt(bench: &Bench) {
    with_due_timer(bench).await;
    let first = bench.claim_one(&Queue::Timer, citizen(1).partition(), 1).await;
    bench.pass(31);
    let second = bench.claim_one(&Queue::Timer, citizen(1).partition(), 2).await;
    assert_eq!((first.attempt, second.attempt), (1, 2));
    let by_the_first = timers_turn(citizen(1), 100, &first.id, first.generation);
    assert_eq!(bench.commit(&by_the_first).await, Committed::Done);
    assert_eq!(bench.settle(&Queue::Timer, &second, Verdict::Accepted).await, matamat::store::Settled::Stale);
    assert_eq!(bench.counts(&Queue::Timer).await, Counts { put: 1, done: 1, ..Counts::default() });
}

pub async fn a_stale_timer_is_removed_only_on_the_version_it_was_judged_on(bench: &Bench) {
    with_due_timer(bench).await;
    bench.commit(&turn_of(citizen(1), 100, 200)).await;
    let judged_on_100 = timers_turn(citizen(1), 100, "c1:expiry", Version(100));
    assert_eq!(bench.commit(&judged_on_100).await, Committed::Conflict(Some(record(200))));
    assert_eq!(bench.counts(&Queue::Timer).await.waiting, 1, "it is judged again on the newer record");
    let judged_on_200 = Commit { expected: Version(200), ..judged_on_100 };
    assert_eq!(bench.commit(&judged_on_200).await, Committed::Done);
    assert_eq!(bench.counts(&Queue::Timer).await, Counts { put: 1, done: 1, ..Counts::default() });
    assert_eq!(bench.load(citizen(1), None).await.record, Some(record(200)), "the record stays as it was");
}

/// A repeat that was loaded late carries the newest version; it is a repeat all the same.
pub async fn a_repeat_counts_before_the_version(bench: &Bench) {
    let first = with_step(turn_of(citizen(1), 0, 100), &Dialogue::default(), 1, "How?");
    bench.commit(&first).await;
    let again =
        Commit { expected: Version(100), record: Some(Record { consent: 9, ..record(200) }), ..first };
    assert!(matches!(bench.commit(&again).await, Committed::Seen(_)));
    assert_eq!(bench.load(citizen(1), None).await.record, Some(record(100)));
}

/// A new question: the old timer goes, the new one comes, under one id.
pub async fn cancels_come_before_puts(bench: &Bench) {
    with_due_timer(bench).await;
    let ops = vec![cancel(&Queue::Timer, "c1:expiry"), put(&Queue::Timer, "c1:expiry", 200, bench.at(-1))];
    bench.commit(&with_queues(turn_of(citizen(1), 100, 200), ops)).await;
    let item = bench.claim_one(&Queue::Timer, citizen(1).partition(), 1).await;
    assert_eq!((item.generation, item.payload), (Version(200), b"c1:expiry of 200".to_vec()));
    let counts = Counts { put: 2, suppressed: 1, waiting: 1, ..Counts::default() };
    assert_eq!(bench.counts(&Queue::Timer).await, counts);
}

pub async fn revisions_are_kept_as_they_came(bench: &Bench) {
    let (known, unknown) = (Revision([1; 32]), Revision([2; 32]));
    let stored = "id = \"ଯାତ୍ରା\"\0".repeat(500).into_bytes();
    for _ in 0..2 {
        bench.store.put_revision(known, &stored).await.expect("kept");
        assert_eq!(bench.store.revision(known).await, Ok(Some(stored.clone())));
    }
    assert_eq!(bench.store.revision(unknown).await, Ok(None));
}

pub async fn other_keys_are_told_apart(bench: &Bench) {
    assert_eq!(bench.store.has_keys().await, Ok(false));
    assert_eq!(bench.store.adopt_keys([1; 16]).await, Ok(KeysFound::Adopted));
    assert_eq!(bench.store.has_keys().await, Ok(true));
    assert_eq!(bench.other.adopt_keys([1; 16]).await, Ok(KeysFound::Same));
    assert_eq!(bench.store.adopt_keys([2; 16]).await, Ok(KeysFound::Other));
    assert_eq!(bench.store.adopt_keys([1; 16]).await, Ok(KeysFound::Same), "the first ones stay");
}

pub async fn a_store_that_answers_is_healthy(bench: &Bench) {
    assert_eq!(bench.store.health().await, Ok(Health::Ok));
}

pub async fn a_stopped_store_is_away(bench: &Bench) {
    let who = citizen(1);
    let (first, second) = (turn_of(who, 0, 100), only_queues(who, Vec::new()));
    let (done, stopped) = tokio::join!(bench.store.commit(&first), bench.store.stop());
    assert_eq!((done, stopped), (Ok(Committed::Done), Ok(())), "what was asked before is finished");
    let late = bench.store.commit(&second).await;
    assert!(matches!(late, Err(StoreError::Away(_))), "{late:?}");
    assert!(bench.store.stop().await.is_ok(), "twice is as good as once");
    let load = bench.store.load(&Load { citizen: who, dialogue: None, event: None }).await;
    assert!(matches!(load, Ok(_) | Err(StoreError::Away(_))), "an answer, not a wait: {load:?}");
}
