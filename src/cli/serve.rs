//! `matamat serve`: the gateway.

use crate::{
    app::{Gateway, Installation},
    channel::{self, settings::Auth},
    telemetry,
};
use clap::Args;
use std::{path::Path, process::ExitCode};

/// Run the gateway until SIGTERM or Ctrl-C.
///
/// Without a configuration it listens on http://127.0.0.1:8080, keeps everything in data/matamat.db, has a phone to try it
/// with at /phone, and appends completed responses to data/responses.ndjson. Logs go to standard error.
///
/// On SIGTERM it takes no new callbacks, finishes what is under way, and ends within a minute.
#[derive(Debug, Args)]
pub struct Serve {}

impl Serve {
    /// Runs it.
    pub fn run(self, config: Option<&Path>) -> anyhow::Result<ExitCode> {
        let installation = match super::installation(config) {
            Ok(installation) => installation,
            Err(code) => return Ok(code),
        };
        telemetry::start_logs(installation.config.log, installation.config.timezone);
        let clock = super::clock()?;
        actix_web::rt::System::new().block_on(async {
            let told = Told::of(&installation);
            let gateway = Gateway::start(installation, clock).await?;
            told.say(&gateway);
            gateway.run().await
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What is said at start, gathered before the installation is given away.
struct Told {
    store: String,
    public_url: String,
    /// Each channel's id, and where its telco calls; none: the simulator.
    channels: Vec<(String, Vec<String>)>,
    flows: Vec<String>,
}

impl Told {
    fn of(installation: &Installation) -> Told {
        let channels = &installation.config.channels;
        Told {
            store: installation.config.store.url.to_string(),
            public_url: installation.config.server.public_url.clone(),
            channels: channels.iter().map(|c| (c.id.to_string(), doors(c))).collect(),
            flows: installation.shelf.flows().iter().map(|flow| flow.id.to_string()).collect(),
        }
    }

    fn say(&self, gateway: &Gateway) {
        let (address, operators) = (gateway.address, gateway.operators.unwrap_or(gateway.address));
        tracing::info!(version = env!("CARGO_PKG_VERSION"), store = self.store, %address, "started");
        tracing::info!("flows: {}", self.flows.join(", "));
        for (channel, doors) in &self.channels {
            if doors.is_empty() {
                tracing::info!("channel {channel}: try it at http://{operators}/phone");
            }
            for door in doors {
                tracing::info!(
                    "channel {channel}: have the telco call {}/in/{channel}/{door}",
                    self.public_url
                );
            }
        }
    }
}

/// The doors of a channel, behind `/in/ID/`. A secret of ours stands at the end, and is not shown.
fn doors(channel: &channel::Settings) -> Vec<String> {
    let kinds: &[&str] = match channel.sends() {
        _ if channel.is_simulator() => &[],
        true => &["mo", "dlr"],
        false => &["ussd"],
    };
    let secret = if matches!(channel.auth, Some(Auth::Secret(_))) { "/SECRET" } else { "" };
    kinds.iter().map(|kind| format!("{kind}{secret}")).collect()
}
