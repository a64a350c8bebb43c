//! The scripts, one an act. Each begins `#!lua`, so that one which leaves its slot fails on a single node already, and is
//! made of the pieces that it needs: `write.lua` (what is written, and when), `item.lua` (headers), `queue.lua` (items),
//! `mt.lua` (an MT at its vendor). The limits and times of this crate stand at its head as Lua's own.

use crate::{
    domain::message::MtState,
    store::{
        JOINS_MAX, LEASE, LIFE_AFTER_END, LIFE_LINES, LIFE_MAX, SLOT_AHEAD, THREAD_LINES, THREAD_TTL,
        VENDOR_KEY_TTL,
    },
};
use redis::{Pipeline, Script};
use std::{sync::LazyLock, time::Duration};

/// How long a channel's slot is kept after it has passed.
const SLOT_KEPT: Duration = Duration::from_secs(60);

/// One act.
pub struct Act {
    script: Script,
    code: String,
}

impl Act {
    /// `flags` stand behind `#!lua`; `pieces` are in the order in which they need each other.
    fn new(flags: &str, pieces: &[&str]) -> Act {
        let code = format!("#!lua{flags}\n{}\n{}", limits(), pieces.concat());
        Act { script: Script::new(&code), code }
    }

    /// What `EVALSHA` is told.
    pub fn sha(&self) -> &str {
        self.script.get_hash()
    }
}

/// The constants that scripts know, times in milliseconds.
fn limits() -> String {
    let ms = |duration: Duration| duration.as_millis();
    [
        ("LEASE", ms(LEASE)),
        ("LIFE_AFTER_END", ms(LIFE_AFTER_END)),
        ("LIFE_MAX", ms(LIFE_MAX)),
        ("LIFE_LINES", LIFE_LINES as u128),
        ("THREAD_TTL", ms(THREAD_TTL)),
        ("THREAD_LINES", THREAD_LINES as u128),
        ("VENDOR_KEY_TTL", ms(VENDOR_KEY_TTL)),
        ("SLOT_AHEAD", ms(SLOT_AHEAD)),
        ("SLOT_KEPT", ms(SLOT_KEPT)),
        ("JOINS_MAX", JOINS_MAX as u128),
        ("ACCEPTED", MtState::Accepted as u128),
        ("FINAL", MtState::Expired as u128),
    ]
    .map(|(name, value)| format!("local {name} = {value}"))
    .join(" ")
}

/// A turn, as far as one goes that changes no queue: so it stands before the pieces which that does not need.
const TURN: &str = include_str!("turn.lua");
const WRITE: &str = include_str!("write.lua");
const ITEM: &str = include_str!("item.lua");
const QUEUE: &str = include_str!("queue.lua");
const MT: &str = include_str!("mt.lua");

/// Runs also when the server has no room: its work frees memory.
const ALLOW_OOM: &str = " flags=allow-oom";
/// Only reads.
const NO_WRITES: &str = " flags=no-writes";

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident: $flags:expr, $($piece:ident)*, $act:literal;)*) => {
        $(
            $(#[$doc])*
            pub static $name: LazyLock<Act> =
                LazyLock::new(|| Act::new($flags, &[$($piece,)* include_str!($act)]));
        )*

        fn all() -> Vec<(&'static str, &'static Act)> {
            vec![$(($act, &*$name)),*]
        }
    };
}

acts! {
    /// One turn.
    COMMIT: "", WRITE TURN ITEM QUEUE, "commit.lua";
    /// Taking work.
    CLAIM: ALLOW_OOM, WRITE ITEM QUEUE, "claim.lua";
    /// Saying how an attempt went.
    SETTLE: ALLOW_OOM, WRITE ITEM QUEUE MT, "settle.lua";
    /// What a vendor says of an MT.
    RECEIPT: ALLOW_OOM, WRITE ITEM QUEUE MT, "receipt.lua";
    /// What a vendor calls an MT.
    KEEP: ALLOW_OOM, WRITE ITEM QUEUE, "keep.lua";
    /// A receipt whose MT is not known.
    JOIN: "", WRITE ITEM QUEUE, "join.lua";
    /// Taking an invitation.
    INVITE: "", WRITE ITEM QUEUE, "invite.lua";
    /// A channel's next slot.
    RESERVE: ALLOW_OOM, WRITE, "reserve.lua";
    /// When queues are due.
    SWEEP: NO_WRITES, , "sweep.lua";
    /// The numbers of a queue.
    TALLY: NO_WRITES, ITEM, "tally.lua";
}

/// Tells a server all scripts, in one round trip.
pub fn load_all() -> Pipeline {
    let mut pipeline = redis::pipe();
    for (_, act) in all() {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(&act.code);
    }
    pipeline
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What scripts may ask.
    const READS: [&str; 13] = [
        "EXISTS", "GET", "GETRANGE", "HGET", "HGETALL", "HMGET", "LRANGE", "MGET", "TIME", "ZCARD",
        "ZMSCORE", "ZRANGE", "ZSCORE",
    ];
    /// What they may change.
    const WRITES: [&str; 10] =
        ["DEL", "HDEL", "HINCRBY", "HSET", "LTRIM", "PEXPIRE", "RPUSH", "SET", "ZADD", "ZREM"];

    /// The commands that stand behind `call` in a script.
    fn commands<'a>(code: &'a str, call: &str) -> Vec<&'a str> {
        let named = code.split(call).skip(1).filter_map(|rest| rest.strip_prefix('\''));
        named.filter_map(|rest| rest.split('\'').next()).collect()
    }

    #[test]
    fn every_script_says_that_it_stays_in_its_slot() {
        for (name, act) in all() {
            let first = act.code.lines().next().unwrap_or_default();
            assert!(first.starts_with("#!lua"), "{name}: {first:?}");
            assert!(!first.contains("allow-cross-slot-keys"), "{name}: {first:?}");
        }
    }

    /// In a slot that is being migrated a missing key fails the script, and what it had written stays. So scripts call
    /// Redis only to read; what they write is noted, and carried out by the last thing they do.
    #[test]
    fn every_script_reads_before_it_writes() {
        for (name, act) in all() {
            let asked = commands(&act.code, "redis.call(");
            assert!(!asked.is_empty() && asked.iter().all(|c| READS.contains(c)), "{name} asks {asked:?}");
            let noted = [commands(&act.code, "write("), commands(&act.code, "gather(")].concat();
            assert!(noted.iter().all(|c| WRITES.contains(c)), "{name} changes {noted:?}");
            let unnamed = act.code.matches("redis.call(").count() - asked.len();
            assert_eq!(
                unnamed,
                usize::from(act.code.contains(WRITE)),
                "{name}: only `carry_out` carries out"
            );
            for after in act.code.split("carry_out()\n").skip(1) {
                let ends = after.trim_start().starts_with("return ") || after.starts_with("  for _, call");
                assert!(ends, "{name} goes on: {after}");
            }
            assert_eq!(
                noted.is_empty(),
                !act.code.contains("\ncarry_out()\n"),
                "{name} carries out what it noted"
            );
        }
    }
}
