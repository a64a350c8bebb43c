//! What a `[[channel]]` says of sending: how fast, when, how long a text may be, with which secrets. It reads and checks the
//! keys; that a secret is found, and that the vendor knows it, is checked where the channel is put together.

use crate::{
    domain::{
        delivery::RetrySchedule,
        message::{Bearer, Quiet, SmsFacts},
        secret::SecretSource,
        time::parse_duration,
    },
    findings::{At, Table},
};
use std::time::Duration;

/// Segments a second when nothing is said.
const TPS: u32 = 10;
/// The same for the simulator, where nobody pays.
const TPS_SIMULATED: u32 = 100;
/// The most that is believed.
const TPS_MAX: i64 = 10_000;
/// The waits after sends that failed for now, when nothing is said.
const RETRY: [&str; 5] = ["5s", "30s", "2m", "10m", "1h"];
/// The longest list of waits, and the longest wait in it.
const RETRY_MAX: (usize, Duration) = (20, Duration::from_secs(7 * 86_400));
/// The most segments of one text when nothing is said.
const SEGMENTS_MAX: u16 = 10;
/// Keys of a channel that sends, which mean nothing on one that only answers dials.
const KEYS: [&str; 5] = ["tps", "quiet", "retry", "segments_max", "send_url"];
/// Keys of a channel that answers dials, which mean nothing on one for SMS.
const USSD_KEYS: [&str; 2] = ["screen", "sms_via"];
/// A minute past the last of a day.
const DAY: u16 = 24 * 60;

/// How a channel sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    tps: u32,
    quiet: Option<Quiet>,
    retry: RetrySchedule,
    segments_max: u16,
    /// Where requests go, when not where the vendor's description says.
    pub url: Option<At<String>>,
}

/// A secret that the vendor's description asks for by name.
#[derive(Debug, Clone)]
pub struct NamedSecret {
    /// Its name, and where it stands.
    pub name: At<String>,
    /// Where the secret comes from.
    pub source: At<SecretSource>,
}

impl Sending {
    /// What senders know of the channel. `echoes`: the vendor's receipts name our MtId.
    pub fn facts(&self, echoes: bool) -> SmsFacts {
        SmsFacts {
            tps: self.tps,
            quiet: self.quiet,
            retry: self.retry.clone(),
            echoes,
            segments_max: self.segments_max,
        }
    }
}

/// Reads `bearer`; the simulator has both, so it names none.
pub fn bearer(table: &Table<'_>, simulated: bool) -> Option<Bearer> {
    let Some(bearer) = table.text("bearer") else { return (!table.has("bearer")).then_some(Bearer::Ussd) };
    if simulated {
        let what = "the simulator has both bearers";
        table.error(table.key_span("bearer").unwrap_or(bearer.span), what, "take `bearer` out");
        return None;
    }
    match bearer.value.as_str() {
        "ussd" => Some(Bearer::Ussd),
        "sms" => Some(Bearer::Sms),
        other => {
            let what = format!("there is no bearer \"{other}\"");
            table.error(bearer.span, what, "bearer = \"sms\" or \"ussd\"");
            None
        }
    }
}

/// Reads how the channel sends: `Some(None)` when it only answers dials. The simulator is not `described`.
pub fn read(table: &Table<'_>, described: bool, bearer: Bearer) -> Option<Option<Sending>> {
    if !described {
        refuse(table, &["send_url", "secret"], "on a simulator", "nothing leaves it; take the line out");
    } else if bearer == Bearer::Ussd {
        refuse(table, &KEYS, "on a channel for USSD", "it belongs to one with bearer = \"sms\"");
        return Some(None);
    } else {
        refuse(table, &USSD_KEYS, "on a channel for SMS", "it belongs to one with bearer = \"ussd\"");
    }
    let tps = tps(table, if described { TPS } else { TPS_SIMULATED });
    let quiet = quiet(table);
    let retry = retry(table);
    let segments_max = segments_max(table);
    let url = url(table);
    Some(Some(Sending { tps: tps?, quiet: quiet?, retry: retry?, segments_max: segments_max?, url: url? }))
}

/// Reads the secrets: a table, each with a name of the vendor's.
pub fn secrets(table: &Table<'_>) -> Option<Vec<NamedSecret>> {
    let Some(secrets) = table.table("secret") else { return (!table.has("secret")).then(Vec::new) };
    let read = secrets.keys().into_iter().map(|name| {
        let source = secrets.secret(&name.value)?;
        Some(NamedSecret { name, source })
    });
    // Each is read before any is missed, so that all faults are told.
    read.collect::<Vec<_>>().into_iter().collect()
}

/// Keys that would do nothing here are faults: who wrote them expects something of them.
fn refuse(table: &Table<'_>, keys: &[&str], place: &str, hint: &str) {
    for key in keys {
        if let Some(span) = table.key_span(key) {
            table.value(key);
            table.error(span, format!("`{}` means nothing {place}", table.name_of(key)), hint);
        }
    }
}

fn tps(table: &Table<'_>, usual: u32) -> Option<u32> {
    if !table.has("tps") {
        return Some(usual);
    }
    table.integer("tps", 1..=TPS_MAX).and_then(|tps| u32::try_from(tps.value).ok())
}

fn segments_max(table: &Table<'_>) -> Option<u16> {
    if !table.has("segments_max") {
        return Some(SEGMENTS_MAX);
    }
    table.integer("segments_max", 1..=255).and_then(|most| u16::try_from(most.value).ok())
}

/// `Some(None)`: it sends at all hours.
fn quiet(table: &Table<'_>) -> Option<Option<Quiet>> {
    let Some(hours) = table.text("quiet") else { return (!table.has("quiet")).then_some(None) };
    let read = hours.value.split_once('-').and_then(|(from, to)| {
        let (from, to) = (minutes(from)?, minutes(to)?);
        (from != to).then_some(Quiet { from, to })
    });
    if read.is_none() {
        let what = format!("\"{}\" are no quiet hours", hours.value);
        table.error(hours.span, what, "from when to when, in server.timezone: quiet = \"21:00-08:00\"");
    }
    read.map(Some)
}

/// `21:00` in minutes after midnight.
fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str, below: u16| {
        let good = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|n: &u16| good && *n < below)
    };
    let at = number(hour, 24)? * 60 + number(minute, 60)?;
    (at < DAY).then_some(at)
}

fn retry(table: &Table<'_>) -> Option<RetrySchedule> {
    if !table.has("retry") {
        return Some(RetrySchedule(RETRY.iter().filter_map(|wait| parse_duration(wait)).collect()));
    }
    let list = table.durations("retry")?;
    let (most, longest) = RETRY_MAX;
    if list.value.len() > most || list.value.iter().any(|wait| *wait > longest || wait.is_zero()) {
        let what =
            format!("`{}` holds at most {most} waits, each above 0 and up to 7d", table.name_of("retry"));
        table.error(list.span, what, "retry = [\"5s\", \"30s\", \"2m\", \"10m\", \"1h\"]");
        return None;
    }
    Some(RetrySchedule(list.value))
}

/// `Some(None)`: where the description says. A user and a password in it would be logged with it.
fn url(table: &Table<'_>) -> Option<Option<At<String>>> {
    let Some(url) = table.text("send_url") else { return (!table.has("send_url")).then_some(None) };
    let whole = ["http://", "https://"].iter().find_map(|scheme| url.value.strip_prefix(scheme));
    let host = whole.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or("");
    let good = !host.is_empty() && !host.contains('@') && url.value.bytes().all(|b| b.is_ascii_graphic());
    if !good {
        let hint = "send_url = \"https://host/path\"; users and passwords are secrets";
        table.error(url.span, format!("`{}` is no address of a vendor", table.name_of("send_url")), hint);
        return None;
    }
    Some(Some(url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{channel::Settings, findings::Findings, findings::Source};

    fn read(keys: &str) -> (Option<Settings>, Vec<String>) {
        let text = format!("[[channel]]\nid = 'x'\n{keys}\n");
        let (source, findings) = (Source::new("c.toml", &text), Findings::default());
        let read = Table::read(&source, &findings, |top| Settings::read(&top.tables("channel")[0]));
        (read, findings.into_sorted().iter().map(|found| found.what.clone()).collect())
    }

    fn facts(keys: &str) -> Option<SmsFacts> {
        let (read, found) = read(keys);
        read.unwrap_or_else(|| panic!("{keys}: {found:?}")).sending.map(|sending| sending.facts(false))
    }

    #[test]
    fn a_channel_that_sends_says_how_or_takes_the_defaults() {
        let hour = Duration::from_secs(3600);
        let usual = facts("vendor = 'africastalking'\nbearer = 'sms'").expect("it sends");
        assert_eq!((usual.tps, usual.quiet, usual.segments_max), (10, None, 10));
        assert_eq!((usual.retry.0.len(), usual.retry.0.last()), (5, Some(&hour)));
        assert_eq!(facts("vendor = 'simulator'").expect("it sends").tps, 100);
        assert_eq!(facts("vendor = 'africastalking'"), None, "without a bearer: USSD");
        let said = facts(
            "vendor = 'africastalking'\nbearer = 'sms'\ntps = 50\nquiet = '21:00-08:30'\nretry = ['1s', '1h']\nsegments_max = 3",
        );
        let expected = SmsFacts {
            tps: 50,
            quiet: Some(Quiet { from: 1260, to: 510 }),
            retry: RetrySchedule(vec![Duration::from_secs(1), hour]),
            echoes: false,
            segments_max: 3,
        };
        assert_eq!(said, Some(expected));
    }

    #[test]
    fn secrets_have_names() {
        let (settings, found) = read(
            "vendor = 'africastalking'\nbearer = 'sms'\nsecret = { username = 'vma', api_key = { env = 'AT_KEY' } }",
        );
        let secrets = settings.unwrap_or_else(|| panic!("{found:?}")).secrets;
        let names: Vec<_> = secrets.iter().map(|secret| secret.name.value.as_str()).collect();
        assert_eq!(names, ["username", "api_key"]);
        assert!(matches!(&secrets[1].source.value, SecretSource::Env(name) if name == "AT_KEY"));
    }

    fn check(keys: &str, expected: &str) {
        let vendor = if keys.contains("vendor") { "" } else { "vendor = 'africastalking'\nbearer = 'sms'\n" };
        assert_eq!(read(&format!("{vendor}{keys}")).1, [expected], "{keys}");
    }

    #[test]
    fn a_fault_names_the_key() {
        check("tps = 0", "`channel.tps` must be a whole number from 1 to 10000, not 0");
        check("segments_max = 256", "`channel.segments_max` must be a whole number from 1 to 255, not 256");
        for hours in
            ["21-08", "21:00", "24:00-08:00", "21:60-08:00", "9:00-08:00", "08:00-08:00", "-1:00-08:00"]
        {
            check(&format!("quiet = '{hours}'"), &format!("\"{hours}\" are no quiet hours"));
        }
        check("retry = ['0s']", "`channel.retry` holds at most 20 waits, each above 0 and up to 7d");
        check("retry = ['8d']", "`channel.retry` holds at most 20 waits, each above 0 and up to 7d");
        for url in ["ftp://x/y", "https://", "https://user:pass@host/x", "https://ho st/"] {
            check(&format!("send_url = '{url}'"), "`channel.send_url` is no address of a vendor");
        }
        check("secret = 's3cret'", "`channel.secret` must be a table, not a text");
        check("screen = { ucs2 = 60 }", "`channel.screen` means nothing on a channel for SMS");
        check("sms_via = 'k'", "`channel.sms_via` means nothing on a channel for SMS");
        check("flows = ['Hospital']", "\"Hospital\" cannot be a flow's id");
        let ussd = "vendor = 'africastalking'\nbearer = 'ussd'\n";
        for key in
            ["tps = 5", "quiet = '21:00-08:00'", "retry = []", "segments_max = 1", "send_url = 'http://h'"]
        {
            let name = key.split(' ').next().unwrap_or("");
            check(&format!("{ussd}{key}"), &format!("`channel.{name}` means nothing on a channel for USSD"));
        }
        check(&format!("{ussd}sms_via = 'No'"), "\"No\" cannot be a channel's id");
        check("vendor = 'simulator'\nbearer = 'sms'", "the simulator has both bearers");
        check("vendor = 'simulator'\nsecret = { a = 'b' }", "`channel.secret` means nothing on a simulator");
    }
}
