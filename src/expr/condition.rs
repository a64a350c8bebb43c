//! A condition: true or false. Whoever asks decides what an error means; for a flow and a route it is false, and counted.

use super::{
    Dialect, EvalError, Expression, Fault, Names, Read, Scope, check::untrue, scope::Wanted, span::whole,
};
use std::sync::Arc;

/// A condition, compiled and checked.
#[derive(Debug)]
pub struct Condition {
    expression: Expression,
    wanted: Arc<Wanted>,
}

impl Condition {
    /// Compiles a condition, or tells every fault of it.
    pub fn compile(dialect: &'static Dialect, source: &str, names: &Names) -> Result<Condition, Vec<Fault>> {
        let expression = Expression::compile_at(dialect, source, 0, names, |tree, gives| {
            let written = source.get(whole(tree)).unwrap_or(source).trim().to_owned();
            untrue(tree, gives, written).filter(|_| dialect.strict)
        })?;
        let wanted = Wanted::of(expression.reads().iter().map(|read| read.name.as_str()));
        Ok(Condition { expression, wanted })
    }

    /// Whether it holds.
    pub fn holds(&self, scope: &Scope<'_>) -> Result<bool, EvalError> {
        let context = self.wanted.context(&|name| scope.value(name));
        let value = self.expression.strict_value(context)?;
        Ok(value.is_true())
    }

    /// The names it reads, in the order written.
    pub fn reads(&self) -> &[Read] {
        self.expression.reads()
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        self.expression.source()
    }
}
