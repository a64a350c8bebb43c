//! A phone on the in-memory store: what `simulate` and `replay` speak with. Every step goes through the turn, as a telco's
//! would; between any two the session is stored and read back. Clock, keys and ids are fixed, so a script runs the same
//! everywhere, reference numbers included.

use crate::{
    app::Installation,
    domain::{
        completion::Completion,
        delivery::Verdict,
        id::{ChannelId, CitizenId, DepartmentId},
        keys::Keys,
        lang::Lang,
        message::{ChannelFacts, Reply, Screen, UssdEvent, UssdInput, UssdStep},
        msisdn::Msisdn,
        time::{Clock, Timestamp},
    },
    expr::Names,
    findings::{At, Findings, Source},
    route::{self, Routes},
    store::{CLAIM_MAX, Claim, Item, Queue, Settle, due::Due, embedded::Embedded, payload::OwedCompletion},
    turn::{Turns, UssdTurn},
};
use anyhow::Context;
use std::{sync::Arc, time::Duration};

/// When every conversation begins.
pub const START: Timestamp = Timestamp(1_795_511_523_000);
/// Whose phone it is.
const CITIZEN: &str = "+919437000001";
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
    facts: ChannelFacts,
    handset: Handset,
    citizen: CitizenId,
    from: Msisdn,
    session: u32,
    step: u32,
    code: String,
}

impl Phone {
    /// A phone for these flows.
    pub fn new(installation: &Installation, handset: Handset) -> anyhow::Result<Phone> {
        let clock = Clock::manual(START);
        let keys = Keys::new(&[1; 32], (1, [2; 32]), None);
        let from = Msisdn::from_e164(CITIZEN).context("a good number")?;
        let queues = [Queue::Timer, completions()];
        Ok(Phone {
            citizen: keys.citizen(&from),
            turns: Turns {
                store: Arc::new(Embedded::memory(clock.clone())?),
                shelf: installation.shelf.clone(),
                routes: Arc::new(everything()),
                keys: Arc::new(keys),
                clock: clock.clone(),
                due: Arc::new(Due::of(queues)),
                channels: Arc::default(),
            },
            clock,
            facts: ChannelFacts {
                id: ChannelId::parse("phone").context("a good id")?,
                address: String::new(),
                flows: Vec::new(),
                sms: None,
                sms_via: None,
                deadline: Duration::from_secs(5),
                screen: handset.screen,
                language: handset.language,
                country: "IN".into(),
                session_limit: Duration::from_secs(180),
            },
            handset,
            from,
            session: 0,
            step: 0,
            code: String::new(),
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

    /// Lets time pass and runs what it made due.
    pub async fn wait(&mut self, length: Duration) -> anyhow::Result<()> {
        self.clock.advance(length);
        for item in self.claim(Queue::Timer).await? {
            self.turns.timer(&item).await?;
        }
        Ok(())
    }

    /// The responses that were given since the last time this was asked.
    pub async fn responses(&mut self) -> anyhow::Result<Vec<Completion>> {
        let mut given = Vec::new();
        for item in self.claim(completions()).await? {
            given.push(OwedCompletion::decode(&item.payload)?.completion);
            let settle = Settle {
                queue: completions(),
                partition: self.citizen.partition(),
                id: item.id,
                generation: item.generation,
                attempt: item.attempt,
                verdict: Verdict::Accepted,
                sent: None,
            };
            self.turns.store.settle(&settle).await?;
        }
        Ok(given)
    }

    async fn claim(&self, queue: Queue) -> anyhow::Result<Vec<Item>> {
        let claim =
            Claim { queue, partition: self.citizen.partition(), max: CLAIM_MAX, token: [0; 16], doubt: None };
        Ok(self.turns.store.claim(&claim).await?.items)
    }
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
