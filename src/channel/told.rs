//! What a callback was understood to be, by name: as examples write it, and as `channel decode` prints it.

use crate::domain::{
    message::{Dlr, Inbound, Mo, MtState, UssdInput, UssdStep},
    msisdn::Msisdn,
};

/// The names and values, in the order in which they are printed. `number` says how a number is shown.
pub fn told(inbound: &Inbound, number: impl Fn(&Msisdn) -> String) -> Vec<(&'static str, String)> {
    match inbound {
        Inbound::Ussd(step) => of_step(step, number),
        Inbound::Mo(mo) => of_mo(mo, number),
        Inbound::Dlr(dlr) => of_dlr(dlr),
        Inbound::Ignored(reason) => vec![("ignored", (*reason).to_owned())],
    }
}

fn of_step(step: &UssdStep, number: impl Fn(&Msisdn) -> String) -> Vec<(&'static str, String)> {
    let (UssdInput::Last(input) | UssdInput::History(input)) = &step.input;
    let mut fields = vec![
        ("kind", "ussd".to_owned()),
        ("from", number(&step.from)),
        ("event", step.event.name().to_owned()),
        ("code", step.code.clone()),
        ("input", input.clone()),
    ];
    fields.extend(step.session.clone().map(|session| ("session", session)));
    fields.extend(step.step.clone().map(|step| ("step", step)));
    fields.extend(step.language.map(|language| ("language", language.to_string())));
    fields.push(("at", step.at.to_string()));
    fields
}

fn of_mo(mo: &Mo, number: impl Fn(&Msisdn) -> String) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("kind", "mo".to_owned()),
        ("from", number(&mo.from)),
        ("to", mo.to.clone()),
        ("text", mo.text.clone()),
    ];
    fields.extend(mo.id.clone().map(|id| ("id", id)));
    fields.push(("at", mo.sent.unwrap_or(mo.at).to_string()));
    fields
}

fn of_dlr(dlr: &Dlr) -> Vec<(&'static str, String)> {
    let mut fields = vec![("kind", "dlr".to_owned())];
    fields.extend(dlr.reference.clone().map(|reference| ("ref", reference)));
    fields.extend(dlr.id.clone().map(|id| ("id", id)));
    fields.push(("word", dlr.word.clone()));
    fields.push(("status", dlr.state.map_or("unknown", MtState::name).to_owned()));
    fields.push(("code", dlr.code.clone()));
    fields.extend(Some(dlr.part).filter(|part| *part > 0).map(|part| ("part", part.to_string())));
    fields.push(("at", dlr.at.to_string()));
    fields
}
