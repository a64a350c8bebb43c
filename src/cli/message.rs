//! `matamat message`: the whole life of an MT, for whoever is asked what became of it.

use crate::{
    app,
    domain::{
        id::{ChannelId, MtId},
        time::Timestamp,
    },
    store::{Found, ItemState, LIFE_AFTER_END, Life, Queue, payload::OwedMt},
    text::segments::segments,
    turn::Turns,
};
use anyhow::{Context, bail};
use chrono::DateTime;
use chrono_tz::Tz;
use clap::Args;
use serde_json::{Value, json};
use std::{path::Path, process::ExitCode};

/// Tell the whole life of a message that we sent.
///
/// Where it lies, what it says, what the vendor answered and what every receipt told, with times in `server.timezone`. The number
/// is not told: it is in its citizen's record only. Exits 1 when nothing is known of it.
#[derive(Debug, Args)]
pub struct Message {
    /// The message's id: 32 hexadecimal digits, as in the vendor's console or a log
    id: String,
    /// Print one JSON object, with times in UTC
    #[arg(long)]
    json: bool,
}

/// All that is known of one MT.
struct Known {
    id: MtId,
    owed: Option<Owed>,
    life: Option<Life>,
}

/// An MT in an outbox.
struct Owed {
    channel: ChannelId,
    found: Found,
    mt: OwedMt,
}

impl Message {
    /// Runs it.
    pub fn run(self, config: Option<&Path>) -> anyhow::Result<ExitCode> {
        let installation = match super::installation(config) {
            Ok(installation) => installation,
            Err(code) => return Ok(code),
        };
        let written = self.id.trim().to_ascii_lowercase();
        let Some(id) = MtId::parse(&written) else {
            bail!("the id of a message is 32 hexadecimal digits, as in the vendor's console or a log");
        };
        let clock = super::clock()?;
        let known = super::runtime()?.block_on(async {
            let turns = app::beside(&installation, clock).await?;
            if !turns.keys.made(&id) {
                bail!(
                    "{id} is mistyped: no message of this installation can have that id (or the key file is another one's)"
                );
            }
            look(&turns, id).await
        })?;
        if known.owed.is_none() && known.life.is_none() {
            bail!(
                "nothing is known of {id}: it was never sent (STOP, expiry or a newer question came first; \
                 matamat_queue_suppressed_total counts them), its life ended more than {} hours ago, or its channel is \
                 no longer configured",
                LIFE_AFTER_END.as_secs() / 3_600
            );
        }
        match self.json {
            true => println!("{}", known.json()),
            false => print!("{}", known.table(installation.config.timezone)),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Asks every outbox, and for its life.
async fn look(turns: &Turns, id: MtId) -> anyhow::Result<Known> {
    let mut owed = None;
    for facts in turns.channels.all() {
        let queue = Queue::Outbox(facts.id.clone());
        if let Some(found) = turns.store.find(&queue, id.partition(), &id.to_string()).await? {
            let mt = OwedMt::decode(&found.payload).context("the message cannot be read")?;
            owed = Some(Owed { channel: facts.id.clone(), found, mt });
            break;
        }
    }
    Ok(Known { id, owed, life: turns.store.life(&id).await? })
}

impl Known {
    /// For a person. Times in the operators' zone.
    fn table(&self, zone: Tz) -> String {
        let mut told: Vec<(String, String)> = Vec::new();
        let mut rows: Vec<(String, String)> = vec![("message".into(), self.id.to_string())];
        let mut row = |name: &str, value: String| rows.push((name.into(), value));
        match &self.owed {
            None => row("outbox", "in none: the vendor has it, or nobody needed it any more".into()),
            Some(Owed { channel, found, mt }) => {
                row("outbox", format!("{channel}: {}", place(&found.state)));
                row("attempts", found.attempts.to_string());
                row("due", local(found.due, zone));
                let (_, count) = segments(&mt.text);
                row("coding", format!("{}, {}", mt.coding.name(), super::count(count.into(), "segment")));
                row("language", mt.language.to_string());
                mt.template.iter().for_each(|template| row("template", template.clone()));
                row("text", mt.text.clone());
            }
        }
        match &self.life {
            None => row("life", "not sent yet, and no receipt".into()),
            Some(life) => {
                row("vendor id", life.vendor_id.clone().unwrap_or_else(|| "none".into()));
                for (part, state) in &life.parts {
                    let name = if *part == 0 { "state".into() } else { format!("part {part}") };
                    row(&name, state.name().into());
                }
                told.extend(life.lines.iter().map(|line| (local(line.at, zone), line.said.clone())));
            }
        }
        let life = if told.is_empty() { "" } else { "\n" };
        format!("{}{life}{}", drawn(&rows), drawn(&told))
    }

    /// For a machine. Times in UTC.
    fn json(&self) -> Value {
        let owed = self.owed.as_ref();
        let outbox = owed.map(|Owed { channel, found, mt }| {
            let why = match &found.state {
                ItemState::Dead(why) => Some(why),
                ItemState::Waiting | ItemState::Claimed => None,
            };
            json!({
                "channel": channel.as_str(), "state": word(&found.state), "why": why, "attempts": found.attempts,
                "due": found.due.to_string(), "text": mt.text, "coding": mt.coding.name(),
                "segments": segments(&mt.text).1, "language": mt.language.as_str(), "template": mt.template,
            })
        });
        let life = self.life.as_ref().map(|Life { parts, vendor_id, lines }| {
            let parts = parts.iter().map(|(part, state)| json!({ "part": part, "state": state.name() }));
            let lines = lines.iter().map(|line| json!({ "at": line.at.to_string(), "said": line.said }));
            json!({
                "vendor_id": vendor_id, "parts": parts.collect::<Vec<_>>(), "lines": lines.collect::<Vec<_>>(),
            })
        });
        json!({ "id": self.id.to_string(), "outbox": outbox, "life": life })
    }
}

fn word(state: &ItemState) -> &'static str {
    match state {
        ItemState::Waiting => "waiting",
        ItemState::Claimed => "claimed",
        ItemState::Dead(_) => "dead",
    }
}

fn place(state: &ItemState) -> String {
    match state {
        ItemState::Waiting => "waiting".into(),
        ItemState::Claimed => "on its way: a sender holds it".into(),
        ItemState::Dead(why) => format!("a dead letter: {why}"),
    }
}

/// A moment in the operators' zone, with its offset.
fn local(at: Timestamp, zone: Tz) -> String {
    let local = DateTime::from_timestamp_millis(at.0).map(|utc| utc.with_timezone(&zone));
    local.map_or_else(|| at.to_string(), |local| local.format("%Y-%m-%d %H:%M:%S%.3f %:z").to_string())
}

/// Two columns; a value of several lines stays in its own.
fn drawn(rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let row = |(name, value): &(String, String)| {
        let value = value.replace('\n', &format!("\n{:width$}  ", ""));
        format!("{name:width$}  {value}\n")
    };
    rows.iter().map(row).collect()
}
