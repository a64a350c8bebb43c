//! The header of a file: which column is what, and with which separator.

use super::{Row, is_name};

/// The most columns.
pub const COLUMNS_MAX: usize = 64;
/// The separators that spreadsheets write; of two that give as many columns the first is meant.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];
/// The columns that every file has.
const REQUIRED: [&str; 3] = ["key", "msisdn", "flow"];

/// What one column is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    Key,
    Msisdn,
    Flow,
    Language,
    Channel,
    NotBefore,
    NotAfter,
    Context(String),
}

/// The columns of a file, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns(Vec<Column>);

/// Why a header is none. Names a column by its name only where that cannot be a number: a file without a header begins with data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoHeader {
    /// Nothing is in the file.
    #[error("the file is empty; its first line names the columns: key, msisdn, flow, …")]
    Empty,
    /// The first line cannot be read.
    #[error("the first line, which names the columns, cannot be read: {0}")]
    Unreadable(String),
    /// A column is not there.
    #[error("the first line names the columns; {} not among them; there are: {there}", not(missing))]
    Missing {
        /// Which.
        missing: Vec<&'static str>,
        /// What is there.
        there: String,
    },
    /// A column's name cannot be one.
    #[error(
        "{0} has no good name: a name is lower-case letters, digits and _, beginning with a letter, in parts joined by \
         dots, such as visit.office"
    )]
    BadName(String),
    /// A column comes twice.
    #[error("two columns have the name {0}")]
    Twice(String),
    /// Too many.
    #[error("there are more than {COLUMNS_MAX} columns")]
    TooMany,
}

fn not(missing: &[&str]) -> String {
    format!("{} {}", missing.join(" and "), if missing.len() == 1 { "is" } else { "are" })
}

/// The separator of a file, from its first line.
pub fn separator(header: &[u8]) -> u8 {
    let count = |separator: &u8| header.iter().filter(|byte| *byte == separator).count();
    // `max_by_key` takes the last of several, so it is asked from behind.
    SEPARATORS.into_iter().rev().max_by_key(count).expect("there are separators")
}

impl Columns {
    /// Reads the names. Blanks around them and capitals do not matter; empty ones at the end are not there.
    pub fn read(names: &[&str]) -> Result<Columns, NoHeader> {
        let mut names: Vec<String> = names.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
        names.truncate(names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1));
        if names.len() > COLUMNS_MAX {
            return Err(NoHeader::TooMany);
        }
        let missing: Vec<_> = REQUIRED.into_iter().filter(|name| !names.iter().any(|n| n == name)).collect();
        if !missing.is_empty() {
            let there: Vec<_> = names.iter().enumerate().map(|(at, name)| shown(at, name)).collect();
            return Err(NoHeader::Missing { missing, there: there.join(", ") });
        }
        for (at, name) in names.iter().enumerate() {
            if !is_name(name) {
                return Err(NoHeader::BadName(shown(at, name)));
            }
            if names[..at].contains(name) {
                return Err(NoHeader::Twice(shown(at, name)));
            }
        }
        Ok(Columns(names.into_iter().map(Column::of).collect()))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// One record as it is written; `fields` are as many as the columns.
    pub fn row(&self, fields: &[&str]) -> Row {
        let mut row = Row::default();
        for (column, field) in self.0.iter().zip(fields) {
            let field = field.trim().to_owned();
            match column {
                Column::Key => row.key = field,
                Column::Msisdn => row.msisdn = field,
                Column::Flow => row.flow = field,
                Column::Language => row.language = field,
                Column::Channel => row.channel = field,
                Column::NotBefore => row.not_before = field,
                Column::NotAfter => row.not_after = field,
                Column::Context(name) => row.context.push((name.clone(), field)),
            }
        }
        row
    }
}

impl Column {
    fn of(name: String) -> Column {
        match name.as_str() {
            "key" => Column::Key,
            "msisdn" => Column::Msisdn,
            "flow" => Column::Flow,
            "language" => Column::Language,
            "channel" => Column::Channel,
            "not_before" => Column::NotBefore,
            "not_after" => Column::NotAfter,
            _ => Column::Context(name),
        }
    }
}

/// A column's name where it cannot be a number or a long text, else its place.
fn shown(at: usize, name: &str) -> String {
    let digits = name.chars().filter(|c| c.is_numeric()).count();
    let harmless =
        !name.is_empty() && name.chars().count() <= 40 && digits < 4 && !name.contains(char::is_control);
    match harmless {
        true => format!("\"{name}\""),
        false => format!("column {}", at + 1),
    }
}
