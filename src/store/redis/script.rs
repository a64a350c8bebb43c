//! The scripts, one an act. Each begins `#!lua`, so that one which leaves its slot fails on a single node already.

use redis::{Pipeline, Script};
use std::sync::LazyLock;

/// One act.
pub struct Act {
    script: Script,
    code: &'static str,
}

impl Act {
    fn new(code: &'static str) -> Act {
        Act { script: Script::new(code), code }
    }

    /// What `EVALSHA` is told.
    pub fn sha(&self) -> &str {
        self.script.get_hash()
    }
}

/// One turn.
pub static COMMIT: LazyLock<Act> = LazyLock::new(|| Act::new(include_str!("commit.lua")));
/// Taking work.
pub static CLAIM: LazyLock<Act> = LazyLock::new(|| Act::new(include_str!("claim.lua")));
/// Saying how an attempt went.
pub static SETTLE: LazyLock<Act> = LazyLock::new(|| Act::new(include_str!("settle.lua")));
/// When queues are due.
pub static SWEEP: LazyLock<Act> = LazyLock::new(|| Act::new(include_str!("sweep.lua")));
/// The numbers of a queue.
pub static TALLY: LazyLock<Act> = LazyLock::new(|| Act::new(include_str!("tally.lua")));

fn all() -> [&'static Act; 5] {
    [&COMMIT, &CLAIM, &SETTLE, &SWEEP, &TALLY]
}

/// Tells a server all scripts, in one round trip.
pub fn load_all() -> Pipeline {
    let mut pipeline = redis::pipe();
    for act in all() {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(act.code);
    }
    pipeline
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_says_that_it_stays_in_its_slot() {
        for act in all() {
            let first = act.code.lines().next().unwrap_or_default();
            assert!(first.starts_with("#!lua"), "{first:?}");
            assert!(!first.contains("allow-cross-slot-keys"), "{first:?}");
        }
    }

    /// In a slot that is being migrated a missing key fails the script, and what it had written stays. So no line that
    /// reads comes after the line that says everything is read.
    #[test]
    fn every_script_reads_before_it_writes() {
        let reads = ["GET", "HGET", "HMGET", "MGET", "ZRANGE", "ZSCORE", "LRANGE", "GETRANGE", "TIME"];
        let writes = ["SET", "HSET", "ZADD", "ZREM", "HDEL", "HINCRBY", "RPUSH", "DEL", "PEXPIRE"];
        for (name, act) in [("commit", &COMMIT), ("claim", &CLAIM)] {
            let (before, after) = act.code.split_once("-- Everything is read").expect(name);
            let calls = |part: &str, commands: &[&str]| {
                commands.iter().any(|command| part.contains(&format!("redis.call('{command}'")))
            };
            assert!(!calls(before, &writes), "{name} writes before everything is read");
            assert!(!calls(after, &reads), "{name} reads after it wrote");
        }
    }
}
