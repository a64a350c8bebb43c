//! A recorded dialogue as templates: what was one citizen's, one dialogue's, one turn's in the recorded bytes becomes a
//! gap, and is filled in for another.
//!
//! Nothing is known here of what the gateway stores, but where a commit has its event (argument 1), the version it
//! expects (2), and the new record with its new version at its bytes 1 to 9 (3), and how keys begin.

use anyhow::{Context as _, ensure};
use matamat::domain::id::PARTITIONS;
use redis::Cmd;

/// Everything that came by.
pub struct Recording {
    /// The scripts that were loaded.
    pub scripts: Vec<Vec<u8>>,
    commands: Vec<Vec<Vec<u8>>>,
}

/// A dialogue's turns, in order.
pub struct Dialogue {
    pub turns: Vec<Turn>,
}

/// What one turn sends.
pub struct Turn {
    pub load: Template,
    pub commit: Template,
}

/// A command with gaps.
pub struct Template(Vec<Vec<Piece>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Same(Vec<u8>),
    Tag,
    Citizen,
    Dialogue,
    /// The event of the turn with this number.
    Event(usize),
    Response,
    ResponseHex,
    Expected,
    New,
}

/// What is filled in.
pub struct Filling {
    citizen: [u8; 16],
    dialogue: [u8; 16],
    response: [u8; 16],
    expected: u64,
    new: u64,
}

impl Filling {
    /// The filling of a turn before anything is loaded.
    pub fn new(citizen: [u8; 16], dialogue: [u8; 16]) -> Filling {
        let response = (u128::from_be_bytes(dialogue).rotate_left(64) ^ 0x55).to_be_bytes();
        Filling { citizen, dialogue, response, expected: 0, new: 0 }
    }

    /// What the load found: the version the commit expects, and a newer one.
    pub fn found(&mut self, version: Option<u64>, now_ms: u64) {
        self.expected = version.unwrap_or(0);
        self.new = ((self.expected >> 16) + 1).max(now_ms) << 16;
    }

    fn event(&self, turn: usize) -> [u8; 16] {
        (u128::from_be_bytes(self.dialogue) ^ (turn as u128 + 1)).to_be_bytes()
    }
}

impl Template {
    /// The command, filled.
    pub fn fill(&self, with: &Filling) -> Cmd {
        let mut command = Cmd::new();
        let mut bytes = Vec::with_capacity(512);
        for argument in &self.0 {
            bytes.clear();
            argument.iter().for_each(|piece| piece.write(with, &mut bytes));
            command.arg(&bytes[..]);
        }
        command
    }
}

impl Piece {
    fn write(&self, with: &Filling, into: &mut Vec<u8>) {
        match self {
            Piece::Same(bytes) => into.extend_from_slice(bytes),
            Piece::Tag => into.extend_from_slice(format!("{:03}", with.citizen[0] % PARTITIONS).as_bytes()),
            Piece::Citizen => into.extend_from_slice(&with.citizen),
            Piece::Dialogue => into.extend_from_slice(&with.dialogue),
            Piece::Event(turn) => into.extend_from_slice(&with.event(*turn)),
            Piece::Response => into.extend_from_slice(&with.response),
            Piece::ResponseHex => into.extend_from_slice(hex(&with.response).as_bytes()),
            Piece::Expected => into.extend_from_slice(&with.expected.to_be_bytes()),
            Piece::New => into.extend_from_slice(&with.new.to_be_bytes()),
        }
    }
}

impl Recording {
    /// Reads the lines of `record`.
    pub fn read(text: &str) -> anyhow::Result<Recording> {
        let commands: Vec<Vec<Vec<u8>>> = text
            .lines()
            .map(|line| line.split(' ').map(unhex).collect())
            .collect::<Option<_>>()
            .context("hexadecimal")?;
        let loaded = commands.iter().filter(|c| is(c, "SCRIPT") && c.len() == 3);
        Ok(Recording { scripts: loaded.map(|c| c[2].clone()).collect(), commands })
    }

    /// The one dialogue in it: loads and commits of a citizen, in pairs.
    pub fn dialogue(&self) -> anyhow::Result<Dialogue> {
        let of_a_citizen =
            |key: Option<&Vec<u8>>| key.is_some_and(|key| key.get(..4) == Some(b"mm:{") && has(key, b"}:c:"));
        let loads: Vec<_> = self
            .commands
            .iter()
            .filter(|c| is(c, "MGET") && c.len() == 3 && of_a_citizen(c.get(1)))
            .collect();
        let commits: Vec<_> =
            self.commands.iter().filter(|c| is(c, "EVALSHA") && of_a_citizen(c.get(3))).collect();
        ensure!(
            !loads.is_empty() && loads.len() == commits.len(),
            "{} loads, {} commits",
            loads.len(),
            commits.len()
        );
        let own = Own::of(loads[0], &commits)?;
        let turn = |n: usize| Turn { load: own.template(loads[n], n), commit: own.template(commits[n], n) };
        Ok(Dialogue { turns: (0..loads.len()).map(turn).collect() })
    }
}

/// What was the recorded citizen's own.
struct Own {
    tag: Vec<u8>,
    citizen: Vec<u8>,
    dialogue: Vec<u8>,
    events: Vec<Vec<u8>>,
    versions: Vec<Vec<u8>>,
    response: Vec<u8>,
    first_arguments: Vec<usize>,
}

impl Own {
    fn of(load: &[Vec<u8>], commits: &[&Vec<Vec<u8>>]) -> anyhow::Result<Own> {
        let (citizen, dialogue) = (&load[1], &load[2]);
        let tail = |key: &[u8]| key[key.len().saturating_sub(16)..].to_vec();
        let closing = citizen.iter().position(|&b| b == b'}').context("a tag")?;
        // EVALSHA, digest, number of keys, the keys, and then the arguments.
        let first_arguments: Vec<usize> = commits
            .iter()
            .map(|c| Some(3 + std::str::from_utf8(&c[2]).ok()?.parse::<usize>().ok()?))
            .collect::<Option<_>>()
            .context("a number of keys")?;
        let argument =
            |n: usize| commits.iter().zip(&first_arguments).map(move |(c, first)| c[first + n].clone());
        let last = commits.last().context("a commit")?;
        let response = last.iter().find_map(|arg| arg.strip_prefix(b"rsp_")).filter(|hex| hex.len() == 32);
        let response = unhex(std::str::from_utf8(response.context("a response")?)?).context("hexadecimal")?;
        Ok(Own {
            tag: citizen[4..closing].to_vec(),
            citizen: tail(citizen),
            dialogue: tail(dialogue),
            events: argument(0).collect(),
            versions: argument(2).map(|record| record[1..9].to_vec()).collect(),
            response,
            first_arguments,
        })
    }

    fn template(&self, command: &[Vec<u8>], turn: usize) -> Template {
        let expected = is(command, "EVALSHA").then(|| self.first_arguments[turn] + 1);
        let argument = |(n, bytes): (usize, &Vec<u8>)| match Some(n) == expected {
            true => vec![Piece::Expected],
            false => self.pieces(bytes, turn),
        };
        Template(command.iter().enumerate().map(argument).collect())
    }

    /// Cuts an argument at everything that was the citizen's own.
    fn pieces(&self, bytes: &[u8], turn: usize) -> Vec<Piece> {
        let tag = [b"{", &self.tag[..], b"}"].concat();
        let response_hex = hex(&self.response).into_bytes();
        let mut gaps: Vec<(&[u8], Piece)> = vec![
            (&self.citizen, Piece::Citizen),
            (&self.dialogue, Piece::Dialogue),
            (&self.response, Piece::Response),
            (&response_hex, Piece::ResponseHex),
            (&self.versions[turn], Piece::New),
        ];
        gaps.extend(self.events.iter().enumerate().map(|(n, event)| (&event[..], Piece::Event(n))));
        let mut pieces = Vec::new();
        let mut same = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            if rest.starts_with(&tag) {
                same.push(b'{');
                pieces.extend([Piece::Same(std::mem::take(&mut same)), Piece::Tag]);
                same.push(b'}');
                at += tag.len();
            } else if let Some((own, piece)) = gaps.iter().find(|(own, _)| rest.starts_with(own)) {
                pieces.extend([Piece::Same(std::mem::take(&mut same)), piece.clone()]);
                at += own.len();
            } else {
                same.push(bytes[at]);
                at += 1;
            }
        }
        pieces.push(Piece::Same(same));
        pieces
    }
}

fn is(command: &[Vec<u8>], name: &str) -> bool {
    command.first().is_some_and(|first| first.eq_ignore_ascii_case(name.as_bytes()))
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}
