//! Floor 3: departments as pure codecs: what goes out for a completion. No I/O, no clock, no store.
//!
//! Only `file` is here yet; departments that are reached over the network come with what sends.

pub mod envelope;

use crate::{
    domain::{delivery::RetrySchedule, id::DepartmentId, time::parse_duration},
    findings::{At, Source, Table},
};
use std::path::PathBuf;

/// What a department that is not told otherwise tries: soon at first, for a disk that is full over night in the end.
pub const DEFAULT_RETRY: [&str; 7] = ["5s", "30s", "2m", "10m", "1h", "6h", "24h"];

/// The kinds that the design names and that are not built yet.
const LATER: [&str; 5] = ["webhook", "open311", "digit", "request-tracker", "generic"];

/// A `[[department]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file it stands in.
    pub source: Source,
    /// Where it stands.
    pub place: At<()>,
    /// Its id.
    pub id: DepartmentId,
    /// Where its completions go.
    pub kind: Kind,
    /// The waits after failed attempts; then a completion is a dead letter.
    pub retry: RetrySchedule,
}

/// Where completions go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// One line each is appended to this file (NDJSON).
    File(PathBuf),
}

impl Settings {
    /// Reads one `[[department]]`; faults go to the table's findings.
    pub fn read(table: &Table<'_>) -> Option<Settings> {
        let id = table.required_text("id", "every department has an id of its own").and_then(|id| {
            let read = DepartmentId::parse(&id.value).filter(|id| id.as_str() != "unrouted");
            if read.is_none() {
                let hint = "lower-case letters, digits, `-` and `_`; `unrouted` is taken";
                table.error(id.span, format!("\"{}\" cannot be a department's id", id.value), hint);
            }
            read
        });
        let kind = table.required_text("kind", "kind = \"file\" appends lines to a file");
        let kind = match kind.as_ref().map(|k| k.value.as_str()) {
            Some("file") => table
                .required_text("path", "path = \"data/responses.ndjson\"")
                .map(|path| Kind::File(path.value.into())),
            Some(other) => {
                let what = match LATER.contains(&other) {
                    true => format!("departments of kind \"{other}\" are not built yet"),
                    false => format!("there is no kind of department \"{other}\""),
                };
                table.error(kind.as_ref().expect("just matched").span.clone(), what, "kind = \"file\" is");
                table.keys();
                None
            }
            None => None,
        };
        let default = DEFAULT_RETRY.iter().filter_map(|wait| parse_duration(wait)).collect();
        let retry = table.durations("retry").map_or(default, |list| list.value);
        table.finish();
        let (source, place) = (table.source().clone(), At { value: (), span: table.span() });
        Some(Settings { source, place, id: id?, kind: kind?, retry: RetrySchedule(retry) })
    }
}
