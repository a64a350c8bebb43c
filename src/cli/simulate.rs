//! `matamat simulate`: the phone in a terminal.

use super::{
    phone::{Handset, Phone},
    script::{self, Played},
};
use crate::domain::{lang::Lang, message::Screen};
use anyhow::{Context, bail};
use clap::Args;
use std::{
    io::{self, BufRead, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Go through a flow in this terminal, as a citizen would: by dialling, or by SMS.
///
/// Type an answer and press Enter. `dial` dials again, `sms TEXT` sends an SMS, `! 49h` lets time pass, an end of input
/// (Ctrl-D) leaves. With --sms every line you type is sent as an SMS. Everything runs in memory; nothing is stored and
/// nothing is sent.
#[derive(Debug, Args)]
pub struct Simulate {
    /// The flow's id, such as hospital-visit
    flow: String,
    /// The language of the line: or, en, hi [default: the flow's first]
    #[arg(long)]
    language: Option<String>,
    /// Begin by SMS, and send every line as one
    #[arg(long)]
    sms: bool,
    /// Begin with an invitation to the flow, and send every line as an SMS
    #[arg(long, conflicts_with = "sms")]
    invited: bool,
    /// What is known of the visit, as NAME=VALUE; may be given again
    #[arg(long, value_name = "NAME=VALUE")]
    context: Vec<String>,
    /// What the screen shows, in septets and UCS-2 units
    #[arg(long, value_name = "SEPTETS/UNITS", default_value = "160/70")]
    screen: String,
    /// A handset that draws Latin letters only
    #[arg(long)]
    latin: bool,
    /// Keep the conversation as a script that `replay` can run
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

impl Simulate {
    /// Runs it.
    pub fn run(self, config: Option<&Path>) -> anyhow::Result<ExitCode> {
        let installation = match super::installation(config) {
            Ok(installation) => installation,
            Err(code) => return Ok(code),
        };
        let flows = installation.shelf.flows();
        let Some(flow) = flows.iter().find(|flow| flow.id.as_str() == self.flow) else {
            let known: Vec<_> = flows.iter().map(|flow| flow.id.as_str()).collect();
            bail!("there is no flow \"{}\"; there are: {}", self.flow, known.join(", "));
        };
        let dial = || -> anyhow::Result<String> {
            let code = flow.ussd_codes.first();
            Ok(format!("> dial {}", code.with_context(|| format!("{} has no USSD code to dial", flow.id))?))
        };
        let first = match (self.invited, self.sms) {
            (true, _) => format!("> invite {}", flow.id),
            (_, true) => {
                let word = flow.sms_words.first();
                format!("> sms {}", word.with_context(|| format!("no word opens {} by SMS", flow.id))?)
            }
            _ => dial()?,
        };
        let way = Way { by_sms: self.sms || self.invited, dial: dial().ok(), first };
        let (handset, head) = self.handset()?;
        let mut phone = Phone::new(&installation, handset)?;
        let mut played = Played::new(&head);
        super::runtime()?.block_on(converse(&mut phone, &mut played, &way))?;
        if let Some(path) = &self.write {
            std::fs::write(path, played.text())
                .with_context(|| format!("{} cannot be written", path.display()))?;
            eprintln!("written to {}", path.display());
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The phone, and the headers that a script needs to have the same.
    fn handset(&self) -> anyhow::Result<(Handset, Vec<String>)> {
        let mut head = Vec::new();
        let latin = if self.latin { " latin" } else { "" };
        let screen = script::screen(&format!("{}{latin}", self.screen)).context("--screen is 160/70")?;
        if screen != Screen::default() {
            head.push(format!("screen: {}{latin}", self.screen));
        }
        let language = match &self.language {
            None => None,
            Some(tag) => Some(Lang::parse(tag).with_context(|| format!("\"{tag}\" is no language"))?),
        };
        head.extend(language.map(|language| format!("language: {language}")));
        let mut context = Vec::new();
        for pair in &self.context {
            let (name, value) = script::context(pair)?;
            head.push(format!("context: {name} = {value}"));
            context.push((name, value));
        }
        context.sort();
        Ok((Handset { language, screen, context }, head))
    }
}

/// How a conversation goes: what begins it, what dials again, and what a typed line is.
struct Way {
    first: String,
    dial: Option<String>,
    by_sms: bool,
}

impl Way {
    /// The line of a script for what was typed.
    fn line(&self, typed: String) -> String {
        match &self.dial {
            _ if typed.starts_with('!') => typed,
            Some(dial) if typed.trim() == "dial" => dial.clone(),
            _ if self.by_sms && !typed.starts_with("sms ") => format!("> sms {typed}"),
            _ => format!("> {typed}"),
        }
    }
}

async fn converse(phone: &mut Phone, played: &mut Played, way: &Way) -> anyhow::Result<()> {
    let mut told = 0;
    let mut next = Some(way.first.clone());
    let mut typed = io::stdin().lock().lines();
    while let Some(line) = next {
        if let Err(error) = played.act(phone, &line).await {
            eprintln!("{error:#}");
        }
        print!("{}", &played.text()[told..].trim_start_matches(&format!("{line}\n")));
        told = played.text().len();
        print!("> ");
        io::stdout().flush()?;
        next = typed.next().transpose()?.map(|typed| way.line(typed));
    }
    println!();
    Ok(())
}
