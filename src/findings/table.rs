//! A TOML table with positions, read key by key; what nobody asked for is reported by [`Table::finish`].

use super::{Findings, Source};
use crate::domain::{secret::SecretSource, time::parse_duration};
use std::{cell::RefCell, collections::BTreeSet, ops::Range, time::Duration};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A value and where it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// What was read.
    pub value: T,
    /// The bytes it was read from.
    pub span: Range<usize>,
}

impl<T> At<T> {
    /// The same place, another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> At<U> {
        At { value: f(self.value), span: self.span }
    }
}

/// One table of a document that is being read. Each question marks its key as known and reports a value of the wrong type.
pub struct Table<'a> {
    source: &'a Source,
    findings: &'a Findings,
    table: &'a DeTable<'a>,
    /// The key path of this table, for messages: `node` or `node.text`; empty at the top.
    path: String,
    span: Range<usize>,
    asked: RefCell<BTreeSet<String>>,
}

/// A parsed file, for readers that need several at once.
pub struct Document<'a> {
    source: &'a Source,
    table: Spanned<DeTable<'a>>,
}

impl<'a> Document<'a> {
    /// Parses a file. Of syntax faults the first is told, and how many followed from it. What could be read is handed
    /// on all the same, so that other faults are told in the same run.
    pub fn parse(source: &'a Source, findings: &Findings) -> Document<'a> {
        let (table, faults) = DeTable::parse_recoverable(&source.text);
        if let Some(first) = faults.first() {
            let hint = match faults.len() - 1 {
                0 => String::new(),
                1 => "1 more fault follows from it".to_owned(),
                n => format!("{n} more faults follow from it"),
            };
            findings.error(source, first.span().unwrap_or(0..0), first.message().trim(), &hint);
        }
        Document { source, table }
    }

    /// Its top table.
    pub fn top<'t>(&'t self, findings: &'t Findings) -> Table<'t> {
        Table {
            source: self.source,
            findings,
            table: self.table.get_ref(),
            path: String::new(),
            span: 0..0,
            asked: RefCell::default(),
        }
    }
}

impl<'a> Table<'a> {
    /// Parses a document and reads its top table; see [`Document::parse`].
    pub fn read<T>(source: &Source, findings: &Findings, read: impl FnOnce(&Table<'_>) -> T) -> T {
        read(&Document::parse(source, findings).top(findings))
    }

    /// Where this table's header stands.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The file this table stands in.
    pub fn source(&self) -> &'a Source {
        self.source
    }

    /// Where findings of this document go.
    pub fn findings(&self) -> &'a Findings {
        self.findings
    }

    /// The full name of a key of this table, for messages: `server.listen`.
    pub fn name_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Reports a fault.
    pub fn error(&self, span: Range<usize>, what: impl Into<String>, hint: &str) {
        self.findings.error(self.source, span, what, hint);
    }

    /// Every key with its place, in the order written; marks them all as known.
    pub fn keys(&self) -> Vec<At<String>> {
        let keys: Vec<_> = self
            .table
            .iter()
            .map(|(key, _)| At { value: key.get_ref().to_string(), span: key.span() })
            .collect();
        self.asked.borrow_mut().extend(keys.iter().map(|k| k.value.clone()));
        keys
    }

    /// Whether a key is there; marks nothing.
    pub fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Where a key of this table stands, if it is there.
    pub fn key_span(&self, key: &str) -> Option<Range<usize>> {
        self.table.iter().find(|(k, _)| k.get_ref().as_ref() == key).map(|(k, _)| k.span())
    }

    fn find(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.iter().find(|(k, _)| k.get_ref().as_ref() == key).map(|(_, v)| v)
    }

    /// The raw value of a key; marks it as known.
    pub fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().insert(key.to_owned());
        self.find(key)
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &str,
        take: impl FnOnce(&'a DeValue<'a>) -> Option<T>,
    ) -> Option<At<T>> {
        let value = self.value(key)?;
        let taken = take(value.get_ref()).map(|taken| At { value: taken, span: value.span() });
        if taken.is_none() {
            let what =
                format!("`{}` must be {expected}, not {}", self.name_of(key), type_name(value.get_ref()));
            self.error(value.span(), what, "");
        }
        taken
    }

    /// Reports that a key is missing, at this table's header.
    pub fn missing(&self, key: &str, hint: &str) {
        self.error(self.span(), format!("`{}` is missing", self.name_of(key)), hint);
    }

    /// A text.
    pub fn text(&self, key: &str) -> Option<At<String>> {
        self.typed(key, "a text", |v| v.as_str().map(str::to_owned))
    }

    /// A text that must be there.
    pub fn required_text(&self, key: &str, hint: &str) -> Option<At<String>> {
        if !self.has(key) {
            self.missing(key, hint);
        }
        self.text(key)
    }

    /// A whole number inside a range.
    pub fn integer(&self, key: &str, range: std::ops::RangeInclusive<i64>) -> Option<At<i64>> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let read = self.typed(key, &expected, |v| {
            let number = v.as_integer()?;
            i64::from_str_radix(number.as_str(), number.radix()).ok()
        })?;
        if range.contains(&read.value) {
            return Some(read);
        }
        self.error(read.span, format!("`{}` must be {expected}, not {}", self.name_of(key), read.value), "");
        None
    }

    /// True or false.
    pub fn boolean(&self, key: &str) -> Option<At<bool>> {
        self.typed(key, "true or false", |v| v.as_bool())
    }

    /// A duration such as `20s`.
    pub fn duration(&self, key: &str) -> Option<At<Duration>> {
        let text = self.text(key)?;
        self.duration_of(key, text)
    }

    fn duration_of(&self, key: &str, text: At<String>) -> Option<At<Duration>> {
        let read = parse_duration(&text.value);
        if read.is_none() {
            let what = format!("`{}` must be a duration, not \"{}\"", self.name_of(key), text.value);
            self.error(text.span.clone(), what, "write a whole number and a unit: 500ms, 20s, 5m, 48h, 90d");
        }
        read.map(|value| At { value, span: text.span })
    }

    /// A list of texts.
    pub fn texts(&self, key: &str) -> Option<At<Vec<At<String>>>> {
        let list = self.typed(key, "a list of texts", |v| v.as_array())?;
        let mut texts = Vec::new();
        for value in list.value.iter() {
            match value.get_ref().as_str() {
                Some(text) => texts.push(At { value: text.to_owned(), span: value.span() }),
                None => {
                    let what = format!(
                        "`{}` holds {}; only texts may stand here",
                        self.name_of(key),
                        type_name(value.get_ref())
                    );
                    self.error(value.span(), what, "");
                }
            }
        }
        Some(At { value: texts, span: list.span })
    }

    /// A list of durations.
    pub fn durations(&self, key: &str) -> Option<At<Vec<Duration>>> {
        let list = self.texts(key)?;
        let read = list.value.into_iter().filter_map(|t| self.duration_of(key, t));
        Some(At { value: read.map(|d| d.value).collect(), span: list.span })
    }

    /// A secret: `{ env = "NAME" }`, `{ file = "/path" }`, or a literal text.
    pub fn secret(&self, key: &str) -> Option<At<SecretSource>> {
        let value = self.value(key)?;
        let span = value.span();
        if let Some(text) = value.get_ref().as_str() {
            return Some(At { value: SecretSource::Literal(text.into()), span });
        }
        let table = value.get_ref().as_table().map(|table| self.child(key, table, span.clone()));
        let named = table.and_then(|table| {
            let (env, file) = (table.text("env"), table.text("file"));
            table.finish();
            match (env, file) {
                (Some(env), None) => Some(SecretSource::Env(env.value)),
                (None, Some(file)) => Some(SecretSource::File(file.value.into())),
                _ => None,
            }
        });
        if named.is_none() {
            let what = format!("`{}` must say where a secret comes from", self.name_of(key));
            self.error(span.clone(), what, "{ env = \"NAME\" } or { file = \"/path\" }");
        }
        named.map(|value| At { value, span })
    }

    /// A table under a key.
    pub fn table(&self, key: &str) -> Option<Table<'a>> {
        let at = self.typed(key, "a table", |v| v.as_table())?;
        let span = self.key_span(key).unwrap_or(at.span);
        Some(self.child(key, at.value, span))
    }

    /// The tables of a list: `[[key]]`, or an array of inline tables.
    pub fn tables(&self, key: &str) -> Vec<Table<'a>> {
        let Some(list) = self.typed(key, "a list of tables", |v| v.as_array()) else {
            return Vec::new();
        };
        let mut tables = Vec::new();
        for value in list.value.iter() {
            match value.get_ref().as_table() {
                Some(table) => tables.push(self.child(key, table, value.span())),
                None => {
                    let what = format!("`{}` must be a list of tables", self.name_of(key));
                    self.error(value.span(), what, "");
                }
            }
        }
        tables
    }

    fn child(&self, key: &str, table: &'a DeTable<'a>, span: Range<usize>) -> Table<'a> {
        Table {
            source: self.source,
            findings: self.findings,
            table,
            path: self.name_of(key),
            span,
            asked: RefCell::default(),
        }
    }

    /// Reports every key that nobody asked for, with the nearest known one.
    pub fn finish(&self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table.iter() {
            let name = key.get_ref().as_ref();
            if asked.contains(name) {
                continue;
            }
            let hint = match nearest(name, asked.iter().map(String::as_str)) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", asked.iter().cloned().collect::<Vec<_>>().join(", ")),
            };
            self.error(key.span(), format!("`{}` is no key", self.name_of(name)), &hint);
        }
    }
}

/// The name of a TOML type in a sentence.
pub fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The known word nearest to `word`, if one is near enough to be what was meant (at most a third of it differs).
pub fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|k| (distance(word, k), k))
        .filter(|(d, k)| *d <= k.chars().count().max(3) / 3)
        .min()
        .map(|(_, k)| k)
}

/// Edit distance, for hints only; words are short.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let (source, findings) = (Source::new("x.toml", text), Findings::default());
        Table::read(&source, &findings, |top| {
            top.required_text("name", "a name, please");
            top.duration("wait");
            top.integer("port", 1..=65535);
            top.texts("words");
            for node in top.tables("node") {
                node.text("id");
                node.finish();
            }
            top.finish();
        });
        let found: Vec<_> = findings.into_sorted().iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn every_fault_has_its_place_and_all_are_told_at_once() {
        check("name = 'x'\nwait = '20s'\nport = 80\nwords = ['a']\n[[node]]\nid = 'n'\n", &[]);
        check(
            "nam = 'x'\nwait = 20\nport = 0\nwords = [1]\n[[node]]\nidd = 'n'\n",
            &[
                "x.toml:1:1: `name` is missing\n\n  hint: a name, please",
                "x.toml:1:1: `nam` is no key\n\n  hint: did you mean `name`?",
                "x.toml:2:8: `wait` must be a text, not a whole number",
                "x.toml:3:8: `port` must be a whole number from 1 to 65535, not 0",
                "x.toml:4:10: `words` holds a whole number; only texts may stand here",
                "x.toml:6:1: `node.idd` is no key\n\n  hint: did you mean `id`?",
            ],
        );
    }

    #[test]
    fn of_syntax_faults_the_first_is_told_and_the_rest_is_still_read() {
        check(
            "name = 'x\nport = 0\n",
            &[
                "x.toml:1:10: invalid literal string, expected `'`",
                "x.toml:2:8: `port` must be a whole number from 1 to 65535, not 0",
            ],
        );
    }
}
