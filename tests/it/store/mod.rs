//! One list of promises, kept by every store. A back end joins with one line, `promises!(name, open)`, where `open` makes
//! a fresh [`Bench`]; each promise is then a test of its own, `store::name::a_promise`.
//!
//! A promise may not count on the clock standing still: a real server's goes on by itself. So it takes due times seconds
//! away from the moments it looks at, and moves the clock in whole seconds.

mod embedded;
mod invite;
mod model;
mod outbox;
mod outbox_model;
mod queue;
mod receipt;
mod redis;
mod slots;
mod turn;
mod version;

use matamat::{
    domain::{
        delivery::Verdict,
        id::{ChannelId, CitizenId, DepartmentId, DialogueId, EventId, MtId, Partition, Version},
        keys::Sealed,
        lang::Lang,
        message::Reply,
        time::Timestamp,
    },
    store::{
        Claim, Claimed, Commit, Committed, Item, Life, Load, Loaded, MtHeader, MtKind, OwnTimer, Put, Queue,
        QueueOp, Receipt, Received, SavedDialogue, SentLine, Settle, Settled, Store, Tally, Then,
        record::{Dialogue, Record},
    },
};
use proptest::{
    strategy::Strategy,
    test_runner::{Config, TestCaseError, TestRunner},
};
use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Every promise, on one back end: `$at::$open` is an `async fn() -> Bench`, called once for each.
macro_rules! promises {
    ($backend:ident, $at:ident::$open:ident) => {
        promises! { $backend, $at::$open:
            turn::a_commit_changes_all_that_it_names,
            turn::a_refused_commit_changes_nothing,
            turn::a_repeat_is_seen_also_after_the_dialogue_moved_on,
            turn::a_repeat_two_steps_later_is_a_conflict,
            turn::a_repeat_on_another_dialogue_is_not_seen,
            turn::a_dialogue_is_forgotten_after_its_time,
            turn::a_conflict_brings_the_record_and_changes_nothing,
            turn::a_commit_sent_again_changes_nothing,
            turn::a_timers_turn_removes_its_timer,
            turn::a_timer_that_was_replaced_cancelled_or_run_is_gone,
            turn::a_timers_turn_runs_whatever_the_attempt,
            turn::a_stale_timer_is_removed_only_on_the_version_it_was_judged_on,
            turn::a_repeat_counts_before_the_version,
            turn::a_marked_event_is_seen_the_second_time,
            turn::a_mark_is_forgotten_after_its_time,
            turn::cancels_come_before_puts,
            turn::revisions_are_kept_as_they_came,
            turn::other_keys_are_told_apart,
            turn::a_store_that_answers_is_healthy,
            turn::a_stopped_store_is_away,
            queue::a_claimed_item_is_ours_for_a_while,
            queue::a_claim_sent_again_gets_the_same_items,
            queue::a_lapsed_lease_is_one_attempt_more,
            queue::an_item_whose_lease_lapsed_is_found_waiting,
            queue::accepted_counts_from_any_attempt,
            queue::accepted_counts_for_a_dead_letter,
            queue::accepted_counts_while_the_item_waits,
            queue::a_verdict_counts_only_while_the_lease_holds,
            queue::again_is_due_when_it_asked,
            queue::two_unknowns_in_a_row_are_a_dead_letter,
            queue::an_item_given_back_was_no_attempt,
            queue::a_settle_sent_again_counts_once,
            queue::what_nobody_needs_is_counted_by_its_reason,
            queue::dead_letters_are_listed_oldest_first,
            queue::born_dead_is_dead,
            queue::a_newer_item_replaces_what_waits,
            queue::an_older_item_is_what_is_replaced,
            queue::a_claimed_item_gives_way,
            queue::a_dead_letter_gives_way,
            queue::a_cancel_counts_as_suppressed,
            queue::oldest_due_first_and_the_next_is_told,
            queue::a_sweep_tells_when_each_queue_is_due,
            queue::queues_and_partitions_do_not_mix,
            outbox::an_mt_comes_back_as_it_was_put,
            outbox::replies_go_first_and_the_oldest_of_each,
            outbox::the_next_due_looks_at_replies_and_the_rest,
            outbox::what_nobody_needs_any_more_is_suppressed,
            outbox::a_claim_sent_again_gets_the_same_mts,
            outbox::a_lapsed_lease_leaves_an_mt_in_doubt,
            outbox::two_lapsed_leases_in_a_row_are_a_dead_letter,
            outbox::an_unknown_and_a_lapsed_lease_are_two_in_a_row,
            outbox::what_is_in_doubt_is_suppressed_only_when_its_time_comes,
            outbox::acceptance_starts_the_timers,
            outbox::an_expiry_is_counted_from_the_moment_given_if_that_is_earlier,
            outbox::acceptance_without_timers_starts_none,
            outbox::an_older_mt_starts_no_timer_over_a_newer,
            outbox::a_newer_mt_replaces_the_timer,
            outbox::each_attempt_leaves_a_line,
            outbox::a_settle_sent_again_tells_nothing_twice,
            outbox::an_item_is_found_wherever_it_lies,
            outbox::a_thread_keeps_its_newest_lines,
            receipt::a_receipt_ends_an_mt_wherever_it_lies,
            receipt::the_state_is_the_highest_ever_heard,
            receipt::a_receipt_before_the_send_makes_the_life,
            receipt::a_word_in_no_list_is_only_a_line,
            receipt::a_settle_after_a_receipt_is_told_all_the_same,
            receipt::a_life_keeps_its_newest_lines,
            receipt::every_order_ends_in_one_state,
            receipt::a_vendors_id_finds_its_mt,
            receipt::a_join_waits_where_its_vendors_id_is,
            receipt::a_join_again_takes_no_further_place,
            receipt::a_vendors_id_makes_its_joins_due,
            receipt::joins_have_a_limit,
            invite::an_invitation_is_taken_once,
            invite::an_invitation_changes_no_record,
            invite::a_record_outlives_the_wait_for_an_invitation,
            invite::an_invitation_is_forgotten_after_its_time,
            slots::a_slot_is_as_long_as_its_segments,
            slots::after_the_wait_there_is_a_slot,
            slots::slots_in_the_past_lapse,
            slots::channels_have_slots_of_their_own,
            slots::two_gateways_share_a_channels_slots,
            slots::ten_seconds_give_ten_seconds_of_segments,
            version::two_first_turns_one_wins,
            version::no_update_is_lost,
            model::the_model_agrees,
            outbox_model::the_model_of_an_outbox_agrees,
        }
    };
    ($backend:ident, $at:ident::$open:ident: $($room:ident::$promise:ident),* $(,)?) => {
        mod $backend {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    super::$room::$promise(&super::$at::$open().await).await;
                }
            )*
        }
    };
}

promises!(memory, embedded::memory);
promises!(file, embedded::file);
promises!(plain_redis, redis::plain);
promises!(cluster_node, redis::cluster);

/// A fresh store and its clock.
pub struct Bench {
    /// One gateway's store.
    pub store: Arc<dyn Store>,
    /// Another gateway's on the same data; where there can be only one, the same again.
    pub other: Arc<dyn Store>,
    /// The store's clock.
    pub now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Moves the store's clock on.
    pub move_clock: Box<dyn Fn(Duration) + Send + Sync>,
    /// What must outlive the store: a folder, a server.
    pub _keep: Box<dyn Any + Send + Sync>,
}

/// The queues that promises use; all of them must balance after every act.
pub fn queues() -> [Queue; 5] {
    let police = Queue::Completion(DepartmentId::parse("police").expect("an id"));
    [Queue::Timer, ledger(), police, outbox(), Queue::Join]
}

pub fn ledger() -> Queue {
    Queue::Completion(DepartmentId::parse("ledger").expect("an id"))
}

/// The channel whose outbox promises use.
pub fn phone() -> ChannelId {
    ChannelId::parse("phone").expect("an id")
}

pub fn outbox() -> Queue {
    Queue::Outbox(phone())
}

/// How long an MT stays in doubt whose lease lapsed.
pub const DOUBT: Duration = Duration::from_secs(600);

impl Bench {
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// A moment so many seconds from now; negative is past.
    pub fn at(&self, seconds: i64) -> Timestamp {
        Timestamp(self.now().0 + seconds * 1_000)
    }

    /// Moves the clock on.
    pub fn pass(&self, seconds: u64) {
        (self.move_clock)(Duration::from_secs(seconds));
    }

    pub async fn load(&self, citizen: CitizenId, dialogue: Option<DialogueId>) -> Loaded {
        self.store.load(&Load { citizen, dialogue, event: None }).await.expect("a load")
    }

    pub async fn commit(&self, commit: &Commit) -> Committed {
        let committed = self.store.commit(commit).await.expect("a commit");
        self.balances(&format!("{commit:?}")).await;
        committed
    }

    pub async fn claim(&self, queue: &Queue, partition: Partition, token: u8) -> Claimed {
        let claim = claim_of(queue, partition, token);
        let claimed = self.store.claim(&claim).await.expect("a claim");
        self.balances(&format!("{claim:?}")).await;
        claimed
    }

    /// Claims what must be exactly one item.
    pub async fn claim_one(&self, queue: &Queue, partition: Partition, token: u8) -> Item {
        let mut claimed = self.claim(queue, partition, token).await;
        assert_eq!(claimed.items.len(), 1, "{claimed:?}");
        claimed.items.remove(0)
    }

    pub async fn settle(&self, queue: &Queue, item: &Item, verdict: Verdict) -> Settled {
        self.settle_told(queue, item, verdict, None).await
    }

    /// Settles an MT, and tells its life.
    pub async fn settle_told(
        &self,
        queue: &Queue,
        item: &Item,
        verdict: Verdict,
        sent: Option<SentLine>,
    ) -> Settled {
        let settle = Settle {
            sent,
            queue: queue.clone(),
            partition: item.citizen.partition(),
            id: item.id.clone(),
            generation: item.generation,
            attempt: item.attempt,
            verdict,
        };
        let settled = self.store.settle(&settle).await.expect("a settle");
        self.balances(&format!("{settle:?}")).await;
        settled
    }

    pub async fn receipt(&self, receipt: &Receipt) -> Received {
        let received = self.store.receipt(receipt).await.expect("a receipt is taken");
        self.balances(&format!("{receipt:?}")).await;
        received
    }

    pub async fn life(&self, mt: MtId) -> Life {
        self.store.life(&mt).await.expect("an answer").expect("the MT is known")
    }

    pub async fn tally(&self, queue: &Queue) -> Tally {
        self.store.tally(std::slice::from_ref(queue)).await.expect("a tally").remove(0)
    }

    /// All tallies of [`queues`].
    pub async fn tallies(&self) -> Vec<Tally> {
        self.store.tally(&queues()).await.expect("tallies")
    }

    /// The counts of a queue, in a shape that reads well in a test; `oldest_due` left out.
    pub async fn counts(&self, queue: &Queue) -> Counts {
        let Tally { put, done, suppressed, dropped, replaced, waiting, dead, oldest_due: _ } =
            self.tally(queue).await;
        let suppressed = suppressed.into_iter().map(|(_, n)| n).sum();
        Counts { put, done, suppressed, dropped, replaced, waiting, dead }
    }

    async fn balances(&self, after: &str) {
        for (queue, tally) in queues().iter().zip(self.tallies().await) {
            assert!(tally.balances(), "{queue} does not balance after {after}: {tally:?}");
        }
    }
}

/// A claim of all that is due, as a worker of this queue sends it.
pub fn claim_of(queue: &Queue, partition: Partition, token: u8) -> Claim {
    let doubt = matches!(queue, Queue::Outbox(_)).then_some(DOUBT);
    Claim { queue: queue.clone(), partition, max: 100, token: [token; 16], doubt }
}

/// What a [`Tally`] counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    pub put: u64,
    pub done: u64,
    pub suppressed: u64,
    pub dropped: u64,
    pub replaced: u64,
    pub waiting: u64,
    pub dead: u64,
}

/// A citizen; the number is also the partition.
pub fn citizen(n: u8) -> CitizenId {
    let mut id = [0xc1; 16];
    id[0] = n;
    CitizenId(id)
}

pub fn dialogue_of(citizen: CitizenId) -> DialogueId {
    DialogueId(citizen.0.map(|b| b ^ 0xff))
}

/// A record as it is after the turn with this version.
pub fn record(version: u64) -> Record {
    Record {
        told: None,
        version: Version(version),
        consent: 0,
        asked: Version(version),
        number: Sealed { key: 1, bytes: vec![0x5e; 53] },
        language: Lang::parse("or"),
        dialogue: None,
        session: None,
    }
}

/// A turn that found version `expected` and writes `version`; nothing else.
pub fn turn_of(citizen: CitizenId, expected: u64, version: u64) -> Commit {
    Commit {
        citizen,
        event: None,
        expected: Version(expected),
        record: Some(record(version)),
        dialogue: None,
        timer: None,
        mark: None,
        queues: Vec::new(),
    }
}

/// The same turn, woken by an event of the citizen's dialogue that shows `screen`.
pub fn with_step(commit: Commit, before: &Dialogue, event: u8, screen: &str) -> Commit {
    let event = EventId([event; 16]);
    let reply = Reply { text: screen.into(), end: false, language: Lang::EN };
    let dialogue = before.after(String::new(), event, reply);
    let id = dialogue_of(commit.citizen);
    let saved = SavedDialogue { id, dialogue, ttl: Duration::from_secs(86_400) };
    Commit { event: Some(event), dialogue: Some(saved), ..commit }
}

/// The same turn, with these changes of queues.
pub fn with_queues(commit: Commit, queues: Vec<QueueOp>) -> Commit {
    Commit { queues, ..commit }
}

/// A turn that changes queues and leaves the record as it is; it must not be there.
pub fn only_queues(citizen: CitizenId, queues: Vec<QueueOp>) -> Commit {
    Commit { record: None, queues, ..turn_of(citizen, 0, 0) }
}

/// The turn of a timer that changes nothing but the timer: the record was found at `expected`.
pub fn timers_turn(citizen: CitizenId, expected: u64, id: &str, generation: Version) -> Commit {
    let timer = Some(OwnTimer { id: id.into(), generation });
    Commit { record: None, timer, ..turn_of(citizen, expected, 0) }
}

pub fn put(queue: &Queue, id: &str, generation: u64, due: Timestamp) -> QueueOp {
    QueueOp::Put(Put {
        mt: None,
        queue: queue.clone(),
        id: id.into(),
        generation: Version(generation),
        due,
        dead: None,
        payload: format!("{id} of {generation}").into_bytes(),
    })
}

pub fn put_dead(queue: &Queue, id: &str, generation: u64, due: Timestamp, why: &str) -> QueueOp {
    match put(queue, id, generation, due) {
        QueueOp::Put(put) => QueueOp::Put(Put { dead: Some(why.into()), ..put }),
        cancel => cancel,
    }
}

pub fn cancel(queue: &Queue, id: &str) -> QueueOp {
    QueueOp::Cancel { queue: queue.clone(), id: id.into() }
}

/// The `n`th MT of a citizen.
pub fn mt_of(citizen: CitizenId, n: u8) -> MtId {
    let mut id = citizen.0;
    id[15] = n;
    MtId(id)
}

/// A question to a citizen of whom nobody knows a STOP; in no hurry, of one segment, and nothing follows.
pub fn prompt(expires: Timestamp) -> MtHeader {
    MtHeader { consent: 0, kind: MtKind::Prompt, urgent: false, expires, segments: 1, then: Then::default() }
}

/// An MT for the outbox.
pub fn put_mt(id: MtId, generation: u64, due: Timestamp, header: MtHeader) -> QueueOp {
    match put(&outbox(), &id.to_string(), generation, due) {
        QueueOp::Put(put) => QueueOp::Put(Put { mt: Some(header), ..put }),
        cancel => cancel,
    }
}

/// What a life is told about an attempt at which the vendor gave no id.
pub fn line(said: &str) -> Option<SentLine> {
    Some(SentLine { said: said.into(), vendor_id: None, thread: None })
}

/// Plays histories of a model against a store, one after the other, each with its number; a failing one is made smaller.
pub async fn each_history<A, F>(
    histories: impl Strategy<Value = Vec<A>>,
    cases: u32,
    check: impl Fn(u64, Vec<A>) -> F,
) where
    A: std::fmt::Debug,
    F: Future<Output = Result<(), TestCaseError>>,
{
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Handle::current();
    let case = AtomicU64::new(0);
    tokio::task::block_in_place(|| {
        TestRunner::new(config)
            .run(&histories, |acts| runtime.block_on(check(case.fetch_add(1, Ordering::SeqCst), acts)))
            .unwrap_or_else(|difference| panic!("{difference}"));
    });
}
