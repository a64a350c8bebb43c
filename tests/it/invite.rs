//! Invitations: files as offices save them, and what becomes of each line.

use matamat::{
    domain::{
        delivery::RetrySchedule,
        id::{ChannelId, FlowId},
        invitation::Invitation,
        lang::Lang,
        message::{ChannelFacts, Screen, SmsFacts},
        time::Timestamp,
    },
    invitations::{Known, Sheet},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// When the files are read: 2026-11-24T09:12:03.120Z.
const NOW: Timestamp = Timestamp(1_795_511_523_120);

/// `tests/invitations/NAME.csv`, and what becomes of its lines in `NAME.txt` beside it. `UPDATE=1` rewrites.
#[test]
fn every_file_becomes_what_is_written_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invitations");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "csv"));
    files.sort();
    assert!(files.len() >= 18, "{files:?}");
    files.iter().for_each(|path| check(path));
}

fn check(path: &Path) {
    let got = outcome(&fs::read(path).expect("readable"));
    let beside = path.with_extension("txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&beside, &got).expect("written");
    }
    let expected = fs::read_to_string(&beside).unwrap_or_default();
    assert_eq!(got, expected, "{}", path.display());
}

#[test]
fn the_charset_and_the_line_ends_change_nothing() {
    for path in ["semicolons-and-blanks", "quotes", "as-the-readme-has-it"] {
        let path = format!("{}/tests/invitations/{path}.csv", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(path).expect("text");
        let expected = outcome(text.as_bytes());
        let units = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
        let marked = format!("\u{feff}{text}");
        let little: Vec<u8> = units(&marked).into_iter().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units(&marked).into_iter().flat_map(u16::to_be_bytes).collect();
        let crlf = text.replace('\n', "\r\n");
        for written in [marked.into_bytes(), little, big, crlf.into_bytes()] {
            assert_eq!(outcome(&written), expected);
        }
    }
}

#[test]
fn no_reason_tells_a_number() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invitations");
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|e| e == "csv") {
            let said = outcome(&fs::read(&path).expect("readable"));
            let digits = said.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
            assert!(digits < Some(8), "{}: {said}", path.display());
        }
    }
}

/// What becomes of a file, for people: the fault of the file, or each record with its line and what was read or refused.
fn outcome(bytes: &[u8]) -> String {
    let mut sheet = match Sheet::open(bytes) {
        Ok(sheet) => sheet,
        Err(error) => return format!("error: {error}\n"),
    };
    let known = known();
    let mut said = String::new();
    while let Some(written) = sheet.next().expect("bytes in memory are readable") {
        let became = match written.row.and_then(|row| row.check(&known, NOW)) {
            Ok(invitation) => shown(&invitation),
            Err(refusal) => format!("refused: {refusal}"),
        };
        said.push_str(&format!("line {}: {became}\n", written.line));
    }
    said
}

fn shown(invitation: &Invitation) -> String {
    let Invitation { key, msisdn, flow, language, channel, context, not_before, not_after } = invitation;
    let mut said = format!("{key} {msisdn} {flow}");
    language.iter().for_each(|language| said.push_str(&format!(" in {language}")));
    channel.iter().for_each(|channel| said.push_str(&format!(" by {channel}")));
    if (*not_before, *not_after) != (NOW, NOW.plus(Duration::from_secs(7 * 86_400))) {
        said.push_str(&format!(" from {not_before} until {not_after}"));
    }
    let short = |value: &str| value.chars().take(60).collect::<String>();
    context.iter().for_each(|(name, value)| said.push_str(&format!(" {name}={:?}", short(value))));
    said
}

/// One flow in Odia and English; a line that only answers dials, one that sends, and one that sends in Kenya.
fn known() -> Known {
    let lang = |tag| Lang::parse(tag).expect("a tag");
    let flow = FlowId::parse("hospital-visit").expect("an id");
    let channels = [channel("at-ussd", "IN", false), channel("phone", "IN", true), channel("ke", "KE", true)];
    Known::new([(flow, vec![lang("or"), lang("en")])], channels.into_iter().map(Arc::new).collect())
}

fn channel(id: &str, country: &str, sends: bool) -> ChannelFacts {
    let sms =
        SmsFacts { tps: 10, quiet: None, retry: RetrySchedule(Vec::new()), echoes: true, segments_max: 10 };
    ChannelFacts {
        id: ChannelId::parse(id).expect("an id"),
        address: String::new(),
        flows: Vec::new(),
        sms: sends.then_some(sms),
        sms_via: None,
        deadline: Duration::from_secs(5),
        screen: Screen::default(),
        language: None,
        country: country.into(),
        session_limit: Duration::from_secs(180),
    }
}
