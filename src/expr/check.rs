//! Reads the syntax tree of an expression and finds what compiling does not: unknown names, filters, tests and
//! functions, and values compared that have nothing to do with each other (`2 <= '3'` is silently true).

use super::{
    Fault, Read,
    dialect::{Dialect, Signature},
    guard::{Defined, Known},
    names::{Names, Type},
    span::{name_of, placed, range, whole},
};
use crate::findings::nearest;
use minijinja::{
    machinery::ast::{self, BinOpKind, CallArg, CompareOpKind, Expr, UnaryOpKind},
    value::ValueKind,
};
use std::{collections::BTreeMap, ops::Range};

/// What reading a whole expression gave.
pub(super) struct Checked {
    pub faults: Vec<Fault>,
    pub reads: Vec<Read>,
    /// What the whole expression is.
    pub gives: Type,
}

/// Reads one parsed expression. `shift` is where it begins in the text that faults are told in.
pub(super) fn check(
    expr: &Expr<'_>,
    source: &str,
    shift: usize,
    dialect: &Dialect,
    names: &Names,
) -> Checked {
    let mut walk = Walk { source, shift, dialect, names, faults: Vec::new(), reads: Vec::new() };
    let gives = walk.type_of(expr, &Known::default());
    Checked { faults: walk.faults, reads: walk.reads, gives }
}

pub(super) struct Walk<'a> {
    source: &'a str,
    pub shift: usize,
    dialect: &'a Dialect,
    names: &'a Names,
    pub faults: Vec<Fault>,
    pub reads: Vec<Read>,
}

impl Walk<'_> {
    pub fn fault(&mut self, span: Range<usize>, what: impl Into<String>, hint: impl Into<String>) {
        let span = placed(span, self.source, self.shift);
        self.faults.push(Fault { span, what: what.into(), hint: hint.into() });
    }

    /// The words of an expression as they were written.
    pub fn written(&self, expr: &Expr<'_>) -> String {
        self.source.get(whole(expr)).unwrap_or_default().trim().to_owned()
    }

    pub fn type_of(&mut self, expr: &Expr<'_>, known: &Known) -> Type {
        if let Some(path) = name_of(expr) {
            return self.read(expr, &path, Some(known));
        }
        match expr {
            Expr::Const(value) => self.literal(expr, &value.value),
            Expr::UnaryOp(unary) => self.unary(unary, known),
            Expr::BinOp(binary) => self.binary(binary, known),
            Expr::Compare(chain) => self.chain(chain, known),
            Expr::IfExpr(choice) => self.choice(expr, choice, known),
            Expr::Filter(filter) => self.filter(filter, range(expr), known),
            Expr::Test(test) => self.test(test, range(expr), known),
            Expr::Call(call) => self.call(call, expr, known),
            Expr::List(list) => self.list(&list.items, known),
            Expr::Tuple(tuple) => self.list(&tuple.items, known),
            Expr::GetAttr(member) => self.member(&member.expr, known),
            Expr::GetItem(item) => {
                self.type_of(&item.subscript_expr, known);
                self.member(&item.expr, known)
            }
            Expr::Slice(slice) => {
                for bound in [&slice.start, &slice.stop, &slice.step].into_iter().flatten() {
                    self.wanted(bound, &Type::Integer, known);
                }
                self.type_of(&slice.expr, known)
            }
            Expr::Map(map) => {
                map.keys.iter().chain(&map.values).for_each(|part| drop(self.type_of(part, known)));
                self.refused_if_strict(range(expr), "a map has no use here");
                Type::Any
            }
            Expr::Var(_) => Type::Any,
        }
    }

    fn refused_if_strict(&mut self, span: Range<usize>, what: &str) {
        if self.dialect.strict {
            self.fault(span, what, "");
        }
    }

    /// A name. `known` is what is sure to be there; `None`: its absence does no harm.
    fn read(&mut self, expr: &Expr<'_>, path: &[&str], known: Option<&Known>) -> Type {
        let span = whole(expr);
        let name = path.join(".");
        let found = match self.names.find(path) {
            Ok(found) => found,
            Err(unknown) => {
                self.fault(span, format!("there is no name `{}`", unknown.name), unknown.hint);
                return Type::Any;
            }
        };
        if let (Type::Group(names), true) = (&found, self.dialect.strict) {
            let members: Vec<_> = names.known().map(|member| format!("`{name}.{member}`")).collect();
            let hint = if members.is_empty() {
                String::new()
            } else {
                format!("its names are {}", members.join(", "))
            };
            self.fault(span, format!("`{name}` is a group of names and no value"), hint);
            return Type::Any;
        }
        let guarded = known.is_none_or(|known| known.contains(&name));
        self.reads.push(Read { name, span: span.start + self.shift..span.end + self.shift, guarded });
        found
    }

    fn literal(&mut self, expr: &Expr<'_>, value: &minijinja::Value) -> Type {
        match value.kind() {
            ValueKind::Bool => Type::Boolean,
            ValueKind::Number => Type::Integer,
            ValueKind::String => Type::Text,
            _ => {
                if self.dialect.strict {
                    let hint =
                        "an answer that was not given is absent: write `… is defined` or `… is undefined`";
                    self.fault(range(expr), "there is no `none` here", hint);
                }
                Type::Any
            }
        }
    }

    fn unary(&mut self, unary: &ast::UnaryOp<'_>, known: &Known) -> Type {
        match unary.op {
            UnaryOpKind::Not => {
                self.truth(&unary.expr, known);
                Type::Boolean
            }
            UnaryOpKind::Neg => {
                self.wanted(&unary.expr, &Type::Integer, known);
                Type::Integer
            }
        }
    }

    fn binary(&mut self, binary: &ast::BinOp<'_>, known: &Known) -> Type {
        use BinOpKind::*;
        let (left, right) = (&binary.left, &binary.right);
        match binary.op {
            ScAnd | ScOr => {
                self.truth(left, known);
                let met = Defined::by(left);
                let then =
                    known.with(if matches!(binary.op, ScAnd) { met.when_true } else { met.when_false });
                self.truth(right, &then);
                Type::Boolean
            }
            Concat => {
                self.type_of(left, known);
                self.type_of(right, known);
                Type::Text
            }
            Add | Sub | Mul | Div | FloorDiv | Rem | Pow => {
                self.wanted(left, &Type::Integer, known);
                self.wanted(right, &Type::Integer, known);
                Type::Integer
            }
            Eq | Ne => self.compare(left, right, CompareOpKind::Eq, known),
            Lt | Lte | Gt | Gte => self.compare(left, right, CompareOpKind::Lt, known),
            In => self.compare(left, right, CompareOpKind::In, known),
        }
    }

    fn chain(&mut self, chain: &ast::Compare<'_>, known: &Known) -> Type {
        let mut left = &chain.expr;
        for next in &chain.ops {
            self.compare(left, &next.expr, next.op, known);
            left = &next.expr;
        }
        Type::Boolean
    }

    fn choice(&mut self, expr: &Expr<'_>, choice: &ast::IfExpr<'_>, known: &Known) -> Type {
        self.truth(&choice.test_expr, known);
        let met = Defined::by(&choice.test_expr);
        let one = self.type_of(&choice.true_expr, &known.with(met.when_true));
        let Some(other) = &choice.false_expr else {
            self.refused_if_strict(range(expr), "`if` needs an `else` here");
            return one;
        };
        let other = self.type_of(other, &known.with(met.when_false));
        if one == other { one } else { Type::Any }
    }

    fn list(&mut self, items: &[Expr<'_>], known: &Known) -> Type {
        let types: Vec<_> = items.iter().map(|item| self.type_of(item, known)).collect();
        let first = types.first().cloned().unwrap_or(Type::Any);
        Type::List(Box::new(if types.iter().all(|of| *of == first) { first } else { Type::Any }))
    }

    fn member(&mut self, of: &Expr<'_>, known: &Known) -> Type {
        self.type_of(of, known);
        self.refused_if_strict(whole(of), "only a name has members");
        Type::Any
    }

    fn filter(&mut self, filter: &ast::Filter<'_>, span: Range<usize>, known: &Known) -> Type {
        let of = match &filter.expr {
            Some(of) => of,
            None => return Type::Any,
        };
        let signature = self.known_word("filter", filter.name, &span, |dialect| &dialect.filters);
        let takes_absent = signature.as_ref().is_some_and(|s| s.takes_absent);
        let given = self.operand(of, takes_absent, known);
        self.arguments("filter", filter.name, signature.as_ref(), &filter.args, &span, known);
        let Some(signature) = signature else { return Type::Any };
        self.takes(filter.name, &signature, of, &given);
        // `rating | default(3)` stays what it was.
        if signature.takes_absent && signature.gives == Type::Any { given } else { signature.gives }
    }

    fn test(&mut self, test: &ast::Test<'_>, span: Range<usize>, known: &Known) -> Type {
        let signature = self.known_word("test", test.name, &span, |dialect| &dialect.tests);
        let takes_absent = signature.as_ref().is_some_and(|s| s.takes_absent);
        let given = self.operand(&test.expr, takes_absent, known);
        self.arguments("test", test.name, signature.as_ref(), &test.args, &span, known);
        if let Some(signature) = signature {
            self.takes(test.name, &signature, &test.expr, &given);
        }
        Type::Boolean
    }

    fn call(&mut self, call: &ast::Call<'_>, expr: &Expr<'_>, known: &Known) -> Type {
        let Expr::Var(function) = &call.expr else {
            self.fault(whole(expr), "nothing can be called here", "apply a filter: `name | filter`");
            return Type::Any;
        };
        let span = range(&call.expr);
        let signature = self.known_word("function", function.id, &span, |dialect| &dialect.functions);
        self.arguments("function", function.id, signature.as_ref(), &call.args, &span, known);
        signature.map_or(Type::Any, |signature| signature.gives)
    }

    /// What a filter or a test is applied to.
    fn operand(&mut self, of: &Expr<'_>, takes_absent: bool, known: &Known) -> Type {
        match name_of(of) {
            Some(path) if takes_absent => self.read(of, &path, None),
            _ => self.type_of(of, known),
        }
    }

    fn known_word(
        &mut self,
        kind: &str,
        name: &str,
        span: &Range<usize>,
        of: impl Fn(&Dialect) -> &BTreeMap<&'static str, Signature>,
    ) -> Option<Signature> {
        let words = of(self.dialect);
        if let Some(signature) = words.get(name) {
            return Some(signature.clone());
        }
        let hint = match nearest(name, words.keys().copied()) {
            Some(known) => format!("did you mean `{known}`?"),
            None if words.is_empty() => format!("there are no {kind}s here"),
            None => format!("known here: {}", words.keys().copied().collect::<Vec<_>>().join(", ")),
        };
        self.fault(span.clone(), format!("there is no {kind} `{name}`"), hint);
        None
    }

    fn arguments(
        &mut self,
        kind: &str,
        name: &str,
        signature: Option<&Signature>,
        given: &[CallArg<'_>],
        span: &Range<usize>,
        known: &Known,
    ) {
        for argument in given {
            match argument {
                CallArg::Pos(expr) => drop(self.type_of(expr, known)),
                CallArg::Kwarg(_, expr) | CallArg::PosSplat(expr) | CallArg::KwargSplat(expr) => {
                    self.type_of(expr, known);
                    let what = format!("the {kind} `{name}` takes plain arguments only");
                    self.fault(whole(expr), what, "");
                }
            }
        }
        let Some(signature) = signature else { return };
        if !signature.arguments.contains(&given.len()) {
            let (low, high) = (signature.arguments.start(), signature.arguments.end());
            let count = if low == high { low.to_string() } else { format!("{low} to {high}") };
            let plural = if count == "1" { "" } else { "s" };
            let what = format!("the {kind} `{name}` takes {count} argument{plural}, not {}", given.len());
            self.fault(span.clone(), what, "");
        }
    }

    fn takes(&mut self, name: &str, signature: &Signature, of: &Expr<'_>, given: &Type) {
        if !given.fits(&signature.takes) {
            let what = format!(
                "`{name}` is for {}, but `{}` is {}",
                signature.takes.said(),
                self.written(of),
                given.said()
            );
            self.fault(whole(of), what, "");
        }
    }

    fn wanted(&mut self, expr: &Expr<'_>, wanted: &Type, known: &Known) {
        let given = self.type_of(expr, known);
        if self.dialect.strict && !given.fits(wanted) {
            let what =
                format!("`{}` is {}; {} is wanted here", self.written(expr), given.said(), wanted.said());
            self.fault(whole(expr), what, "");
        }
    }

    /// What stands beside `and`, `or`, `not` and `if` must be true or false.
    fn truth(&mut self, expr: &Expr<'_>, known: &Known) {
        let given = self.type_of(expr, known);
        if let (true, Some(fault)) = (self.dialect.strict, untrue(expr, &given, self.written(expr))) {
            self.fault(whole(expr), fault.what, fault.hint);
        }
    }
}

/// The fault of a condition that is not true or false.
pub(super) fn untrue(expr: &Expr<'_>, given: &Type, written: String) -> Option<Fault> {
    if given.fits(&Type::Boolean) {
        return None;
    }
    let hint = match given {
        Type::Integer | Type::Between(..) => format!("compare it with a number: `{written} <= 3`"),
        Type::OneOf(words) => format!("compare it: `{written} == '{}'`", words.first().map_or("", |w| w)),
        Type::Text => format!("compare it: `{written} == '…'`"),
        _ => String::new(),
    };
    let what = format!("`{written}` is {}; a condition is true or false", given.said());
    Some(Fault { span: whole(expr), what, hint })
}
