//! One minijinja environment with a closed list of filters, tests and functions. What is not in the list is a fault
//! when a file is loaded, never when a citizen is waiting.

use super::names::Type;
use minijinja::{
    Environment, Value, filters,
    functions::Function,
    syntax::SyntaxConfig,
    value::{FunctionArgs, FunctionResult},
};
use std::{collections::BTreeMap, fmt, ops::RangeInclusive, sync::LazyLock};

pub use minijinja::UndefinedBehavior as Undefined;

/// How much work one evaluation may do: an instruction is 1, and 64 bytes of text are 1. A long condition takes 50.
const FUEL: u64 = 20_000;

/// What a filter, a test or a function takes and gives.
#[derive(Debug, Clone)]
pub struct Signature {
    /// What it is applied to; for a function nothing.
    pub takes: Type,
    /// How many arguments it takes in its brackets.
    pub arguments: RangeInclusive<usize>,
    /// What comes out; for a test always a truth.
    pub gives: Type,
    /// It may be applied to a name that is absent, and then it gives something: `default`.
    pub takes_absent: bool,
}

impl Signature {
    /// Takes one type and gives another, without arguments.
    pub fn new(takes: Type, gives: Type) -> Signature {
        Signature { takes, arguments: 0..=0, gives, takes_absent: false }
    }

    /// With so many arguments.
    pub fn arguments(self, arguments: RangeInclusive<usize>) -> Signature {
        Signature { arguments, ..self }
    }

    /// Also of a name that is absent.
    pub fn of_absent(self) -> Signature {
        Signature { takes_absent: true, ..self }
    }
}

/// A closed set of words for expressions and texts.
pub struct Dialect {
    pub(super) environment: Environment<'static>,
    pub(super) filters: BTreeMap<&'static str, Signature>,
    pub(super) tests: BTreeMap<&'static str, Signature>,
    pub(super) functions: BTreeMap<&'static str, Signature>,
    /// Conditions must be true or false, there is no `none`, and texts hold names and filters only.
    pub(super) strict: bool,
}

impl fmt::Debug for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> =
            self.filters.keys().chain(self.tests.keys()).chain(self.functions.keys()).collect();
        write!(f, "Dialect({words:?})")
    }
}

impl Dialect {
    /// The dialect of flows and routes: strict. A name that is absent is an error, never a value.
    pub fn flows() -> &'static Dialect {
        static FLOWS: LazyLock<Dialect> = LazyLock::new(flow_dialect);
        &FLOWS
    }

    /// A dialect of its own, that knows `is defined` and `is undefined` and nothing else. `undefined` says what is done with
    /// what is absent; whatever fails on it yields undefined.
    pub fn lenient(undefined: Undefined) -> Dialect {
        Dialect::empty(undefined, false)
    }

    fn empty(undefined: Undefined, strict: bool) -> Dialect {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(undefined);
        environment.set_fuel(Some(FUEL));
        environment.set_syntax(syntax());
        let (filters, tests, functions) = Default::default();
        let tested = |gives: fn(&Value) -> bool| gives;
        Dialect { environment, filters, tests, functions, strict }
            .test(
                "defined",
                Signature::new(Type::Any, Type::Boolean).of_absent(),
                tested(|v| !v.is_undefined()),
            )
            .test(
                "undefined",
                Signature::new(Type::Any, Type::Boolean).of_absent(),
                tested(Value::is_undefined),
            )
    }

    /// Adds a filter.
    pub fn filter<F, Rv, Args>(mut self, name: &'static str, signature: Signature, function: F) -> Dialect
    where
        F: Function<Rv, Args>,
        Rv: FunctionResult,
        Args: for<'a> FunctionArgs<'a>,
    {
        self.environment.add_filter(name, function);
        self.filters.insert(name, signature);
        self
    }

    /// Adds a test: `x is name`.
    pub fn test<F, Rv, Args>(mut self, name: &'static str, signature: Signature, function: F) -> Dialect
    where
        F: Function<Rv, Args>,
        Rv: FunctionResult,
        Args: for<'a> FunctionArgs<'a>,
    {
        self.environment.add_test(name, function);
        self.tests.insert(name, signature);
        self
    }

    /// Adds a function: `name(x)`.
    pub fn function<F, Rv, Args>(mut self, name: &'static str, signature: Signature, function: F) -> Dialect
    where
        F: Function<Rv, Args>,
        Rv: FunctionResult,
        Args: for<'a> FunctionArgs<'a>,
    {
        self.environment.add_function(name, function);
        self.functions.insert(name, signature);
        self
    }
}

/// Line ends at the end of a text are the author's: they stay.
pub(super) fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder().keep_trailing_newline(true).build().expect("the standard signs are good")
}

fn flow_dialect() -> Dialect {
    let text = || Signature::new(Type::Text, Type::Text);
    Dialect::empty(Undefined::Strict, true)
        .filter("upper", text(), |v: String| v.to_uppercase())
        .filter("lower", text(), |v: String| v.to_lowercase())
        .filter("trim", text(), |v: String| v.trim().to_owned())
        .filter("length", Signature::new(Type::Text, Type::Integer), |v: String| v.chars().count())
        .filter(
            "default",
            Signature::new(Type::Any, Type::Any).arguments(1..=1).of_absent(),
            filters::default,
        )
        .test("startingwith", Signature::new(Type::Text, Type::Boolean).arguments(1..=1), starts)
        .test("endingwith", Signature::new(Type::Text, Type::Boolean).arguments(1..=1), ends)
}

fn starts(text: &str, with: &str) -> bool {
    text.starts_with(with)
}

fn ends(text: &str, with: &str) -> bool {
    text.ends_with(with)
}
