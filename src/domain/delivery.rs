//! How handing something over went, and when to try again. Pure: no clock, no dice of its own.

use super::time::Timestamp;
use std::time::Duration;

/// What became of one attempt at a claimed item: what `settle` is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The other side has it. Counts from any of its attempts.
    Accepted,
    /// Not now: due again then.
    Again(Timestamp),
    /// It may have arrived: wait until then. A second one in a row is a dead letter, because a person must look.
    Unknown(Timestamp),
    /// Never: a dead letter with this reason.
    Dead(String),
    /// Nobody needs it any more; the reason is a word of a metric.
    Suppressed(&'static str),
    /// It surely never left, and not because of itself: due then, and the attempt is not counted.
    Later(Timestamp),
}

/// A visible list of waits: after the first failed attempt the first one, and so on; then the item is dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule(pub Vec<Duration>);

impl RetrySchedule {
    /// The wait after attempt number `attempt` (1 is the first) failed, or `None` when the list is used up. `dice` in
    /// `0..=1` spreads it over ± a tenth, so that what failed together does not come back together.
    pub fn wait(&self, attempt: u32, dice: f64) -> Option<Duration> {
        let wait = self.0.get(attempt.checked_sub(1)? as usize)?;
        Some(wait.mul_f64(0.9 + 0.2 * dice.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_follow_the_list_and_then_end() {
        let list = RetrySchedule(vec![Duration::from_secs(10), Duration::from_secs(100)]);
        assert_eq!(list.wait(1, 0.5), Some(Duration::from_secs(10)));
        assert_eq!(list.wait(2, 0.0), Some(Duration::from_secs(90)));
        assert_eq!(list.wait(2, 7.0), Some(Duration::from_secs(110)));
        assert_eq!(list.wait(3, 0.5), None);
        assert_eq!(list.wait(0, 0.5), None);
    }
}
