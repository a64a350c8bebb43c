//! An expression that gives a value: what vendor descriptions are made of, and what conditions and texts are made from.

use super::{Dialect, EvalError, Fault, LONGEST, Names, Read, Type, check, span};
use minijinja::{Value, machinery};
use std::fmt;

/// An expression, compiled and checked.
pub struct Expression {
    compiled: minijinja::Expression<'static, 'static>,
    source: Box<str>,
    reads: Vec<Read>,
    gives: Type,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({})", self.source)
    }
}

impl Expression {
    /// Compiles an expression, or tells every fault of it.
    pub fn compile(dialect: &'static Dialect, source: &str, names: &Names) -> Result<Expression, Vec<Fault>> {
        Expression::compile_at(dialect, source, 0, names, |_, _| None)
    }

    /// Compiles an expression that begins at byte `shift` of what faults are told in. `also` may find one more fault, in what
    /// the whole expression is.
    pub(super) fn compile_at(
        dialect: &'static Dialect,
        source: &str,
        shift: usize,
        names: &Names,
        also: impl FnOnce(&machinery::ast::Expr<'_>, &Type) -> Option<Fault>,
    ) -> Result<Expression, Vec<Fault>> {
        let everything = shift..shift + source.len();
        let one =
            |what: String, hint: &str| vec![Fault { span: everything.clone(), what, hint: hint.into() }];
        if source.len() > LONGEST {
            return Err(one(format!("this is longer than {LONGEST} bytes"), ""));
        }
        if source.trim().is_empty() {
            return Err(one("there is nothing here".into(), "write a name, or a comparison"));
        }
        let tree =
            machinery::parse_expr(source).map_err(|error| one(syntax_fault(&error), syntax_hint(source)))?;
        let mut checked = check::check(&tree, source, shift, dialect, names);
        if checked.faults.is_empty()
            && let Some(fault) = also(&tree, &checked.gives)
        {
            let span = span::placed(fault.span, source, shift);
            checked.faults.push(Fault { span, ..fault });
        }
        if !checked.faults.is_empty() {
            return Err(checked.faults);
        }
        let compiled = dialect
            .environment
            .compile_expression_owned(source.to_owned())
            .map_err(|error| one(syntax_fault(&error), ""))?;
        Ok(Expression { compiled, source: source.into(), reads: checked.reads, gives: checked.gives })
    }

    /// Its value, from a context whose members are the names; `None` when that is undefined, or when something failed.
    pub fn value(&self, context: &Value) -> Option<Value> {
        self.compiled.eval(context.clone()).ok().filter(|value| !value.is_undefined())
    }

    /// Its value; undefined is an error.
    pub(super) fn strict_value(&self, context: Value) -> Result<Value, EvalError> {
        let value = self.compiled.eval(context)?;
        if value.is_undefined() { Err(EvalError::Absent) } else { Ok(value) }
    }

    /// The names it reads, in the order written.
    pub fn reads(&self) -> &[Read] {
        &self.reads
    }

    /// What its value is, as far as that is known.
    pub fn gives(&self) -> &Type {
        &self.gives
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

fn syntax_fault(error: &minijinja::Error) -> String {
    let detail = error.detail().unwrap_or("it cannot be read").trim();
    format!("this expression cannot be read: {detail}")
}

/// What people write who know another language.
fn syntax_hint(source: &str) -> &'static str {
    let lone_equals =
        source.replace("==", "").replace("!=", "").replace("<=", "").replace(">=", "").contains('=');
    if source.contains("{{") || source.contains("{%") {
        "a condition stands without braces: \"overall <= 3\""
    } else if source.contains("&&") {
        "write `and`"
    } else if source.contains("||") {
        "write `or`"
    } else if lone_equals {
        "to compare, write `==`"
    } else {
        ""
    }
}
