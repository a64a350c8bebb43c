//! Where the parts of an expression stand, and which of them are plain names.

use minijinja::machinery::ast::Expr;
use std::ops::Range;

/// The bytes the parser gave a node; of a filter and a test only its name and arguments.
pub(super) fn range(expr: &Expr<'_>) -> Range<usize> {
    let span = expr.span();
    span.start_offset as usize..span.end_offset as usize
}

/// The bytes of a node with all that stands before it: of `a | b`, from `a` on.
pub(super) fn whole(expr: &Expr<'_>) -> Range<usize> {
    let own = range(expr);
    let start = match expr {
        Expr::Filter(filter) => filter.expr.as_ref().map(whole),
        Expr::Test(test) => Some(whole(&test.expr)),
        Expr::BinOp(binary) => Some(whole(&binary.left)),
        Expr::Compare(chain) => Some(whole(&chain.expr)),
        Expr::GetAttr(member) => Some(whole(&member.expr)),
        Expr::GetItem(item) => Some(whole(&item.expr)),
        Expr::Call(call) => Some(whole(&call.expr)),
        Expr::IfExpr(choice) => Some(whole(&choice.true_expr)),
        _ => None,
    };
    start.map_or(own.start, |inner| inner.start.min(own.start))..own.end
}

/// The parts of a plain name: `visit.office` and `visit['office']` are both `visit`, `office`.
pub(super) fn name_of<'a>(expr: &'a Expr<'_>) -> Option<Vec<&'a str>> {
    match expr {
        Expr::Var(name) => Some(vec![name.id]),
        Expr::GetAttr(member) => {
            let mut path = name_of(&member.expr)?;
            path.push(member.name);
            Some(path)
        }
        Expr::GetItem(item) => match &item.subscript_expr {
            Expr::Const(key) => {
                let mut path = name_of(&item.expr)?;
                path.push(key.value.as_str()?);
                Some(path)
            }
            _ => None,
        },
        _ => None,
    }
}

/// A span without the blanks around its words (the parser gives some nodes those before them), moved on by `shift`.
pub(super) fn placed(span: Range<usize>, source: &str, shift: usize) -> Range<usize> {
    let words = source.get(span.clone()).unwrap_or_default();
    let start = span.start + (words.len() - words.trim_start().len());
    let end = start + words.trim().len();
    start + shift..end.max(start) + shift
}
