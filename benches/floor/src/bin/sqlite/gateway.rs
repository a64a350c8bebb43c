//! The gateway's own turns on its own store: engine, ids, routes, load and commit. No HTTP, no workers.

use super::{Counted, bare::Rows};
use anyhow::{Context as _, bail};
use matamat::{
    app::Installation,
    domain::{
        id::ChannelId,
        keys::Keys,
        lang::Lang,
        message::{ChannelFacts, Screen, UssdEvent, UssdInput, UssdStep},
        msisdn::Msisdn,
        time::Clock,
    },
    store::{Queue, due::Due, embedded::Embedded},
    turn::{Turns, UssdTurn},
};
use rusqlite::{Connection, OpenFlags};
use std::{
    cell::Cell,
    path::Path,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

/// What has been typed at each turn.
const HISTORIES: [&str; 4] = ["", "1", "1*1", "1*1*1"];

/// A store in a file, and turns on it.
pub struct Gateway {
    store: Arc<Embedded>,
    turns: Turns,
    facts: Rc<ChannelFacts>,
    dialled: u64,
}

impl Gateway {
    /// A new file.
    pub fn open(path: &Path) -> anyhow::Result<Gateway> {
        let (installation, findings) = Installation::read(None);
        let Some(installation) = installation else { bail!("the shipped files are good: {findings:?}") };
        let clock = Clock::System { shift_ms: 0 };
        let store = Arc::new(Embedded::open(path, clock.clone())?);
        let departments = installation.config.departments.iter().map(|d| Queue::Completion(d.id.clone()));
        let turns = Turns {
            store: store.clone(),
            shelf: installation.shelf.clone(),
            routes: installation.routes.clone(),
            keys: Arc::new(Keys::new(&[1; 32], (1, [2; 32]), None)),
            clock,
            due: Arc::new(Due::of(departments.chain([Queue::Timer]))),
                channels: Arc::default(),
        };
        Ok(Gateway { store, turns, facts: Rc::new(facts()?), dialled: 0 })
    }

    /// Plays dialogues with so many in flight.
    pub fn play(&mut self, in_flight: usize, length: Duration) -> anyhow::Result<Counted> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (began, fsyncs) = (Instant::now(), self.store.fsyncs());
        let next = Rc::new(Cell::new(self.dialled));
        let local = tokio::task::LocalSet::new();
        let citizen = |_| {
            let (turns, facts, next) = (self.turns.clone(), self.facts.clone(), next.clone());
            local.spawn_local(async move {
                while began.elapsed() < length {
                    let number = next.get();
                    next.set(number + 1);
                    dialogue(&turns, &facts, number).await?;
                }
                anyhow::Ok(())
            })
        };
        let citizens: Vec<_> = (0..in_flight).map(citizen).collect();
        runtime.block_on(local);
        for one in citizens {
            runtime.block_on(one)??;
        }
        let dialogues = next.get() - self.dialled;
        self.dialled = next.get();
        Ok(Counted {
            turns: dialogues * HISTORIES.len() as u64,
            fsyncs: self.store.fsyncs() - fsyncs,
            seconds: began.elapsed().as_secs_f64(),
        })
    }

    fn one_turn(&self, history: &str) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(turn(&self.turns, &self.facts, 0, history))
    }
}

async fn dialogue(turns: &Turns, facts: &ChannelFacts, number: u64) -> anyhow::Result<()> {
    for history in HISTORIES {
        turn(turns, facts, number, history).await?;
    }
    Ok(())
}

async fn turn(turns: &Turns, facts: &ChannelFacts, number: u64, history: &str) -> anyhow::Result<()> {
    let step = UssdStep {
        from: Msisdn::from_e164(&format!("+{}", 919_437_000_000 + number)).context("a number")?,
        session: Some(format!("ATUid_{number:016x}")),
        event: UssdEvent::Continue,
        input: UssdInput::History(history.into()),
        code: "*4545*1#".into(),
        step: None,
        language: None,
        context: Vec::new(),
        at: turns.clock.now(),
    };
    let UssdTurn::Screen(reply, _) = turns.ussd(facts, &step, [0; 16]).await? else { bail!("no screen") };
    let last = history == HISTORIES[3];
    match reply.end == last {
        true => Ok(()),
        false => bail!("after {history:?}: {}", reply.text),
    }
}

fn facts() -> anyhow::Result<ChannelFacts> {
    Ok(ChannelFacts {
        id: ChannelId::parse("at-ussd").context("an id")?,
        address: "*4545*1#".into(),
        flows: Vec::new(),
        sms: None,
        sms_via: None,
        deadline: Duration::from_secs(5),
        screen: Screen::default(),
        language: Lang::parse("en"),
        country: "IN".into(),
        session_limit: Duration::from_secs(180),
    })
}

/// Plays one dialogue and reads, after each turn, what it left in the file.
pub fn recorded(path: &Path) -> anyhow::Result<Rows> {
    let gateway = Gateway::open(path)?;
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let blob = |select: &str| db.query_row(select, [], |row| row.get::<_, Vec<u8>>(0));
    let mut rows = Rows { records: vec![], dialogues: vec![], timer: vec![], completion: vec![] };
    for (n, history) in HISTORIES.iter().enumerate() {
        gateway.one_turn(history)?;
        rows.records.push(blob("SELECT record FROM citizen")?);
        rows.dialogues.push(blob("SELECT stored FROM dialogue")?);
        if n == 0 {
            rows.timer = blob("SELECT payload FROM item WHERE queue = 'timer'")?;
        }
    }
    rows.completion = blob("SELECT payload FROM item WHERE queue LIKE 'completion:%'")?;
    Ok(rows)
}
