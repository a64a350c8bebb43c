//! A vendor's `[send]`: the request that carries one MT, read and checked, and filled in. What the answer means is in
//! [`super::verdict`].
//!
//! A value with something undefined in it is left out of forms, queries, JSON and headers, so
//! `"{{ from if from is startingwith 'MG' }}"` is one of two ways to name a sender. Values are escaped by where they stand.

use super::{
    description::{compiled, required_table},
    filters::{DIALECT, send_names},
    guard::Guard,
    line::{Line, in_url},
    reply::{Escape, content_type, fits_a_header},
    verdict::{self, Verdicts},
};
use crate::{
    domain::{message::Mt, time::Timestamp, wire::HttpRequest},
    expr::{Names, Template, Type},
    findings::{At, Table},
};
use minijinja::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The longest that one exchange may take: all requests of a claim end before its lease does.
const TIMEOUT_MAX: Duration = Duration::from_secs(20);
/// How deep JSON may be written.
const DEPTH_MAX: usize = 8;

/// How an MT is sent.
#[derive(Debug)]
pub struct Send {
    method: String,
    url: Template,
    timeout: Duration,
    headers: Vec<(String, Template)>,
    lets: Vec<(String, Template)>,
    query: Vec<(String, Template)>,
    payload: Payload,
    /// What the vendor's answers mean.
    pub verdicts: Verdicts,
    /// The secrets that it names.
    pub secrets: BTreeSet<String>,
}

#[derive(Debug)]
enum Payload {
    Nothing,
    Form(Vec<(String, Template)>),
    Json(Vec<(String, Json)>),
    Text { content_type: String, escape: Escape, body: Template },
}

#[derive(Debug)]
enum Json {
    Text(Template),
    Fixed(serde_json::Value),
    Members(Vec<(String, Json)>),
    List(Vec<Json>),
}

/// Reads `[send]`; `None` inside where there is none.
pub fn read(top: &Table<'_>) -> Option<Option<Send>> {
    let Some(table) = top.table("send") else { return (!top.has("send")).then_some(None) };
    let mut reader = Reader { names: send_names(), secrets: BTreeSet::new() };
    let lets = reader.lets(&table);
    let method = table.text("method").map_or("POST".to_owned(), |method| method.value.to_uppercase());
    let url = reader.url(&table);
    let timeout = timeout(&table);
    let headers = reader.headers(&table);
    let query = reader.fields(&table, "query");
    let payload = reader.payload(&table);
    let hint = "[send.result] says what the vendor's answers mean; accepted = { when = \"status == 200\" }";
    let result = required_table(&table, "result", hint);
    let verdicts = result.and_then(|result| verdict::read(&result));
    table.finish();
    Some(Some(Send {
        method,
        url: url?,
        timeout: timeout?,
        headers: headers?,
        lets: lets?,
        query: query?,
        payload: payload?,
        verdicts: verdicts?,
        secrets: reader.secrets,
    }))
}

fn timeout(table: &Table<'_>) -> Option<Duration> {
    if !table.has("timeout") {
        return Some(TIMEOUT_MAX);
    }
    let timeout = table.duration("timeout")?;
    if timeout.value.is_zero() || timeout.value > TIMEOUT_MAX {
        table.error(timeout.span, "`send.timeout` must lie above 0 and up to 20s", "timeout = \"20s\"");
        return None;
    }
    Some(timeout.value)
}

/// Reads templates, and remembers which secrets they name.
struct Reader {
    names: Names,
    secrets: BTreeSet<String>,
}

impl Reader {
    fn template(&mut self, table: &Table<'_>, text: &At<String>) -> Option<Template> {
        let template = compiled(table, text, |text| Template::compile(&DIALECT, text, &self.names))?;
        let secrets = template.reads().iter().filter_map(|read| read.name.strip_prefix("secret."));
        self.secrets.extend(secrets.map(str::to_owned));
        Some(template)
    }

    /// `[send.let]`, top to bottom: each may name those above it.
    fn lets(&mut self, table: &Table<'_>) -> Option<Vec<(String, Template)>> {
        let Some(lets) = table.table("let") else { return (!table.has("let")).then(Vec::new) };
        let mut read = Vec::new();
        for name in lets.keys() {
            if self.names.known().any(|known| known == name.value) {
                lets.error(name.span.clone(), format!("`{}` is a name already", name.value), "");
            }
            let text = lets.text(&name.value);
            let template = text.and_then(|text| self.template(&lets, &text));
            self.names.add(&name.value, Type::Text);
            read.push(template.map(|template| (name.value, template)));
        }
        read.into_iter().collect()
    }

    fn url(&mut self, table: &Table<'_>) -> Option<Template> {
        let url = table.required_text("url", "url = \"https://api.vendor.example/send\"")?;
        if !["https://", "http://"].iter().any(|scheme| url.value.starts_with(scheme)) {
            table.error(url.span.clone(), "`send.url` begins with https:// or http://", "");
            return None;
        }
        self.template(table, &url)
    }

    fn headers(&mut self, table: &Table<'_>) -> Option<Vec<(String, Template)>> {
        if let Some(headers) = table.table("headers") {
            for name in headers.keys() {
                let good = !name.value.is_empty()
                    && name.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
                if !good {
                    headers.error(name.span, format!("\"{}\" cannot be a header's name", name.value), "");
                } else if let Some(value) = headers.text(&name.value) {
                    fits_a_header(&headers, &value);
                }
            }
        }
        self.fields(table, "headers")
    }

    fn fields(&mut self, table: &Table<'_>, key: &str) -> Option<Vec<(String, Template)>> {
        let Some(fields) = table.table(key) else { return (!table.has(key)).then(Vec::new) };
        let mut read = Vec::new();
        for name in fields.keys() {
            let template = fields.text(&name.value).and_then(|text| self.template(&fields, &text));
            read.push(template.map(|template| (name.value, template)));
        }
        read.into_iter().collect()
    }

    fn payload(&mut self, table: &Table<'_>) -> Option<Payload> {
        let given: Vec<_> = ["form", "json", "body"].into_iter().filter(|key| table.has(key)).collect();
        if let [_, second, ..] = given[..] {
            let span = table.key_span(second).unwrap_or(table.span());
            table.error(span, "a request has one body", "form, json or body");
            for key in &given {
                table.value(key);
            }
        }
        match given.first() {
            Some(&"form") => self.fields(table, "form").map(Payload::Form),
            Some(&"json") => self.members(&table.table("json")?, DEPTH_MAX).map(Payload::Json),
            Some(_) => {
                let content_type = content_type(table)?;
                let body = table.text("body")?;
                let body = self.template(table, &body)?;
                Some(Payload::Text { escape: Escape::of(&content_type), content_type, body })
            }
            None => Some(Payload::Nothing),
        }
    }

    fn members(&mut self, table: &Table<'_>, depth: usize) -> Option<Vec<(String, Json)>> {
        if depth == 0 {
            table.error(table.span(), format!("JSON is at most {DEPTH_MAX} deep here"), "");
            return None;
        }
        let mut read = Vec::new();
        for key in table.keys() {
            read.push(self.member(table, &key.value, depth).map(|json| (key.value, json)));
        }
        read.into_iter().collect()
    }

    fn member(&mut self, table: &Table<'_>, key: &str, depth: usize) -> Option<Json> {
        let value = table.value(key)?.get_ref();
        if value.as_table().is_some() {
            return self.members(&table.table(key)?, depth - 1).map(Json::Members);
        }
        if let Some(list) = value.as_array() {
            let texts = list.iter().all(|element| element.get_ref().as_str().is_some());
            return self.list(table, key, texts, depth).map(Json::List);
        }
        if let Some(truth) = value.as_bool() {
            return Some(Json::Fixed(truth.into()));
        }
        if value.as_integer().is_some() {
            return table.integer(key, i64::MIN..=i64::MAX).map(|number| Json::Fixed(number.value.into()));
        }
        let text = table.text(key)?;
        self.template(table, &text).map(Json::Text)
    }

    /// A list of texts, or of tables.
    fn list(&mut self, table: &Table<'_>, key: &str, texts: bool, depth: usize) -> Option<Vec<Json>> {
        let read: Vec<_> = if texts {
            let texts = table.texts(key)?.value;
            texts.iter().map(|text| self.template(table, text).map(Json::Text)).collect()
        } else {
            let tables = table.tables(key);
            tables.iter().map(|element| self.members(element, depth - 1).map(Json::Members)).collect()
        };
        read.into_iter().collect()
    }
}

impl Send {
    /// The request that carries an MT on a line. An error says what is missing, without the number or the text.
    pub fn request(
        &self,
        mt: &Mt,
        line: &Line,
        guard: &Guard,
        now: Timestamp,
    ) -> Result<HttpRequest, String> {
        let context = self.context(mt, line, guard, now);
        let lacks = |what: &str| format!("the request's {what} lacks something that this MT does not have");
        let mut url = match &line.send_url {
            Some(url) => url.clone(),
            None => filled(&self.url, &context, Escape::Url).ok_or_else(|| lacks("URL"))?,
        };
        let query = form(&self.query, &context);
        if !query.is_empty() {
            url = format!("{url}{}{query}", if url.contains('?') { '&' } else { '?' });
        }
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            let Some(value) = filled(value, &context, Escape::Plain) else { continue };
            if !value.bytes().all(|b| matches!(b, b' '..=b'~')) {
                return Err(format!("the header {name} would hold more than printable ASCII"));
            }
            headers.push((name.clone(), value));
        }
        let (content_type, body) = self.body(&context).ok_or_else(|| lacks("body"))?;
        let named = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        headers.extend(content_type.filter(|_| !named).map(|kind| ("Content-Type".to_owned(), kind)));
        let (method, timeout) = (self.method.clone(), self.timeout);
        Ok(HttpRequest { method, url, headers, body: body.into_bytes(), timeout })
    }

    fn context(&self, mt: &Mt, line: &Line, guard: &Guard, now: Timestamp) -> Value {
        let template = mt.template.as_deref().map_or(Value::UNDEFINED, Value::from);
        let mut members = BTreeMap::from([
            ("text", Value::from(mt.text.as_str())),
            ("to", Value::from(mt.to.reveal())),
            ("from", Value::from(line.address.as_str())),
            ("ref", Value::from(mt.id.to_string())),
            ("public_url", Value::from(line.public_url.trim_end_matches('/'))),
            ("dlr_url", Value::from(line.receipts(guard))),
            ("now", Value::from(now.to_string())),
            ("channel", Value::from(line.id.as_str())),
            ("coding", Value::from(mt.coding.name())),
            ("segments", Value::from(mt.segments)),
            ("secret", line.secret_values()),
            ("dlt", Value::from(BTreeMap::from([("template", template)]))),
        ]);
        for (name, template) in &self.lets {
            let value = filled(template, &Value::from(members.clone()), Escape::Plain);
            members.insert(name.as_str(), value.map_or(Value::UNDEFINED, Value::from));
        }
        Value::from(members)
    }

    /// What the body is, and the body; `None`: it lacks something.
    fn body(&self, context: &Value) -> Option<(Option<String>, String)> {
        match &self.payload {
            Payload::Nothing => Some((None, String::new())),
            Payload::Form(fields) => {
                Some((Some("application/x-www-form-urlencoded".to_owned()), form(fields, context)))
            }
            Payload::Json(list) => {
                Some((Some("application/json".to_owned()), members(list, context).to_string()))
            }
            Payload::Text { content_type, escape, body } => {
                Some((Some(content_type.clone()), filled(body, context, *escape)?))
            }
        }
    }
}

/// A template filled in; `None` when something in it is undefined.
fn filled(template: &Template, context: &Value, escape: Escape) -> Option<String> {
    let mut whole = true;
    let text = template.render_with(context, |text, value| {
        whole &= !value.is_undefined();
        escape.write(text, &value);
    });
    whole.then_some(text)
}

fn form(fields: &[(String, Template)], context: &Value) -> String {
    let pair = |(name, value): &(String, Template)| {
        let value = filled(value, context, Escape::Plain)?;
        Some(format!("{}={}", in_url(name), in_url(&value)))
    };
    fields.iter().filter_map(pair).collect::<Vec<_>>().join("&")
}

fn members(list: &[(String, Json)], context: &Value) -> serde_json::Value {
    let member = |(name, json): &(String, Json)| Some((name.clone(), json.filled(context)?));
    list.iter().filter_map(member).collect::<serde_json::Map<_, _>>().into()
}

impl Json {
    fn filled(&self, context: &Value) -> Option<serde_json::Value> {
        Some(match self {
            Json::Text(template) => filled(template, context, Escape::Plain)?.into(),
            Json::Fixed(value) => value.clone(),
            Json::Members(list) => members(list, context),
            Json::List(elements) => elements.iter().filter_map(|element| element.filled(context)).collect(),
        })
    }
}
