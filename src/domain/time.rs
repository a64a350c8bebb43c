//! Moments in milliseconds, and the one clock that is handed down (P12: time is an input).

use chrono::{DateTime, SecondsFormat, Utc};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A moment: milliseconds since 1970-01-01T00:00:00Z. Printed as RFC 3339 in UTC with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Milliseconds since 1970, never negative: what store keys and scripts use.
    pub fn millis(self) -> u64 {
        self.0.max(0) as u64
    }

    /// This moment and `by` later; saturates.
    pub fn plus(self, by: Duration) -> Timestamp {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(by))
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0) as u64)
    }

    /// Reads an RFC 3339 moment with a zone.
    pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
        DateTime::parse_from_rfc3339(text).ok().map(|t| Timestamp(t.timestamp_millis()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(t) => f.write_str(&t.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => write!(f, "{} ms", self.0),
        }
    }
}

/// The time that a process sees: the machine's, moved by `MATAMAT_SHIFT_CLOCK`, or one that is set by hand.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock plus a shift.
    System {
        /// Added to every reading, in milliseconds; may be negative.
        shift_ms: i64,
    },
    /// A clock that stands still until somebody moves it: simulations and tests.
    Manual(Arc<AtomicI64>),
    /// The machine's clock plus a shift that somebody moves: tests with a store that has a clock of its own.
    Shifted(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `at`.
    pub fn manual(at: Timestamp) -> Clock {
        Clock::Manual(Arc::new(AtomicI64::new(at.0)))
    }

    /// The machine's clock with a shift of nothing yet, which [`Clock::advance`] moves.
    pub fn shifted() -> Clock {
        Clock::Shifted(Arc::new(AtomicI64::new(0)))
    }

    /// Now, as this process is to believe it.
    pub fn now(&self) -> Timestamp {
        match self {
            Clock::System { .. } | Clock::Shifted(_) => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp(since.as_millis() as i64 + self.shift_ms())
            }
            Clock::Manual(at) => Timestamp(at.load(Ordering::SeqCst)),
        }
    }

    /// What the store adds to its own clock, in milliseconds. A manual clock has none: the embedded store reads it directly.
    pub fn shift_ms(&self) -> i64 {
        match self {
            Clock::System { shift_ms } => *shift_ms,
            Clock::Shifted(by) => by.load(Ordering::SeqCst),
            Clock::Manual(_) => 0,
        }
    }

    /// Moves a manual or shifted clock on; the machine's clock cannot be moved and stays.
    pub fn advance(&self, by: Duration) {
        match self {
            Clock::Manual(ms) | Clock::Shifted(ms) => {
                ms.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
            }
            Clock::System { .. } => {}
        }
    }
}

/// Reads a duration as authors and operators write it: `500ms`, `20s`, `5m`, `48h`, `90d`. Whole numbers, one unit.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit_ms).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_whole_number_and_one_unit() {
        let table = [
            ("500ms", Some(500)),
            ("20s", Some(20_000)),
            ("48h", Some(172_800_000)),
            ("90d", Some(7_776_000_000)),
            ("5", None),
            ("5 m", None),
            ("-5m", None),
            ("1h30m", None),
            ("", None),
            ("99999999999999999999d", None),
            ("9999999999999999d", None),
        ];
        for (text, ms) in table {
            assert_eq!(parse_duration(text), ms.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn a_timestamp_prints_as_rfc_3339_and_reads_back() {
        let at = Timestamp(1_795_511_523_120);
        assert_eq!(at.to_string(), "2026-11-24T09:12:03.120Z");
        assert_eq!(Timestamp::parse_rfc3339("2026-11-24T14:42:03.120+05:30"), Some(at));
    }
}
