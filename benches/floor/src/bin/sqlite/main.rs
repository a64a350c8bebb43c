//! The floor of the embedded store: a bare group-commit loop that writes the rows which the store writes, beside the
//! gateway's own turns on its own store, in one alternating run. No HTTP on either side.
//!
//! Both play dialogues of four turns with so many in flight; both sync every transaction (`synchronous=FULL`, WAL). The
//! rows of the bare loop are read out of a file in which the store has just played one dialogue.

mod bare;
mod gateway;

use clap::Parser;
use serde_json::json;
use std::{io::Write as _, path::PathBuf, time::Duration};

/// Measures the embedded store against a bare loop.
#[derive(Debug, Parser)]
struct Args {
    /// Dialogues in flight.
    #[arg(long, value_delimiter = ',', default_value = "64,256")]
    in_flight: Vec<usize>,
    /// How long a sample is, in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How often each is measured.
    #[arg(long, default_value_t = 12)]
    rounds: usize,
    /// Where the files go: a disk, or there is nothing to measure.
    #[arg(long)]
    dir: PathBuf,
    /// Samples are appended to this file, one JSON object a line.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What one sample saw.
#[derive(Debug, Clone, Copy)]
struct Counted {
    turns: u64,
    fsyncs: u64,
    seconds: f64,
}

impl Counted {
    fn turns_per_second(self) -> f64 {
        self.turns as f64 / self.seconds
    }

    fn turns_per_fsync(self) -> f64 {
        self.turns as f64 / self.fsyncs.max(1) as f64
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.dir)?;
    let length = Duration::from_secs_f64(args.seconds);
    let rows = gateway::recorded(&args.dir.join("recorded.db"))?;
    let mut bare = bare::Bare::open(&args.dir.join("bare.db"), rows)?;
    let mut store = gateway::Gateway::open(&args.dir.join("store.db"))?;
    println!(
        "| in flight | bare turns/s | per fsync | store turns/s | per fsync | store ÷ bare, median | rounds |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for &in_flight in &args.in_flight {
        let mut pairs = Vec::new();
        for round in 0..args.rounds {
            let pair = match round % 2 {
                0 => {
                    let first = bare.play(in_flight, length)?;
                    (first, store.play(in_flight, length)?)
                }
                _ => {
                    let second = store.play(in_flight, length)?;
                    (bare.play(in_flight, length)?, second)
                }
            };
            keep(&args, in_flight, round, pair)?;
            pairs.push(pair);
        }
        row(in_flight, &pairs);
    }
    Ok(())
}

fn keep(args: &Args, in_flight: usize, round: usize, pair: (Counted, Counted)) -> anyhow::Result<()> {
    let Some(file) = &args.json else { return Ok(()) };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    for (target, counted) in [("bare", pair.0), ("store", pair.1)] {
        let line = json!({
            "target": target, "in_flight": in_flight, "round": round, "turns": counted.turns, "fsyncs": counted.fsyncs,
            "seconds": counted.seconds, "turns_per_s": counted.turns_per_second(), "turns_per_fsync": counted.turns_per_fsync(),
        });
        writeln!(file, "{line}")?;
    }
    Ok(())
}

fn row(in_flight: usize, pairs: &[(Counted, Counted)]) {
    let of = |value: fn(&(Counted, Counted)) -> f64| median(pairs.iter().map(value).collect());
    println!(
        "| {in_flight} | {:.0} | {:.1} | {:.0} | {:.1} | {:.3} | {} |",
        of(|p| p.0.turns_per_second()),
        of(|p| p.0.turns_per_fsync()),
        of(|p| p.1.turns_per_second()),
        of(|p| p.1.turns_per_fsync()),
        of(|p| p.1.turns_per_second() / p.0.turns_per_second()),
        pairs.len(),
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}
