//! `matamat check`: all faults of configuration, flows and descriptions at once.

use super::{count, drawn};
use crate::{app::Installation, findings::Severity};
use clap::Args;
use std::{path::Path, process::ExitCode};

/// Read configuration, flows and vendor descriptions, and say everything that is wrong with them.
///
/// Nothing is started and nothing is changed. Exits 1 if anything would keep `serve` from starting; notes do not.
#[derive(Debug, Args)]
pub struct Check {}

impl Check {
    /// Runs it.
    pub fn run(self, config: Option<&Path>) -> anyhow::Result<ExitCode> {
        let (installation, found) = Installation::read(config);
        if !found.is_empty() {
            eprintln!("{}\n", drawn(&found));
        }
        let errors = found.iter().filter(|f| f.severity == Severity::Error).count();
        let notes = count(found.len() - errors, "note");
        match installation {
            Some(installation) => {
                let config = &installation.config;
                println!(
                    "good: {}, {}, {}, {}; {notes}",
                    count(installation.shelf.flows().len(), "flow"),
                    count(config.channels.len(), "channel"),
                    count(config.departments.len(), "department"),
                    count(config.routes.len(), "route"),
                );
                Ok(ExitCode::SUCCESS)
            }
            None => {
                println!("{}, {notes}", count(errors, "error"));
                Ok(ExitCode::FAILURE)
            }
        }
    }
}
