//! One fault a flow, its finding beside it: `tests/broken_flows/<name>.toml` and `<name>.txt`. `UPDATE=1` rewrites the
//! findings; read the difference before it is committed.

use matamat::{
    findings::{Findings, Source},
    flow::check,
};
use std::{fs, path::Path};

/// What `check` says of a flow: every finding, parted by an empty line.
fn said(flow: &Source) -> String {
    let findings = Findings::default();
    let texts = Source::new("flows/texts.toml", include_str!("../../flows/texts.toml"));
    let loaded = check::load(flow, &texts, &findings);
    assert_eq!(loaded.is_none(), findings.errors() > 0, "{}: a flow loads when it has no error", flow.name);
    let all: Vec<_> = findings.into_sorted().iter().map(ToString::to_string).collect();
    all.join("\n\n") + "\n"
}

#[test]
fn a_broken_flow_says_what_is_wrong_with_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken_flows");
    let mut files: Vec<_> =
        fs::read_dir(&folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(files.len() > 30, "only {} flows in {}", files.len(), folder.display());
    let mut wrong = Vec::new();
    for path in files {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let text = fs::read_to_string(&path).expect("a readable flow");
        let found = said(&Source::new(&name, &text));
        let beside = path.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&beside, &found).expect("a writable folder");
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        if found != expected {
            wrong.push(format!("--- {name} says\n{found}--- expected\n{expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
