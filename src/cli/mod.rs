//! The roof: the commands. Arguments in, words out; data to standard output, everything else to standard error.

mod channel;
mod check;
mod invite;
mod message;
mod phone;
mod replay;
mod script;
mod serve;
mod simulate;

use crate::{
    app::Installation,
    domain::time::{Clock, parse_duration},
    findings::{self, Finding, Severity},
};
use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use std::{io::IsTerminal, path::PathBuf, process::ExitCode};

/// A lightweight SMS/USSD feedback gateway: citizens dial or write, departments get their answers.
#[derive(Debug, Parser)]
#[command(
    name = "matamat",
    version,
    about,
    propagate_version = true,
    after_help = "\
Start with `matamat serve` and open http://127.0.0.1:8080/phone: dial *4545*1#, answer, and find the response in
data/responses.ndjson. Nothing has to be configured for that."
)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
struct Common {
    /// The configuration file [default: config.toml in the working directory, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM or Ctrl-C
    Serve(serve::Serve),
    /// Read configuration, flows and vendor descriptions, and say everything that is wrong with them
    Check(check::Check),
    /// Dial a flow in this terminal, as a citizen would
    Simulate(simulate::Simulate),
    /// Run scripted conversations and say the first difference
    Replay(replay::Replay),
    /// Begin dialogues with the people of a CSV file
    Invite(invite::Invite),
    /// Tell the whole life of a message that we sent
    Message(message::Message),
    /// Look into a channel
    Channel(channel::ChannelCommand),
}

/// Runs the command that was typed.
pub fn run() -> ExitCode {
    let Cli { common, command } = Cli::parse();
    let config = common.config;
    if !matches!(command, Command::Serve(_)) {
        // A reader that goes away (`matamat check | head`) ends a command quietly, as it ends any other tool.
        // SAFETY: nothing else of this process runs yet, and the default action has no code.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    }
    let ran = match command {
        Command::Serve(serve) => serve.run(config.as_deref()),
        Command::Check(check) => check.run(config.as_deref()),
        Command::Simulate(simulate) => simulate.run(config.as_deref()),
        Command::Replay(replay) => replay.run(config.as_deref()),
        Command::Invite(invite) => invite.run(config.as_deref()),
        Command::Message(message) => message.run(config.as_deref()),
        Command::Channel(channel) => channel.run(config.as_deref()),
    };
    ran.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Reads everything that was written; says what is wrong, and ends the command when it does not load.
fn installation(config: Option<&std::path::Path>) -> Result<Installation, ExitCode> {
    let (installation, found) = Installation::read(config);
    let errors: Vec<Finding> = found.into_iter().filter(|f| f.severity == Severity::Error).collect();
    match installation {
        Some(installation) => Ok(installation),
        None => {
            eprintln!("{}\n\n{}", drawn(&errors), count(errors.len(), "error"));
            Err(ExitCode::FAILURE)
        }
    }
}

/// The machine's clock. `MATAMAT_SHIFT_CLOCK=7h` moves this process' clock and the store's, for rehearsals and tests.
fn clock() -> anyhow::Result<Clock> {
    let Ok(shift) = std::env::var("MATAMAT_SHIFT_CLOCK") else { return Ok(Clock::System { shift_ms: 0 }) };
    let (sign, length) = shift.strip_prefix('-').map_or((1, shift.as_str()), |length| (-1, length));
    let length = parse_duration(length).context("MATAMAT_SHIFT_CLOCK is a duration such as 7h or -30m")?;
    Ok(Clock::System { shift_ms: sign * i64::try_from(length.as_millis())? })
}

/// What a command runs its conversations on.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Findings as a terminal shows them.
fn drawn(found: &[Finding]) -> String {
    findings::render(found, std::io::stderr().is_terminal())
}

/// `1 error`, `2 errors`.
fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
