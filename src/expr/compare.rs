//! Two values that are compared must be of one kind, and a literal must be one that the other can be.

use super::{
    check::Walk,
    guard::Known,
    names::{Type, quoted},
    span::{name_of, whole},
};
use crate::findings::nearest;
use minijinja::{
    machinery::ast::{CompareOpKind, Expr},
    value::ValueKind,
};

impl Walk<'_> {
    pub fn compare(&mut self, left: &Expr<'_>, right: &Expr<'_>, op: CompareOpKind, known: &Known) -> Type {
        let before = self.faults.len();
        let (mine, other) = (self.type_of(left, known), self.type_of(right, known));
        self.mend_unquoted(before, (left, &mine), (right, &other));
        match op {
            CompareOpKind::In | CompareOpKind::NotIn => self.within((left, &mine), (right, &other)),
            CompareOpKind::Eq | CompareOpKind::Ne => self.same((left, &mine), (right, &other)),
            CompareOpKind::Lt | CompareOpKind::Lte | CompareOpKind::Gt | CompareOpKind::Gte => {
                self.same((left, &mine), (right, &other));
                let truth = [(left, &mine), (right, &other)].into_iter().find(|(_, t)| **t == Type::Boolean);
                if let Some((expr, _)) = truth {
                    let what = format!("`{}` is true or false and has no size", self.written(expr));
                    self.fault(whole(expr), what, "compare it with `==`, or write it alone");
                }
            }
        }
        Type::Boolean
    }

    /// `topic == behaviour`, where `behaviour` is an option of `topic` and wants quotes.
    fn mend_unquoted(&mut self, before: usize, left: (&Expr<'_>, &Type), right: (&Expr<'_>, &Type)) {
        for ((_, words), (bare, _)) in [(left, right), (right, left)] {
            let name = name_of(bare);
            let (Type::OneOf(words), Some([word])) = (words, name.as_deref()) else { continue };
            let at = whole(bare).start + self.shift;
            let fault = self.faults[before..].iter_mut().find(|fault| fault.span.start == at);
            if let (Some(fault), true) = (fault, words.iter().any(|known| known == word)) {
                fault.hint = format!("a text stands in quotes: '{word}'");
            }
        }
    }

    fn within(&mut self, (left, mine): (&Expr<'_>, &Type), (right, other): (&Expr<'_>, &Type)) {
        match (right, other) {
            (Expr::List(list), _) => list.items.iter().for_each(|item| self.same_quietly(left, mine, item)),
            (Expr::Tuple(tuple), _) => {
                tuple.items.iter().for_each(|item| self.same_quietly(left, mine, item))
            }
            (_, Type::List(item)) if mine.fits(item) => {}
            (_, Type::Any) => {}
            (_, Type::Text | Type::OneOf(_)) if mine.fits(&Type::Text) => {}
            _ => {
                let what = format!("`{}` is {}; `in` asks for a list", self.written(right), other.said());
                self.fault(whole(right), what, "write a list: ['a', 'b']");
            }
        }
    }

    /// An item of a list whose own faults were told already.
    fn same_quietly(&mut self, left: &Expr<'_>, mine: &Type, item: &Expr<'_>) {
        let told = (self.faults.len(), self.reads.len());
        let other = self.type_of(item, &Known::default());
        self.faults.truncate(told.0);
        self.reads.truncate(told.1);
        self.same((left, mine), (item, &other));
    }

    /// Two values that are compared must be of one kind, and a literal must be one that the other can be.
    fn same(&mut self, left: (&Expr<'_>, &Type), right: (&Expr<'_>, &Type)) {
        if !left.1.fits(right.1) {
            let (named, (expr, of)) =
                if literal(left.0) && !literal(right.0) { (right, left) } else { (left, right) };
            let what = format!(
                "`{}` is {}, but `{}` is {}",
                self.written(named.0),
                named.1.said(),
                self.written(expr),
                of.said()
            );
            let hint = mend(named.1, expr);
            return self.fault(whole(expr), what, hint);
        }
        for ((named, of), (expr, _)) in [(left, right), (right, left)] {
            self.possible(named, of, expr);
        }
    }

    /// A literal beside a value with limits must lie inside them.
    fn possible(&mut self, named: &Expr<'_>, of: &Type, beside: &Expr<'_>) {
        let Some(value) = beside.as_const().filter(|value| !value.is_none()) else { return };
        let possible = match of {
            Type::Between(low, high) => {
                i64::try_from(value.clone()).is_ok_and(|n| (*low..=*high).contains(&n))
            }
            Type::OneOf(words) => value.as_str().is_some_and(|text| words.iter().any(|word| word == text)),
            _ => true,
        };
        if possible {
            return;
        }
        let hint = match of {
            Type::OneOf(words) => {
                let near = value.as_str().and_then(|text| nearest(text, words.iter().map(String::as_str)));
                near.map_or_else(
                    || format!("it is one of {}", quoted(words)),
                    |w| format!("did you mean '{w}'?"),
                )
            }
            _ => String::new(),
        };
        let named = self.written(named);
        let what = match of {
            Type::OneOf(_) => format!("`{named}` is never {}", self.written(beside)),
            other => format!("`{named}` is {}; {} lies outside", other.said(), self.written(beside)),
        };
        self.fault(whole(beside), what, hint);
    }
}

fn literal(expr: &Expr<'_>) -> bool {
    matches!(expr, Expr::Const(_))
}

/// How a literal of the wrong type is mended: `'3'` beside a number.
fn mend(wanted: &Type, expr: &Expr<'_>) -> String {
    let Some(value) = expr.as_const() else { return String::new() };
    let number = value.as_str().filter(|text| text.trim().parse::<i64>().is_ok());
    match (wanted, number, value.kind()) {
        (Type::Integer | Type::Between(..), Some(number), _) => {
            format!("write it without quotes: {}", number.trim())
        }
        (Type::Boolean, _, _) => "a yes is `true` and a no is `false`".to_owned(),
        (Type::Text | Type::OneOf(_), _, ValueKind::Number | ValueKind::Bool) => {
            format!("a text stands in quotes: '{value}'")
        }
        _ => String::new(),
    }
}
