//! Which names are sure to be there, wherever an expression reads them: `a is defined and a <= 2` reads `a` only when
//! it is there; `a <= 2 or a is defined` does not.

use super::span::name_of;
use minijinja::machinery::ast::{BinOpKind, Expr, UnaryOpKind};
use std::collections::BTreeSet;

/// Names that are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known(BTreeSet<String>);

impl Known {
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// These and more.
    pub fn with(&self, more: Known) -> Known {
        Known(self.0.union(&more.0).cloned().collect())
    }

    fn both(&self, other: &Known) -> Known {
        Known(self.0.intersection(&other.0).cloned().collect())
    }
}

/// What an expression proves.
#[derive(Debug, Default)]
pub(super) struct Defined {
    /// Names that are there when it is true.
    pub when_true: Known,
    /// Names that are there when it is false.
    pub when_false: Known,
}

impl Defined {
    /// What `expr` proves.
    pub fn by(expr: &Expr<'_>) -> Defined {
        match expr {
            Expr::Test(test) => {
                let names = name_of(&test.expr).map(|path| path.join(".")).into_iter().collect();
                match test.name {
                    "defined" => Defined { when_true: Known(names), ..Defined::default() },
                    "undefined" => Defined { when_false: Known(names), ..Defined::default() },
                    _ => Defined::default(),
                }
            }
            Expr::UnaryOp(unary) if matches!(unary.op, UnaryOpKind::Not) => {
                let inner = Defined::by(&unary.expr);
                Defined { when_true: inner.when_false, when_false: inner.when_true }
            }
            Expr::BinOp(binary) => {
                let (left, right) = (Defined::by(&binary.left), Defined::by(&binary.right));
                match binary.op {
                    BinOpKind::ScAnd => Defined {
                        when_true: left.when_true.with(right.when_true),
                        when_false: left.when_false.both(&right.when_false),
                    },
                    BinOpKind::ScOr => Defined {
                        when_true: left.when_true.both(&right.when_true),
                        when_false: left.when_false.with(right.when_false),
                    },
                    _ => Defined::default(),
                }
            }
            _ => Defined::default(),
        }
    }
}
