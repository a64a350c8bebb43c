//! What goes back to a vendor: each `[reply.*]` of its file, read and checked, and its body filled in so that no text of a
//! citizen's or an author's can break out of it.

use super::{
    Answer,
    description::{compiled, required_table},
    filters::{DIALECT, reply_names},
    line::in_url,
};
use crate::{
    expr::Template,
    findings::{At, Table},
};
use minijinja::Value;

/// What a body is when nothing is said.
pub(super) const PLAIN: &str = "text/plain; charset=utf-8";

/// An answer to a callback.
#[derive(Debug)]
pub struct ReplyBody {
    /// `Content-Type`.
    pub content_type: String,
    /// Further headers: some vendors say there whether the dialogue goes on.
    pub headers: Vec<(String, String)>,
    escape: Escape,
    body: Template,
}

impl ReplyBody {
    /// Whether the body names this.
    pub fn reads(&self, name: &str) -> bool {
        self.body.reads().iter().any(|read| read.name == name)
    }

    /// The body, its names filled in from the members of `values` and escaped by its type.
    pub fn render(&self, values: &Value) -> String {
        self.body.render_with(values, |body, value| self.escape.write(body, &value))
    }
}

/// An answer that is the same every time: what a vendor is told of an MO or a receipt.
#[derive(Debug)]
pub struct Fixed {
    status: u16,
    content_type: String,
    body: String,
}

impl Fixed {
    /// The answer.
    pub fn answer(&self) -> Answer {
        Answer {
            status: self.status,
            content_type: self.content_type.clone(),
            headers: Vec::new(),
            body: self.body.clone(),
        }
    }
}

/// Reads `answer = { status = 200, type = "…", body = "…" }`; without it 200 and nothing.
pub fn fixed(table: &Table<'_>) -> Option<Fixed> {
    let Some(answer) = table.table("answer") else {
        let nothing = || Fixed { status: 200, content_type: PLAIN.to_owned(), body: String::new() };
        return (!table.has("answer")).then(nothing);
    };
    let status = match answer.has("status") {
        true => answer.integer("status", 200..=299).and_then(|status| u16::try_from(status.value).ok()),
        false => Some(200),
    };
    let content_type = content_type(&answer);
    let body = fixed_body(&answer);
    answer.finish();
    Some(Fixed { status: status?, content_type: content_type?, body: body? })
}

/// A body without names: what goes to a citizen goes by an outbox, never on the answer.
fn fixed_body(answer: &Table<'_>) -> Option<String> {
    let Some(body) = answer.text("body") else { return (!answer.has("body")).then(String::new) };
    if body.value.contains("{{") {
        answer.error(body.span, "the answer to an MO or a receipt is the same every time", "");
        return None;
    }
    Some(body.value)
}

/// Reads `[reply.<key>]`.
pub fn read(reply: &Table<'_>, key: &str) -> Option<ReplyBody> {
    let table = required_table(reply, key, "every dialogue goes on, ends and is closed")?;
    let content_type = content_type(&table);
    let headers = headers(&table);
    let body = table.required_text("body", "body = \"\" where the vendor reads none");
    table.finish();
    let body = compiled(&table, &body?, |text| Template::compile(&DIALECT, text, &reply_names()))?;
    let content_type = content_type?;
    Some(ReplyBody { escape: Escape::of(&content_type), content_type, headers: headers?, body })
}

pub(super) fn content_type(table: &Table<'_>) -> Option<String> {
    let Some(written) = table.text("type") else {
        return (!table.has("type")).then(|| PLAIN.to_owned());
    };
    fits_a_header(table, &written).then_some(written.value)
}

fn headers(table: &Table<'_>) -> Option<Vec<(String, String)>> {
    let Some(headers) = table.table("headers") else { return (!table.has("headers")).then(Vec::new) };
    let read = headers.keys().into_iter().map(|name| {
        let value = headers.text(&name.value)?;
        let good_name = !name.value.is_empty()
            && name.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !good_name {
            headers.error(name.span, format!("\"{}\" cannot be a header's name", name.value), "");
        }
        (fits_a_header(&headers, &value) && good_name).then_some((name.value, value.value))
    });
    // Each is read before any is missed, so that all faults are told.
    read.collect::<Vec<_>>().into_iter().collect()
}

/// What is no printable ASCII would break the answer, or become two headers.
pub(super) fn fits_a_header(table: &Table<'_>, value: &At<String>) -> bool {
    let good = value.value.bytes().all(|b| matches!(b, b' '..=b'~'));
    if !good {
        table.error(value.span.clone(), "a header holds printable ASCII only", "");
    }
    good
}

/// How a value is kept from breaking out of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    Plain,
    Json,
    Xml,
    Form,
    /// A part of a URL.
    Url,
}

impl Escape {
    pub(super) fn of(content_type: &str) -> Escape {
        let essence = content_type.split(';').next().unwrap_or("").trim().to_lowercase();
        match essence.as_str() {
            "application/x-www-form-urlencoded" => Escape::Form,
            json if json.ends_with("json") => Escape::Json,
            xml if xml.ends_with("xml") || xml == "text/html" => Escape::Xml,
            _ => Escape::Plain,
        }
    }

    pub(super) fn write(self, body: &mut String, value: &Value) {
        if value.is_undefined() {
            return;
        }
        let text = value.to_string();
        // `tojson` has done it already, for a JSON body; in any other its braces and signs are words like all others.
        if value.is_safe() && self == Escape::Json {
            return body.push_str(&text);
        }
        match self {
            Escape::Plain => body.push_str(&text),
            Escape::Json => {
                let quoted = serde_json::Value::from(text).to_string();
                body.push_str(&quoted[1..quoted.len() - 1]);
            }
            Escape::Xml => text.chars().for_each(|c| match c {
                '<' => body.push_str("&lt;"),
                '>' => body.push_str("&gt;"),
                '&' => body.push_str("&amp;"),
                '"' => body.push_str("&quot;"),
                '\'' => body.push_str("&apos;"),
                c => body.push(c),
            }),
            Escape::Form | Escape::Url => body.push_str(&in_url(&text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content_type: &str, template: &str, text: Value, expected: &str) {
        let body = Template::compile(&DIALECT, template, &reply_names()).expect("a good body");
        let (escape, content_type) = (Escape::of(content_type), content_type.to_owned());
        let reply = ReplyBody { content_type, headers: Vec::new(), escape, body };
        let rendered = reply.render(&minijinja::context! { text });
        assert_eq!(rendered, expected, "{template} as {}", reply.content_type);
    }

    #[test]
    fn a_text_cannot_break_out_of_a_body() {
        let text = || Value::from("it's \"1\" <b>&\n");
        check("text/plain", "CON {{ text }}", text(), "CON it's \"1\" <b>&\n");
        check("application/json", r#"{"m":"{{ text }}"}"#, text(), r#"{"m":"it's \"1\" <b>&\n"}"#);
        check("application/json", r#"{"m":{{ text | tojson }}}"#, text(), r#"{"m":"it's \"1\" <b>&\n"}"#);
        check("Application/Vnd.X+JSON; charset=utf-8", r#""{{ text }}""#, text(), r#""it's \"1\" <b>&\n""#);
        check("text/xml", "<m>{{ text }}</m>", text(), "<m>it&apos;s &quot;1&quot; &lt;b&gt;&amp;\n</m>");
        check("text/xml", "<m>{{ text | tojson }}</m>", "</m>".into(), "<m>&quot;&lt;/m&gt;&quot;</m>");
        check(
            "application/x-www-form-urlencoded",
            "m={{ text }}&e=1",
            "a b&e=2".into(),
            "m=a%20b%26e%3D2&e=1",
        );
        check("application/x-www-form-urlencoded", "m={{ text | tojson }}", "&".into(), "m=%22%26%22");
        check("text/plain", "{{ session }}.{{ text | upper }}", "ab".into(), ".AB");
    }
}
