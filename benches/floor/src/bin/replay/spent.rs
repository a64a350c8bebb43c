//! What Redis itself says it spent on each of our commits, one after the other, beside the trivial script.

use super::{hash, now_ms, version};
use crate::template::{Dialogue, Filling};
use anyhow::{Context as _, ensure};
use floor::TRIVIAL;
use redis::{Value, aio::MultiplexedConnection};

/// A table: microseconds of each turn's commit, and how many times the trivial script's.
pub async fn print(
    dialogue: &Dialogue,
    mut redis: MultiplexedConnection,
    citizens: usize,
) -> anyhow::Result<()> {
    let trivial = trivial(&mut redis, citizens).await?;
    println!("| script | µs by Redis' own count | ÷ trivial |\n| --- | --- | --- |");
    println!("| trivial: GET, compare, SET, XADD | {trivial:.2} | 1.00 |");
    for turn in 0..dialogue.turns.len() {
        reset(&mut redis).await?;
        for citizen in 0..citizens {
            commit(dialogue, turn, citizen, &mut redis).await?;
        }
        let spent = spent(&mut redis).await?;
        println!(
            "| our commit, turn {} of {} | {spent:.2} | {:.2} |",
            turn + 1,
            dialogue.turns.len(),
            spent / trivial
        );
    }
    Ok(())
}

async fn commit(
    dialogue: &Dialogue,
    turn: usize,
    citizen: usize,
    redis: &mut MultiplexedConnection,
) -> anyhow::Result<()> {
    let mut filling = Filling::new(hash(&format!("citizen {citizen}")), hash(&format!("dialogue {citizen}")));
    let turn = &dialogue.turns[turn];
    let loaded: Vec<Option<Vec<u8>>> = turn.load.fill(&filling).query_async(redis).await?;
    filling.found(version(&loaded), now_ms());
    let answer: Vec<Value> = turn.commit.fill(&filling).query_async(redis).await?;
    let said = answer.first().map(redis::from_redis_value_ref::<String>).transpose()?;
    ensure!(said.as_deref() == Some("done"), "the commit said {said:?}");
    Ok(())
}

/// The same number of calls of the trivial script, each state changed four times as in a dialogue.
async fn trivial(redis: &mut MultiplexedConnection, citizens: usize) -> anyhow::Result<f64> {
    let state = |turn: usize| format!("ATUid_0123456789abcdef|hospital-visit|q{turn}|1*1*1|or");
    // So that its first call does not bring the script along.
    TRIVIAL.load_async(redis).await?;
    reset(redis).await?;
    for turn in 0..floor::TURNS {
        for citizen in 0..citizens {
            let before = if turn == 0 { String::new() } else { state(turn - 1) };
            let mut call = TRIVIAL.prepare_invoke();
            call.key(format!("f:{citizen}")).key("f:events").arg(before).arg(state(turn)).arg(300).arg("1*1");
            let done: bool = call.invoke_async(redis).await?;
            ensure!(done, "the trivial script found another state");
        }
    }
    spent(redis).await
}

async fn reset(redis: &mut MultiplexedConnection) -> anyhow::Result<()> {
    redis::cmd("CONFIG").arg("RESETSTAT").exec_async(redis).await.context("CONFIG RESETSTAT")
}

/// Microseconds a call of EVALSHA since the last reset.
async fn spent(redis: &mut MultiplexedConnection) -> anyhow::Result<f64> {
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(redis).await?;
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_evalsha:"))
        .context("no script was called")?;
    let spent =
        line.split(',').find_map(|part| part.strip_prefix("usec_per_call=")).context("no time of it")?;
    Ok(spent.parse()?)
}
