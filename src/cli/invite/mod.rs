//! `matamat invite`: begins the dialogues of a CSV file.
//!
//! Every line is one act in the store, so a run that was cut short is simply run again: what was taken is known.
//!
//! | dies | run again |
//! |---|---|
//! | before the act | the line is taken |
//! | after the act, before it was counted | the line counts as repeated; nobody is asked twice |

mod progress;
mod reading;
mod taking;

use crate::{
    app,
    invitations::{Known, Sheet},
};
use anyhow::{Context, bail};
use clap::Args;
use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::ExitCode,
};
use taking::{Taker, Taking};

/// How much of a file is read at once.
const READ_AHEAD: usize = 64 * 1024;

/// Begin dialogues with the people of a CSV file.
///
/// The first line names the columns: key, msisdn and flow, and where wanted language, channel, not_before and not_after (times with
/// their zone, such as 2026-11-24T09:00:00+05:30). Every other column is what is known of the visit, such as visit.office. A line
/// is known by its key and number: the same file twice asks nobody twice.
///
/// Lines that are refused go to standard error with their number and reason, the last line of standard output is
/// `taken=N repeated=N refused=N`. Exits 0 when the file was read to its end, refused lines or not; 1 when it or the store could not
/// be read, and then the same file can be given again.
#[derive(Debug, Args)]
pub struct Invite {
    /// The file, UTF-8 or UTF-16, separated by commas, semicolons or tabs; - is standard input
    file: PathBuf,
    /// Only check the lines: nobody is invited and no store is needed
    #[arg(long)]
    dry_run: bool,
}

impl Invite {
    /// Runs it.
    pub fn run(self, config: Option<&Path>) -> anyhow::Result<ExitCode> {
        let installation = match super::installation(config) {
            Ok(installation) => installation,
            Err(code) => return Ok(code),
        };
        let known = known(&installation);
        if !known.sends() {
            bail!(
                "no channel of this configuration sends SMS, so nobody can be invited: add one with bearer = \"sms\""
            );
        }
        let name = self.file.display().to_string();
        let sheet = open(&self.file).with_context(|| format!("{name} cannot be read"))?;
        let clock = super::clock()?;
        super::runtime()?.block_on(async {
            let taker = match self.dry_run {
                true => Taker::Nobody,
                false => Taker::Store(app::beside(&installation, clock.clone()).await?),
            };
            let taking = Taking::new(taker);
            let lines = reading::start(sheet, known, clock)?;
            Ok(taking.run(lines).await)
        })
    }
}

/// What lines may name.
fn known(installation: &app::Installation) -> Known {
    let flows = installation.shelf.flows().iter().map(|flow| (flow.id.clone(), flow.languages.clone()));
    Known::new(flows, installation.channels.all().to_vec())
}

fn open(path: &Path) -> anyhow::Result<Sheet<'static>> {
    let input: Box<dyn BufRead + Send> = match path.as_os_str() == "-" {
        true => Box::new(BufReader::with_capacity(READ_AHEAD, io::stdin())),
        false => Box::new(BufReader::with_capacity(READ_AHEAD, File::open(path)?)),
    };
    Ok(Sheet::open(input)?)
}
