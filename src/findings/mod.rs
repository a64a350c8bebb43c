//! Floor 1: what is wrong in a file that a person wrote, said like a good compiler: file:line:column, what, a hint;
//! every fault at once. Flows, vendor descriptions and the configuration are all read through [`Table`].
//!
//! It knows TOML and positions, and nothing of what the keys mean.

mod layers;
mod table;

pub use layers::Layers;
pub use table::{At, Document, Table, nearest, type_name};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::{cell::RefCell, fmt, ops::Range, sync::Arc};

/// A file that a person wrote: what it is called in messages, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The path as the person would type it.
    pub name: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
}

impl Source {
    /// A source from its name and text.
    pub fn new(name: &str, text: &str) -> Source {
        Source { name: name.into(), text: text.into() }
    }

    /// Line and column, both from 1, of a byte; columns count characters.
    pub fn line_column(&self, byte: usize) -> (usize, usize) {
        let byte = byte.min(self.text.len());
        let before = &self.text.as_bytes()[..byte];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let column = self.text.get(start..byte).map_or(1, |s| s.chars().count() + 1);
        (line, column)
    }

    /// Where a part of a quoted text stands in the file. A text written with escapes is not mapped: then the whole of it.
    pub fn inside(&self, text: &At<String>, part: Range<usize>) -> Range<usize> {
        let written = self.text.get(text.span.clone()).unwrap_or_default();
        let quotes = written.bytes().take_while(|b| matches!(b, b'"' | b'\'')).count().min(3);
        let quotes = if quotes == 2 { 1 } else { quotes };
        let opened = written.get(quotes..).unwrap_or_default();
        // TOML drops a line end right behind three quotes.
        let dropped = if quotes == 3 && opened.starts_with('\n') { 1 } else { 0 };
        let verbatim = opened.get(dropped..).is_some_and(|rest| rest.starts_with(text.value.as_str()));
        let start = text.span.start + quotes + dropped;
        if verbatim { start + part.start..start + part.end } else { text.span.clone() }
    }
}

/// Whether a finding stops anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Does not load.
    Error,
    /// Loads; somebody should know.
    Note,
}

/// One thing found in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stops or only tells.
    pub severity: Severity,
    /// The file.
    pub source: Source,
    /// The bytes it is about.
    pub span: Range<usize>,
    /// What is wrong, in one sentence without a full stop.
    pub what: String,
    /// How it is mended, where we know.
    pub hint: Option<String>,
}

/// `file:line:column: what` and, after a blank line, the hint: the form of logs and expected files.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.source.line_column(self.span.start);
        write!(f, "{}:{line}:{column}: {}", self.source.name, self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\n\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// All that was found. Shared by everything that reads one installation, so that every fault is told at once.
#[derive(Debug, Default)]
pub struct Findings(RefCell<Vec<Finding>>);

impl Findings {
    /// Adds one.
    pub fn add(&self, finding: Finding) {
        self.0.borrow_mut().push(finding);
    }

    /// Adds an error about `span` of `source`. A hint of `""` is none.
    pub fn error(&self, source: &Source, span: Range<usize>, what: impl Into<String>, hint: &str) {
        self.push(Severity::Error, source, span, what.into(), hint);
    }

    /// Adds a note about `span` of `source`. A hint of `""` is none.
    pub fn note(&self, source: &Source, span: Range<usize>, what: impl Into<String>, hint: &str) {
        self.push(Severity::Note, source, span, what.into(), hint);
    }

    fn push(&self, severity: Severity, source: &Source, span: Range<usize>, what: String, hint: &str) {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        self.add(Finding { severity, source: source.clone(), span, what, hint });
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.0.borrow().iter().filter(|f| f.severity == Severity::Error).count()
    }

    /// Everything, by file and place; what was found twice (two channels of one vendor) is told once.
    pub fn into_sorted(self) -> Vec<Finding> {
        let mut all = self.0.into_inner();
        all.sort_by(|a, b| (&a.source.name, a.span.start).cmp(&(&b.source.name, b.span.start)));
        all.dedup();
        all
    }
}

/// Draws findings with the lines they are about, for a terminal (`color`) or a log.
pub fn render(findings: &[Finding], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let draw = |f: &Finding| {
        if may_hold_a_secret(f) {
            return format!("{}: {f}", if f.severity == Severity::Error { "error" } else { "note" });
        }
        let level = match f.severity {
            Severity::Error => Level::ERROR,
            Severity::Note => Level::NOTE,
        };
        let end = f.span.end.clamp(f.span.start.min(f.source.text.len()), f.source.text.len());
        let span = f.span.start.min(end)..end;
        let snippet = Snippet::source(&*f.source.text)
            .path(&*f.source.name)
            .annotation(AnnotationKind::Primary.span(span));
        let group = level.primary_title(f.what.as_str()).element(snippet);
        let mut drawn = renderer.render(&[group]);
        if let Some(hint) = &f.hint {
            drawn.push_str(&format!("\n\n  hint: {hint}"));
        }
        drawn
    };
    findings.iter().map(draw).collect::<Vec<_>>().join("\n\n")
}

/// Whether the lines that a finding is about may hold a secret: then they are not drawn. What stands in the environment is
/// never drawn, and in a file no line that speaks of one or holds a user and a password.
fn may_hold_a_secret(finding: &Finding) -> bool {
    const WORDS: [&str; 6] = ["secret", "token", "password", "auth", "url", "key"];
    let Finding { source, span, .. } = finding;
    let text = &source.text;
    let start = text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let end = text.get(span.end..).and_then(|after| after.find('\n')).map_or(text.len(), |at| span.end + at);
    let lines = text.get(start..end).unwrap_or(text).to_lowercase();
    source.name.starts_with("MATAMAT_")
        || WORDS.iter().any(|word| lines.contains(word))
        || lines.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, value: &str, part: &str, expected: &str) {
        let source = Source::new("x.toml", &format!("when = {written}\n"));
        let text = At { value: value.to_owned(), span: 7..7 + written.len() };
        let at = value.find(part).expect("a part of the value");
        let place = source.inside(&text, at..at + part.len());
        assert_eq!(&source.text[place], expected, "{written}");
    }

    #[test]
    fn a_fault_inside_a_quoted_text_has_its_own_place() {
        check("\"a <= b\"", "a <= b", "b", "b");
        check("'a <= b'", "a <= b", "<=", "<=");
        check("\"\"\"\na <= b\"\"\"", "a <= b", "a", "a");
        check("\"a == \\\"b\\\"\"", "a == \"b\"", "b", "\"a == \\\"b\\\"\"");
    }
}
