//! Conversations by SMS, turn by turn, on the in-memory store: what opens a flow, what STOP stops, what wakes by itself, and how
//! SMS and USSD share one session. Whatever an outbox may hand out is sent and accepted by a vendor that takes everything.

use matamat::{
    app::Installation,
    domain::{
        delivery::{RetrySchedule, Verdict},
        id::{ChannelId, DepartmentId, FlowId, MtId},
        invitation::Invitation,
        keys::Keys,
        lang::Lang,
        message::{ChannelFacts, Dlr, Mo, MtState, Reply, Screen, SmsFacts, UssdEvent, UssdInput, UssdStep},
        msisdn::Msisdn,
        time::{Clock, Timestamp},
    },
    findings::{Findings, Source},
    flow::{self, check},
    store::{
        Claim, Invited, Item, Load, Queue, SentLine, Settle, Tally,
        due::Due,
        embedded::Embedded,
        payload::{OwedCompletion, OwedMt},
        record::Record,
    },
    turn::{Channels, Outcome, ReceiptTurn, Shelf, TimerTurn, Turns, UssdTurn},
};
use std::{cell::Cell, sync::Arc, time::Duration};

/// 24 November 2026, 09:12 UTC.
const START: Timestamp = Timestamp(1_795_511_523_120);
const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;

/// A gateway with an SMS line and a USSD line that hands over to it, and one citizen.
struct Bench {
    turns: Turns,
    clock: Clock,
    sms: Arc<ChannelFacts>,
    ussd: Arc<ChannelFacts>,
    count: Cell<u64>,
}

impl Bench {
    fn new() -> Bench {
        let clock = Clock::manual(START);
        let (installation, found) = Installation::read(None);
        let installation = installation.unwrap_or_else(|| panic!("the shipped files are good: {found:?}"));
        let sms = Arc::new(line("sms", true, None));
        let ussd = Arc::new(line("ussd", false, Some("sms")));
        let queues = [Queue::Timer, Queue::Join, outbox(), ledger()];
        let turns = Turns {
            store: Arc::new(Embedded::memory(clock.clone()).expect("a store in memory")),
            shelf: Arc::new(shelf()),
            routes: installation.routes.clone(),
            keys: Arc::new(Keys::new(&[1; 32], (1, [2; 32]), None)),
            clock: clock.clone(),
            due: Arc::new(Due::of(queues)),
            channels: Arc::new(Channels::new(vec![sms.clone(), ussd.clone()])),
        };
        Bench { turns, clock, sms, ussd, count: Cell::new(0) }
    }

    fn next(&self) -> u64 {
        self.count.set(self.count.get() + 1);
        self.count.get()
    }

    fn mo(&self, text: &str) -> Mo {
        let id = Some(self.next().to_string());
        Mo { from: number(), to: "4545".into(), text: text.into(), id, sent: None, at: self.clock.now() }
    }

    async fn take(&self, mo: &Mo) -> Outcome {
        self.turns.mo(&self.sms, mo, [0; 16]).await.expect("a turn")
    }

    /// The citizen writes.
    async fn write(&self, text: &str) -> Outcome {
        self.take(&self.mo(text)).await
    }

    /// The citizen dials, or answers the screen.
    async fn dial(&self, session: &str, history: &str) -> Reply {
        let step = UssdStep {
            from: number(),
            session: Some(session.into()),
            event: UssdEvent::Continue,
            input: UssdInput::History(history.into()),
            code: "*4545*1#".into(),
            step: None,
            language: None,
            context: Vec::new(),
            at: self.clock.now(),
        };
        match self.turns.ussd(&self.ussd, &step, [0; 16]).await.expect("a turn") {
            UssdTurn::Screen(reply, _) => reply,
            UssdTurn::Closed => panic!("a screen was waited for"),
        }
    }

    async fn invite(&self, key: &str, office: &str) -> Invited {
        let now = self.clock.now();
        let invitation = Invitation {
            key: key.into(),
            msisdn: number(),
            flow: FlowId::parse("hospital-visit").expect("an id"),
            language: None,
            channel: None,
            context: vec![("visit.office".into(), office.into())],
            not_before: now,
            not_after: now.plus(Duration::from_secs(24 * HOUR)),
        };
        self.turns.invite(&invitation).await.expect("an act")
    }

    /// Time passes, and what it made due runs.
    async fn pass(&self, seconds: u64) -> Vec<TimerTurn> {
        self.clock.advance(Duration::from_secs(seconds));
        let mut turned = Vec::new();
        loop {
            let due = self.claim(&Queue::Timer).await;
            if due.is_empty() {
                return turned;
            }
            for item in due {
                let turn = self.turns.timer(&item).await.expect("a turn");
                match turn {
                    TimerTurn::Later(at) => self.settle(&Queue::Timer, item, Verdict::Later(at)).await,
                    TimerTurn::Suppressed(why) => {
                        self.settle(&Queue::Timer, item, Verdict::Suppressed(why)).await;
                    }
                    TimerTurn::Fired | TimerTurn::Stale | TimerTurn::Gone => {}
                }
                turned.push(turn);
            }
        }
    }

    /// What the outbox hands out, accepted: the texts that reach the phone.
    async fn sent(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for item in self.claim(&outbox()).await {
            texts.push(OwedMt::decode(&item.payload).expect("ours").text);
            self.settle(&outbox(), item, Verdict::Accepted).await;
        }
        texts
    }

    /// The one text that reaches the phone.
    async fn one(&self) -> String {
        let mut texts = self.sent().await;
        assert_eq!(texts.len(), 1, "{texts:?}");
        texts.remove(0)
    }

    async fn settle(&self, queue: &Queue, item: Item, verdict: Verdict) {
        let sent = item.mt.map(|_| SentLine { said: "accepted".into(), vendor_id: None, thread: None });
        let partition = item.citizen.partition();
        let Item { id, generation, attempt, .. } = item;
        let settle = Settle { queue: queue.clone(), partition, id, generation, attempt, verdict, sent };
        self.turns.store.settle(&settle).await.expect("a settle");
    }

    async fn claim(&self, queue: &Queue) -> Vec<Item> {
        let partition = self.citizen().partition();
        let doubt = (*queue == outbox()).then_some(Duration::from_secs(600));
        let mut token = [0; 16];
        token[..8].copy_from_slice(&self.next().to_be_bytes());
        let claim = Claim { queue: queue.clone(), partition, max: 100, token, doubt };
        self.turns.store.claim(&claim).await.expect("a claim").items
    }

    fn citizen(&self) -> matamat::domain::id::CitizenId {
        self.turns.keys.citizen(&number())
    }

    async fn record(&self) -> Record {
        let load = Load { citizen: self.citizen(), dialogue: None, event: None };
        self.turns.store.load(&load).await.expect("a load").record.expect("a record")
    }

    /// The responses that were given.
    async fn responses(&self) -> Vec<matamat::domain::completion::Completion> {
        let items = self.claim(&ledger()).await;
        items.iter().map(|item| OwedCompletion::decode(&item.payload).expect("ours").completion).collect()
    }

    async fn tally(&self, queue: &Queue) -> Tally {
        let tally = self.turns.store.tally(std::slice::from_ref(queue)).await.expect("a tally").remove(0);
        assert!(tally.balances(), "{queue}: {tally:?}");
        tally
    }

    async fn suppressed(&self, queue: &Queue) -> Vec<(String, u64)> {
        self.tally(queue).await.suppressed
    }
}

fn line(name: &str, sends: bool, via: Option<&str>) -> ChannelFacts {
    let id = |id| ChannelId::parse(id).expect("an id");
    let retry = RetrySchedule(vec![Duration::from_secs(5)]);
    let sms = SmsFacts { tps: 10, quiet: None, retry, echoes: true, segments_max: 10 };
    ChannelFacts {
        id: id(name),
        address: "4545".into(),
        flows: Vec::new(),
        sms: sends.then_some(sms),
        sms_via: via.map(id),
        deadline: Duration::from_secs(5),
        screen: Screen::default(),
        language: Lang::parse("en"),
        country: "IN".into(),
        session_limit: Duration::from_secs(180),
    }
}

/// The bundled hospital flow; what these tests say of it they set themselves.
fn shelf() -> Shelf {
    let findings = Findings::default();
    let texts = flow::bundled::texts();
    let hospital = flow::bundled::flows().remove(0);
    let (before, after) = hospital.text.split_once("start ").expect("it says what opens it");
    let (_, after) = after.split_once("[context]").expect("it has a context");
    let start = "start = { sms = [\"MO\", \"HOSPITAL\"], ussd = [\"*4545*1#\"] }\nexpires = \"48h\"\n\
                 remind = [\"6h\", \"24h\"]\n\n[context]";
    let source = Source::new("hospital-visit.toml", &format!("{before}{start}{after}"));
    let flow = check::load(&source, &texts, &findings);
    let flow = flow.unwrap_or_else(|| panic!("a good flow: {:?}", findings.into_sorted()));
    let engine = flow::texts::load(&texts, &Findings::default()).expect("good texts");
    Shelf::new(vec![Arc::new(flow)], engine)
}

fn number() -> Msisdn {
    Msisdn::parse("+919437000001", "IN").expect("a number")
}

fn outbox() -> Queue {
    Queue::Outbox(ChannelId::parse("sms").expect("an id"))
}

fn ledger() -> Queue {
    Queue::Completion(DepartmentId::parse("ledger").expect("an id"))
}

fn reasons(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
    pairs.iter().map(|(reason, n)| ((*reason).to_owned(), *n)).collect()
}

#[tokio::test]
async fn a_word_opens_a_flow_and_answers_move_it() {
    let bench = Bench::new();
    assert_eq!(bench.write(" m o ").await, Outcome::Done, "case and blanks do not matter");
    assert!(bench.one().await.starts_with("How were you treated"), "the whole question");
    bench.write("2").await;
    let question = bench.one().await;
    assert!(question.contains("What went wrong?") && question.contains("\n5 Something else"), "{question}");
    bench.write("1").await;
    assert!(bench.one().await.contains("see your number"));
    bench.write("yes").await;
    assert!(bench.one().await.contains("reference number"));
    let responses = bench.responses().await;
    assert_eq!(responses.len(), 1);
    assert_eq!((responses[0].bearer.name(), responses[0].channel.as_str()), ("sms", "sms"));
    assert_eq!(responses[0].answers.len(), 3);
    assert_eq!(bench.tally(&outbox()).await.done, 4);
}

#[tokio::test]
async fn a_repeated_message_changes_nothing() {
    let bench = Bench::new();
    let first = bench.mo("MO");
    assert_eq!(bench.take(&first).await, Outcome::Done);
    let version = bench.record().await.version;
    assert_eq!(bench.take(&first).await, Outcome::Repeat);
    bench.write("4").await;
    assert_eq!(bench.take(&first).await, Outcome::Repeat, "also after the conversation moved on");
    bench.pass(71 * HOUR).await;
    assert_eq!(bench.take(&first).await, Outcome::Repeat, "for three days");
    assert_ne!(bench.record().await.version, version);
    assert_eq!(bench.tally(&outbox()).await.put, 2);
}

#[tokio::test]
async fn without_an_id_the_same_text_at_the_same_time_is_the_same_message() {
    let bench = Bench::new();
    let at = |sent| Mo { id: None, sent, ..bench.mo("MO") };
    assert_eq!(bench.take(&at(Some(START))).await, Outcome::Done);
    assert_eq!(bench.take(&at(Some(START))).await, Outcome::Repeat);
    assert_eq!(bench.take(&at(Some(Timestamp(START.0 + 1_000)))).await, Outcome::Done, "a second later");
    let random = async |n| bench.turns.mo(&bench.sms, &at(None), [n; 16]).await.expect("a turn");
    assert_eq!(random(7).await, Outcome::Done, "nothing to tell it by");
    assert_eq!(random(7).await, Outcome::Repeat, "the spool's own id");
    assert_eq!(random(8).await, Outcome::Done);
}

#[tokio::test]
async fn stop_is_final() {
    let bench = Bench::new();
    bench.write("MO").await;
    bench.invite("v-1", "Capital Hospital").await;
    assert_eq!(bench.write("Stop").await, Outcome::Done);
    let confirmation = bench.one().await;
    assert!(confirmation.contains("START"), "the one confirmation says the way back: {confirmation}");
    assert_eq!(bench.suppressed(&outbox()).await, reasons(&[("consent", 1)]), "the question that waited");
    for text in ["MO", "5", "help", "STOP", "hello"] {
        assert_eq!(bench.write(text).await, Outcome::Nothing, "{text}");
    }
    assert_eq!(bench.pass(HOUR).await, [TimerTurn::Suppressed("stopped")], "the invitation");
    bench.pass(100 * HOUR).await;
    assert_eq!(bench.sent().await, [""; 0], "not a word more");
    // A dialogue that the citizen opens is held by its screens alone.
    assert!(bench.dial("s", "").await.text.starts_with("How were"));
    bench.pass(HOUR).await;
    assert_eq!(bench.sent().await, [""; 0]);
    assert!(bench.record().await.stopped());
}

#[tokio::test]
async fn only_start_undoes_it() {
    let bench = Bench::new();
    bench.write("STOP").await;
    bench.write("START").await;
    assert!(bench.one().await.contains("again"), "the confirmation of a STOP that is undone never leaves");
    assert_eq!(bench.suppressed(&outbox()).await, reasons(&[("consent", 1)]));
    assert_eq!(bench.write("MO").await, Outcome::Done);
    assert!(bench.one().await.starts_with("How were"));
    assert_eq!(bench.record().await.consent, 2);
}

#[tokio::test]
async fn stop_ends_the_session_with_what_there_is() {
    let bench = Bench::new();
    bench.write("MO").await;
    bench.write("2").await;
    bench.write("STOP").await;
    assert_eq!(bench.record().await.session, None);
    assert_eq!(bench.tally(&Queue::Timer).await.waiting, 0, "nobody is woken for it");
}

#[tokio::test]
async fn help_and_not_me() {
    let bench = Bench::new();
    bench.write("MO").await;
    bench.sent().await;
    bench.write("HELP").await;
    assert!(bench.one().await.contains("STOP"));
    assert!(bench.record().await.session.is_some(), "help moves nothing");
    bench.write("wrong number").await;
    assert!(bench.one().await.contains("Sorry"));
    assert_eq!(bench.record().await.session, None);
    assert_eq!(bench.responses().await, [], "no response of whoever was not meant");
}

#[tokio::test]
async fn what_opens_nothing_is_told_once_a_day() {
    let bench = Bench::new();
    assert_eq!(bench.write("what?").await, Outcome::Done);
    assert_eq!(bench.sent().await.len(), 1);
    assert_eq!(bench.write("WHAT?").await, Outcome::Nothing);
    bench.pass(23 * HOUR).await;
    assert_eq!(bench.write("").await, Outcome::Nothing, "an empty text is a message like any other");
    bench.pass(HOUR).await;
    assert_eq!(bench.write("what?").await, Outcome::Done);
    assert_eq!(bench.sent().await.len(), 1);
}

#[tokio::test]
async fn a_newer_question_supersedes_the_one_that_waits() {
    let bench = Bench::new();
    bench.write("MO").await;
    bench.write("2").await;
    assert!(bench.one().await.contains("What went wrong?"));
    assert_eq!(bench.suppressed(&outbox()).await, reasons(&[("superseded", 1)]));
}

#[tokio::test]
async fn a_word_while_a_flow_is_open_shows_the_open_question() {
    let bench = Bench::new();
    bench.write("MO").await;
    bench.write("2").await;
    bench.sent().await;
    bench.write("HOSPITAL").await;
    assert!(bench.one().await.contains("What went wrong?"));
    assert_eq!(bench.record().await.session.expect("a session").answers.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn messages_at_the_same_instant_never_mix() {
    let bench = Bench::new();
    bench.write("MO").await;
    bench.sent().await;
    // Two devices answer at once: one answer after the other, each to the question that is open by then.
    let (one, two) = (bench.mo("2"), bench.mo("2"));
    let (one, two) =
        tokio::join!(bench.turns.mo(&bench.sms, &one, [0; 16]), bench.turns.mo(&bench.sms, &two, [0; 16]));
    assert_eq!((one.expect("a turn"), two.expect("a turn")), (Outcome::Done, Outcome::Done));
    let session = bench.record().await.session.expect("a session");
    let nodes: Vec<_> = session.answers.iter().map(|given| given.node.as_str()).collect();
    assert_eq!(nodes, ["overall", "topic"]);
    assert!(bench.one().await.contains("see your number"), "one prompt: the last one");
}

#[tokio::test]
async fn reminders_count_from_the_acceptance_and_stop_with_the_answer() {
    let bench = Bench::new();
    bench.write("MO").await;
    bench.pass(3 * HOUR).await;
    assert!(bench.one().await.starts_with("How were"), "the vendor took it three hours later");
    bench.pass(6 * HOUR - MINUTE).await;
    assert_eq!(bench.sent().await, [""; 0]);
    bench.pass(MINUTE).await;
    let first = bench.one().await;
    assert!(first.contains("How were you treated"), "{first}");
    bench.pass(18 * HOUR).await;
    assert!(bench.one().await.contains("How were you treated"), "the second, a day after the question");
    bench.write("2").await;
    bench.sent().await;
    bench.write("1").await;
    bench.sent().await;
    bench.write("1").await;
    bench.sent().await;
    bench.pass(30 * HOUR).await;
    assert_eq!(bench.sent().await, [""; 0], "it was answered");
    assert_eq!(bench.responses().await.len(), 1);
}

#[tokio::test]
async fn an_answer_after_the_end_gets_a_kind_word() {
    let bench = Bench::new();
    bench.write("MO").await;
    bench.write("2").await;
    bench.sent().await;
    // The timer has not fired yet: the message ends the session as the timer would.
    bench.clock.advance(Duration::from_secs(49 * HOUR));
    bench.write("1").await;
    assert!(bench.one().await.contains("over"), "the time for this answer");
    let after = bench.record().await;
    assert_eq!(after.session, None);
    assert_eq!(bench.pass(0).await, [TimerTurn::Stale], "a reminder of it only removes itself");
}

#[tokio::test]
async fn begun_by_sms_finished_by_dialling() {
    let bench = Bench::new();
    bench.write("MO").await;
    bench.sent().await;
    assert!(bench.dial("s", "").await.text.starts_with("How were"), "the same open question");
    bench.dial("s", "2").await;
    bench.write("1").await;
    assert!(bench.one().await.contains("see your number"), "and by SMS again");
    let last = bench.dial("t", "").await;
    assert!(last.text.contains("see your number"), "{}", last.text);
    bench.dial("t", "1").await;
    assert_eq!(bench.responses().await.len(), 1, "one session, one response");
}

#[tokio::test]
async fn a_dialogue_left_open_goes_on_by_sms_once() {
    let bench = Bench::new();
    bench.dial("s", "").await;
    bench.pass(9 * MINUTE).await;
    bench.dial("s", "2").await;
    assert_eq!(bench.pass(9 * MINUTE).await.len(), 1, "the timer looks how long ago the last step was");
    assert_eq!(bench.sent().await, [""; 0]);
    assert_eq!(bench.pass(MINUTE).await, [TimerTurn::Fired]);
    assert!(bench.one().await.contains("What went wrong?"));
    bench.pass(HOUR).await;
    assert_eq!(bench.sent().await, [""; 0], "once");
    bench.write("1").await;
    assert!(bench.one().await.contains("see your number"), "the answer by SMS is to the same session");
}

#[tokio::test]
async fn an_invitation_begins_a_dialogue() {
    let bench = Bench::new();
    assert_eq!(bench.invite("v-1", "Capital Hospital").await, Invited::Taken);
    assert_eq!(bench.invite("v-1", "Capital Hospital").await, Invited::Repeated);
    assert_eq!(bench.pass(0).await, [TimerTurn::Fired]);
    let question = bench.one().await;
    assert!(question.contains("Capital Hospital"), "{question}");
    let session = bench.record().await.session.expect("a session");
    assert!(session.invited);
    bench.write("5").await;
    assert!(bench.one().await.contains("reference number"));
    let responses = bench.responses().await;
    assert_eq!(responses[0].context, [("visit.office".to_owned(), "Capital Hospital".to_owned())]);
    assert_eq!(bench.invite("v-1", "Capital Hospital").await, Invited::Repeated, "also when it is over");
}

#[tokio::test]
async fn an_invitation_waits_for_the_end_of_what_is_open_but_not_for_ever() {
    let bench = Bench::new();
    bench.write("MO").await;
    bench.sent().await;
    bench.invite("v-1", "Capital Hospital").await;
    let later = START.plus(Duration::from_secs(HOUR));
    assert_eq!(bench.pass(0).await, [TimerTurn::Later(later)]);
    bench.write("5").await;
    bench.sent().await;
    assert_eq!(bench.pass(HOUR).await[0], TimerTurn::Fired);
    assert!(bench.one().await.contains("Capital Hospital"));
    bench.invite("v-2", "City Hospital").await;
    bench.pass(23 * HOUR).await;
    bench.pass(HOUR + MINUTE).await;
    assert_eq!(
        bench.suppressed(&Queue::Timer).await.iter().find(|(why, _)| why == "lapsed"),
        Some(&("lapsed".to_owned(), 1))
    );
}

#[tokio::test]
async fn an_invitations_time_runs_from_its_first_accepted_mt() {
    let bench = Bench::new();
    bench.invite("v-1", "Capital Hospital").await;
    bench.pass(0).await;
    bench.pass(2 * HOUR).await;
    bench.one().await;
    // Two reminders go by; the end is 48 hours after the acceptance.
    bench.pass(47 * HOUR).await;
    bench.sent().await;
    assert!(bench.record().await.session.is_some(), "49 hours after its commit");
    bench.pass(HOUR).await;
    assert_eq!(bench.record().await.session, None, "48 hours after the acceptance");
}

#[tokio::test]
async fn receipts_find_their_mt_or_wait_or_are_nobodys() {
    let bench = Bench::new();
    bench.write("MO").await;
    let item = bench.claim(&outbox()).await.remove(0);
    let dlr = |reference: Option<&str>, id: Option<&str>, state| Dlr {
        reference: reference.map(str::to_owned),
        id: id.map(str::to_owned),
        part: 0,
        state,
        word: "word".into(),
        code: String::new(),
        at: bench.clock.now(),
    };
    let receipt = async |dlr: Dlr| bench.turns.receipt(&bench.sms, &dlr).await.expect("an act");
    let delivered = Some(MtState::Delivered);
    assert_eq!(receipt(dlr(Some(&"0".repeat(32)), None, delivered)).await, ReceiptTurn::Forged);
    assert_eq!(receipt(dlr(Some("../../etc"), None, delivered)).await, ReceiptTurn::Forged);
    assert_eq!(receipt(dlr(None, Some("ATXid_1"), delivered)).await, ReceiptTurn::Joined);
    assert_eq!(receipt(dlr(Some(&item.id), None, delivered)).await, ReceiptTurn::Moved, "before its settle");
    assert_eq!(receipt(dlr(Some(&item.id), None, Some(MtState::Sent))).await, ReceiptTurn::Known, "late");
    let life = bench.turns.store.life(&MtId::parse(&item.id).expect("an id")).await.expect("an act");
    assert_eq!(life.expect("a life").parts, [(0, MtState::Delivered)]);
    assert_eq!(bench.tally(&outbox()).await.done, 1, "the receipt settled it");
    assert_eq!(bench.tally(&Queue::Timer).await.waiting, 2, "expiry, and the reminder of the settle");
}
