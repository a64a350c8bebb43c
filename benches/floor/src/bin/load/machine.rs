//! What the machine spent, and whether it was itself: CPU by process, cores taken by the hypervisor, a fixed loop timed.

use std::{fs, hint::black_box, time::Instant};

/// Seconds of CPU, user and system, since the processes began.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    /// The target.
    pub server: f64,
    /// The store, when it is a process of its own.
    pub redis: f64,
    /// This player.
    pub load: f64,
}

impl Cpu {
    /// As it is now.
    pub fn now(server: Option<u32>, redis: Option<u32>) -> Cpu {
        Cpu { server: server.map_or(0.0, of), redis: redis.map_or(0.0, of), load: of(std::process::id()) }
    }

    /// What was spent since `earlier`.
    pub fn since(self, earlier: Cpu) -> Cpu {
        Cpu {
            server: self.server - earlier.server,
            redis: self.redis - earlier.redis,
            load: self.load - earlier.load,
        }
    }
}

/// A tick of `/proc`, in seconds: Linux tells user space 100 a second on every machine.
const TICK: f64 = 0.01;

fn of(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<f64> = after_name.split_whitespace().map(|f| f.parse().unwrap_or(0.0)).collect();
    // The 14th and 15th of all fields: two stand before the bracket.
    fields.get(11..13).map_or(0.0, |ticks| (ticks[0] + ticks[1]) * TICK)
}

/// The resident memory of a process in kilobytes, 0 when it is gone.
pub fn rss_kb(pid: Option<u32>) -> u64 {
    let status =
        pid.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/status")).ok()).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// All ticks of all cores so far, and those that the hypervisor gave to others.
pub fn ticks() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = stat.lines().next().unwrap_or_default();
    let fields: Vec<f64> =
        first.split_whitespace().skip(1).take(8).map(|f| f.parse().unwrap_or(0.0)).collect();
    (fields.iter().sum(), fields.get(7).copied().unwrap_or(0.0))
}

/// How long a fixed piece of arithmetic takes just now, in milliseconds: a sample beside which this sticks out is suspect.
pub fn calibrate() -> f64 {
    let began = Instant::now();
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    for n in 0..4_000_000_u64 {
        x = black_box(x ^ n).wrapping_mul(0x2545_f491_4f6c_dd1d).rotate_left(23);
    }
    black_box(x);
    began.elapsed().as_secs_f64() * 1_000.0
}
