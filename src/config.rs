//! The roof: `config.toml` and the environment to one [`Config`], read and checked as a whole; every fault at once.
//!
//! Three layers, the nearest first: the environment (`MATAMAT_SERVER__LISTEN=…`), the operator's file, the defaults, which
//! are the shipped `config.toml` itself. A key is read where it is nearest. A list (`[[channel]]`) is taken whole.

use crate::{
    channel, department,
    findings::{Document, Findings, Layers, Source, Table},
    route, store, web,
};
use chrono_tz::Tz;
use std::path::PathBuf;

/// The shipped file: the defaults and their documentation.
pub const DEFAULTS: &str = include_str!("../config.toml");
/// Variables of ours that are no keys.
const NO_KEYS: [&str; 2] = ["MATAMAT_SHIFT_CLOCK", "MATAMAT_FAIL_POINT"];
/// The default folder for flows; when it does not exist the bundled flows are used.
pub const DEFAULT_FLOWS: &str = "flows";

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`.
    pub server: web::Settings,
    /// The zone of log lines.
    pub timezone: Tz,
    /// `[admin]`.
    pub admin: web::AdminSettings,
    /// `[store]`.
    pub store: store::Settings,
    /// `[spool]`.
    pub spool: store::SpoolSettings,
    /// `[privacy] keys`.
    pub keys_file: PathBuf,
    /// `[flows] dir`.
    pub flows_dir: PathBuf,
    /// `[log]`.
    pub log: LogSettings,
    /// `[[channel]]`, in order.
    pub channels: Vec<channel::Settings>,
    /// `[[department]]`, in order.
    pub departments: Vec<department::Settings>,
    /// `[[route]]`, in order; compiled when the flows are known.
    pub routes: Vec<route::Settings>,
}

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// JSON lines instead of text.
    pub json: bool,
    /// The least severe lines that are written.
    pub level: tracing::Level,
}

/// Reads the layers. `file` is the operator's, if there is one; `environment` are all variables.
pub fn read(
    file: Option<Source>,
    environment: impl Iterator<Item = (String, String)>,
    findings: &Findings,
) -> Option<Config> {
    let mut sources = overrides(environment, findings);
    sources.extend(file);
    sources.push(Source::new("config.toml (the defaults)", DEFAULTS));
    let documents: Vec<_> = sources.iter().map(|source| Document::parse(source, findings)).collect();
    let layers = Layers::of(documents.iter().map(|document| document.top(findings)).collect());
    let config = read_layers(&layers);
    layers.finish();
    config
}

/// One small document for each variable, so that a fault in it is told under the variable's name.
fn overrides(environment: impl Iterator<Item = (String, String)>, findings: &Findings) -> Vec<Source> {
    let mut sources = Vec::new();
    let ours =
        environment.filter(|(name, _)| name.starts_with("MATAMAT_") && !NO_KEYS.contains(&name.as_str()));
    for (name, value) in ours {
        let path = name["MATAMAT_".len()..].to_lowercase().replace("__", ".");
        let taken = |literal: &str| format!("{path} = {literal}\n");
        let as_is = taken(&value);
        let quoted = taken(&toml::Value::String(value.clone()).to_string());
        let text = [as_is, quoted].into_iter().find(|text| toml::from_str::<toml::Table>(text).is_ok());
        match text {
            Some(text) => sources.push(Source::new(&name, &text)),
            None => {
                let source = Source::new(&name, "");
                let hint = "MATAMAT_SERVER__LISTEN sets server.listen: two underscores for each dot";
                findings.error(&source, 0..0, "this variable's name is no key", hint);
            }
        }
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    sources
}

fn read_layers(layers: &Layers<'_>) -> Option<Config> {
    let server = layers.section("server");
    let settings = web::Settings::read(&server);
    let timezone = server.read("timezone", timezone);
    server.finish();
    let admin = web::AdminSettings::read(&layers.section("admin"));
    let store = store::Settings::read(&layers.section("store"));
    let spool = store::SpoolSettings::read(&layers.section("spool"));
    let privacy = layers.section("privacy");
    let keys = privacy.section("keys");
    let keys_file = keys.read("file", Table::text).map(|file| file.value.into());
    keys.finish();
    privacy.nearest("keys");
    privacy.finish();
    let flows = layers.section("flows");
    let flows_dir = flows.read("dir", Table::text).map(|dir| dir.value.into());
    flows.finish();
    let log = log_settings(&layers.section("log"));
    let channels = list(layers, "channel", channel::Settings::read);
    let departments = list(layers, "department", department::Settings::read);
    let routes = list(layers, "route", route::Settings::read);
    Some(Config {
        server: settings?,
        timezone: timezone?,
        admin: admin?,
        store: store?,
        spool: spool?,
        keys_file: keys_file?,
        flows_dir: flows_dir?,
        log: log?,
        channels: channels?,
        departments: departments?,
        routes: routes?,
    })
}

/// The nearest list of this name, whole; `None` when one of it could not be read.
fn list<T>(layers: &Layers<'_>, key: &str, read: impl Fn(&Table<'_>) -> Option<T>) -> Option<Vec<T>> {
    let tables = layers.nearest(key).map(|table| table.tables(key)).unwrap_or_default();
    let all: Vec<Option<T>> = tables.iter().map(read).collect();
    all.into_iter().collect()
}

fn timezone(table: &Table<'_>, key: &str) -> Option<Tz> {
    let name = table.text(key)?;
    let read = name.value.parse().ok();
    if read.is_none() {
        let what = format!("\"{}\" is no time zone", name.value);
        table.error(name.span, what, "an IANA name such as \"Asia/Kolkata\" or \"UTC\"");
    }
    read
}

fn log_settings(layers: &Layers<'_>) -> Option<LogSettings> {
    let json = layers.read("format", |table, key| {
        let format = table.text(key)?;
        match format.value.as_str() {
            "text" => Some(false),
            "json" => Some(true),
            other => {
                let what = format!("`log.format` is \"text\" or \"json\", not \"{other}\"");
                table.error(format.span, what, "");
                None
            }
        }
    });
    let level = layers.read("level", |table, key| {
        let level = table.text(key)?;
        let known = ["error", "warn", "info", "debug"].contains(&level.value.as_str());
        let read = known.then(|| level.value.parse().ok()).flatten();
        if read.is_none() {
            let what =
                format!("`log.level` is \"error\", \"warn\", \"info\" or \"debug\", not \"{}\"", level.value);
            table.error(level.span, what, "");
        }
        read
    });
    layers.finish();
    Some(LogSettings { json: json?, level: level? })
}
