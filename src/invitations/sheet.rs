//! A file of invitations, record by record, in memory that does not grow with it.

use super::{
    Refusal, Row, charset,
    columns::{Columns, NoHeader, separator},
    lines::Lines,
    record::Record,
};
use std::io::{self, BufRead};

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum NotASheet {
    /// Its header.
    #[error(transparent)]
    Header(#[from] NoHeader),
    /// The system.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// One record of a file.
pub struct Written {
    /// The number of its first line, from 1.
    pub line: u64,
    /// What is written there, or why it cannot be read.
    pub row: Result<Row, Refusal>,
}

/// A file of invitations.
pub struct Sheet<'a> {
    lines: Lines<Box<dyn BufRead + Send + 'a>>,
    columns: Columns,
    record: Record,
}

impl<'a> Sheet<'a> {
    /// Reads the charset, the separator and the header.
    pub fn open(input: impl BufRead + Send + 'a) -> Result<Sheet<'a>, NotASheet> {
        let mut lines = Lines::new(charset::utf8(input)?);
        let header = loop {
            match lines.next()? {
                None => return Err(NoHeader::Empty.into()),
                Some(line) if line.is_blank() => {}
                Some(line) => break line,
            }
        };
        let separator = separator(header.bytes.as_deref().unwrap_or_default());
        let mut record = Record::new(separator);
        let read = record.read(&mut lines, header, None)?;
        let names = read.and_then(|()| record.fields());
        let columns = Columns::read(&names.map_err(|refusal| NoHeader::Unreadable(refusal.to_string()))?)?;
        Ok(Sheet { lines, columns, record })
    }

    /// The next record; `None` at the end. Empty lines, and lines of separators only, are none.
    pub fn read(&mut self) -> io::Result<Option<Written>> {
        while let Some(first) = self.lines.next()? {
            let line = first.number;
            if first.is_blank() {
                continue;
            }
            let read = self.record.read(&mut self.lines, first, Some(self.columns.len()))?;
            let row = read.and_then(|()| self.row()).transpose();
            if let Some(row) = row {
                return Ok(Some(Written { line, row }));
            }
        }
        Ok(None)
    }

    /// The record that was read; nothing if all its fields are empty.
    fn row(&self) -> Result<Option<Row>, Refusal> {
        let fields = self.record.fields()?;
        let filled = fields.iter().rposition(|field| !field.trim().is_empty()).map_or(0, |last| last + 1);
        let columns = self.columns.len();
        match fields.len() {
            _ if filled == 0 => Ok(None),
            found if found < columns => Err(Refusal::TooFew { found, columns }),
            _ if filled > columns => Err(Refusal::TooMany { columns }),
            _ => Ok(Some(self.columns.row(&fields))),
        }
    }
}
