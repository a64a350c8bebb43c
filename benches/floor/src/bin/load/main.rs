//! Plays whole USSD dialogues, or dialogues of MOs, against several targets in one alternating run, checks every answer, and writes one JSON
//! line a sample. `report` makes tables of them.
//!
//! Closed loop: each connection is one citizen after another, who answers as soon as the screen is there. Open loop
//! (`--rate`): turns fall due on a clock of their own and latency counts from when a turn was *due*, so that a slow
//! target cannot hide its queue. The order of the targets turns round with every round (A B, B A), because a machine
//! warms up, and the loop that calibrates it is timed beside each sample.

mod http;
mod machine;
mod play;

use anyhow::{Context as _, bail};
use clap::Parser;
use play::{Sample, Script};
use serde_json::json;
use std::{io::Write as _, net::SocketAddr, path::PathBuf, time::Duration};

/// Plays USSD dialogues against servers and measures them.
#[derive(Debug, Parser)]
struct Args {
    /// NAME=http://127.0.0.1:PORT/PATH#PID,PID: whom to call, and whose CPU to count: the server's, and its store's.
    #[arg(long = "target", required = true)]
    targets: Vec<Target>,
    /// Connections open at once, one series of samples for each.
    #[arg(long, value_delimiter = ',', default_value = "64")]
    connections: Vec<usize>,
    /// How long a sample is, in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// What is played before it and not counted, in seconds.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// How often every target is measured.
    #[arg(long, default_value_t = 12)]
    rounds: usize,
    /// Turns a second for all connections together (open loop). Without it: as fast as they are answered.
    #[arg(long)]
    rate: Option<f64>,
    /// How many different citizens dial, one after the other.
    #[arg(long, default_value_t = 200_000)]
    citizens: usize,
    /// The last six digits of the first citizen's number.
    #[arg(long, default_value_t = 0)]
    first_citizen: u64,
    /// Each citizen gives up after so many turns, so that sessions stay open.
    #[arg(long)]
    give_up_after: Option<usize>,
    /// Ends after so many dialogues, instead of after a time.
    #[arg(long)]
    dialogues: Option<usize>,
    /// What is posted: steps of USSD dialogues, or MOs, one an answer.
    #[arg(long, value_enum, default_value = "ussd")]
    kind: Kind,
    /// The code that is dialled.
    #[arg(long, default_value = "*4545*1#")]
    code: String,
    /// What is typed in each turn: nothing, a text, or a range to draw from.
    #[arg(long, value_delimiter = ',', default_value = ",1-3,1-2,1-2")]
    turns: Vec<String>,
    /// How each answer must begin.
    #[arg(long, value_delimiter = ',', default_value = "CON,CON,CON,END")]
    expect: Vec<String>,
    /// Samples are appended to this file, one JSON object a line.
    #[arg(long)]
    json: Option<PathBuf>,
    /// A word for these samples, for `report` to group by.
    #[arg(long, default_value = "closed")]
    series: String,
}

/// What is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Steps of a USSD dialogue, each with everything typed so far.
    Ussd,
    /// Messages from a phone, each with an id of its own; the answer holds no text.
    Mo,
    /// Receipts, one for every id that `vendor` gave, from 0 on; the answer holds no text.
    Dlr,
}

/// A server to be called.
#[derive(Debug, Clone)]
pub struct Target {
    name: String,
    address: SocketAddr,
    path: String,
    pid: Option<u32>,
    redis: Option<u32>,
}

impl std::str::FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Target> {
        let (name, url) = text.split_once('=').context("NAME=URL#PID")?;
        let (url, pids) = url.split_once('#').unwrap_or((url, ""));
        let mut pids = pids.split(',').filter(|pid| !pid.is_empty()).map(str::parse);
        let rest = url.strip_prefix("http://").context("the URL begins with http://")?;
        let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Target {
            name: name.to_owned(),
            address: address.parse().context("an IP address and a port")?,
            path: format!("/{path}"),
            pid: pids.next().transpose()?,
            redis: pids.next().transpose()?,
        })
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if args.turns.len() != args.expect.len() {
        bail!("{} turns, but {} beginnings to expect", args.turns.len(), args.expect.len());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut wrong = 0;
    for round in 0..args.rounds {
        for &connections in &args.connections {
            let mut order: Vec<&Target> = args.targets.iter().collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for target in order {
                let sample = measure(&args, &runtime, target, connections, round);
                wrong += sample.wrong + sample.errors;
                tell(&args, target, connections, round, &sample)?;
            }
        }
    }
    if wrong > 0 {
        bail!("{wrong} answers were wrong or missing");
    }
    Ok(())
}

fn measure(
    args: &Args,
    runtime: &tokio::runtime::Runtime,
    target: &Target,
    connections: usize,
    round: usize,
) -> Sample {
    let script = Script {
        kind: args.kind,
        code: args.code.clone(),
        turns: args.turns.clone(),
        expect: args.expect.clone(),
        give_up_after: args.give_up_after.unwrap_or(usize::MAX),
        citizens: args.citizens,
        first_citizen: args.first_citizen,
        first_session: if args.kind == Kind::Dlr { 0 } else { session_base(round) },
    };
    let plan = play::Plan {
        target: target.clone(),
        connections,
        warm_up: Duration::from_secs_f64(args.warm_up),
        length: Duration::from_secs_f64(args.seconds),
        rate: args.rate,
        dialogues: args.dialogues,
    };
    runtime.block_on(play::sample(script, plan))
}

/// Vendor sessions never return, not even between runs against one store.
fn session_base(round: usize) -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since.as_nanos() as u64 ^ (round as u64) << 56
}

fn tell(args: &Args, target: &Target, connections: usize, round: usize, s: &Sample) -> anyhow::Result<()> {
    let line = json!({
        "series": args.series, "target": target.name, "connections": connections, "rate": args.rate, "round": round,
        "seconds": s.seconds, "turns": s.turns(), "turns_per_s": s.turns_per_second(), "dialogues": s.dialogues,
        "wrong": s.wrong, "errors": s.errors, "last_wrong": s.last_wrong,
        "p50_us": s.quantile(0.5), "p99_us": s.quantile(0.99), "p999_us": s.quantile(0.999), "max_us": s.quantile(1.0),
        "server_cpu_s_per_1k": s.per_thousand(s.cpu.server), "redis_cpu_s_per_1k": s.per_thousand(s.cpu.redis),
        "load_cpu_s_per_1k": s.per_thousand(s.cpu.load), "server_rss_kb": s.rss_kb,
        "calibration_ms": s.calibration_ms, "steal_percent": s.steal_percent,
    });
    eprintln!(
        "{:>8} {:>12} c={connections:<4} round {round:<3} {:>8.0} turns/s  p50 {:>6} us  p99 {:>6} us  wrong {} errors {}",
        args.series,
        target.name,
        s.turns_per_second(),
        s.quantile(0.5),
        s.quantile(0.99),
        s.wrong,
        s.errors
    );
    if let Some(why) = &s.last_wrong {
        eprintln!("         {why}");
    }
    if let Some(file) = &args.json {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
        writeln!(file, "{line}")?;
    }
    Ok(())
}
