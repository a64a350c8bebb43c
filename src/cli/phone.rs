//! A phone on the in-memory store: what `simulate` and `replay` speak with. Every step goes through the turn, as a telco's
//! would; between any two the session is stored and read back. Clock, keys and ids are fixed, so a script runs the same
//! everywhere, reference numbers included.

use crate::{
    app::Installation,
    domain::{
        completion::Completion,
        delivery::{RetrySchedule, Verdict},
        id::{ChannelId, CitizenId, DepartmentId, FlowId},
        invitation::Invitation,
        keys::Keys,
        lang::Lang,
        message::{ChannelFacts, Mo, Reply, Screen, SmsFacts, UssdEvent, UssdInput, UssdStep},
        msisdn::Msisdn,
        time::{Clock, Timestamp},
    },
    expr::Names,
    findings::{At, Findings, Source},
    route::{self, Routes},
    store::{
        CLAIM_MAX, Claim, Item, Queue, SentLine, Settle,
        due::Due,
        embedded::Embedded,
        payload::{OwedCompletion, OwedMt},
    },
    turn::{Channels, TimerTurn, Turns, UssdTurn},
};
use anyhow::Context;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// When every conversation begins.
pub const START: Timestamp = Timestamp(1_795_511_523_000);
/// Whose phone it is.
const CITIZEN: &str = "+919437000001";
/// How long an invitation may wait.
const INVITED_WITHIN: Duration = Duration::from_secs(7 * 86_400);
/// How many rounds of timers one wait runs at most: a reminder may start the next.
const ROUNDS_MAX: usize = 64;
/// The department that gets everything, complete or not.
const DEPARTMENT: &str = "script";

/// What a phone is like.
#[derive(Debug, Clone, Default)]
pub struct Handset {
    /// The language its line speaks; the flow's first when absent.
    pub language: Option<Lang>,
    /// What its screen shows.
    pub screen: Screen,
    /// What is known of the visit, under dotted names.
    pub context: Vec<(String, String)>,
}

/// A phone, and the gateway in memory behind it.
pub struct Phone {
    turns: Turns,
    clock: Clock,
    facts: Arc<ChannelFacts>,
    handset: Handset,
    citizen: CitizenId,
    from: Msisdn,
    session: u32,
    step: u32,
    code: String,
    claims: AtomicU64,
}

impl Phone {
    /// A phone for these flows.
    pub fn new(installation: &Installation, handset: Handset) -> anyhow::Result<Phone> {
        let clock = Clock::manual(START);
        let keys = Keys::new(&[1; 32], (1, [2; 32]), None);
        let from = Msisdn::from_e164(CITIZEN).context("a good number")?;
        let facts = Arc::new(facts(&handset)?);
        let queues = [Queue::Timer, completions(), Queue::Outbox(facts.id.clone())];
        Ok(Phone {
            citizen: keys.citizen(&from),
            turns: Turns {
                store: Arc::new(Embedded::memory(clock.clone())?),
                shelf: installation.shelf.clone(),
                routes: Arc::new(everything()),
                keys: Arc::new(keys),
                clock: clock.clone(),
                due: Arc::new(Due::of(queues)),
                channels: Arc::new(Channels::new(vec![facts.clone()])),
            },
            clock,
            facts,
            handset,
            from,
            session: 0,
            step: 0,
            code: String::new(),
            claims: AtomicU64::new(0),
        })
    }

    /// Dials a code.
    pub async fn dial(&mut self, code: &str) -> anyhow::Result<Reply> {
        (self.session, self.step, self.code) = (self.session + 1, 0, code.to_owned());
        self.go(UssdEvent::Start, "").await
    }

    /// Answers the screen.
    pub async fn answer(&mut self, text: &str) -> anyhow::Result<Reply> {
        self.go(UssdEvent::Continue, text).await
    }

    async fn go(&mut self, event: UssdEvent, input: &str) -> anyhow::Result<Reply> {
        self.step += 1;
        let step = UssdStep {
            from: self.from.clone(),
            session: Some(self.session.to_string()),
            event,
            input: UssdInput::Last(input.to_owned()),
            code: self.code.clone(),
            step: Some(self.step.to_string()),
            language: self.handset.language,
            context: self.handset.context.clone(),
            at: self.clock.now(),
        };
        match self.turns.ussd(&self.facts, &step, [0; 16]).await? {
            UssdTurn::Screen(reply, _) => Ok(reply),
            UssdTurn::Closed => anyhow::bail!("a step that waits for a screen got none"),
        }
    }

    /// Sends an SMS.
    pub async fn sms(&mut self, text: &str) -> anyhow::Result<()> {
        self.step += 1;
        let now = self.clock.now();
        let mo = Mo {
            from: self.from.clone(),
            to: String::new(),
            text: text.to_owned(),
            id: Some(format!("{}-{}", self.session, self.step)),
            sent: None,
            at: now,
        };
        self.turns.mo(&self.facts, &mo, [0; 16]).await?;
        Ok(())
    }

    /// Is invited into a flow, and the invitation is due.
    pub async fn invited(&mut self, flow: &str) -> anyhow::Result<()> {
        self.step += 1;
        let now = self.clock.now();
        let invitation = Invitation {
            key: self.step.to_string(),
            msisdn: self.from.clone(),
            flow: FlowId::parse(flow).context("an invitation names a flow: `invite hospital-visit`")?,
            language: self.handset.language,
            channel: None,
            context: self.handset.context.clone(),
            not_before: now,
            not_after: now.plus(INVITED_WITHIN),
        };
        self.turns.invite(&invitation).await?;
        self.run_timers().await
    }

    /// Lets time pass and runs what it made due.
    pub async fn wait(&mut self, length: Duration) -> anyhow::Result<()> {
        self.clock.advance(length);
        self.run_timers().await
    }

    async fn run_timers(&self) -> anyhow::Result<()> {
        for _ in 0..ROUNDS_MAX {
            let due = self.claim(Queue::Timer).await?;
            if due.is_empty() {
                break;
            }
            for item in due {
                match self.turns.timer(&item).await? {
                    TimerTurn::Fired | TimerTurn::Stale | TimerTurn::Gone => {}
                    TimerTurn::Later(at) => self.settle(Queue::Timer, item, Verdict::Later(at)).await?,
                    TimerTurn::Suppressed(why) => {
                        self.settle(Queue::Timer, item, Verdict::Suppressed(why)).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The SMS that arrived since the last time this was asked. The phone is on, and its vendor takes everything.
    pub async fn texts(&mut self) -> anyhow::Result<Vec<String>> {
        let outbox = Queue::Outbox(self.facts.id.clone());
        let mut texts = Vec::new();
        for item in self.claim(outbox.clone()).await? {
            texts.push(OwedMt::decode(&item.payload)?.text);
            self.settle(outbox.clone(), item, Verdict::Accepted).await?;
        }
        Ok(texts)
    }

    /// The responses that were given since the last time this was asked.
    pub async fn responses(&mut self) -> anyhow::Result<Vec<Completion>> {
        let mut given = Vec::new();
        for item in self.claim(completions()).await? {
            given.push(OwedCompletion::decode(&item.payload)?.completion);
            self.settle(completions(), item, Verdict::Accepted).await?;
        }
        Ok(given)
    }

    async fn settle(&self, queue: Queue, item: Item, verdict: Verdict) -> anyhow::Result<()> {
        let sent = item.mt.map(|_| SentLine { said: "accepted".into(), vendor_id: None, thread: None });
        let Item { id, generation, attempt, .. } = item;
        let partition = self.citizen.partition();
        self.turns.store.settle(&Settle { queue, partition, id, generation, attempt, verdict, sent }).await?;
        Ok(())
    }

    async fn claim(&self, queue: Queue) -> anyhow::Result<Vec<Item>> {
        let doubt = matches!(queue, Queue::Outbox(_)).then_some(Duration::ZERO);
        // A token of its own for each claim: the clock stands still, and the same one would get the same items again.
        let token = self.claims.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let token = std::array::from_fn(|n| token[n % 8]);
        let claim = Claim { queue, partition: self.citizen.partition(), max: CLAIM_MAX, token, doubt };
        Ok(self.turns.store.claim(&claim).await?.items)
    }
}

/// A line that dials and sends.
fn facts(handset: &Handset) -> anyhow::Result<ChannelFacts> {
    Ok(ChannelFacts {
        id: ChannelId::parse("phone").context("a good id")?,
        address: String::new(),
        flows: Vec::new(),
        sms: Some(SmsFacts {
            tps: 100,
            quiet: None,
            retry: RetrySchedule(Vec::new()),
            echoes: true,
            segments_max: 255,
        }),
        sms_via: None,
        deadline: Duration::from_secs(5),
        screen: handset.screen,
        language: handset.language,
        country: "IN".into(),
        session_limit: Duration::from_secs(180),
    })
}

fn department() -> DepartmentId {
    DepartmentId::parse(DEPARTMENT).expect("a good id")
}

fn completions() -> Queue {
    Queue::Completion(department())
}

/// One route that takes every response, complete or not.
fn everything() -> Routes {
    let route = route::Settings {
        source: Source::new("script", ""),
        to: At { value: DEPARTMENT.to_owned(), span: 0..0 },
        when: None,
        share_msisdn: false,
        partial: true,
    };
    Routes::compile(&[route], &[department()], &Names::route(), &Findings::default())
}
