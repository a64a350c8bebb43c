//! A text with names in it: literals and `{{ name | filter }}`. It is cut into parts when it is loaded; a part that is a
//! literal or a bare name never meets minijinja again.

use super::{
    Dialect, EvalError, Expression, Fault, LONGEST, Names, Read, Scope, Type, dialect::syntax, scope::Wanted,
};
use minijinja::{
    Value,
    machinery::{self, Token},
};
use std::{borrow::Cow, fmt::Write, sync::Arc};

/// A text, compiled and checked.
#[derive(Debug)]
pub struct Template {
    parts: Vec<Part>,
    reads: Vec<Read>,
    /// About how long a rendering is, in bytes.
    expected: usize,
}

#[derive(Debug)]
enum Part {
    Literal(Box<str>),
    /// A bare name.
    Name(Box<str>),
    /// Anything else.
    Value {
        expression: Box<Expression>,
        wanted: Arc<Wanted>,
    },
}

/// How much room one value is expected to take; a first guess for the buffer.
const VALUE_BYTES: usize = 32;

impl Template {
    /// Compiles a text, or tells every fault of it.
    pub fn compile(dialect: &'static Dialect, source: &str, names: &Names) -> Result<Template, Vec<Fault>> {
        let mut faults: Vec<_> = refused_sign(source).into_iter().collect();
        if source.len() > LONGEST {
            let what = format!("this text is longer than {LONGEST} bytes");
            faults.push(Fault { span: 0..source.len(), what, hint: String::new() });
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        if !source.contains("{{") {
            return Ok(Template::assemble(vec![Part::Literal(source.into())], Vec::new()));
        }
        let (mut parts, mut reads) = (Vec::new(), Vec::new());
        for piece in pieces(source)? {
            match piece {
                Piece::Literal(text) => parts.push(Part::Literal(text.into())),
                Piece::Expression { text, at } => match value(dialect, text, at, names) {
                    Ok(expression) => {
                        reads.extend_from_slice(expression.reads());
                        parts.push(Part::from(expression));
                    }
                    Err(more) => faults.extend(more),
                },
            }
        }
        if faults.is_empty() { Ok(Template::assemble(parts, reads)) } else { Err(faults) }
    }

    fn assemble(parts: Vec<Part>, reads: Vec<Read>) -> Template {
        let expected = parts.iter().map(|part| match part {
            Part::Literal(text) => text.len(),
            Part::Name(_) | Part::Value { .. } => VALUE_BYTES,
        });
        Template { expected: expected.sum(), reads, parts }
    }

    /// The text itself, when there is no name in it.
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether there is no name in it.
    pub fn is_literal(&self) -> bool {
        self.literal().is_some()
    }

    /// The names it reads, in the order written.
    pub fn reads(&self) -> &[Read] {
        &self.reads
    }

    /// The text with its names filled in. Without names nothing is allocated.
    pub fn render<'t>(&'t self, scope: &Scope<'_>) -> Result<Cow<'t, str>, EvalError> {
        if let Some(text) = self.literal() {
            return Ok(Cow::Borrowed(text));
        }
        let mut text = String::with_capacity(self.expected);
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Name(name) => match scope.text(name) {
                    Some(value) => text.push_str(value),
                    None => write_value(&mut text, scope.spoken(name))?,
                },
                Part::Value { expression, wanted } => {
                    let context = wanted.context(&|name| scope.spoken(name));
                    write_value(&mut text, expression.strict_value(context)?)?;
                }
            }
        }
        Ok(Cow::Owned(text))
    }

    /// The text with its names filled in from a context whose members are the names. `write` says how a value is written
    /// (escaped for JSON, for XML); it gets undefined for what is absent.
    pub fn render_with(&self, context: &Value, mut write: impl FnMut(&mut String, Value)) -> String {
        let mut text = String::with_capacity(self.expected);
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Name(name) => write(&mut text, member(context, name)),
                Part::Value { expression, .. } => {
                    write(&mut text, expression.value(context).unwrap_or(Value::UNDEFINED));
                }
            }
        }
        text
    }

    /// The text with `stand_in` for every name: what is said when filling in has failed.
    pub fn without(&self, stand_in: impl Fn(&str) -> String) -> String {
        let mut text = String::with_capacity(self.expected);
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Name(name) => text.push_str(&stand_in(name)),
                Part::Value { expression, .. } => {
                    expression.reads().iter().for_each(|read| text.push_str(&stand_in(&read.name)));
                }
            }
        }
        text
    }
}

fn member(context: &Value, name: &str) -> Value {
    let found = name.split('.').try_fold(context.clone(), |here, part| here.get_attr(part).ok());
    found.unwrap_or(Value::UNDEFINED)
}

fn write_value(text: &mut String, value: Value) -> Result<(), EvalError> {
    if value.is_undefined() {
        return Err(EvalError::Absent);
    }
    write!(text, "{value}").map_err(|_| EvalError::Failed)
}

/// `{%` and `{#` belong to the larger language that texts do not speak.
/// The first of them is told.
fn refused_sign(source: &str) -> Option<Fault> {
    let (at, sign) = ["{%", "{#"].into_iter().filter_map(|sign| source.match_indices(sign).next()).min()?;
    Some(Fault {
        span: at..at + sign.len(),
        what: format!("a text may not hold `{sign}`"),
        hint: "a text holds words and names, `{{ name }}`; what depends on an answer is a node of its own, \
               reached by `when`"
            .to_owned(),
    })
}

enum Piece<'s> {
    Literal(&'s str),
    Expression { text: &'s str, at: usize },
}

/// Cuts a text at its braces, as minijinja does.
fn pieces(source: &str) -> Result<Vec<Piece<'_>>, Vec<Fault>> {
    let (mut pieces, mut opened) = (Vec::new(), None);
    for token in machinery::tokenize(source, false, syntax()) {
        match token {
            Ok((Token::TemplateData(text), _)) => pieces.push(Piece::Literal(text)),
            Ok((Token::VariableStart, span)) => opened = Some(span.end_offset as usize),
            Ok((Token::VariableEnd, span)) => {
                let at = opened.take().unwrap_or_default();
                let text = source.get(at..span.start_offset as usize).unwrap_or_default();
                pieces.push(Piece::Expression { text, at });
            }
            Ok(_) => {}
            Err(error) => return Err(vec![unreadable(source, opened, error.detail())]),
        }
    }
    match opened {
        Some(_) => Err(vec![unreadable(source, opened, None)]),
        None => Ok(pieces),
    }
}

fn unreadable(source: &str, opened: Option<usize>, detail: Option<&str>) -> Fault {
    let start = opened.map_or(0, |at| at.saturating_sub(2));
    let open = !source.get(start..).unwrap_or_default().contains("}}");
    let what = match detail {
        Some(detail) if !open => format!("this text cannot be read: {detail}"),
        _ => "`{{` is not closed".to_owned(),
    };
    Fault { span: start..source.len(), what, hint: "write `{{ name }}`".to_owned() }
}

impl From<Expression> for Part {
    fn from(expression: Expression) -> Part {
        match expression.reads() {
            [read] if read.name == expression.source().trim() => Part::Name(read.name.as_str().into()),
            reads => {
                let wanted = Wanted::of(reads.iter().map(|read| read.name.as_str()));
                Part::Value { wanted, expression: Box::new(expression) }
            }
        }
    }
}

fn value(
    dialect: &'static Dialect,
    source: &str,
    at: usize,
    names: &Names,
) -> Result<Expression, Vec<Fault>> {
    Expression::compile_at(dialect, source, at, names, |tree, gives| {
        unspeakable(tree, gives).filter(|_| dialect.strict)
    })
}

/// What a text of a flow may not say.
fn unspeakable(tree: &machinery::ast::Expr<'_>, gives: &Type) -> Option<Fault> {
    use machinery::ast::Expr;
    let span = super::span::whole(tree);
    let fault =
        |what: &str, hint: &str| Some(Fault { span: span.clone(), what: what.into(), hint: hint.into() });
    let mut inner = tree;
    while let Expr::Filter(filter) = inner {
        inner = filter.expr.as_ref()?;
    }
    if super::span::name_of(inner).is_none() {
        return fault("a text holds names and filters only", "write `{{ name }}` or `{{ name | filter }}`");
    }
    match gives {
        Type::Boolean => fault("a yes or no would be shown as `true` or `false`", ""),
        Type::List(_) => fault("a list cannot be shown", ""),
        _ => None,
    }
}
