//! Puts a configured channel together: its vendor's description, its guard, its secrets, and what turns know of it. All faults of
//! one channel are told at once; it reads no file and no secret itself.

use super::{
    CallbackKind, Channel, DESCRIBED,
    described::Described,
    description::{self, Description},
    guard::Guard,
    line::Line,
    settings::{Auth, Settings, Vendor, VendorSays},
    simulator::Simulator,
};
use crate::{
    domain::{
        message::{Bearer, ChannelFacts, Screen},
        secret::SecretSource,
    },
    findings::{Findings, Source},
};
use secrecy::SecretString;
use std::{collections::BTreeMap, io, ops::Range, path::Path, time::Duration};

/// What the simulator says of itself.
const SIMULATED: VendorSays = VendorSays {
    screen: Screen { septets: 160, ucs2: 70, latin: false },
    session: Duration::from_secs(180),
    echoes: true,
};

/// What putting a channel together may ask of the roof.
pub struct Tools<'a> {
    /// Reads a file, for descriptions of a deployment's own.
    pub read: &'a dyn Fn(&Path) -> io::Result<String>,
    /// Gets a secret; the error says where it is not.
    pub secret: &'a dyn Fn(&SecretSource) -> Result<SecretString, String>,
    /// Where we are seen from outside: scheme, host and path.
    pub public_url: &'a str,
}

/// Puts a configured channel together. Faults of it and of its vendor's description go to `findings`.
pub fn build(
    settings: &Settings,
    tools: &Tools<'_>,
    findings: &Findings,
) -> Option<(ChannelFacts, Box<dyn Channel>)> {
    let guard = guard(settings, tools, findings);
    let Some(description) = describe(settings, tools, findings)? else {
        let facts = settings.facts("IN", SIMULATED);
        return Some((facts.clone(), Box::new(Simulator::new(guard?, facts.country))));
    };
    let fits = fits_bearer(settings, &description, findings);
    let secrets = secrets(settings, &description, tools, findings);
    let says =
        VendorSays { screen: description.screen, session: description.session, echoes: description.echoes() };
    let facts = settings.facts(&description.country, says);
    let line = Line {
        id: facts.id.clone(),
        country: facts.country.as_str().into(),
        doors: match settings.bearer {
            Bearer::Ussd => &[CallbackKind::Ussd],
            Bearer::Sms => &[CallbackKind::Mo, CallbackKind::Dlr],
        },
        address: facts.address.clone(),
        public_url: tools.public_url.to_owned(),
        send_url: settings.sending.as_ref().and_then(|sending| sending.url.clone()).map(|url| url.value),
        secrets: secrets?,
    };
    let codec = Described::new(description, guard?, line);
    fits.then(|| (facts, Box::new(codec) as Box<dyn Channel>))
}

/// Whether the vendor has what the channel's bearer needs.
fn fits_bearer(settings: &Settings, description: &Description, findings: &Findings) -> bool {
    let lacks = match settings.bearer {
        Bearer::Ussd if !description.takes(CallbackKind::Ussd) => "`[[in]]` of kind \"ussd\"",
        Bearer::Sms if description.send.is_none() => "[send]",
        _ => return true,
    };
    let what = format!("the vendor \"{}\" has no {lacks}", description.name);
    let hint = format!("a channel with bearer = \"{}\" needs it", settings.bearer.name());
    findings.error(&settings.source, settings.vendor.span.clone(), what, &hint);
    false
}

/// The secrets that the description asks for: all of them, and no other.
fn secrets(
    settings: &Settings,
    description: &Description,
    tools: &Tools<'_>,
    findings: &Findings,
) -> Option<BTreeMap<String, SecretString>> {
    let wanted = description.secrets(settings.bearer);
    let error =
        |span: Range<usize>, what: String, hint: &str| findings.error(&settings.source, span, what, hint);
    let known = wanted.iter().copied().collect::<Vec<_>>().join(", ");
    let mut found = BTreeMap::new();
    for secret in &settings.secrets {
        let name = &secret.name.value;
        if !wanted.contains(name.as_str()) {
            let hint =
                if known.is_empty() { "it needs none".to_owned() } else { format!("it needs: {known}") };
            let what = format!("the vendor \"{}\" knows no secret \"{name}\"", description.name);
            error(secret.name.span.clone(), what, &hint);
            continue;
        }
        match (tools.secret)(&secret.source.value) {
            Ok(value) => drop(found.insert(name.clone(), value)),
            Err(what) => error(secret.source.span.clone(), what, ""),
        }
    }
    let given = |name: &str| settings.secrets.iter().any(|secret| secret.name.value == name);
    for name in wanted.iter().filter(|name| !given(name)) {
        let what = format!("the channel \"{}\" has no secret \"{name}\"", settings.id);
        error(settings.id_span.clone(), what, &format!("secret = {{ {name} = {{ env = \"NAME\" }} }}"));
    }
    (found.len() == wanted.len() && found.len() == settings.secrets.len()).then_some(found)
}

/// The vendor's description, `None` inside for the simulator.
fn describe(settings: &Settings, tools: &Tools<'_>, findings: &Findings) -> Option<Option<Description>> {
    let source = match &settings.vendor.value {
        Vendor::Simulator => return Some(None),
        Vendor::Described(name) => {
            let (_, text) =
                DESCRIBED.iter().find(|(known, _)| known == name).expect("checked when it was read");
            Source::new(&format!("{name}.toml (bundled)"), text)
        }
        Vendor::File(path) => match (tools.read)(path) {
            Ok(text) => Source::new(&path.display().to_string(), &text),
            Err(error) => {
                let what = format!("{} cannot be read: {error}", path.display());
                findings.error(&settings.source, settings.vendor.span.clone(), what, "");
                return None;
            }
        },
    };
    description::load(&source, findings).map(Some)
}

fn guard(settings: &Settings, tools: &Tools<'_>, findings: &Findings) -> Option<Guard> {
    match &settings.auth {
        None | Some(Auth::None) => Some(Guard::Open),
        Some(Auth::Secret(at)) => match (tools.secret)(&at.value) {
            Ok(secret) => Some(Guard::Secret(secret)),
            Err(what) => {
                findings.error(&settings.source, at.span.clone(), what, "");
                None
            }
        },
    }
}
