//! A channel's rest: its vendor said "too fast", or refuses us altogether. Nothing is claimed while it lasts, and what was
//! claimed goes back; no attempt is spent. Other channels know nothing of it.
//!
//! After a rest one MT goes out alone, and only when the vendor took it, or refused it for its own sake, does the channel run
//! on at its TPS.

use crate::{
    channel::Sent,
    domain::{id::ChannelId, metric, time::Timestamp, wire::for_people},
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The first rest of a channel that was too fast, where the vendor names none; each further one is twice as long.
pub const THROTTLED_FIRST: Duration = Duration::from_secs(1);
/// The longest of them.
pub const THROTTLED_MAX: Duration = Duration::from_secs(60);
/// The first rest of a channel whose vendor refuses us; each further one is twice as long.
pub const REFUSED_FIRST: Duration = Duration::from_secs(30);
/// The longest of them.
pub const REFUSED_MAX: Duration = Duration::from_secs(5 * 60);
/// The longest rest that a vendor may ask for; the shortest is [`THROTTLED_FIRST`], whatever it asks for.
pub const ASKED_MAX: Duration = Duration::from_secs(3_600);

/// Whether a channel rests, and for how long.
pub struct Rest {
    channel: ChannelId,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    until: Timestamp,
    /// How often in a row it was too fast.
    throttled: u32,
    /// How often in a row the vendor refused us.
    refused: u32,
    /// It was told that the channel rests.
    told: bool,
}

impl Rest {
    /// A channel that does not rest.
    pub fn new(channel: ChannelId) -> Rest {
        gauge(&channel, false);
        Rest { channel, state: Mutex::default() }
    }

    /// When the rest ends; `None`: the channel does not rest.
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        Some(self.state().until).filter(|until| now < *until)
    }

    /// It rested, and its vendor has taken nothing since: MTs go out one at a time.
    pub fn probing(&self) -> bool {
        let state = self.state();
        state.throttled + state.refused > 0
    }

    /// Hears a vendor's answer; `dice` in `0..=1` spreads a rest over ± a fifth. What comes while the channel rests was sent
    /// before, and neither ends nor doubles the rest.
    pub fn hear(&self, sent: &Sent, now: Timestamp, dice: f64) {
        let mut state = self.state();
        let resting = now < state.until;
        match sent {
            Sent::Throttled(Some(asked)) => {
                if *asked > THROTTLED_MAX && !state.told {
                    self.tell(&mut state, true);
                    tracing::warn!(channel = %self.channel, ?asked, "the vendor asks for a long rest: nothing is sent until it ends");
                }
                state.throttled += u32::from(!resting);
                state.until = state.until.max(now.plus((*asked).clamp(THROTTLED_FIRST, ASKED_MAX)));
            }
            Sent::Throttled(None) if !resting => {
                state.throttled += 1;
                let wait = doubled(THROTTLED_FIRST, state.throttled, THROTTLED_MAX).mul_f64(0.8 + 0.4 * dice);
                state.until = now.plus(wait.clamp(THROTTLED_FIRST, THROTTLED_MAX));
            }
            Sent::Configuration(why) if !resting || state.refused == 0 => {
                state.refused += 1;
                let wait = doubled(REFUSED_FIRST, state.refused, REFUSED_MAX);
                state.until = state.until.max(now.plus(wait));
                if state.refused == 1 {
                    self.tell(&mut state, true);
                    tracing::error!(channel = %self.channel, why = for_people(why), "the vendor refuses us: the channel rests");
                }
            }
            Sent::Accepted(_) | Sent::Permanent(_) if !resting => {
                if state.told {
                    self.tell(&mut state, false);
                    tracing::info!(channel = %self.channel, "the vendor takes MTs again");
                }
                (state.throttled, state.refused) = (0, 0);
            }
            Sent::Throttled(_) | Sent::Configuration(_) | Sent::Accepted(_) | Sent::Permanent(_) => {}
            Sent::Retry(_) | Sent::Unknown => {}
        }
    }

    /// A rest that a person should know of is told once, however long it lasts.
    fn tell(&self, state: &mut State, rests: bool) {
        state.told = rests;
        gauge(&self.channel, rests);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `first`, doubled with every time after the first, up to `most`.
fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(1 << (times - 1).min(16)).min(most)
}

fn gauge(channel: &ChannelId, rests: bool) {
    metrics::gauge!(metric::CHANNEL_RESTS, "channel" => channel.to_string()).set(if rests {
        1.0
    } else {
        0.0
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    /// What a vendor answers, and how many milliseconds the channel then rests: each as soon as the rest before is over.
    fn check(answers: &[(Sent, u64)]) {
        let rest = Rest::new(ChannelId::parse("line").expect("an id"));
        let mut now = Timestamp(1_795_511_523_120);
        for (nth, (sent, ms)) in answers.iter().enumerate() {
            rest.hear(sent, now, 0.5);
            let until = rest.until(now).unwrap_or(now);
            assert_eq!(until.since(now).as_millis() as u64, *ms, "answer {nth}: {sent:?}");
            now = until;
        }
    }

    fn taken() -> Sent {
        Sent::Accepted(None)
    }

    fn no() -> Sent {
        Sent::Configuration("401".into())
    }

    fn fast() -> Sent {
        Sent::Throttled(None)
    }

    fn after(seconds: u64) -> Sent {
        Sent::Throttled(Some(Duration::from_secs(seconds)))
    }

    #[test]
    fn rests_grow_until_the_vendor_takes_something() {
        check(&[(fast(), 1_000), (fast(), 2_000), (fast(), 4_000), (taken(), 0), (fast(), 1_000)]);
        check(&[
            (no(), 30_000),
            (no(), 60_000),
            (no(), 120_000),
            (no(), 240_000),
            (no(), 300_000),
            (no(), 300_000),
        ]);
        check(&[(no(), 30_000), (Sent::Permanent("bad number".into()), 0), (no(), 30_000)]);
        check(&[(no(), 30_000), (Sent::Retry("503".into()), 0), (no(), 60_000)]);
        check(&[(after(7), 7_000), (fast(), 2_000), (after(90_000), 3_600_000), (after(0), 1_000)]);
        check(&[(Sent::Unknown, 0), (Sent::Retry("503".into()), 0), (taken(), 0)]);
    }

    #[test]
    fn what_left_before_a_rest_neither_ends_nor_doubles_it() {
        let rest = Rest::new(ChannelId::parse("line").expect("an id"));
        let now = Timestamp(1_795_511_523_120);
        for sent in [no(), no(), taken(), fast(), no()] {
            rest.hear(&sent, now, 0.5);
        }
        assert_eq!(rest.until(now), Some(now.plus(REFUSED_FIRST)));
        assert!(rest.probing());
    }

    #[test]
    fn an_alarm_begins_with_the_first_refusal_and_ends_when_the_vendor_takes_something() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let shows = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let rest = Rest::new(ChannelId::parse("line").expect("an id"));
            let mut now = Timestamp(0);
            for (sent, shown) in
                [(fast(), 0), (no(), 1), (no(), 1), (fast(), 1), (Sent::Retry("503".into()), 1), (taken(), 0)]
            {
                rest.hear(&sent, now, 0.5);
                let line = format!("{}{{channel=\"line\"}} {shown}", metric::CHANNEL_RESTS);
                assert!(shows.render().contains(&line), "{sent:?}: {}", shows.render());
                now = rest.until(now).unwrap_or(now);
            }
        });
    }

    #[test]
    fn a_rest_for_speed_is_spread_and_stays_between_one_second_and_sixty() {
        for dice in [0.0, 0.25, 1.0] {
            let rest = Rest::new(ChannelId::parse("line").expect("an id"));
            let mut now = Timestamp(0);
            for _ in 0..40 {
                rest.hear(&fast(), now, dice);
                let until = rest.until(now).expect("it rests");
                assert!(
                    (THROTTLED_FIRST..=THROTTLED_MAX).contains(&until.since(now)),
                    "{:?}",
                    until.since(now)
                );
                now = until;
            }
        }
    }
}
