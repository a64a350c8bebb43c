//! Examples of conditions and texts: what they are worth, and how a fault is told.

use super::*;
use crate::domain::{completion::Value as Answer, time::Timestamp};

fn names() -> Names {
    Names::flow()
        .with("overall", Type::Between(1, 5))
        .with("topic", Type::OneOf(vec!["behaviour".into(), "money".into()]))
        .with("contact", Type::Boolean)
        .with("words", Type::Text)
        .with("visit.office", Type::Text)
        .with("reference", Type::Text)
}

/// Answers written as `overall=2 contact=yes words=late`.
fn scope<T>(given: &str, then: impl FnOnce(&Scope<'_>) -> T) -> T {
    let answers: Vec<(&str, Answer)> = given
        .split_whitespace()
        .map(|pair| pair.split_once('=').expect("name=value"))
        .filter(|(name, _)| !name.contains('.'))
        .map(|(name, value)| match (value, value.parse()) {
            (_, Ok(number)) => (name, Answer::Integer(number)),
            ("yes" | "no", _) => (name, Answer::Boolean(value == "yes")),
            _ => (name, Answer::Text(value.to_owned())),
        })
        .collect();
    let context: Vec<_> = given
        .split_whitespace()
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| name.contains('.'))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    then(&Scope {
        answer: &|node| answers.iter().find(|(name, _)| *name == node).map(|(_, value)| value),
        context: &context,
        without: &|name| (name == "visit.office").then_some("this office"),
        flow: "hospital-visit",
        status: None,
        language: "en",
        channel: "phone",
        bearer: "ussd",
        now: Timestamp(1_795_511_523_120),
        reference: "482-109-375",
    })
}

fn holds(source: &str, given: &str, expected: Result<bool, EvalError>) {
    let condition = Condition::compile(Dialect::flows(), source, &names()).expect("a good condition");
    assert_eq!(scope(given, |scope| condition.holds(scope)), expected, "{source} with {given}");
}

#[test]
fn a_condition_holds_or_not_and_an_absent_answer_is_an_error() {
    holds("overall <= 3", "overall=2", Ok(true));
    holds("overall <= 3", "overall=4", Ok(false));
    holds("overall <= 3", "", Err(EvalError::Absent));
    holds("overall is defined and overall <= 3", "", Ok(false));
    holds("overall is undefined or overall <= 3", "", Ok(true));
    holds("overall | default(5) <= 3", "", Ok(false));
    holds("contact", "contact=yes", Ok(true));
    holds("not contact", "contact=yes", Ok(false));
    holds("topic in ['money', 'behaviour'] and bearer == 'ussd'", "topic=money", Ok(true));
    holds("visit.office is defined", "", Ok(false));
    holds("visit.office is startingwith 'OD-'", "visit.office=OD-DHH-07", Ok(true));
    holds("context.ward == 'B'", "ward.x=1", Err(EvalError::Absent));
    holds("1 <= overall < 3", "overall=2", Ok(true));
    holds("words | length > 2", "words=late", Ok(true));
    holds("now > '2026-11-24'", "", Ok(true));
    holds("language == 'en' and channel == 'phone' and flow == 'hospital-visit'", "", Ok(true));
}

fn faults(source: &str, expected: &[&str]) {
    let told = match Condition::compile(Dialect::flows(), source, &names()) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(|f| told(source, f)).collect(),
    };
    assert_eq!(told, expected, "{source}");
}

/// `«the words it is about» what (hint)`.
fn told(source: &str, fault: &Fault) -> String {
    let hint = if fault.hint.is_empty() { String::new() } else { format!(" ({})", fault.hint) };
    format!("«{}» {}{hint}", &source[fault.span.clone()], fault.what)
}

#[test]
fn what_compiling_does_not_see_is_a_fault() {
    faults("overal <= 3", &["«overal» there is no name `overal` (did you mean `overall`?)"]);
    faults(
        "visit.ofice == 'x'",
        &["«visit.ofice» there is no name `visit.ofice` (did you mean `visit.office`?)"],
    );
    faults("words | uper == 'X'", &["«uper» there is no filter `uper` (did you mean `upper`?)"]);
    faults("overall is definde", &["«definde» there is no test `definde` (did you mean `defined`?)"]);
    faults("today() == 'x'", &["«today» there is no function `today` (there are no functions here)"]);
    faults(
        "overall <= '3'",
        &["«'3'» `overall` is a whole number from 1 to 5, but `'3'` is a text (write it without quotes: 3)"],
    );
    faults("2 <= '3'", &["«'3'» `2` is a whole number, but `'3'` is a text (write it without quotes: 3)"]);
    faults(
        "contact == 1",
        &["«1» `contact` is true or false, but `1` is a whole number (a yes is `true` and a no is `false`)"],
    );
    faults("topic == 'behavior'", &["«'behavior'» `topic` is never 'behavior' (did you mean 'behaviour'?)"]);
    faults(
        "topic == behaviour",
        &["«behaviour» there is no name `behaviour` (a text stands in quotes: 'behaviour')"],
    );
    faults(
        "topic in ['money', 'delay']",
        &["«'delay'» `topic` is never 'delay' (it is one of 'behaviour' or 'money')"],
    );
    faults(
        "overall in [1, '2']",
        &["«'2'» `overall` is a whole number from 1 to 5, but `'2'` is a text (write it without quotes: 2)"],
    );
    faults("overall <= 7", &["«7» `overall` is a whole number from 1 to 5; 7 lies outside"]);
    faults(
        "overall and contact",
        &[
            "«overall» `overall` is a whole number from 1 to 5; a condition is true or false (compare it with a number: `overall <= 3`)",
        ],
    );
    faults(
        "overall",
        &[
            "«overall» `overall` is a whole number from 1 to 5; a condition is true or false (compare it with a number: `overall <= 3`)",
        ],
    );
    faults(
        "overall == none",
        &[
            "«none» there is no `none` here (an answer that was not given is absent: write `… is defined` or `… is undefined`)",
        ],
    );
    faults(
        "contact <= true",
        &["«contact» `contact` is true or false and has no size (compare it with `==`, or write it alone)"],
    );
    faults(
        "visit == 'x'",
        &["«visit» `visit` is a group of names and no value (its names are `visit.office`)"],
    );
    faults(
        "words.upper() == 'X'",
        &["«words.upper()» nothing can be called here (apply a filter: `name | filter`)"],
    );
    faults(
        "overall | upper == 'X'",
        &["«overall» `upper` is for a text, but `overall` is a whole number from 1 to 5"],
    );
    faults("overall | default == 1", &["«default» the filter `default` takes 1 argument, not 0"]);
    faults(
        "nme == 'a' and wrds == 'b'",
        &[
            "«nme» there is no name `nme` (known here: bearer, channel, contact, context, flow, language, now, overall, reference, topic, visit, words)",
            "«wrds» there is no name `wrds` (did you mean `words`?)",
        ],
    );
    faults(
        "overall = 3",
        &[
            "«overall = 3» this expression cannot be read: unexpected input after expression (to compare, write `==`)",
        ],
    );
    faults("", &["«» there is nothing here (write a name, or a comparison)"]);
}

fn unguarded(source: &str, expected: &[&str]) {
    let condition = Condition::compile(Dialect::flows(), source, &names()).expect("a good condition");
    let open = condition.reads().iter().filter(|read| !read.guarded).map(|read| &source[read.span.clone()]);
    assert_eq!(open.collect::<Vec<_>>(), expected, "{source}");
}

#[test]
fn a_read_is_guarded_where_the_name_is_sure_to_be_there() {
    unguarded("overall <= 2", &["overall"]);
    unguarded("overall is defined and overall <= 2", &[]);
    unguarded("overall is undefined or overall <= 2", &[]);
    unguarded("not (overall is defined) or overall <= 2", &[]);
    unguarded("not (overall is undefined or contact is undefined) and contact", &[]);
    unguarded("overall <= 2 and overall is defined", &["overall"]);
    unguarded("overall is defined or overall <= 2", &["overall"]);
    unguarded("overall is defined and contact", &["contact"]);
    unguarded("(overall is defined or contact is defined) and contact", &["contact"]);
    unguarded("contact if contact is defined else false", &[]);
    unguarded("contact if contact is undefined else false", &["contact"]);
    unguarded("overall | default(1) <= 2", &[]);
    unguarded("visit.office is defined and visit.office == 'x'", &[]);
}

fn says(source: &str, given: &str, expected: Result<&str, EvalError>) {
    let text = Template::compile(Dialect::flows(), source, &names()).expect("a good text");
    let said = scope(given, |scope| text.render(scope).map(|said| said.into_owned()));
    assert_eq!(said, expected.map(str::to_owned), "{source} with {given}");
}

#[test]
fn a_text_is_words_and_names() {
    says("How were you treated?\n", "", Ok("How were you treated?\n"));
    says("At {{ visit.office }}?", "visit.office=Ward-4", Ok("At Ward-4?"));
    says("At {{ visit.office }}?", "", Ok("At this office?"));
    says("{{ visit.office | upper }}", "", Ok("THIS OFFICE"));
    says("You said {{overall}}, {{ words }}", "overall=2 words=late", Ok("You said 2, late"));
    says("You said {{ overall }}", "", Err(EvalError::Absent));
    says("Ref {{ reference }}", "", Ok("Ref 482-109-375"));
}

#[test]
fn a_text_has_a_rendering_without_names() {
    let text =
        Template::compile(Dialect::flows(), "At {{ visit.office | upper }}: {{ reference }}", &names());
    assert_eq!(
        text.expect("a good text").without(|name| format!("<{name}>")),
        "At <visit.office>: <reference>"
    );
}

#[test]
fn a_text_without_names_is_not_copied() {
    let text = Template::compile(Dialect::flows(), "ଧନ୍ୟବାଦ", &names()).expect("a good text");
    let borrowed = scope("", |scope| matches!(text.render(scope), Ok(std::borrow::Cow::Borrowed(_))));
    assert!(text.is_literal() && borrowed);
}

fn text_faults(source: &str, expected: &[&str]) {
    let faults = Template::compile(Dialect::flows(), source, &names()).err().unwrap_or_default();
    assert_eq!(faults.iter().map(|f| told(source, f)).collect::<Vec<_>>(), expected, "{source}");
}

#[test]
fn a_text_holds_nothing_else() {
    let hint = "a text holds words and names, `{{ name }}`; what depends on an answer is a node of its own, reached by `when`";
    text_faults("{% if x %}a{% endif %}", &[&format!("«{{%» a text may not hold `{{%` ({hint})")]);
    text_faults("a {# b #}", &[&format!("«{{#» a text may not hold `{{#` ({hint})")]);
    text_faults(
        "a {{ ofice }} b",
        &[
            "«ofice» there is no name `ofice` (known here: bearer, channel, contact, context, flow, language, now, overall, reference, topic, visit, words)",
        ],
    );
    text_faults(
        "{{ 'x' if contact else 'y' }}",
        &[
            "«'x' if contact else 'y'» a text holds names and filters only (write `{{ name }}` or `{{ name | filter }}`)",
        ],
    );
    text_faults("{{ contact }}", &["«contact» a yes or no would be shown as `true` or `false`"]);
    text_faults("a {{ overall", &["«{{ overall» `{{` is not closed (write `{{ name }}`)"]);
}

#[test]
fn a_lenient_dialect_gives_nothing_where_something_is_absent() {
    use minijinja::context;
    use std::sync::LazyLock;
    static VENDOR: LazyLock<Dialect> = LazyLock::new(|| {
        let text = Signature::new(Type::Text, Type::Text);
        Dialect::lenient(Undefined::SemiStrict)
            .filter("reversed", text, |v: String| v.chars().rev().collect::<String>())
    });
    let names = Names::default().with("form", Type::Group(Names::open(Type::Any)));
    let value = |source: &str| {
        let expression = Expression::compile(&VENDOR, source, &names).expect("a good expression");
        expression.value(&context! { form => context! { a => "abc" } }).map(|value| value.to_string())
    };
    assert_eq!(value("form.a | reversed"), Some("cba".into()));
    assert_eq!(value("form.b | reversed"), None);
    assert_eq!(value("form.b.c"), None);
    assert_eq!(value("form.a if form.a == 'abc' else form.b"), Some("abc".into()));
    let text = Template::compile(&VENDOR, r#"{"a":{{ form.a | reversed }},"b":{{ form.b }}}"#, &names);
    let written = text.expect("a good text").render_with(
        &context! { form => context! { a => "abc" } },
        |out, value| {
            out.push_str(if value.is_undefined() { "null" } else { "\"…\"" });
        },
    );
    assert_eq!(written, r#"{"a":"…","b":null}"#);
}

#[test]
fn an_evaluation_has_an_end() {
    let source = format!("words {} == 'x'", "| upper | lower ".repeat(200));
    let condition = Condition::compile(Dialect::flows(), &source, &names()).expect("a good condition");
    let given = format!("words={}", "a".repeat(10_000));
    assert_eq!(scope(&given, |scope| condition.holds(scope)), Err(EvalError::TooMuch));
}
