//! One MT from its slot to its settle.

use super::{
    Line,
    judge::Ready,
    outcome::{Attempt, Outcome},
    pace::{Start, segments},
    quiet::turn_time,
};
use crate::{
    channel::Request,
    domain::{delivery::Verdict, keys::vendor_key, metric, wire::HttpRequest},
    fail::FailPoint,
    store::{SentLine, StoreError},
};
use std::time::Duration;

/// The waits before a vendor's id is kept again that the store did not take.
const KEEP_AGAIN: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2)];

impl Line {
    /// Waits for the slot, sends, settles. What does not leave goes back.
    pub async fn carry(&self, ready: Ready, start: Start) {
        if let Err(due) = self.at_slot(segments(&ready), start).await {
            return self.desk.settle(&ready.held.settle(self, Verdict::Later(due), None)).await;
        }
        self.note_delay(&ready);
        let (outcome, thread) = match &ready.request {
            Request::Http(request) => (self.send(&ready, request).await, None),
            Request::Thread(line) => (Outcome::accepted("accepted"), Some(line.clone())),
        };
        let outcomes = metrics::counter!(
            metric::SENDS_TOTAL, "channel" => self.channel.to_string(), "outcome" => outcome.word
        );
        outcomes.increment(1);
        self.settle(&ready, outcome, thread).await;
    }

    /// One request and what follows from its answer.
    async fn send(&self, ready: &Ready, request: &HttpRequest) -> Outcome {
        let answer = self.http.send(request).await;
        let now = self.desk.clock.now();
        let read = answer.map(|response| (response.status, self.codec.read(&response)));
        if let Ok((_, sent)) = &read {
            self.rest.hear(sent, now, dice());
        }
        let attempt = Attempt {
            number: ready.held.item.attempt,
            now,
            retry: &self.sms.retry,
            doubt: self.doubt,
            dice: dice(),
            rest_ends: self.back_at(now),
        };
        match read {
            Ok((status, sent)) => attempt.answered(status, sent),
            Err(none) => attempt.unanswered(&none),
        }
    }

    /// The vendor's id first, so that its receipt finds the MT even if we die before the settle.
    async fn settle(&self, ready: &Ready, outcome: Outcome, thread: Option<Vec<u8>>) {
        if outcome.verdict == Verdict::Accepted {
            FailPoint::AfterSend.pass();
        }
        if let Some(id) = &outcome.vendor_id {
            self.keep_vendor_id(ready, id).await;
        }
        if outcome.verdict == Verdict::Accepted {
            FailPoint::BeforeSettle.pass();
        }
        let sent = SentLine { said: outcome.said, vendor_id: outcome.vendor_id, thread };
        self.desk.settle(&ready.held.settle(self, outcome.verdict, Some(sent))).await;
    }

    async fn keep_vendor_id(&self, ready: &Ready, id: &str) {
        let key = vendor_key(self.channel.as_str(), id);
        let mut waits = KEEP_AGAIN.into_iter();
        while let Err(error) = self.desk.store.keep_vendor_id(&key, &ready.mt, 0).await {
            let again = !matches!(error, StoreError::Refused(_));
            let Some(wait) = waits.next().filter(|_| again) else {
                tracing::warn!(mt = %ready.mt, %error, "could not keep the vendor's id; its receipt may not be matched");
                return;
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// From the commit, or the due time when that is later, to now; of a first attempt only, since later ones waited on purpose.
    fn note_delay(&self, ready: &Ready) {
        let item = &ready.held.item;
        if item.attempt == 1 {
            let asked = turn_time(item.generation).max(item.due);
            let delay = self.desk.clock.now().since(asked).as_secs_f64();
            let delays =
                metrics::histogram!(metric::SEND_DELAY_SECONDS, "channel" => self.channel.to_string());
            delays.record(delay);
        }
    }
}

/// Anything in `0..1`.
fn dice() -> f64 {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    f64::from(u32::from_be_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
