//! A `[[channel]]` of the configuration.

use super::{
    DESCRIBED,
    sending::{self, NamedSecret, Sending},
};
use crate::{
    domain::{
        id::{ChannelId, FlowId},
        lang::Lang,
        message::{Bearer, ChannelFacts, Screen},
        msisdn,
        secret::SecretSource,
    },
    findings::{At, Source, Table, nearest},
};
use std::{path::PathBuf, time::Duration};

/// How long a step may take when nothing is said.
const DEADLINE: Duration = Duration::from_secs(5);
/// The shortest and the longest deadline.
const DEADLINES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(60)];
/// Vendors that the design names and that are not built yet.
const LATER_VENDORS: [&str; 3] = ["kannel", "smpp", "infobip"];
/// The most flows that a channel names.
const FLOWS_MAX: usize = 100;

/// One line to one vendor, as it was written.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file it stands in.
    pub source: Source,
    /// Its id.
    pub id: ChannelId,
    /// Where its id stands.
    pub id_span: std::ops::Range<usize>,
    /// Whose line it is.
    pub vendor: At<Vendor>,
    /// How citizens reach a described vendor's channel; a simulator has both bearers, whatever stands here.
    pub bearer: Bearer,
    /// The code that citizens dial, or the number that they write to; empty for every one.
    pub address: String,
    /// The flows that its codes and words open; empty for all.
    pub flows: Vec<At<FlowId>>,
    /// How it sends; `None` on a channel that only answers dials.
    pub sending: Option<Sending>,
    /// Where the question of an unfinished dialogue goes out once.
    pub sms_via: Option<At<ChannelId>>,
    /// The secrets that the vendor's description asks for.
    pub secrets: Vec<NamedSecret>,
    /// How long a step may take.
    pub deadline: Duration,
    /// The language of its citizens.
    pub language: Option<Lang>,
    /// Where national numbers belong; the vendor's country when absent.
    pub country: Option<String>,
    /// What differs from the vendor's screen.
    pub screen: ScreenSettings,
    /// Who may call it; absent is allowed on loopback only.
    pub auth: Option<Auth>,
}

/// A vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vendor {
    /// The phone for people.
    Simulator,
    /// A description that is compiled in.
    Described(String),
    /// A description of the deployment's own.
    File(PathBuf),
}

/// What a vendor says of all its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VendorSays {
    /// What its screens show.
    pub screen: Screen,
    /// How long it keeps a dialogue open.
    pub session: Duration,
    /// Its receipts name our MtId.
    pub echoes: bool,
}

/// What a channel says of its screens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScreenSettings {
    septets: Option<u16>,
    ucs2: Option<u16>,
    latin: bool,
}

/// Who may call a channel.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Everybody, said in so many words.
    None,
    /// Whoever knows the secret at the end of the path.
    Secret(At<SecretSource>),
}

impl Settings {
    /// Reads one `[[channel]]`; faults go to the table's findings.
    pub fn read(table: &Table<'_>) -> Option<Settings> {
        let id = id(table);
        let vendor = vendor(table);
        let bearer =
            sending::bearer(table, vendor.as_ref().is_some_and(|vendor| vendor.value == Vendor::Simulator));
        let address = table.text("address").map(|address| address.value).unwrap_or_default();
        let deadline = deadline(table);
        let language = language(table);
        let country = country(table);
        let screen = screen(table);
        let auth = auth(table);
        let flows = flows(table);
        let sms_via = sms_via(table);
        let secrets = sending::secrets(table);
        let Some(bearer) = bearer else {
            // What its keys mean hangs on it.
            table.keys();
            return None;
        };
        // A vendor that is misspelled is no simulator, and the other faults are told beside it.
        let described = vendor.as_ref().is_none_or(|vendor| vendor.value != Vendor::Simulator);
        let sending = sending::read(table, described, bearer);
        table.finish();
        let (id, id_span) = id?;
        Some(Settings {
            source: table.source().clone(),
            id,
            id_span,
            vendor: vendor?,
            bearer,
            address,
            flows: flows?,
            sending: sending?,
            sms_via: sms_via?,
            secrets: secrets?,
            deadline: deadline?,
            language: language?,
            country: country?,
            screen: screen?,
            auth: auth?,
        })
    }

    /// Whether it is the phone for people, which belongs to the operators' side.
    pub fn is_simulator(&self) -> bool {
        self.vendor.value == Vendor::Simulator
    }

    /// Whether an outbox can send by it.
    pub fn sends(&self) -> bool {
        self.sending.is_some()
    }

    /// What turns know of the channel, given what its vendor says.
    pub fn facts(&self, country: &str, says: VendorSays) -> ChannelFacts {
        let vendor = says.screen;
        ChannelFacts {
            id: self.id.clone(),
            address: self.address.clone(),
            flows: self.flows.iter().map(|flow| flow.value.clone()).collect(),
            sms: self.sending.as_ref().map(|sending| sending.facts(says.echoes)),
            sms_via: self.sms_via.as_ref().map(|via| via.value.clone()),
            deadline: self.deadline,
            screen: Screen {
                septets: self.screen.septets.unwrap_or(vendor.septets),
                ucs2: self.screen.ucs2.unwrap_or(vendor.ucs2),
                latin: self.screen.latin || vendor.latin,
            },
            language: self.language,
            country: self.country.clone().unwrap_or_else(|| country.to_owned()),
            session_limit: says.session,
        }
    }
}

fn id(table: &Table<'_>) -> Option<(ChannelId, std::ops::Range<usize>)> {
    let id = table.required_text(
        "id",
        "every channel has an id of its own; it stands in the address that the telco calls",
    )?;
    match ChannelId::parse(&id.value) {
        Some(read) => Some((read, id.span)),
        None => {
            let what = format!("\"{}\" cannot be a channel's id", id.value);
            table.error(id.span, what, "lower-case letters, digits, `-` and `_`, beginning with a letter");
            None
        }
    }
}

fn vendor(table: &Table<'_>) -> Option<At<Vendor>> {
    let vendor = table.required_text(
        "vendor",
        "vendor = \"africastalking\", \"simulator\" or \"file:telcos/my-telco.toml\"",
    )?;
    let name = vendor.value.as_str();
    let known = || DESCRIBED.iter().map(|(known, _)| *known).chain(["simulator"]);
    let read = match name {
        "simulator" => Vendor::Simulator,
        _ if known().any(|known| known == name) => Vendor::Described(name.to_owned()),
        _ => match name.strip_prefix("file:") {
            Some(path) => Vendor::File(path.into()),
            None => {
                let (what, hint) = match LATER_VENDORS.contains(&name) {
                    true => (format!("the vendor \"{name}\" is not built yet"), String::new()),
                    false => {
                        let hint = match nearest(name, known()) {
                            Some(near) => format!("did you mean \"{near}\"?"),
                            None => {
                                "\"file:telcos/my-telco.toml\" takes a description of your own".to_owned()
                            }
                        };
                        (format!("there is no vendor \"{name}\""), hint)
                    }
                };
                table.error(vendor.span, what, &hint);
                return None;
            }
        },
    };
    Some(At { value: read, span: vendor.span })
}

/// The flows that are named; that they exist is checked where the flows are known.
fn flows(table: &Table<'_>) -> Option<Vec<At<FlowId>>> {
    let Some(list) = table.texts("flows") else { return (!table.has("flows")).then(Vec::new) };
    if list.value.is_empty() || list.value.len() > FLOWS_MAX {
        let what = format!("`{}` names 1 to {FLOWS_MAX} flows", table.name_of("flows"));
        table.error(list.span, what, "leave it out for all flows");
        return None;
    }
    let read = list.value.into_iter().map(|name| {
        let id = FlowId::parse(&name.value);
        if id.is_none() {
            let what = format!("\"{}\" cannot be a flow's id", name.value);
            table.error(name.span.clone(), what, "flows = [\"hospital-visit\"]");
        }
        Some(At { value: id?, span: name.span })
    });
    // Each is read before any is missed, so that all faults are told.
    read.collect::<Vec<_>>().into_iter().collect()
}

/// `Some(None)`: not said.
fn sms_via(table: &Table<'_>) -> Option<Option<At<ChannelId>>> {
    let Some(via) = table.text("sms_via") else { return (!table.has("sms_via")).then_some(None) };
    let id = ChannelId::parse(&via.value);
    if id.is_none() {
        let what = format!("\"{}\" cannot be a channel's id", via.value);
        table.error(via.span.clone(), what, "the id of a channel that sends SMS");
    }
    Some(Some(At { value: id?, span: via.span }))
}

fn deadline(table: &Table<'_>) -> Option<Duration> {
    if !table.has("deadline") {
        return Some(DEADLINE);
    }
    let deadline = table.duration("deadline")?;
    if !(DEADLINES[0]..=DEADLINES[1]).contains(&deadline.value) {
        table.error(deadline.span, "`channel.deadline` must lie between 500ms and 60s", "deadline = \"5s\"");
        return None;
    }
    Some(deadline.value)
}

/// `Some(None)`: not said.
fn language(table: &Table<'_>) -> Option<Option<Lang>> {
    let Some(tag) = table.text("language") else { return Some(None) };
    let read = Lang::parse(&tag.value);
    if read.is_none() {
        table.error(
            tag.span,
            format!("\"{}\" is no language tag", tag.value),
            "language = \"or\", \"en\", \"hi\"",
        );
        return None;
    }
    Some(read)
}

fn country(table: &Table<'_>) -> Option<Option<String>> {
    let Some(country) = table.text("country") else { return Some(None) };
    if !msisdn::is_country(&country.value) {
        let what = format!("\"{}\" is no country", country.value);
        table.error(country.span, what, "two capital letters (ISO 3166): country = \"IN\"");
        return None;
    }
    Some(Some(country.value))
}

fn screen(table: &Table<'_>) -> Option<ScreenSettings> {
    let mut settings = ScreenSettings::default();
    let Some(screen) = table.table("screen") else {
        return (!table.has("screen")).then_some(settings);
    };
    let size = |key, most| screen.integer(key, 20..=most).map(|n| n.value as u16);
    (settings.septets, settings.ucs2) = (size("septets", 182), size("ucs2", 80));
    settings.latin = screen.boolean("latin").is_some_and(|latin| latin.value);
    screen.finish();
    Some(settings)
}

/// `Some(None)`: not said.
fn auth(table: &Table<'_>) -> Option<Option<Auth>> {
    let hint = "auth = \"none\", or { secret = { env = \"NAME\" } }";
    let Some(value) = table.value("auth") else { return Some(None) };
    if value.get_ref().as_str() == Some("none") {
        return Some(Some(Auth::None));
    }
    let Some(auth) = value.get_ref().as_table().and_then(|_| table.table("auth")) else {
        table.error(value.span(), "`channel.auth` says nobody may call, or everybody", hint);
        return None;
    };
    for later in ["addresses", "signature"] {
        if let Some(span) = auth.key_span(later) {
            auth.value(later);
            auth.error(span, format!("`channel.auth.{later}` is not built yet"), hint);
        }
    }
    let secret = auth.secret("secret");
    auth.finish();
    secret.map(|secret| Some(Auth::Secret(secret)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Findings;

    fn read(text: &str) -> (Option<Settings>, Vec<String>) {
        let (source, findings) = (Source::new("c.toml", text), Findings::default());
        let read = Table::read(&source, &findings, |top| Settings::read(&top.tables("channel")[0]));
        (read, findings.into_sorted().iter().map(|found| found.what.clone()).collect())
    }

    #[test]
    fn a_channel_says_what_differs_and_the_vendor_the_rest() {
        let (read, found) = read(
            "[[channel]]\nid = 'at-ussd'\nvendor = 'africastalking'\nbearer = 'ussd'\naddress = '*4545*1#'\n\
             deadline = '3s'\nlanguage = 'or'\nscreen = { ucs2 = 60, latin = true }\nauth = 'none'\n\
             flows = ['hospital-visit']\nsms_via = 'at-sms'\n",
        );
        assert_eq!(found, Vec::<String>::new());
        let vendor = Screen { septets: 150, ucs2: 70, latin: false };
        let says = VendorSays { screen: vendor, session: Duration::from_secs(180), echoes: false };
        let facts = read.expect("a good channel").facts("KE", says);
        let expected = ChannelFacts {
            id: ChannelId::parse("at-ussd").expect("a good id"),
            address: "*4545*1#".into(),
            flows: FlowId::parse("hospital-visit").into_iter().collect(),
            sms: None,
            sms_via: ChannelId::parse("at-sms"),
            deadline: Duration::from_secs(3),
            screen: Screen { septets: 150, ucs2: 60, latin: true },
            language: Lang::parse("or"),
            country: "KE".into(),
            session_limit: Duration::from_secs(180),
        };
        assert_eq!(facts, expected);
    }

    fn check(keys: &str, expected: &[&str]) {
        let text = format!("[[channel]]\nid = 'x'\nvendor = 'simulator'\n{keys}\n");
        assert_eq!(read(&text).1, expected, "{keys}");
    }

    #[test]
    fn a_fault_names_the_key() {
        check("", &[]);
        check("country = 'GH'\ndeadline = '60s'\nauth = { secret = { env = 'IN' } }", &[]);
        check("deadline = '61s'", &["`channel.deadline` must lie between 500ms and 60s"]);
        check("deadline = '499ms'", &["`channel.deadline` must lie between 500ms and 60s"]);
        check("country = 'india'", &["\"india\" is no country"]);
        check("country = 'QQ'", &["\"QQ\" is no country"]);
        check("language = '?'", &["\"?\" is no language tag"]);
        check("tps = 50\nquiet = '21:00-08:00'\nsms_via = 'x'", &[]);
        check("flows = []", &["`channel.flows` names 1 to 100 flows"]);
        check("auth = { addresses = ['10.0.0.1'] }", &["`channel.auth.addresses` is not built yet"]);
        check("auth = 'some'", &["`channel.auth` says nobody may call, or everybody"]);
        check("auth = { secret = {} }", &["`channel.auth.secret` must say where a secret comes from"]);
        check(
            "screen = { septets = 300 }",
            &["`channel.screen.septets` must be a whole number from 20 to 182, not 300"],
        );
        check("adress = '*1#'", &["`channel.adress` is no key"]);
    }

    fn check_vendor(vendor: &str, expected: Result<Vendor, (&str, &str)>) {
        let text = format!("[[channel]]\nid = 'x'\nvendor = '{vendor}'\n");
        let (source, findings) = (Source::new("c.toml", &text), Findings::default());
        let read = Table::read(&source, &findings, |top| Settings::read(&top.tables("channel")[0]));
        let found = findings.into_sorted();
        let told = found.first().map(|f| (f.what.as_str(), f.hint.as_deref().unwrap_or("")));
        assert_eq!(
            read.map(|settings| settings.vendor.value).ok_or(told),
            expected.map_err(Some),
            "{vendor}"
        );
    }

    #[test]
    fn a_vendor_is_known_described_or_told_apart() {
        check_vendor("simulator", Ok(Vendor::Simulator));
        check_vendor("africastalking", Ok(Vendor::Described("africastalking".into())));
        check_vendor("file:telcos/x.toml", Ok(Vendor::File("telcos/x.toml".into())));
        check_vendor("kannel", Err(("the vendor \"kannel\" is not built yet", "")));
        check_vendor("smpp", Err(("the vendor \"smpp\" is not built yet", "")));
        check_vendor(
            "africastakling",
            Err(("there is no vendor \"africastakling\"", "did you mean \"africastalking\"?")),
        );
        check_vendor(
            "acme",
            Err((
                "there is no vendor \"acme\"",
                "\"file:telcos/my-telco.toml\" takes a description of your own",
            )),
        );
    }
}
