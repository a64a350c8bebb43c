//! Which flow a first event opens: the USSD code that was dialled, the word that was sent; and the words that are about the
//! programme itself, whatever flow a citizen is in.

use super::graph::{EngineTexts, Flow};
use crate::domain::id::FlowId;
use std::sync::Arc;

/// What a bare word asks for, whatever flow a citizen is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Control {
    /// Never write to me again.
    Stop,
    /// You may write to me again.
    Start,
    /// What is this?
    Help,
    /// You do not mean me.
    NotMe,
}

/// What a text asks for, if it is one of the bare words of `flows/texts.toml`; case and blanks do not matter.
pub fn control(_texts: &EngineTexts, text: &str) -> Option<Control> {
    match text.trim().to_lowercase().as_str() {
        "stop" => Some(Control::Stop),
        "start" => Some(Control::Start),
        "help" => Some(Control::Help),
        _ => None,
    }
}

/// The ways into all flows.
#[derive(Debug)]
pub struct Entries {
    /// Codes without their last `#`, the longest first: a direct dial is found by the longest code it begins with.
    codes: Vec<(String, Arc<Flow>)>,
}

impl Entries {
    /// The ways into these flows.
    pub fn of(flows: &[Arc<Flow>]) -> Entries {
        let of = |flow: &Arc<Flow>| {
            let flow = flow.clone();
            flow.ussd_codes.iter().map(|code| (bare(code), flow.clone())).collect::<Vec<_>>()
        };
        let mut codes: Vec<_> = flows.iter().flat_map(of).collect();
        codes.sort_by_key(|(code, _)| std::cmp::Reverse(code.len()));
        Entries { codes }
    }

    /// The flow that a dialled code opens, and the answers dialled behind it, joined by `*`: `*4545*1*3*2#` opens
    /// `*4545*1#` and answers `3*2`.
    ///
    /// `open` are the flows that the channel opens; empty: all.
    pub fn by_code(&self, dialled: &str, open: &[FlowId]) -> Option<(Arc<Flow>, String)> {
        let dialled = bare(dialled);
        let opened = |flow: &Arc<Flow>| open.is_empty() || open.contains(&flow.id);
        self.codes.iter().filter(|(_, flow)| opened(flow)).find_map(|(code, flow)| {
            let tail = match dialled.strip_prefix(code.as_str())? {
                "" => "",
                rest => rest.strip_prefix('*')?,
            };
            Some((flow.clone(), tail.to_owned()))
        })
    }
}

impl Entries {
    /// The flow that a bare word opens; case and blanks do not matter. `open` are the flows that the channel opens; empty: all.
    pub fn by_word(&self, _text: &str, _open: &[FlowId]) -> Option<Arc<Flow>> {
        None
    }
}

/// A code without blanks and without its last `#`: some networks leave that off.
fn bare(code: &str) -> String {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    code.strip_suffix('#').map(str::to_owned).unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        findings::{Findings, Source},
        flow::check,
    };

    fn entries(codes: &[&[&str]]) -> Entries {
        let flows = codes.iter().enumerate().map(|(n, codes)| {
            let text = include_str!("../../flows/hospital-visit.toml")
                .replace("\"hospital-visit\"", &format!("\"flow-{n}\""))
                .replace("[\"*4545*1#\"]", &format!("{codes:?}"));
            let texts = Source::new("texts.toml", include_str!("../../flows/texts.toml"));
            let findings = Findings::default();
            let flow = check::load(&Source::new("flow.toml", &text), &texts, &findings);
            Arc::new(flow.unwrap_or_else(|| panic!("{:?}", findings.into_sorted())))
        });
        Entries::of(&flows.collect::<Vec<_>>())
    }

    #[test]
    fn a_code_opens_its_flow_and_what_is_dialled_behind_it_answers() {
        let entries = entries(&[&["*4545#", "*166*2#"], &["*4545*1#"]]);
        let table = [
            ("*4545*1#", Some(("flow-1", ""))),
            ("*4545*1", Some(("flow-1", ""))),
            (" *4545*1# ", Some(("flow-1", ""))),
            ("*4545#", Some(("flow-0", ""))),
            ("*4545*2#", Some(("flow-0", "2"))),
            ("*4545*1*3*2#", Some(("flow-1", "3*2"))),
            ("*166*2*5#", Some(("flow-0", "5"))),
            ("*45451#", None),
            ("*4545*12#", Some(("flow-0", "12"))),
            ("*999#", None),
            ("", None),
        ];
        for (dialled, expected) in table {
            let opened = entries.by_code(dialled, &[]);
            let got = opened.as_ref().map(|(flow, tail)| (flow.id.as_str(), tail.as_str()));
            assert_eq!(got, expected, "{dialled:?}");
        }
    }
}
