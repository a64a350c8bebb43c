//! Which flow a first event opens: the USSD code that was dialled, the word that was sent; and the words that are about the
//! programme itself, whatever flow a citizen is in.

use super::graph::{EngineTexts, Flow};
use crate::{domain::id::FlowId, text::heard::Heard};
use std::{collections::HashMap, sync::Arc};

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

impl Control {
    /// What it means, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Control::Stop => "\"no more messages\"",
            Control::Start => "\"messages again\"",
            Control::Help => "\"what is this?\"",
            Control::NotMe => "\"you do not mean me\"",
        }
    }
}

/// What a text asks for, if it is one of the bare words of `flows/texts.toml`; case and blanks do not matter.
pub fn control(texts: &EngineTexts, text: &str) -> Option<Control> {
    let bare = Heard::of(text).bare();
    texts.control.iter().find(|(_, word)| *word == bare).map(|(control, _)| *control)
}

/// The ways into all flows.
#[derive(Debug)]
pub struct Entries {
    /// Codes without their last `#`, the longest first: a direct dial is found by the longest code it begins with.
    codes: Vec<(String, Arc<Flow>)>,
    /// By the word as texts are brought to one form, without blanks.
    words: HashMap<String, Arc<Flow>>,
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
        let words = flows.iter().flat_map(|flow| flow.sms_words.iter().map(move |word| (word, flow)));
        let words = words.map(|(word, flow)| (Heard::of(word).bare(), flow.clone())).collect();
        Entries { codes, words }
    }

    /// The flow that a dialled code opens, and the answers dialled behind it, joined by `*`: `*4545*1*3*2#` opens
    /// `*4545*1#` and answers `3*2`.
    ///
    /// `open` are the flows that the channel opens; empty: all.
    pub fn by_code(&self, dialled: &str, open: &[FlowId]) -> Option<(Arc<Flow>, String)> {
        let dialled = bare(dialled);
        self.codes.iter().filter(|(_, flow)| opened(flow, open)).find_map(|(code, flow)| {
            let tail = match dialled.strip_prefix(code.as_str())? {
                "" => "",
                rest => rest.strip_prefix('*')?,
            };
            Some((flow.clone(), tail.to_owned()))
        })
    }

    /// The flow that a bare word opens; case and blanks do not matter. `open` are the flows that the channel opens; empty: all.
    pub fn by_word(&self, text: &str, open: &[FlowId]) -> Option<Arc<Flow>> {
        let flow = self.words.get(&Heard::of(text).bare())?;
        opened(flow, open).then(|| flow.clone())
    }
}

fn opened(flow: &Flow, open: &[FlowId]) -> bool {
    open.is_empty() || open.contains(&flow.id)
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

    fn texts() -> Source {
        Source::new("texts.toml", include_str!("../../flows/texts.toml"))
    }

    /// Flows `flow-0`, `flow-1` … with these ways in.
    fn entries(starts: &[&str]) -> Entries {
        let flows = starts.iter().enumerate().map(|(n, start)| {
            let text = include_str!("../../flows/hospital-visit.toml")
                .replace("\"hospital-visit\"", &format!("\"flow-{n}\""))
                .replace("{ sms = [\"MO\", \"HOSPITAL\"], ussd = [\"*4545*1#\"] }", start);
            let findings = Findings::default();
            let flow = check::load(&Source::new("flow.toml", &text), &texts(), &findings);
            Arc::new(flow.unwrap_or_else(|| panic!("{:?}", findings.into_sorted())))
        });
        Entries::of(&flows.collect::<Vec<_>>())
    }

    #[test]
    fn a_code_opens_its_flow_and_what_is_dialled_behind_it_answers() {
        let entries = entries(&["{ ussd = ['*4545#', '*166*2#'] }", "{ ussd = ['*4545*1#'] }"]);
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

    #[test]
    fn a_bare_word_opens_its_flow() {
        let entries = entries(&["{ sms = ['MO', 'Mo Sarkar'] }", "{ sms = ['HOSPITAL', 'ଡାକ୍ତରଖାନା'] }"]);
        let table = [
            ("MO", Some("flow-0")),
            ("mo", Some("flow-0")),
            ("  Mo.\n", Some("flow-0")),
            ("\"MO\"", Some("flow-0")),
            ("MOSARKAR", Some("flow-0")),
            ("mo  sarkar", Some("flow-0")),
            ("hospital", Some("flow-1")),
            ("ଡାକ୍ତରଖାନା", Some("flow-1")),
            ("ଡାକ୍\u{200c}ତରଖାନା।", Some("flow-1")),
            ("MO 4", None),
            ("my MO", None),
            ("moo", None),
            ("ମୋ", None),
            ("", None),
        ];
        for (text, expected) in table {
            let opened = entries.by_word(text, &[]);
            assert_eq!(opened.as_ref().map(|flow| flow.id.as_str()), expected, "{text:?}");
        }
        let other = FlowId::parse("flow-1").expect("an id");
        assert!(
            entries.by_word("MO", std::slice::from_ref(&other)).is_none(),
            "this channel does not open it"
        );
        assert!(entries.by_word("HOSPITAL", &[other]).is_some());
    }

    #[test]
    fn control_words_in_every_language_and_spelling() {
        let texts = crate::flow::texts::load(&texts(), &Findings::default()).expect("good texts");
        let check = |words: &str, expected: Option<Control>| {
            words.split(';').for_each(|word| assert_eq!(control(&texts, word), expected, "{word:?}"));
        };
        let stop = "STOP;stop;Stop.;STOP!;\"stop\";stop all;StopAll;unsubscribe;quit;end;cancel;ବନ୍ଦ;ବନ୍ଦ କରନ୍ତୁ।;बंद;बन्द करें;\
                    band;Banda;band karo;band kara;sms band karo; stop \n;ବନ୍ଦ\u{200d}";
        check(stop, Some(Control::Stop));
        check("START;start;ଆରମ୍ଭ;शुरू;shuru;suru;aarambha", Some(Control::Start));
        check("HELP;help?;Help;ସାହାଯ୍ୟ;ସାହାଯ୍ଯ;मदद;sahajya;sahayata;madad", Some(Control::Help));
        let not_me =
            "not me;NOTME;Wrong number;ମୁଁ ନୁହେଁ;ଭୁଲ ନମ୍ବର;गलत नंबर;मैं नहीं;mu nuhen;galat number;rong number";
        check(not_me, Some(Control::NotMe));
        // "Was closed", "please stop doing that", an answer, a number, a slip.
        let none = "band thila;band tha;ଟଙ୍କା ମାଗିବା ବନ୍ଦ କରନ୍ତୁ;please stop;stop it now;yes;no;1;99;ନାହିଁ;नहीं;nahi;stopp;;  ;।";
        check(none, None);
    }
}
