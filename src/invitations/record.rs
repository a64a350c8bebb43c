//! One record of a file: the lines that its quotes hold together, cut into fields (RFC 4180, and blanks around quotes).
//!
//! A quote that nobody closed would take good lines with it until the next one, and make a record of them that looks whole.
//! So a closing quote must stand at the end of its field, and a record of several lines must have as many fields as the
//! header; else its first line alone is refused and the others are read for themselves. That is why no parser is used that
//! prefers any reading over none.

use super::{
    Refusal,
    lines::{LINE_MAX, Line, Lines},
};
use std::io::{self, BufRead};

/// How many lines one record holds at most.
pub const QUOTED_LINES_MAX: usize = 32;
/// How long the fields of a record are at most, all together, in bytes of UTF-8.
pub const RECORD_MAX: usize = LINE_MAX;
/// How many fields of a record are told apart; more are too many under any header.
const FIELDS_MAX: usize = 256;

/// The place that one record after the other is read into.
pub struct Record {
    separator: u8,
    text: Vec<u8>,
    ends: Vec<usize>,
    at: At,
}

/// Where in a field the reading stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before its first character.
    Start,
    /// Inside, without quotes.
    Plain,
    /// Inside quotes.
    Quoted,
    /// Behind a quote inside quotes: the first of two, or the last.
    Quote,
    /// Behind its closing quote and a blank.
    Behind,
}

/// What a line made of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fed {
    /// It ended it.
    Whole,
    /// A quote is open.
    Open,
    /// A quote was closed in the middle of a field.
    Misplaced,
    /// It does not fit.
    Long,
    /// It has more than [`FIELDS_MAX`] fields.
    ManyFields,
}

impl Record {
    /// Of a file with this separator.
    pub fn new(separator: u8) -> Record {
        Record { separator, text: Vec::new(), ends: Vec::new(), at: At::Start }
    }

    /// Reads the record that begins with `first`. Of several lines it is one only with `columns` fields, where that is known.
    pub fn read<R: BufRead>(
        &mut self,
        lines: &mut Lines<R>,
        first: Line,
        columns: Option<usize>,
    ) -> io::Result<Result<(), Refusal>> {
        self.text.clear();
        self.ends.clear();
        self.at = At::Start;
        let mut fed = self.feed(&first);
        let mut more = Vec::new();
        while fed == Fed::Open && more.len() + 1 < QUOTED_LINES_MAX {
            let Some(line) = lines.next()? else { break };
            fed = self.feed(&line);
            more.push(line);
        }
        let refusal = match fed {
            Fed::Whole if more.is_empty() || columns.is_none_or(|columns| self.ends.len() == columns) => {
                return Ok(Ok(()));
            }
            Fed::Long if more.is_empty() => Refusal::LongLine,
            Fed::ManyFields => Refusal::TooMany { columns: columns.unwrap_or(FIELDS_MAX) },
            Fed::Whole | Fed::Open | Fed::Misplaced | Fed::Long => Refusal::OpenQuote,
        };
        lines.put_back(more);
        Ok(Err(refusal))
    }

    /// The fields that were read.
    pub fn fields(&self) -> Result<Vec<&str>, Refusal> {
        let text = std::str::from_utf8(&self.text).map_err(|_| Refusal::Charset)?;
        if text.contains(char::REPLACEMENT_CHARACTER) {
            return Err(Refusal::Charset);
        }
        let starts = std::iter::once(&0).chain(&self.ends);
        Ok(starts.zip(&self.ends).map(|(start, end)| &text[*start..*end]).collect())
    }

    fn feed(&mut self, line: &Line) -> Fed {
        let Some(bytes) = &line.bytes else { return Fed::Long };
        for &byte in bytes {
            match (self.at, byte) {
                (At::Quoted, b'"') => self.at = At::Quote,
                (At::Quoted, _) => self.text.push(byte),
                (At::Quote, b'"') => {
                    self.text.push(byte);
                    self.at = At::Quoted;
                }
                (_, b'\n') => self.end_field(),
                (_, byte) if byte == self.separator => self.end_field(),
                (At::Start, b' ') => {}
                (At::Start, b'"') => self.at = At::Quoted,
                (At::Start | At::Plain, _) => {
                    self.text.push(byte);
                    self.at = At::Plain;
                }
                (At::Quote | At::Behind, b' ') => self.at = At::Behind,
                (At::Quote | At::Behind, _) => return Fed::Misplaced,
            }
        }
        match self.at {
            _ if self.text.len() > RECORD_MAX => Fed::Long,
            _ if self.ends.len() > FIELDS_MAX => Fed::ManyFields,
            At::Quoted => Fed::Open,
            _ => Fed::Whole,
        }
    }

    fn end_field(&mut self) {
        self.ends.push(self.text.len());
        self.at = At::Start;
    }
}
