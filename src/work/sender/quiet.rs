//! Quiet hours: until when nothing but replies goes out. Pure; the hours are those of `server.timezone`.

use crate::{
    domain::{id::Version, message::Quiet, time::Timestamp},
    store::MtHeader,
};
use chrono::{DateTime, Days, MappedLocalTime, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike};
use chrono_tz::Tz;
use std::time::Duration;

/// A reply goes out at all hours while the turn that made it is younger than this: somebody is awake and waits.
pub const REPLY_FRESH: Duration = Duration::from_secs(15 * 60);
/// How far a clock is moved on at most to leave a gap that a change to summer time makes; the widest known takes an hour.
const GAP_MAX_MINUTES: i64 = 180;

/// When the quiet hours end in which `now` lies. `None`: these are not quiet hours.
pub fn quiet_until(quiet: Quiet, timezone: Tz, now: Timestamp) -> Option<Timestamp> {
    let local = DateTime::from_timestamp_millis(now.0)?.with_timezone(&timezone);
    let (minute, from, to) = ((local.hour() * 60 + local.minute()) as u16, quiet.from, quiet.to);
    let over_midnight = from > to;
    let inside = if over_midnight { minute >= from || minute < to } else { (from..to).contains(&minute) };
    if !inside {
        return None;
    }
    let tomorrow = over_midnight && minute >= from;
    let day = local.date_naive().checked_add_days(Days::new(u64::from(tomorrow)))?;
    let end = NaiveTime::from_hms_opt(u32::from(to / 60), u32::from(to % 60), 0)?;
    moment(day.and_time(end), timezone)
}

/// The moment at which clocks show this; the first one after it, where they never do.
fn moment(shown: NaiveDateTime, timezone: Tz) -> Option<Timestamp> {
    let minutes = (0..=GAP_MAX_MINUTES).map(|minutes| shown + TimeDelta::minutes(minutes));
    let mut moments = minutes.filter_map(|shown| match timezone.from_local_datetime(&shown) {
        MappedLocalTime::Single(at) => Some(at),
        MappedLocalTime::Ambiguous(_, later) => Some(later),
        MappedLocalTime::None => None,
    });
    moments.next().map(|at| Timestamp(at.timestamp_millis()))
}

/// Whether an MT may go out in quiet hours: it answers a message, and that is not long ago.
pub fn is_fresh_reply(mt: &MtHeader, generation: Version, now: Timestamp) -> bool {
    mt.urgent && now.since(turn_time(generation)) < REPLY_FRESH
}

/// When the turn ran that made an item: the high 48 bits of its version.
pub fn turn_time(generation: Version) -> Timestamp {
    Timestamp((generation.0 >> 16) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MtKind, Then};

    /// Hours, zone, now, and when they end.
    const TABLE: [(&str, &str, &str, Option<&str>); 12] = [
        ("21:00-09:00", "Asia/Kolkata", "2026-11-24T20:59:59+05:30", None),
        ("21:00-09:00", "Asia/Kolkata", "2026-11-24T21:00:00+05:30", Some("2026-11-25T09:00:00+05:30")),
        ("21:00-09:00", "Asia/Kolkata", "2026-11-25T00:30:00+05:30", Some("2026-11-25T09:00:00+05:30")),
        ("21:00-09:00", "Asia/Kolkata", "2026-11-25T08:59:59+05:30", Some("2026-11-25T09:00:00+05:30")),
        ("21:00-09:00", "Asia/Kolkata", "2026-11-25T09:00:00+05:30", None),
        ("21:00-09:00", "Asia/Kolkata", "2026-12-31T23:00:00+05:30", Some("2027-01-01T09:00:00+05:30")),
        ("12:30-14:00", "Asia/Kolkata", "2026-11-24T12:29:59+05:30", None),
        ("12:30-14:00", "Asia/Kolkata", "2026-11-24T13:00:00+05:30", Some("2026-11-24T14:00:00+05:30")),
        ("12:30-14:00", "Asia/Kolkata", "2026-11-24T14:00:00+05:30", None),
        ("21:00-00:00", "Asia/Kolkata", "2026-11-24T23:59:00+05:30", Some("2026-11-25T00:00:00+05:30")),
        // Clocks jump from two to three: half past two is never shown.
        ("22:00-02:30", "Europe/Berlin", "2026-03-29T01:00:00+01:00", Some("2026-03-29T03:00:00+02:00")),
        // Clocks show half past two twice: quiet until the second time.
        ("22:00-02:30", "Europe/Berlin", "2026-10-25T01:00:00+02:00", Some("2026-10-25T02:30:00+01:00")),
    ];

    fn minutes(clock: &str) -> u16 {
        let (hour, minute) = clock.split_once(':').expect("a time");
        hour.parse::<u16>().expect("hours") * 60 + minute.parse::<u16>().expect("minutes")
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect("a moment")
    }

    #[test]
    fn quiet_hours_end_where_the_clock_on_the_wall_says() {
        for (hours, zone, now, end) in TABLE {
            let (from, to) = hours.split_once('-').expect("hours");
            let quiet = Quiet { from: minutes(from), to: minutes(to) };
            let zone: Tz = zone.parse().expect("a zone");
            assert_eq!(quiet_until(quiet, zone, at(now)), end.map(at), "{hours} {zone} {now}");
        }
    }

    #[test]
    fn only_a_reply_to_a_message_of_the_last_quarter_hour_goes_out_in_quiet_hours() {
        let now = at("2026-11-24T22:00:00+05:30");
        for (urgent, seconds_ago, fresh) in
            [(true, 0, true), (true, 899, true), (true, 900, false), (false, 0, false)]
        {
            let mt = MtHeader {
                consent: 0,
                kind: MtKind::Prompt,
                urgent,
                expires: now,
                segments: 1,
                then: Then::default(),
            };
            let generation = Version(((now.0 - seconds_ago * 1_000) as u64) << 16 | 7);
            assert_eq!(is_fresh_reply(&mt, generation, now), fresh, "{urgent} {seconds_ago}");
        }
    }
}
