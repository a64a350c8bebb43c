//! What became of one send: the verdict for the store, the line for the MT's life, the word for the metric. Pure.

use crate::{
    channel::Sent,
    domain::{
        delivery::{RetrySchedule, Verdict},
        time::Timestamp,
        wire::{NoResponse, for_people},
    },
};
use std::time::Duration;

/// What became of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The word in `matamat_sends_total{outcome}`.
    pub word: &'static str,
    /// For the store.
    pub verdict: Verdict,
    /// For people: no number, as [`for_people`] has it.
    pub said: String,
    /// What the vendor calls it.
    pub vendor_id: Option<String>,
}

/// What a verdict depends on beside the answer.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// Which attempt it was, from 1.
    pub number: u32,
    /// When it ended.
    pub now: Timestamp,
    /// The waits after attempts that failed.
    pub retry: &'a RetrySchedule,
    /// How long a send is left in doubt.
    pub doubt: Duration,
    /// In `0..=1`: spreads the wait.
    pub dice: f64,
    /// When the channel's rest ends; now, if it does not rest.
    pub rest_ends: Timestamp,
}

impl Attempt<'_> {
    /// What follows from the vendor's answer, which had this status. Reasons are the codec's, and name it themselves.
    pub fn answered(&self, status: u16, sent: Sent) -> Outcome {
        let because = |word: &str, why: &str| for_people(&format!("{word}: {why}"));
        let outcome = |word, verdict, said| Outcome { word, verdict, said, vendor_id: None };
        match sent {
            Sent::Accepted(vendor_id) => {
                Outcome { vendor_id, ..Outcome::accepted(&format!("accepted: status {status}")) }
            }
            Sent::Throttled(_) => {
                let said = format!("too fast for the vendor: status {status}");
                outcome("throttled", Verdict::Later(self.rest_ends), said)
            }
            Sent::Retry(why) => outcome("retry", self.again(&why), because("not now", &why)),
            Sent::Permanent(why) => {
                outcome("permanent", Verdict::Dead(for_people(&why)), because("refused", &why))
            }
            Sent::Configuration(why) => {
                let verdict = Verdict::Later(self.rest_ends);
                outcome("configuration", verdict, because("the vendor refuses us", &why))
            }
            Sent::Unknown => {
                let said = format!("an answer that says neither yes nor no: status {status}");
                outcome("unknown", self.unknown(), said)
            }
        }
    }

    /// What follows when no answer came.
    pub fn unanswered(&self, why: &NoResponse) -> Outcome {
        let said = for_people(&why.to_string());
        let (word, verdict) = match why {
            NoResponse::NotSent(_) => ("retry", self.again(&said)),
            NoResponse::Unknown(_) => ("unknown", self.unknown()),
        };
        Outcome { word, verdict, said, vendor_id: None }
    }

    fn again(&self, why: &str) -> Verdict {
        match self.retry.wait(self.number, self.dice) {
            Some(wait) => Verdict::Again(self.now.plus(wait)),
            None => Verdict::Dead(for_people(&format!("after {} attempts: {why}", self.number))),
        }
    }

    fn unknown(&self) -> Verdict {
        Verdict::Unknown(self.now.plus(self.doubt))
    }
}

impl Outcome {
    /// The other side has it.
    pub fn accepted(said: &str) -> Outcome {
        Outcome { word: "accepted", verdict: Verdict::Accepted, said: said.into(), vendor_id: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_511_523_120);

    fn attempt(number: u32, retry: &RetrySchedule) -> Attempt<'_> {
        Attempt {
            number,
            now: NOW,
            retry,
            doubt: Duration::from_secs(600),
            dice: 0.5,
            rest_ends: NOW.plus(Duration::from_secs(7)),
        }
    }

    #[test]
    fn every_answer_has_its_verdict() {
        let retry = RetrySchedule(vec![Duration::from_secs(5), Duration::from_secs(30)]);
        let after = |seconds| NOW.plus(Duration::from_secs(seconds));
        let why = || "gone".to_string();
        let table = [
            (1, Sent::Accepted(None), "accepted", Verdict::Accepted),
            (9, Sent::Accepted(None), "accepted", Verdict::Accepted),
            (1, Sent::Throttled(None), "throttled", Verdict::Later(after(7))),
            (1, Sent::Configuration(why()), "configuration", Verdict::Later(after(7))),
            (1, Sent::Retry(why()), "retry", Verdict::Again(after(5))),
            (2, Sent::Retry(why()), "retry", Verdict::Again(after(30))),
            (3, Sent::Retry(why()), "retry", Verdict::Dead("after 3 attempts: gone".into())),
            (1, Sent::Permanent(why()), "permanent", Verdict::Dead("gone".into())),
            (1, Sent::Unknown, "unknown", Verdict::Unknown(after(600))),
        ];
        for (number, sent, word, verdict) in table {
            let outcome = attempt(number, &retry).answered(200, sent.clone());
            assert_eq!((outcome.word, outcome.verdict), (word, verdict), "attempt {number}: {sent:?}");
            let told = outcome.said.contains("gone") || outcome.said.contains("status 200");
            assert!(told, "{}", outcome.said);
        }
        let table = [
            (1, NoResponse::NotSent(why()), "retry", Verdict::Again(after(5))),
            (
                3,
                NoResponse::NotSent(why()),
                "retry",
                Verdict::Dead("after 3 attempts: not sent: gone".into()),
            ),
            (3, NoResponse::Unknown(why()), "unknown", Verdict::Unknown(after(600))),
        ];
        for (number, none, word, verdict) in table {
            let outcome = attempt(number, &retry).unanswered(&none);
            assert_eq!((outcome.word, outcome.verdict), (word, verdict), "attempt {number}: {none:?}");
        }
    }

    #[test]
    fn what_the_vendor_calls_it_is_kept() {
        let retry = RetrySchedule(Vec::new());
        let outcome = attempt(1, &retry).answered(201, Sent::Accepted(Some("ATXid_1".into())));
        assert_eq!(
            (outcome.vendor_id.as_deref(), outcome.said.as_str()),
            (Some("ATXid_1"), "accepted: status 201")
        );
    }
}
