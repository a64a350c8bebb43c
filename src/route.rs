//! Floor 2: which departments want a completion. Decided in the turn, because completions enter a department's queue in
//! the same commit as everything else.

use crate::{
    domain::{
        completion::{Completion, Status},
        id::DepartmentId,
    },
    expr::{Condition, Dialect, Names, Scope},
    findings::{At, Findings, Source, Table},
};

/// A `[[route]]` as it was written.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file it stands in.
    pub source: Source,
    /// The department's id.
    pub to: At<String>,
    /// Which completions; all when absent.
    pub when: Option<At<String>>,
    /// `share = ["msisdn"]`.
    pub share_msisdn: bool,
    /// Unfinished responses too.
    pub partial: bool,
}

/// All routes, compiled.
#[derive(Debug, Default)]
pub struct Routes(Vec<Route>);

#[derive(Debug)]
struct Route {
    to: DepartmentId,
    when: Option<Condition>,
    share_msisdn: bool,
    partial: bool,
}

/// A department that wants a completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanting {
    /// Which.
    pub department: DepartmentId,
    /// One of its routes asks for the number; the citizen's yes is another matter.
    pub share_msisdn: bool,
}

impl Settings {
    /// Reads one `[[route]]`.
    pub fn read(table: &Table<'_>) -> Option<Settings> {
        let to = table.required_text("to", "to = \"ledger\" names a department");
        let when = table.text("when");
        let shared = table.texts("share").map(|list| list.value).unwrap_or_default();
        for word in shared.iter().filter(|word| word.value != "msisdn") {
            table.error(
                word.span.clone(),
                format!("\"{}\" cannot be shared", word.value),
                "only \"msisdn\" can",
            );
        }
        let partial = table.boolean("partial").is_some_and(|partial| partial.value);
        table.finish();
        Some(Settings {
            source: table.source().clone(),
            to: to?,
            when,
            share_msisdn: !shared.is_empty(),
            partial,
        })
    }
}

impl Routes {
    /// Compiles routes against the departments there are and the names that conditions may use. Faults go to `findings`.
    pub fn compile(
        settings: &[Settings],
        departments: &[DepartmentId],
        names: &Names,
        findings: &Findings,
    ) -> Routes {
        Routes(settings.iter().filter_map(|s| Route::compile(s, departments, names, findings)).collect())
    }

    /// The departments that want this completion, each once.
    pub fn wanting(&self, completion: &Completion) -> Vec<Wanting> {
        let answer = |node: &str| completion.answers.iter().find(|a| a.node == node).map(|a| &a.value);
        let now = completion.completed_at;
        let scope = Scope {
            answer: &answer,
            context: &completion.context,
            without: &|_| None,
            flow: completion.flow.as_str(),
            status: Some(completion.status.name()),
            language: completion.language.as_str(),
            channel: &completion.channel,
            bearer: completion.bearer.name(),
            now,
            reference: "",
        };
        let mut wanting: Vec<Wanting> = Vec::new();
        for route in self.0.iter().filter(|route| route.takes(completion, &scope)) {
            match wanting.iter_mut().find(|w| w.department == route.to) {
                Some(known) => known.share_msisdn |= route.share_msisdn,
                None => {
                    wanting.push(Wanting { department: route.to.clone(), share_msisdn: route.share_msisdn })
                }
            }
        }
        wanting
    }
}

impl Route {
    fn compile(
        settings: &Settings,
        departments: &[DepartmentId],
        names: &Names,
        findings: &Findings,
    ) -> Option<Route> {
        let Settings { source, to, when, share_msisdn, partial } = settings;
        let department = departments.iter().find(|d| d.as_str() == to.value);
        if department.is_none() {
            let known: Vec<_> = departments.iter().map(DepartmentId::as_str).collect();
            let hint = format!("known are: {}", known.join(", "));
            findings.error(
                source,
                to.span.clone(),
                format!("there is no department \"{}\"", to.value),
                &hint,
            );
        }
        let when = match when {
            None => None,
            Some(when) => match Condition::compile(Dialect::flows(), &when.value, names) {
                Ok(condition) => Some(condition),
                Err(faults) => {
                    for fault in faults {
                        findings.error(source, source.inside(when, fault.span), fault.what, &fault.hint);
                    }
                    return None;
                }
            },
        };
        Some(Route { to: department?.clone(), when, share_msisdn: *share_msisdn, partial: *partial })
    }

    /// An error in a `when` is false: a missing rating must never accuse an office.
    fn takes(&self, completion: &Completion, scope: &Scope<'_>) -> bool {
        (completion.status == Status::Complete || self.partial)
            && self.when.as_ref().is_none_or(|when| when.holds(scope).unwrap_or(false))
    }
}
