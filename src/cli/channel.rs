//! `matamat channel decode`: for the operator with a telco on the phone.

use crate::{
    channel::{CallbackKind, TurnOutcome, request, told::told},
    domain::{
        lang::Lang,
        message::{Inbound, Reply, UssdInput},
        time::{Clock, Timestamp},
    },
};
use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};
use std::{
    io::{self, Read},
    path::Path,
    process::ExitCode,
};

/// Look into a channel.
#[derive(Debug, Args)]
pub struct ChannelCommand {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Read one raw HTTP request on standard input and print, as JSON, what the channel understood or why it refused
    Decode(Decode),
}

/// Read one raw HTTP request on standard input and print, as JSON, what the channel understood or why it refused.
///
/// The request is a request line, headers, an empty line and the body, as a telco's engineer reads it out of a log. Nothing
/// is stored and nobody is answered. The number is masked. Exits 1 when the channel refuses.
#[derive(Debug, Args)]
struct Decode {
    /// The channel's id
    channel: String,
    /// Which of its doors the request came to
    kind: Kind,
    /// The moment it came in, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Mo,
    Ussd,
    Dlr,
    MissedCall,
}

impl From<Kind> for CallbackKind {
    fn from(kind: Kind) -> CallbackKind {
        match kind {
            Kind::Mo => CallbackKind::Mo,
            Kind::Ussd => CallbackKind::Ussd,
            Kind::Dlr => CallbackKind::Dlr,
            Kind::MissedCall => CallbackKind::MissedCall,
        }
    }
}

impl ChannelCommand {
    /// Runs it.
    pub fn run(self, config: Option<&Path>) -> anyhow::Result<ExitCode> {
        let What::Decode(decode) = self.command;
        decode.run(config)
    }
}

impl Decode {
    fn run(self, config: Option<&Path>) -> anyhow::Result<ExitCode> {
        let installation = match super::installation(config) {
            Ok(installation) => installation,
            Err(code) => return Ok(code),
        };
        let Some(door) = installation.doors.get(&self.channel) else {
            let mut known: Vec<_> = installation.doors.keys().map(String::as_str).collect();
            known.sort_unstable();
            bail!("there is no channel \"{}\"; there are: {}", self.channel, known.join(", "));
        };
        let now = match &self.now {
            None => Clock::System { shift_ms: 0 }.now(),
            Some(text) => {
                Timestamp::parse_rfc3339(text).context("--now is a time such as 2026-11-24T09:12:03Z")?
            }
        };
        let mut raw = Vec::new();
        let most = u64::try_from(request::LARGEST)? + 1;
        io::stdin().lock().take(most).read_to_end(&mut raw)?;
        let callback = request::parse(&raw, self.kind.into(), now)?;
        let (printed, code) = match door.codec.decode(&callback) {
            Ok(inbound) => {
                let answer = door.codec.answer(&callback, &outcome(&inbound));
                let understood: Vec<Value> = inbound.iter().map(understood).collect();
                let answer = json!({ "status": answer.status, "body": answer.body });
                (json!({ "in": understood, "answer": answer }), ExitCode::SUCCESS)
            }
            Err(refusal) => {
                let refused = json!({ "reason": refusal.reason(), "detail": refusal.to_string() });
                (json!({ "refused": refused }), ExitCode::FAILURE)
            }
        };
        println!("{printed}");
        Ok(code)
    }
}

/// No turn runs here, so a step's screen is a dot: what stands around it is the vendor's.
fn outcome(inbound: &[Inbound]) -> TurnOutcome {
    let waits = inbound.iter().any(|inbound| matches!(inbound, Inbound::Ussd(step) if step.event.waits()));
    match waits {
        true => TurnOutcome::Screen(Reply { text: "…".into(), end: false, language: Lang::EN }),
        false => TurnOutcome::Taken,
    }
}

fn understood(inbound: &Inbound) -> Value {
    let fields = told(inbound, |number| number.to_string()).into_iter();
    let mut said: Map<_, _> = fields.map(|(name, value)| (name.to_owned(), value.into())).collect();
    if let Inbound::Ussd(step) = inbound {
        // The vendor sends everything typed so far; what is new in it only a turn knows.
        if matches!(step.input, UssdInput::History(_)) {
            said.insert("history".to_owned(), true.into());
        }
        said.entry("session").or_insert(Value::Null);
    }
    said.into()
}
