//! Markdown tables from the lines that `load` wrote: medians over the rounds, and ratios taken round by round, because
//! the two halves of one round saw the same machine.

use anyhow::Context as _;
use clap::Parser;
use serde::Deserialize;
use std::path::PathBuf;

/// Prints tables of samples.
#[derive(Debug, Parser)]
struct Args {
    /// The lines of `load`.
    file: PathBuf,
    /// Targets that the others are compared with.
    #[arg(long = "base")]
    bases: Vec<String>,
    /// Only prints the median of this target's turns a second, whole.
    #[arg(long)]
    turns_of: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Sample {
    series: String,
    target: String,
    connections: usize,
    round: usize,
    turns_per_s: f64,
    wrong: u64,
    errors: u64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    server_cpu_s_per_1k: f64,
    redis_cpu_s_per_1k: f64,
    load_cpu_s_per_1k: f64,
    server_rss_kb: f64,
    calibration_ms: f64,
    steal_percent: f64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let text = std::fs::read_to_string(&args.file).with_context(|| args.file.display().to_string())?;
    let samples: Vec<Sample> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    if let Some(target) = &args.turns_of {
        let own = samples.iter().filter(|s| s.target == *target).map(|s| s.turns_per_s);
        println!("{:.0}", median(own));
        return Ok(());
    }
    for (series, connections) in distinct(samples.iter().map(|s| (s.series.clone(), s.connections))) {
        let here: Vec<&Sample> =
            samples.iter().filter(|s| s.series == series && s.connections == connections).collect();
        println!("### {series}, {connections} connections\n");
        table(&here, &args.bases);
        quiet(&here);
    }
    Ok(())
}

fn table(samples: &[&Sample], bases: &[String]) {
    let targets = distinct(samples.iter().map(|s| s.target.clone()));
    let bases: Vec<&String> = bases.iter().filter(|base| targets.contains(base)).collect();
    let mut head = "| target | turns/s | min..max | p50 ms | p99 ms | p99.9 ms | server CPU s/1k | Redis CPU s/1k | RSS MB | wrong, errors |".to_owned();
    for base in &bases {
        head.push_str(&format!(" turns ÷ {base} | CPU ÷ {base} | p99 ÷ {base} | p99.9 ÷ {base} |"));
    }
    println!("{head}\n|{}", " --- |".repeat(head.matches('|').count() - 1));
    for target in &targets {
        let own: Vec<&Sample> = samples.iter().copied().filter(|s| s.target == *target).collect();
        print!("{}", row(target, &own));
        for base in &bases {
            let of: Vec<(&Sample, &Sample)> = own
                .iter()
                .filter_map(|a| {
                    Some((*a, *samples.iter().find(|b| b.target == **base && b.round == a.round)?))
                })
                .collect();
            let ratio = |value: fn(&Sample) -> f64| median(of.iter().map(|(a, b)| value(a) / value(b)));
            print!(
                " {:.3} | {:.2} | {:.2} | {:.2} |",
                ratio(|s| s.turns_per_s),
                ratio(|s| s.server_cpu_s_per_1k),
                ratio(|s| s.p99_us),
                ratio(|s| s.p999_us)
            );
        }
        println!();
    }
}

fn row(target: &str, own: &[&Sample]) -> String {
    let of = |value: fn(&Sample) -> f64| median(own.iter().map(|s| value(s)));
    let turns = || own.iter().map(|s| s.turns_per_s);
    let (low, high) = (turns().fold(f64::INFINITY, f64::min), turns().fold(0.0, f64::max));
    format!(
        "| {target} | {:.0} | {low:.0}..{high:.0} | {:.2} | {:.2} | {:.2} | {:.4} | {:.4} | {:.0} | {}, {} |",
        of(|s| s.turns_per_s),
        of(|s| s.p50_us) / 1_000.0,
        of(|s| s.p99_us) / 1_000.0,
        of(|s| s.p999_us) / 1_000.0,
        of(|s| s.server_cpu_s_per_1k),
        of(|s| s.redis_cpu_s_per_1k),
        of(|s| s.server_rss_kb) / 1_024.0,
        own.iter().map(|s| s.wrong).sum::<u64>(),
        own.iter().map(|s| s.errors).sum::<u64>(),
    )
}

/// How steady the machine was, so that a reader can tell how far to believe the table.
fn quiet(samples: &[&Sample]) {
    let rounds = samples.iter().map(|s| s.round + 1).max().unwrap_or(0);
    let worst = |value: fn(&Sample) -> f64| samples.iter().map(|s| value(s)).fold(0.0, f64::max);
    println!(
        "\n{rounds} rounds. Player: {:.4} CPU s/1k. Calibration loop: median {:.1} ms, worst {:.1} ms. Cores taken by the hypervisor: at most {:.1} %.\n",
        median(samples.iter().map(|s| s.load_cpu_s_per_1k)),
        median(samples.iter().map(|s| s.calibration_ms)),
        worst(|s| s.calibration_ms),
        worst(|s| s.steal_percent),
    );
}

/// Each value once, in the order of their first coming.
fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.fold(Vec::new(), |mut seen, value| {
        if !seen.contains(&value) {
            seen.push(value);
        }
        seen
    })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}
