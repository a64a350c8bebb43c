//! Scripted conversations: tests of a flow and its documentation, readable by whoever wrote it.
//!
//! ```text
//! # A citizen who was treated badly agrees to be called.
//! language: en
//! context: visit.office = Capital Hospital
//!
//! > dial *4545*1#
//! < How were you treated at Capital Hospital?
//! < 1 very badly - 5 very well
//! > 2
//! …
//! < Thank you. Your reference number is 482-109-375
//! < (end)
//! = complete: overall=2 topic=behaviour contact=true
//! ! 49h
//! ```
//!
//! `>` is what the citizen does (`dial CODE`, or an answer to the screen; `sms TEXT`), or what is done to one (`invite FLOW`);
//! `<` the screen that follows, line by line, `(end)` where the dialogue ended, `~` an SMS that arrives, line by line, `=` a
//! response that was given, `!` time that passes. Headers: `language`, `screen` (`160/70`, or
//! `160/70 latin`), `context` (as often as needed).

use super::phone::{Handset, Phone};
use crate::{
    app::Installation,
    domain::{
        completion::{Completion, Value},
        lang::Lang,
        message::{Reply, Screen},
        time::parse_duration,
    },
};
use anyhow::{Context, bail};

/// The longest script that is read, in lines.
const LINES_MAX: usize = 10_000;

/// A script: its comment and headers as written, and its lines.
pub struct Script {
    name: String,
    head: Vec<String>,
    handset: Handset,
    lines: Vec<(usize, String)>,
}

impl Script {
    /// Reads a script; faults are told with their line.
    pub fn parse(name: &str, text: &str) -> anyhow::Result<Script> {
        let mut script = Script {
            name: name.to_owned(),
            head: Vec::new(),
            handset: Handset::default(),
            lines: Vec::new(),
        };
        for (number, line) in (1..).zip(text.lines().map(str::trim_end)) {
            let at = || format!("{name}:{number}");
            if number > LINES_MAX {
                bail!("{}: a script has at most {LINES_MAX} lines", at());
            }
            match line.chars().next() {
                Some('>' | '<' | '~' | '=' | '!') => script.lines.push((number, line.to_owned())),
                None if !script.lines.is_empty() => {}
                None | Some('#') => script.head.push(line.to_owned()),
                Some(_) if script.lines.is_empty() => {
                    header(&mut script.handset, line).with_context(at)?;
                    script.head.push(line.to_owned());
                }
                Some(_) => bail!("{}: a line begins with >, <, ~, = or !", at()),
            }
        }
        Ok(script)
    }

    /// Plays the script and gives it as it really went: comment, headers and the citizen's lines as written, everything
    /// else as it came.
    pub async fn play(&self, installation: &Installation) -> anyhow::Result<String> {
        let mut phone = Phone::new(installation, self.handset.clone())?;
        let mut played = Played::new(&self.head);
        for (number, line) in &self.lines {
            let at = || format!("{}:{number}", self.name);
            played.act(&mut phone, line).await.with_context(at)?;
        }
        Ok(played.text)
    }

    /// Plays the script and says the first difference, if there is one.
    pub async fn check(&self, installation: &Installation) -> anyhow::Result<()> {
        let played = self.play(installation).await?;
        let went: Vec<&str> =
            played.lines().filter(|line| line.starts_with(['>', '<', '~', '=', '!'])).collect();
        for (at, (number, line)) in self.lines.iter().enumerate() {
            if went.get(at) != Some(&line.as_str()) {
                let went = went.get(at).copied().unwrap_or("the end of the conversation");
                bail!("{}:{number}: expected\n  {line}\nand it went\n  {went}", self.name);
            }
        }
        match went.get(self.lines.len()) {
            None => Ok(()),
            Some(more) => bail!("{}: behind its end it went on\n  {more}", self.name),
        }
    }
}

fn header(handset: &mut Handset, line: &str) -> anyhow::Result<()> {
    let (key, value) = line.split_once(':').context("a header is `language: en`")?;
    let value = value.trim();
    match key.trim() {
        "language" => handset.language = Some(Lang::parse(value).context("a language is `or`, `en`, `hi`")?),
        "screen" => handset.screen = screen(value).context("a screen is `160/70` or `160/70 latin`")?,
        "context" => handset.context.push(context(value)?),
        other => bail!("`{other}` is no header; there are language, screen and context"),
    }
    handset.context.sort();
    Ok(())
}

/// `160/70`, or `160/70 latin`.
pub fn screen(text: &str) -> Option<Screen> {
    let (sizes, latin) = text.strip_suffix(" latin").map_or((text, false), |sizes| (sizes, true));
    let (septets, ucs2) = sizes.split_once('/')?;
    let (septets, ucs2) = (septets.parse().ok()?, ucs2.parse().ok()?);
    ((1..=182).contains(&septets) && (1..=80).contains(&ucs2)).then_some(Screen { septets, ucs2, latin })
}

/// `visit.office = Capital Hospital`.
pub fn context(text: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = text.split_once('=').context("context is `visit.office = Capital Hospital`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// A conversation as it goes.
pub struct Played {
    text: String,
}

impl Played {
    /// One that begins with this comment and these headers.
    pub fn new(head: &[String]) -> Played {
        let mut text = head.join("\n").trim_end().to_owned();
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        Played { text }
    }

    /// What was said so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Does what a `>` or `!` line says and writes down what follows; other lines are what is expected, and say nothing.
    pub async fn act(&mut self, phone: &mut Phone, line: &str) -> anyhow::Result<Option<Reply>> {
        let reply = match line.split_at_checked(1) {
            Some((">", typed)) => {
                let typed = typed.strip_prefix(' ').unwrap_or(typed);
                match typed.split_once(' ') {
                    Some(("dial", code)) => Some(phone.dial(code.trim()).await?),
                    Some(("sms", text)) => phone.sms(text).await.map(|()| None)?,
                    Some(("invite", flow)) => phone.invited(flow.trim()).await.map(|()| None)?,
                    _ => Some(phone.answer(typed).await?),
                }
            }
            Some(("!", length)) => {
                let length = parse_duration(length.trim()).context("time passes by `! 49h`")?;
                phone.wait(length).await?;
                None
            }
            _ => return Ok(None),
        };
        self.line(line);
        if let Some(Reply { text, end, .. }) = &reply {
            text.lines().for_each(|line| self.line(format!("< {line}").trim_end()));
            if *end {
                self.line("< (end)");
            }
        }
        for text in phone.texts().await? {
            text.lines().for_each(|line| self.line(format!("~ {line}").trim_end()));
        }
        for response in phone.responses().await? {
            self.line(&said(&response));
        }
        Ok(reply)
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// `= complete: overall=2 topic=behaviour contact=true`.
fn said(response: &Completion) -> String {
    let answers = response.answers.iter().map(|answer| {
        let value = match &answer.value {
            Value::Integer(number) => number.to_string(),
            Value::Boolean(truth) => truth.to_string(),
            Value::Text(text) => text.clone(),
        };
        format!(" {}={value}", answer.node)
    });
    format!("= {}:{}", response.status.name(), answers.collect::<String>())
}
