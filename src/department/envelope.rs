//! The envelope that every department gets, whatever carries it: `{"id", "type", "timestamp", "data"}`.

use crate::domain::{
    completion::{Answer, Completion, Value},
    message::Bearer,
    msisdn::Msisdn,
    time::Timestamp,
};
use serde_json::{Map, Value as Json, json};

/// The version of `data`'s shape.
const SCHEMA: u32 = 1;

/// One completion as a department reads it. `pseudonym` is the citizen's name at this department only; `msisdn` is
/// there when the citizen agreed and the route asks for it.
pub fn envelope(
    completion: &Completion,
    pseudonym: &str,
    msisdn: Option<&Msisdn>,
    timestamp: Timestamp,
) -> Json {
    let Completion {
        id,
        citizen: _,
        flow,
        revision,
        status,
        bearer,
        channel,
        language,
        started_at,
        completed_at,
        consents_msisdn: _,
        context,
        answers,
    } = completion;
    let mut citizen = json!({ "id": pseudonym });
    if let Some(number) = msisdn {
        citizen["msisdn"] = number.reveal().into();
    }
    json!({
        "id": id.to_string(),
        "type": status.envelope_type(),
        "timestamp": timestamp.to_string(),
        "data": {
            "schema": SCHEMA,
            "id": id.to_string(),
            "flow": flow.as_str(),
            "revision": revision.to_string(),
            "status": status.name(),
            "bearer": Bearer::name(*bearer),
            "channel": channel,
            "language": language.as_str(),
            "started_at": started_at.to_string(),
            "completed_at": completed_at.to_string(),
            "citizen": citizen,
            "context": nested(context),
            "answers": answers.iter().map(answer).collect::<Vec<_>>(),
        },
    })
}

fn answer(answer: &Answer) -> Json {
    let Answer { node, kind, value, said, at } = answer;
    let value = match value {
        Value::Integer(n) => json!(n),
        Value::Boolean(b) => json!(b),
        Value::Text(t) => json!(t),
    };
    json!({ "node": node, "kind": kind, "value": value, "said": said, "at": at.to_string() })
}

/// `visit.office = x` becomes `{"visit": {"office": "x"}}`. A name that is both a value and a group keeps the group.
fn nested(context: &[(String, String)]) -> Json {
    let mut top = Map::new();
    for (name, value) in context {
        let mut group = &mut top;
        let mut parts = name.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                group.entry(part).or_insert_with(|| value.clone().into());
                break;
            }
            let member = group.entry(part).or_insert_with(|| Map::new().into());
            if !member.is_object() {
                *member = Map::new().into();
            }
            group = member.as_object_mut().expect("just made an object");
        }
    }
    top.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_names_become_groups() {
        let context = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
        };
        let table = [
            (context(&[]), json!({})),
            (
                context(&[("visit.id", "v-101"), ("visit.office", "OD-DHH-07"), ("ward", "4")]),
                json!({"visit": {"id": "v-101", "office": "OD-DHH-07"}, "ward": "4"}),
            ),
            (context(&[("visit", "x"), ("visit.id", "v")]), json!({"visit": {"id": "v"}})),
        ];
        for (pairs, expected) in table {
            assert_eq!(nested(&pairs), expected);
        }
    }
}
