//! What must be true of the configuration as a whole: rules that no single room can see.
//!
//! Beyond loopback a channel authenticates its callbacks or says `auth = "none"` in so many words, the operators' side has a
//! listener on loopback or a token, and secrets come from the environment or a file. A channel's flows exist, and the channel
//! that its dialogues are handed over to exists and sends.

use crate::{
    channel::settings::{Auth, Settings},
    config::Config,
    domain::{id::FlowId, secret::SecretSource},
    findings::{At, Findings, Source, nearest},
};
use std::collections::BTreeSet;

/// Adds what does not fit together.
pub fn check(config: &Config, findings: &Findings) {
    no_channel_twice(&config.channels, findings);
    no_department_twice(config, findings);
    config.channels.iter().for_each(|channel| hands_over(channel, &config.channels, findings));
    config.channels.iter().for_each(|channel| no_literals(channel, config, findings));
    operators(config, findings);
}

fn no_channel_twice(channels: &[Settings], findings: &Findings) {
    let mut seen = BTreeSet::new();
    for channel in channels.iter().filter(|channel| !seen.insert(channel.id.clone())) {
        let what = format!("there are two channels with the id \"{}\"", channel.id);
        findings.error(&channel.source, channel.id_span.clone(), what, "every channel has an id of its own");
    }
}

fn no_department_twice(config: &Config, findings: &Findings) {
    let mut seen = BTreeSet::new();
    for department in config.departments.iter().filter(|department| !seen.insert(department.id.clone())) {
        let what = format!("there are two departments with the id \"{}\"", department.id);
        let At { span, .. } = &department.place;
        findings.error(&department.source, span.clone(), what, "every department has an id of its own");
    }
}

/// Adds the flows that a channel names and nobody wrote.
pub fn check_flows(config: &Config, flows: &[&FlowId], findings: &Findings) {
    for channel in &config.channels {
        for flow in channel.flows.iter().filter(|flow| !flows.contains(&&flow.value)) {
            let known = || flows.iter().map(|flow| flow.as_str());
            let hint = match nearest(flow.value.as_str(), known()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("known here: {}", known().collect::<Vec<_>>().join(", ")),
            };
            let what = format!("there is no flow \"{}\"", flow.value);
            findings.error(&channel.source, flow.span.clone(), what, &hint);
        }
    }
}

/// The channel that an unfinished dialogue is handed over to exists, and sends.
fn hands_over(channel: &Settings, all: &[Settings], findings: &Findings) {
    let Some(via) = &channel.sms_via else { return };
    let (what, hint) = match all.iter().find(|other| other.id == via.value) {
        Some(other) if other.sends() => return,
        Some(_) => (
            format!("the channel \"{}\" sends no SMS", via.value),
            "`sms_via` is the id of a channel with bearer = \"sms\"",
        ),
        None => (format!("there is no channel \"{}\"", via.value), "`sms_via` is the id of another channel"),
    };
    findings.error(&channel.source, via.span.clone(), what, hint);
}

/// Beyond loopback no secret of a channel stands in the file.
fn no_literals(channel: &Settings, config: &Config, findings: &Findings) {
    if config.server.listen.value.ip().is_loopback() {
        return;
    }
    let of_vendor = channel.secrets.iter().map(|secret| &secret.source);
    let in_path = channel.auth.iter().filter_map(|auth| match auth {
        Auth::Secret(secret) => Some(secret),
        Auth::None => None,
    });
    of_vendor.chain(in_path).for_each(|secret| no_literal(&channel.source, secret, findings));
}

/// Adds a channel that anybody can call: beyond loopback, without a secret, and its vendor does not sign (`signed`).
pub fn check_reachable(channel: &Settings, signed: bool, config: &Config, findings: &Findings) {
    if signed || channel.is_simulator() || config.server.listen.value.ip().is_loopback() {
        return;
    }
    if channel.auth.is_none() {
        let what = format!("the channel \"{}\" can be called from anywhere and asks for nothing", channel.id);
        let hint = "auth = { secret = { env = \"NAME\" } }, or auth = \"none\" if that is meant";
        findings.error(&channel.source, channel.id_span.clone(), what, hint);
    }
}

fn operators(config: &Config, findings: &Findings) {
    let (admin, server) = (&config.admin, &config.server);
    let (source, listen) = match &admin.listen {
        Some(listen) => (&admin.source, listen),
        None => (&server.source, &server.listen),
    };
    if listen.value.ip().is_loopback() {
        return;
    }
    match &admin.token {
        None => {
            let what = "the operators' side (/metrics, /phone) can be reached from anywhere";
            let hint = "set [admin] token = { env = \"NAME\" }, or [admin] listen = \"127.0.0.1:8081\"";
            findings.error(source, listen.span.clone(), what, hint);
        }
        Some(token) => no_literal(&admin.source, token, findings),
    }
}

fn no_literal(source: &Source, secret: &At<SecretSource>, findings: &Findings) {
    if matches!(secret.value, SecretSource::Literal(_)) {
        let what = "a secret may stand in the file on loopback only";
        findings.error(source, secret.span.clone(), what, "{ env = \"NAME\" } or { file = \"/path\" }");
    }
}
