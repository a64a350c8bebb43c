//! Channels as a telco sees them: the table of described vendors, vendors' files with a fault, the simulator's wire, and
//! whatever bytes a stranger sends.

use matamat::{
    channel::{
        self, Callback, CallbackKind, Channel, described::Described, description, guard::Guard, request,
        simulator::Simulator,
    },
    domain::{message::Inbound, time::Timestamp},
    findings::{Findings, Source},
};
use proptest::prelude::*;
use std::{fs, path::Path};

const NOW: Timestamp = Timestamp(1_795_511_523_120);

#[test]
fn every_vendor_of_the_table_loads_and_proves_itself_by_its_examples() {
    let findings = Findings::default();
    let described = channel::all_described(&findings);
    assert_eq!(described.len(), channel::DESCRIBED.len(), "{:#?}", findings.into_sorted());
    for (vendor, (name, _)) in described.iter().zip(channel::DESCRIBED) {
        assert_eq!(vendor.name, name);
    }
}

/// One fault a file, its finding beside it. `UPDATE=1` writes what is found now.
#[test]
fn a_vendors_file_with_a_fault_says_where_and_what() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken_vendors");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("readable").map(|f| f.expect("readable").path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "toml"));
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).expect("readable");
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let findings = Findings::default();
        let loaded = description::load(&Source::new(&name, &text), &findings);
        assert!(loaded.is_none(), "{name} loads");
        let found: Vec<_> = findings.into_sorted().iter().map(ToString::to_string).collect();
        let found = found.join("\n\n") + "\n";
        let beside = file.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&beside, &found).expect("written");
        }
        assert_eq!(found, fs::read_to_string(&beside).unwrap_or_default(), "{name}");
    }
}

/// Raw requests and what the simulator understood, or why it refused.
#[test]
fn the_simulators_wire_by_example() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/channels/simulator");
    let simulator = Simulator::new(Guard::Open, "IN".into());
    let mut checked = 0;
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|e| e != "http") {
            continue;
        }
        let raw = fs::read(&path).expect("readable");
        let callback = request::parse(&raw, CallbackKind::Ussd, NOW).expect("a request");
        let got = match simulator.decode(&callback) {
            Ok(inbound) => format!("{inbound:#?}\n"),
            Err(refusal) => format!("refused ({}): {refusal}\n", refusal.reason()),
        };
        let beside = path.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&beside, &got).expect("written");
        }
        assert_eq!(got, fs::read_to_string(&beside).unwrap_or_default(), "{}", path.display());
        checked += 1;
    }
    assert!(checked >= 5, "{checked} examples");
}

fn all_channels() -> Vec<Box<dyn Channel>> {
    let described = channel::all_described(&Findings::default()).into_iter();
    let mut channels: Vec<Box<dyn Channel>> = described
        .map(|d| Box::new(Described::new(d, Guard::Open, "IN".into())) as Box<dyn Channel>)
        .collect();
    channels.push(Box::new(Simulator::new(Guard::Secret("s".into()), "IN".into())));
    channels
}

proptest! {
    /// Whatever a stranger sends: understood or refused, never a panic; and a text is never lost or changed on its way.
    #[test]
    fn any_bytes_are_understood_or_refused(
        body in prop::collection::vec(any::<u8>(), 0..300), query in ".{0,60}", header in ".{0,40}", method in "GET|POST|PUT|x",
    ) {
        let callback = Callback {
            kind: CallbackKind::Ussd,
            method,
            tail: vec![query.clone()],
            query,
            headers: vec![("content-type".into(), header)],
            body,
            peer: None,
            at: NOW,
        };
        for channel in all_channels() {
            let _ = channel.decode(&callback);
        }
    }

    #[test]
    fn what_was_typed_arrives_as_it_was(text in ".{0,80}") {
        let encoded: String = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).collect();
        let raw = format!("POST /ussd\n\nsessionId=s&phoneNumber=%2B919437000001&text={encoded}");
        let callback = request::parse(raw.as_bytes(), CallbackKind::Ussd, NOW).expect("a request");
        let inbound = all_channels()[0].decode(&callback).expect("a good step");
        let Inbound::Ussd(step) = &inbound[0];
        prop_assert_eq!(&step.input, &matamat::domain::message::UssdInput::History(text));
    }
}
