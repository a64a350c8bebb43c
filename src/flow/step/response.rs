//! What a session's answers say to a department.

use crate::{
    domain::completion::{Answer, Value},
    flow::{
        graph::Flow,
        node::Kind,
        session::{Given, Session},
    },
};

/// The answers of a session as a response holds them. Answers to nodes that the flow does not have are left out.
pub fn answers(flow: &Flow, session: &Session) -> Vec<Answer> {
    let answer = |given: &Given| {
        let Given { node, value, said, at } = given;
        let kind = flow.nodes.iter().find(|n| n.id == *node)?.kind.name().to_owned();
        Some(Answer { node: node.clone(), kind, value: value.clone(), said: said.clone(), at: *at })
    };
    session.answers.iter().filter_map(answer).collect()
}

/// Whether the citizen said yes, in this session, to a department seeing the number. One yes and no later no.
pub fn consents_msisdn(flow: &Flow, session: &Session) -> bool {
    let asked = |given: &&Given| {
        let node = flow.nodes.iter().find(|n| n.id == given.node);
        matches!(node.map(|n| &n.kind), Some(Kind::YesNo(asks)) if asks.consents_msisdn)
    };
    let last = session.answers.iter().rfind(asked);
    last.is_some_and(|given| given.value == Value::Boolean(true))
}
