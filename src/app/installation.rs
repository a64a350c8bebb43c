//! Everything a person wrote, read and checked as a whole: configuration, flows, vendor descriptions. `serve` and `check`
//! read the same, so a fault stops `serve` with the very message that `check` gives.

use super::{fits, secrets};
use crate::{
    channel::{self, Tools},
    config::{self, Config, DEFAULT_FLOWS},
    domain::id::DepartmentId,
    expr::{Names, Type},
    findings::{Finding, Findings, Source},
    flow::{bundled, check, graph::Flow, texts},
    route::Routes,
    turn::{Channels, Shelf},
    web::{Door, Doors},
};
use secrecy::SecretString;
use std::{collections::BTreeMap, io, path::Path, sync::Arc};

/// The configuration file that is read when none is named, if it is there.
const DEFAULT_FILE: &str = "config.toml";
/// The file of the engine's texts in a folder of flows.
const TEXTS_FILE: &str = "texts.toml";

/// All that was written, checked.
pub struct Installation {
    /// The configuration.
    pub config: Config,
    /// The flows, and the engine's own texts.
    pub shelf: Arc<Shelf>,
    /// The routes, compiled.
    pub routes: Arc<Routes>,
    /// The channels, put together.
    pub doors: Arc<Doors>,
    /// The same, as turns know them, in the order of the configuration.
    pub channels: Arc<Channels>,
    /// The operators' token, where one is configured.
    pub token: Option<SecretString>,
}

impl Installation {
    /// Reads the configuration (`config.toml` where none is named), the environment, the flows and the descriptions.
    /// All findings, and the installation when there is no error among them.
    pub fn read(file: Option<&Path>) -> (Option<Installation>, Vec<Finding>) {
        let findings = Findings::default();
        let installation = read_all(file, &findings).filter(|_| findings.errors() == 0);
        (installation, findings.into_sorted())
    }
}

fn read_all(file: Option<&Path>, findings: &Findings) -> Option<Installation> {
    let written = match file {
        Some(path) => Some(read_source(path, findings)?),
        None if Path::new(DEFAULT_FILE).exists() => Some(read_source(Path::new(DEFAULT_FILE), findings)?),
        None => None,
    };
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let config = config::read(written, environment, findings);
    let flows_dir = config.as_ref().map_or(Path::new(DEFAULT_FLOWS), |c| &c.flows_dir);
    let (sources, texts_source) = flow_sources(flows_dir, findings)?;
    let flows: Vec<_> =
        check::load_all(&sources, &texts_source, findings).into_iter().map(Arc::new).collect();
    // The faults of the engine's texts were told with the flows'.
    let texts = texts::load(&texts_source, &Findings::default());
    let config = config?;
    let departments: Vec<DepartmentId> = config.departments.iter().map(|d| d.id.clone()).collect();
    let routes = Routes::compile(&config.routes, &departments, &route_names(&flows), findings);
    fits::check(&config, findings);
    fits::check_flows(&config, &flows.iter().map(|flow| &flow.id).collect::<Vec<_>>(), findings);
    let doors = doors(&config, findings);
    let token = token(&config, findings);
    let shelf = Arc::new(Shelf::new(flows, texts?));
    let doors = doors?;
    Some(Installation {
        shelf,
        routes: Arc::new(routes),
        channels: Arc::new(channels(&config, &doors)),
        doors: Arc::new(doors),
        token,
        config,
    })
}

/// The operators' token, where one is configured and found.
fn token(config: &Config, findings: &Findings) -> Option<SecretString> {
    let at = config.admin.token.as_ref()?;
    match secrets::get(&at.value) {
        Ok(token) => Some(token),
        Err(what) => {
            findings.error(&config.admin.source, at.span.clone(), what, "");
            None
        }
    }
}

/// What a route's condition may use: what every response has, and the answers and the context of all flows. A node id
/// that means different things in two flows can be compared with anything.
fn route_names(flows: &[Arc<Flow>]) -> Names {
    let mut known: BTreeMap<&str, Type> = BTreeMap::new();
    for (node, of) in flows.iter().flat_map(|flow| flow.answers()) {
        match known.get(node) {
            Some(before) if *before != of => known.insert(node, Type::Any),
            _ => known.insert(node, of),
        };
    }
    let answers = known.into_iter().fold(Names::route(), |names, (node, of)| names.with(node, of));
    let context = flows.iter().flat_map(|flow| &flow.context);
    context.fold(answers, |names, field| names.with(&field.name, Type::Text))
}

/// Puts the channels together.
fn doors(config: &Config, findings: &Findings) -> Option<Doors> {
    let tools = Tools {
        read: &|path| std::fs::read_to_string(path),
        secret: &secrets::get,
        public_url: &config.server.public_url,
    };
    let built = config.channels.iter().map(|settings| {
        let built = channel::build(settings, &tools, findings);
        // What could not be put together was told; whether it would have been signed nobody knows.
        if let Some((_, codec)) = &built {
            fits::check_reachable(settings, codec.is_signed(), config, findings);
        }
        let (facts, codec) = built?;
        let door = Door { codec: codec.into(), operators: settings.is_simulator(), facts: Arc::new(facts) };
        Some((door.facts.id.to_string(), door))
    });
    built.collect::<Vec<_>>().into_iter().collect()
}

/// The channels as turns know them, in the order of the configuration.
fn channels(config: &Config, doors: &Doors) -> Channels {
    let facts = config.channels.iter().filter_map(|channel| doors.get(channel.id.as_str()));
    Channels::new(facts.map(|door| door.facts.clone()).collect())
}

/// The flows of a folder and the engine's texts; the bundled ones where the default folder does not exist.
fn flow_sources(dir: &Path, findings: &Findings) -> Option<(Vec<Source>, Source)> {
    if dir == Path::new(DEFAULT_FLOWS) && !dir.exists() {
        return Some((bundled::flows(), bundled::texts()));
    }
    let listed = std::fs::read_dir(dir).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let entries = match listed {
        Ok(entries) => entries,
        Err(error) => {
            unreadable(dir, &error, findings);
            return None;
        }
    };
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let (texts, flows): (Vec<_>, Vec<_>) = paths.iter().partition(|path| path.ends_with(TEXTS_FILE));
    let texts = match texts.first() {
        Some(path) => read_source(path, findings)?,
        None => bundled::texts(),
    };
    Some((flows.into_iter().filter_map(|path| read_source(path, findings)).collect(), texts))
}

fn read_source(path: &Path, findings: &Findings) -> Option<Source> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Some(Source::new(&name, &text)),
        Err(error) => {
            unreadable(path, &error, findings);
            None
        }
    }
}

fn unreadable(path: &Path, error: &io::Error, findings: &Findings) {
    let source = Source::new(&path.display().to_string(), "");
    findings.error(&source, 0..0, format!("cannot be read: {error}"), "");
}
