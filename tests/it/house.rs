//! The house: which room may import which. The table is the one of `docs/ARCHITECTURE.md`; arrows point down only.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A room, and the rooms it may import besides itself. Whoever is not named may be imported by nobody but the roof.
const TABLE: [(&str, &[&str]); 17] = [
    ("domain", &[]),
    ("fail", &[]),
    ("findings", &["domain"]),
    ("text", &["domain"]),
    ("expr", &["domain", "findings"]),
    ("flow", &["domain", "findings", "text", "expr"]),
    ("route", &["domain", "findings", "text", "expr"]),
    ("store", &["domain", "findings", "flow", "fail"]),
    ("channel", &["domain", "findings", "text", "expr"]),
    ("department", &["domain", "findings", "text", "expr"]),
    ("link", &["domain", "fail"]),
    ("invitations", &["domain"]),
    ("turn", &["domain", "text", "flow", "route", "store", "fail"]),
    ("work", &["domain", "store", "channel", "department", "link", "turn", "fail"]),
    ("web", &["domain", "findings", "store", "channel", "invitations", "turn", "fail"]),
    ("config", &["findings", "channel", "department", "route", "store", "web"]),
    ("telemetry", &["domain", "config"]),
];

/// The roof may import everything below it.
const ROOF: [&str; 2] = ["app", "cli"];

#[test]
fn every_arrow_points_down() {
    let mut wrong = Vec::new();
    for file in rust_files(Path::new("src")) {
        let text = fs::read_to_string(&file).expect("a source file is readable");
        wrong.extend(violations(&file, &text));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_planted_violation_is_found() {
    let planted = [
        ("src/flow/step.rs", "use crate::store::Store;", "flow imports store"),
        ("src/flow/node/rating.rs", "use crate::{domain::id::FlowId, turn::Turns};", "flow imports turn"),
        ("src/store/redis/mod.rs", "fn f() { crate::channel::build(); }", "store imports channel"),
        ("src/store/mod.rs", "use super::web;", "store imports web"),
        ("src/store/redis/keys.rs", "pub use super::super::super::turn::Turns;", "store imports turn"),
        (
            "src/channel/mod.rs",
            "pub use crate::{\n    domain::{id, lang},\n    department::Kind,\n};",
            "channel imports department",
        ),
        ("src/turn/mod.rs", "mod tests { use super::super::work; }", "turn imports work"),
        ("src/nowhere/mod.rs", "use crate::domain;", "nowhere is no room"),
    ];
    for (file, text, expected) in planted {
        let found = violations(Path::new(file), text);
        assert!(found.iter().any(|v| v.contains(expected)), "{file}: {text} gave {found:?}");
    }
    let good = [
        (
            "src/flow/step.rs",
            "use crate::{domain::{id::FlowId, lang}, text::fits}; // crate::store is not meant",
        ),
        ("src/store/redis/mod.rs", "use super::{Act, super_fast}; use super::super::domain::id;"),
        ("src/cli/mod.rs", "use crate::{turn::Turns, web};"),
    ];
    for (file, text) in good {
        assert_eq!(violations(Path::new(file), text), Vec::<String>::new(), "{file}");
    }
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder is readable") {
        let path = entry.expect("an entry is readable").path();
        match path.is_dir() {
            true => files.extend(rust_files(&path)),
            false if path.extension().is_some_and(|e| e == "rs") => files.push(path),
            false => {}
        }
    }
    files
}

fn violations(file: &Path, text: &str) -> Vec<String> {
    let inside = file.strip_prefix("src").expect("a file under src");
    let parts: Vec<String> = inside.iter().map(|p| p.to_string_lossy().replace(".rs", "")).collect();
    let room = parts[0].as_str();
    if matches!(room, "lib" | "main") || ROOF.contains(&room) {
        return Vec::new();
    }
    let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{}: {room} is no room of the table", file.display())];
    };
    let depth = parts.iter().filter(|part| *part != "mod").count();
    let imports = imported(&without_comments(text), depth);
    let wrong = imports.iter().filter(|to| to.as_str() != room && !allowed.contains(&to.as_str()));
    wrong.map(|to| format!("{}: {room} imports {to}", file.display())).collect()
}

/// The rooms that a file names, by `crate::…` or by enough `super::`. `depth` is how deep the file's module lies.
fn imported(text: &str, depth: usize) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        if !text[..at].ends_with(is_word) {
            heads(&text[at + "crate::".len()..], &mut rooms);
        }
    }
    let mut rest = text;
    while let Some(at) = rest.find("super::") {
        let inline = inline_modules(&text[..text.len() - rest.len() + at]);
        let starts_word = !rest[..at].ends_with(is_word);
        rest = &rest[at..];
        let mut climbed = 0;
        while let Some(after) = rest.strip_prefix("super::") {
            climbed += 1;
            rest = after;
        }
        if starts_word && climbed >= depth + inline {
            heads(rest, &mut rooms);
        }
    }
    rooms
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How many inline modules (`mod tests {`) are open at the end of `before`: ours are never closed before the end.
fn inline_modules(before: &str) -> usize {
    before
        .match_indices("mod ")
        .filter(|(at, _)| {
            let name_end = before[at + 4..].find(|c: char| !is_word(c)).map_or(before.len(), |n| at + 4 + n);
            before[name_end..].trim_start().starts_with('{')
        })
        .count()
}

/// The first word of a path, or of every path of a group.
fn heads(path: &str, rooms: &mut BTreeSet<String>) {
    let Some(group) = path.strip_prefix('{') else {
        let word: String = path.chars().take_while(|c| is_word(*c)).collect();
        // A type or a macro of the crate's root would be none of the rooms.
        if word.starts_with(|c: char| c.is_lowercase()) {
            rooms.insert(word);
        }
        return;
    };
    let (mut deep, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => deep += 1,
            '}' if deep == 0 => return heads(group[start..at].trim(), rooms),
            '}' => deep -= 1,
            ',' if deep == 0 => {
                heads(group[start..at].trim(), rooms);
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The text without line comments; block comments and strings with two slashes are not used for paths here.
fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}
