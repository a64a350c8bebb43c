//! `matamat replay`: scripted conversations, and the first difference.

use super::script::Script;
use anyhow::Context;
use clap::Args;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Run scripted conversations and say the first difference of each.
///
/// A script is what `simulate --write` keeps: what the citizen does (>), the screens that follow (<), the responses that are
/// given (=) and time that passes (!). Everything runs in memory; nothing is stored and nothing is sent.
///
/// Exits 1 if any conversation went differently.
#[derive(Debug, Args)]
pub struct Replay {
    /// The scripts
    #[arg(required = true, value_name = "SCRIPT")]
    scripts: Vec<PathBuf>,
    /// Write each script as it really went, instead of comparing
    #[arg(long)]
    update: bool,
}

impl Replay {
    /// Runs it.
    pub fn run(self, config: Option<&Path>) -> anyhow::Result<ExitCode> {
        let installation = match super::installation(config) {
            Ok(installation) => installation,
            Err(code) => return Ok(code),
        };
        super::runtime()?.block_on(async {
            let mut differ = 0;
            for path in &self.scripts {
                let name = path.display().to_string();
                let text = std::fs::read_to_string(path).with_context(|| format!("{name} cannot be read"))?;
                let script = Script::parse(&name, &text)?;
                if self.update {
                    std::fs::write(path, script.play(&installation).await?)
                        .with_context(|| format!("{name} cannot be written"))?;
                    println!("{name}: written");
                } else if let Err(difference) = script.check(&installation).await {
                    differ += 1;
                    eprintln!("{difference:#}\n");
                } else {
                    println!("{name}: as written");
                }
            }
            Ok(if differ == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
    }
}
