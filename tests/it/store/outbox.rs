//! MTs in the outbox of a channel: what goes first, what nobody needs any more, what is left in doubt (P6: never twice
//! without a person's word), and what begins when a vendor has one.

use super::{
    Bench, Counts, DOUBT, citizen, line, mt_of, only_queues, outbox, prompt, put, put_mt, record, turn_of,
    with_queues,
};
use matamat::{
    domain::{
        delivery::Verdict,
        id::{ChannelId, CitizenId, MtId, Partition, ResponseId, Version},
        message::MtState,
        time::Timestamp,
    },
    store::{
        Claim, Claimed, Commit, Committed, Found, Item, ItemState, LEASE, Life, MtHeader, MtKind, Queue,
        QueueOp, SentLine, Settled, THREAD_LINES, Tally, Then, payload::TimerPayload, record::Record,
    },
};
use std::time::Duration;

/// The partition of the citizen that these promises are about.
const HERE: Partition = Partition(1);
/// A little longer than a lease.
const PAST_THE_LEASE: u64 = LEASE.as_secs() + 1;
/// The version of the turn that said the MTs of these promises, unless they say otherwise.
const SAID: u64 = 100;

/// The first MT of citizen 1.
pub fn mt_1() -> MtId {
    mt_of(citizen(1), 1)
}

/// The turn of a citizen nobody knew, which says these MTs.
async fn say(bench: &Bench, who: CitizenId, mts: Vec<QueueOp>) {
    assert_eq!(bench.commit(&with_queues(turn_of(who, 0, SAID), mts)).await, Committed::Done);
}

/// A prompt that is good for a day.
fn lasting(bench: &Bench) -> MtHeader {
    prompt(bench.at(86_400))
}

/// Puts one MT with this header, due five seconds ago.
async fn put_one(bench: &Bench, header: MtHeader) {
    say(bench, citizen(1), vec![put_mt(mt_1(), SAID, bench.at(-5), header)]).await;
}

/// Puts it and claims it.
pub async fn claimed_one(bench: &Bench, header: MtHeader) -> Item {
    put_one(bench, header).await;
    bench.claim_one(&outbox(), HERE, 1).await
}

async fn check_counts(bench: &Bench, expected: Counts) {
    assert_eq!(bench.counts(&outbox()).await, expected);
}

fn ids(claimed: &Claimed) -> Vec<&str> {
    claimed.items.iter().map(|item| item.id.as_str()).collect()
}

/// A reminder after an hour, an expiry after a day.
pub fn both_timers() -> Then {
    Then {
        response: ResponseId([8; 16]),
        remind: Some((1, Duration::from_secs(3_600))),
        expire: Some((Duration::from_secs(86_400), Timestamp(i64::MAX / 2))),
    }
}

pub fn timer_id(who: CitizenId, kind: &str) -> String {
    format!("{who}:{kind}")
}

async fn timer(bench: &Bench, kind: &str) -> Option<Found> {
    let id = timer_id(citizen(1), kind);
    bench.store.find(&Queue::Timer, HERE, &id).await.expect("an answer")
}

/// A timer's due time and what it will wake.
async fn timer_of(bench: &Bench, kind: &str) -> (Timestamp, TimerPayload) {
    let found = timer(bench, kind).await.expect("the timer waits");
    assert_eq!((found.state, found.attempts), (ItemState::Waiting, 0));
    (found.due, TimerPayload::decode(&found.payload).expect("a timer"))
}

pub async fn an_mt_comes_back_as_it_was_put(bench: &Bench) {
    let (due, expires) = (bench.at(-5), bench.at(86_400));
    let headers = [
        prompt(expires),
        MtHeader { kind: MtKind::Notice, urgent: true, segments: 255, ..prompt(expires) },
        MtHeader {
            then: Then { remind: Some((3, Duration::from_millis(1))), ..both_timers() },
            ..prompt(expires)
        },
        MtHeader { then: Then { expire: None, ..both_timers() }, ..prompt(Timestamp(i64::MAX / 2)) },
    ];
    for (n, header) in (1..).zip(headers) {
        let who = citizen(n);
        say(bench, who, vec![put_mt(mt_of(who, n), SAID, due, header)]).await;
        let item = bench.claim_one(&outbox(), who.partition(), 1).await;
        let expected = Item {
            id: mt_of(who, n).to_string(),
            generation: Version(SAID),
            attempt: 1,
            first_attempt: item.first_attempt,
            unknowns: 0,
            due,
            citizen: who,
            record: Some(record(SAID)),
            payload: format!("{} of {SAID}", mt_of(who, n)).into_bytes(),
            mt: Some(header),
        };
        assert_eq!(item, expected);
    }
    let timer = put(&Queue::Timer, "c9:expiry", SAID, due);
    bench.commit(&only_queues(citizen(9), vec![timer])).await;
    assert_eq!(bench.claim_one(&Queue::Timer, Partition(9), 1).await.mt, None, "a timer has none");
}

/// Puts MTs of citizen 1 as `(number, urgent, seconds from now)`; gives their ids.
async fn put_mixed(bench: &Bench, mts: &[(u8, bool, i64)]) -> Vec<String> {
    let op = |(n, urgent, seconds): &(u8, bool, i64)| {
        let header = MtHeader { urgent: *urgent, ..lasting(bench) };
        put_mt(mt_of(citizen(1), *n), SAID, bench.at(*seconds), header)
    };
    say(bench, citizen(1), mts.iter().map(op).collect()).await;
    mts.iter().map(|(n, ..)| mt_of(citizen(1), *n).to_string()).collect()
}

pub async fn replies_go_first_and_the_oldest_of_each(bench: &Bench) {
    let mts = [(1, false, -40), (2, true, -10), (3, false, -50), (4, true, -20), (5, true, 60)];
    let id = put_mixed(bench, &mts).await;
    let claim =
        |max, token| Claim { queue: outbox(), partition: HERE, max, token: [token; 16], doubt: Some(DOUBT) };
    let one = bench.store.claim(&claim(1, 1)).await.expect("a claim");
    assert_eq!(ids(&one), [&id[3]]);
    let two = bench.store.claim(&claim(2, 2)).await.expect("a claim");
    assert_eq!(ids(&two), [&id[1], &id[2]]);
    let rest = bench.store.claim(&claim(9, 3)).await.expect("a claim");
    assert_eq!(ids(&rest), [&id[0]]);
}

pub async fn the_next_due_looks_at_replies_and_the_rest(bench: &Bench) {
    let mts = [(1, false, 40), (2, true, 70), (3, false, -5)];
    put_mixed(bench, &mts).await;
    let (first, second) = (bench.tally(&outbox()).await.oldest_due, bench.claim(&outbox(), HERE, 1).await);
    assert!(first.is_some_and(|due| due < bench.now()));
    let due = second.next_due.expect("two wait");
    assert_eq!(
        bench.store.sweep(HERE, &[outbox()]).await.expect("a sweep")[0].map(|at| at.0 < due.0),
        Some(true)
    );
    bench.settle(&outbox(), &second.items[0], Verdict::Accepted).await;
    assert_eq!(bench.store.sweep(HERE, &[outbox()]).await, Ok(vec![Some(due)]));
    bench.pass(50);
    let bulk = bench.claim(&outbox(), HERE, 2).await;
    let reply = bulk.next_due.expect("the reply waits");
    assert_eq!((bulk.items.len(), reply.0 - due.0), (1, 30_000), "and now the reply is next");
    bench.settle(&outbox(), &bulk.items[0], Verdict::Accepted).await;
    assert_eq!(bench.store.sweep(HERE, &[outbox()]).await, Ok(vec![Some(reply)]));
}

/// One row of the table below: what an MT was made under, and what the record says at its claim.
struct Case {
    n: u8,
    what: &'static str,
    header: MtHeader,
    record: Option<(u32, u64)>,
    reason: Option<&'static str>,
}

pub async fn what_nobody_needs_any_more_is_suppressed(bench: &Bench) {
    use MtKind::{Confirmation, Notice, Prompt};
    let (good, over) = (bench.at(86_400), bench.at(-1));
    let mut n = 0;
    let mut case = |what, kind, consent, expires, record, reason| {
        n += 1;
        let header = MtHeader { kind, consent, ..prompt(expires) };
        Case { n, what, header, record, reason }
    };
    let consent = Some("consent");
    let cases = [
        case("all is as it was", Prompt, 0, good, Some((0, SAID)), None),
        case("START since the STOP before it", Prompt, 2, good, Some((2, SAID)), None),
        case("STOP since", Prompt, 0, good, Some((1, SAID)), consent),
        case("STOP and START since", Prompt, 0, good, Some((2, SAID)), consent),
        case("a notice after STOP", Notice, 0, good, Some((1, SAID)), consent),
        case("made while stopped", Notice, 1, good, Some((1, SAID)), consent),
        case("the confirmation of this STOP", Confirmation, 1, good, Some((1, SAID)), None),
        case("of an earlier STOP", Confirmation, 1, good, Some((3, SAID)), consent),
        case("START since its STOP", Confirmation, 1, good, Some((2, SAID)), consent),
        case("its time is over", Notice, 0, over, Some((0, SAID)), Some("expired")),
        case("a newer question was put", Prompt, 0, good, Some((0, SAID + 1)), Some("superseded")),
        case("a notice before a newer question", Notice, 0, good, Some((0, SAID + 1)), None),
        case("a confirmation before one", Confirmation, 1, good, Some((1, SAID + 1)), None),
        case("an older question", Prompt, 0, good, Some((0, SAID - 1)), None),
        case("nobody knows the citizen", Notice, 0, good, None, Some("forgotten")),
        case("STOP counts before the time", Prompt, 0, over, Some((1, SAID + 1)), consent),
        case("the time before a newer question", Prompt, 0, over, Some((0, SAID + 1)), Some("expired")),
        case("no record before all", Prompt, 0, over, None, Some("forgotten")),
    ];
    for case in cases {
        check_case(bench, case).await;
    }
}

async fn check_case(bench: &Bench, Case { n, what, header, record: now, reason }: Case) {
    let who = citizen(n);
    let record = now.map(|(consent, asked)| Record { consent, asked: Version(asked), ..record(SAID) });
    let turn = Commit { record, ..turn_of(who, 0, SAID) };
    bench.commit(&with_queues(turn, vec![put_mt(mt_of(who, 1), SAID, bench.at(-5), header)])).await;
    let before = bench.tally(&outbox()).await;
    let claimed = bench.claim(&outbox(), who.partition(), 1).await;
    let after = bench.tally(&outbox()).await;
    let count = |tally: &Tally| {
        tally.suppressed.iter().find(|(found, _)| Some(found.as_str()) == reason).map_or(0, |(_, n)| *n)
    };
    let suppressed = u64::from(reason.is_some());
    assert_eq!(claimed.items.len() as u64, 1 - suppressed, "{what}: {claimed:?}");
    assert_eq!(count(&after) - count(&before), suppressed, "{what}: {after:?}");
    assert_eq!(before.waiting - after.waiting, suppressed, "{what}");
    let found = bench.store.find(&outbox(), who.partition(), &mt_of(who, 1).to_string()).await;
    assert_eq!(found.expect("an answer").is_none(), reason.is_some(), "{what}");
}

pub async fn a_claim_sent_again_gets_the_same_mts(bench: &Bench) {
    let id = put_mixed(bench, &[(1, false, -40), (2, true, -10), (3, false, -50)]).await;
    let first = bench.claim(&outbox(), HERE, 1).await;
    assert_eq!(ids(&first), [&id[1], &id[2], &id[0]]);
    let again = bench.claim(&outbox(), HERE, 1).await;
    assert_eq!(first.items, again.items, "and the attempt is not raised");
    bench.commit(&turn_of(citizen(1), SAID, 200)).await;
    let late = bench.claim(&outbox(), HERE, 1).await;
    assert_eq!(ids(&late), ids(&first), "what is claimed is not judged again");
    assert_eq!(bench.claim(&outbox(), HERE, 2).await.items, [], "nobody else gets them");
}

/// Whoever held the lease may have sent it: so it is not simply due again.
pub async fn a_lapsed_lease_leaves_an_mt_in_doubt(bench: &Bench) {
    let first = claimed_one(bench, lasting(bench)).await;
    bench.pass(PAST_THE_LEASE);
    let before = bench.now();
    let finds = bench.claim(&outbox(), HERE, 2).await;
    let due = finds.next_due.expect("it waits");
    assert_eq!(finds.items, []);
    assert!(before.plus(DOUBT) <= due && due <= bench.now().plus(DOUBT), "{due:?}");
    check_counts(bench, Counts { put: 1, waiting: 1, ..Counts::default() }).await;
    let late = bench.settle(&outbox(), &first, Verdict::Again(bench.at(0))).await;
    assert_eq!(late, Settled::Stale, "the lease is over");

    bench.pass(DOUBT.as_secs() + 1);
    let second = bench.claim_one(&outbox(), HERE, 3).await;
    assert_eq!(second, Item { attempt: 2, unknowns: 1, due, ..first });
    bench.settle(&outbox(), &second, Verdict::Again(bench.at(0))).await;
    let third = bench.claim_one(&outbox(), HERE, 4).await;
    assert_eq!((third.attempt, third.unknowns), (3, 0), "a known answer between them");
}

pub async fn two_lapsed_leases_in_a_row_are_a_dead_letter(bench: &Bench) {
    claimed_one(bench, lasting(bench)).await;
    bench.pass(PAST_THE_LEASE);
    assert_eq!(bench.claim(&outbox(), HERE, 2).await.items, []);
    bench.pass(DOUBT.as_secs() + 1);
    bench.claim_one(&outbox(), HERE, 3).await;
    bench.pass(PAST_THE_LEASE);
    assert_eq!(bench.claim(&outbox(), HERE, 4).await, Claimed::default());
    let dead = bench.store.dead(&outbox(), 10).await.expect("a list");
    assert_eq!((dead.len(), dead[0].attempts), (1, 2));
    assert!(dead[0].why.contains("unknown"), "a person reads why: {}", dead[0].why);
    check_counts(bench, Counts { put: 1, dead: 1, ..Counts::default() }).await;
}

pub async fn an_unknown_and_a_lapsed_lease_are_two_in_a_row(bench: &Bench) {
    let first = claimed_one(bench, lasting(bench)).await;
    let due = bench.at(10);
    assert_eq!(bench.settle(&outbox(), &first, Verdict::Unknown(due)).await, Settled::Done);
    assert_eq!(bench.claim(&outbox(), HERE, 2).await.next_due, Some(due));
    bench.pass(20);
    assert_eq!(bench.claim_one(&outbox(), HERE, 3).await.unknowns, 1);
    bench.pass(PAST_THE_LEASE);
    bench.claim(&outbox(), HERE, 4).await;
    check_counts(bench, Counts { put: 1, dead: 1, ..Counts::default() }).await;
}

/// A receipt may still say what became of it; so STOP does not hide an attempt that nobody knows the end of.
pub async fn what_is_in_doubt_is_suppressed_only_when_its_time_comes(bench: &Bench) {
    claimed_one(bench, lasting(bench)).await;
    let stop = Record { consent: 1, ..record(200) };
    bench.commit(&Commit { record: Some(stop), ..turn_of(citizen(1), SAID, 200) }).await;
    bench.pass(PAST_THE_LEASE);
    bench.claim(&outbox(), HERE, 2).await;
    check_counts(bench, Counts { put: 1, waiting: 1, ..Counts::default() }).await;
    bench.pass(DOUBT.as_secs() + 1);
    assert_eq!(bench.claim(&outbox(), HERE, 3).await.items, []);
    assert_eq!(bench.tally(&outbox()).await.suppressed, [("consent".into(), 1)]);
}

pub async fn acceptance_starts_the_timers(bench: &Bench) {
    let item = claimed_one(bench, MtHeader { then: both_timers(), ..lasting(bench) }).await;
    assert_eq!(timer(bench, "remind").await, None, "nothing begins before a vendor has it");
    let before = bench.now();
    assert_eq!(bench.settle(&outbox(), &item, Verdict::Accepted).await, Settled::Done);
    let after = bench.now();
    let response = ResponseId([8; 16]);
    for (kind, seconds, expected) in [
        ("remind", 3_600, TimerPayload::Remind { response, nth: 1, asked: Version(SAID) }),
        ("expiry", 86_400, TimerPayload::Expiry(response)),
    ] {
        let (due, payload) = timer_of(bench, kind).await;
        let wait = Duration::from_secs(seconds);
        assert!(before.plus(wait) <= due && due <= after.plus(wait), "{kind} at {due:?}");
        assert_eq!(payload, expected);
    }
    assert_eq!(bench.settle(&outbox(), &item, Verdict::Accepted).await, Settled::Stale);
    assert_eq!(bench.counts(&Queue::Timer).await, Counts { put: 2, waiting: 2, ..Counts::default() }, "once");
    bench.pass(3_700);
    let reminder = bench.claim_one(&Queue::Timer, HERE, 2).await;
    let expected = (timer_id(citizen(1), "remind"), Version(SAID), citizen(1), 1);
    assert_eq!((reminder.id, reminder.generation, reminder.citizen, reminder.attempt), expected);
}

pub async fn an_expiry_is_counted_from_the_moment_given_if_that_is_earlier(bench: &Bench) {
    let cap = bench.at(-600);
    let then = Then { remind: None, expire: Some((Duration::from_secs(86_400), cap)), ..both_timers() };
    let item = claimed_one(bench, MtHeader { then, ..lasting(bench) }).await;
    bench.settle(&outbox(), &item, Verdict::Accepted).await;
    assert_eq!(timer_of(bench, "expiry").await.0, cap.plus(Duration::from_secs(86_400)));
    assert_eq!(timer(bench, "remind").await, None);
}

pub async fn acceptance_without_timers_starts_none(bench: &Bench) {
    let item = claimed_one(bench, lasting(bench)).await;
    for verdict in [Verdict::Again(bench.at(0)), Verdict::Accepted] {
        assert_eq!(bench.settle(&outbox(), &item, verdict).await, Settled::Done);
    }
    assert_eq!(bench.counts(&Queue::Timer).await, Counts::default());
}

pub async fn an_older_mt_starts_no_timer_over_a_newer(bench: &Bench) {
    let newer = put(&Queue::Timer, &timer_id(citizen(1), "remind"), SAID + 1, bench.at(50));
    let header = MtHeader { then: both_timers(), ..lasting(bench) };
    say(bench, citizen(1), vec![newer, put_mt(mt_1(), SAID, bench.at(-5), header)]).await;
    let item = bench.claim_one(&outbox(), HERE, 1).await;
    bench.settle(&outbox(), &item, Verdict::Accepted).await;
    let expected = Counts { put: 3, replaced: 1, waiting: 2, ..Counts::default() };
    assert_eq!(bench.counts(&Queue::Timer).await, expected);
    bench.pass(60);
    assert_eq!(bench.claim_one(&Queue::Timer, HERE, 2).await.generation, Version(SAID + 1));
}

pub async fn a_newer_mt_replaces_the_timer(bench: &Bench) {
    let older = put(&Queue::Timer, &timer_id(citizen(1), "remind"), SAID - 1, bench.at(50));
    let header = MtHeader { then: both_timers(), ..lasting(bench) };
    say(bench, citizen(1), vec![older, put_mt(mt_1(), SAID, bench.at(-5), header)]).await;
    let item = bench.claim_one(&outbox(), HERE, 1).await;
    bench.settle(&outbox(), &item, Verdict::Accepted).await;
    bench.pass(60);
    assert_eq!(bench.claim(&Queue::Timer, HERE, 2).await.items, [], "the older one gave way");
    let expected = Counts { put: 3, replaced: 1, waiting: 2, ..Counts::default() };
    assert_eq!(bench.counts(&Queue::Timer).await, expected);
}

pub fn said(life: &Life) -> Vec<&str> {
    life.lines.iter().map(|line| line.said.as_str()).collect()
}

pub async fn each_attempt_leaves_a_line(bench: &Bench) {
    let first = claimed_one(bench, lasting(bench)).await;
    assert_eq!(bench.store.life(&mt_1()).await, Ok(None), "not before an attempt ended");
    let before = bench.now();
    bench.settle_told(&outbox(), &first, Verdict::Again(bench.at(0)), line("429")).await;
    let life = bench.life(mt_1()).await;
    assert_eq!((&life.parts[..], said(&life), &life.vendor_id), (&[][..], vec!["429"], &None));
    assert!(before <= life.lines[0].at && life.lines[0].at <= bench.now(), "by the store's clock");
    let stale = bench.settle_told(&outbox(), &first, Verdict::Dead("no".into()), line("too late")).await;
    assert_eq!(stale, Settled::Stale);

    let second = bench.claim_one(&outbox(), HERE, 2).await;
    let accepted = SentLine { vendor_id: Some("AT-7".into()), ..line("accepted").expect("a line") };
    bench.settle_told(&outbox(), &second, Verdict::Accepted, Some(accepted)).await;
    let life = bench.life(mt_1()).await;
    assert_eq!(life.parts, [(0, MtState::Accepted)]);
    assert_eq!((said(&life), life.vendor_id.as_deref()), (vec!["429", "accepted"], Some("AT-7")));
    assert_eq!(bench.store.life(&mt_of(citizen(1), 2)).await, Ok(None), "nobody else's");
}

pub async fn a_settle_sent_again_tells_nothing_twice(bench: &Bench) {
    let item = claimed_one(bench, MtHeader { then: both_timers(), ..lasting(bench) }).await;
    let sent = SentLine {
        said: "accepted".into(),
        vendor_id: Some("AT-7".into()),
        thread: Some(b"How was it?".to_vec()),
    };
    for expected in [Settled::Done, Settled::Stale, Settled::Stale] {
        let settled = bench.settle_told(&outbox(), &item, Verdict::Accepted, Some(sent.clone())).await;
        assert_eq!(settled, expected);
        bench.pass(1);
    }
    assert_eq!(said(&bench.life(mt_1()).await), ["accepted"]);
    assert_eq!(bench.store.thread(&citizen(1)).await, Ok(vec![b"How was it?".to_vec()]));
    check_counts(bench, Counts { put: 1, done: 1, ..Counts::default() }).await;
}

pub async fn an_item_is_found_wherever_it_lies(bench: &Bench) {
    let find = async || bench.other.find(&outbox(), HERE, &mt_1().to_string()).await.expect("an answer");
    assert_eq!(find().await, None);
    let due = bench.at(-5);
    say(bench, citizen(1), vec![put_mt(mt_1(), SAID, due, lasting(bench))]).await;
    let waits = Found {
        state: ItemState::Waiting,
        attempts: 0,
        due,
        payload: format!("{} of {SAID}", mt_1()).into_bytes(),
    };
    assert_eq!(find().await, Some(waits.clone()));
    let item = bench.claim_one(&outbox(), HERE, 1).await;
    assert_eq!(find().await, Some(Found { state: ItemState::Claimed, attempts: 1, ..waits.clone() }));
    let later = bench.at(-1);
    bench.settle(&outbox(), &item, Verdict::Again(later)).await;
    assert_eq!(find().await, Some(Found { attempts: 1, due: later, ..waits.clone() }));
    let item = bench.claim_one(&outbox(), HERE, 2).await;
    bench.settle(&outbox(), &item, Verdict::Dead("blocked".into())).await;
    let dead = find().await.expect("a dead letter");
    assert_eq!((dead.state, dead.attempts), (ItemState::Dead("blocked".into()), 2));
    assert_eq!(dead.payload, waits.payload);
    assert_eq!(bench.store.find(&outbox(), Partition(2), &mt_1().to_string()).await, Ok(None));
    let other = Queue::Outbox(ChannelId::parse("other").expect("an id"));
    assert_eq!(bench.store.find(&other, HERE, &mt_1().to_string()).await, Ok(None));
}

pub async fn a_thread_keeps_its_newest_lines(bench: &Bench) {
    assert_eq!(bench.store.thread(&citizen(1)).await, Ok(vec![]));
    let many = THREAD_LINES as u8 + 5;
    let mts = (0..many).map(|n| {
        let header = MtHeader { urgent: true, ..lasting(bench) };
        put_mt(mt_of(citizen(1), n), SAID, bench.at(i64::from(n) - 500), header)
    });
    say(bench, citizen(1), mts.collect()).await;
    let mut sent = 0;
    while sent < many {
        for item in bench.claim(&outbox(), HERE, sent).await.items {
            let told = SentLine { thread: Some(vec![sent]), ..line("accepted").expect("a line") };
            bench.settle_told(&outbox(), &item, Verdict::Accepted, Some(told)).await;
            sent += 1;
        }
    }
    let newest: Vec<_> = (5..many).map(|n| vec![n]).collect();
    assert_eq!(bench.store.thread(&citizen(1)).await, Ok(newest));
    assert_eq!(bench.store.thread(&citizen(2)).await, Ok(vec![]), "nobody else's");
}
