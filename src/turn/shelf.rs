//! The flows this process knows, compiled, by revision and by the code that opens them (P7).
//!
//! A revision is in the store before any session begins on it; one that a session names and nobody here knows (another
//! gateway runs a newer file) is fetched once.

use super::input::Typed;
use crate::{
    domain::{
        id::{FlowId, Revision},
        lang::Lang,
        message::{ChannelFacts, Reply},
    },
    flow::{
        check,
        entry::{self, Control, Entries},
        event::Canvas,
        graph::{EngineTexts, Flow, Words},
        step,
    },
    store::{Store, StoreError},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
};

/// All flows of a process.
#[derive(Debug)]
pub struct Shelf {
    flows: Vec<Arc<Flow>>,
    entries: Entries,
    texts: EngineTexts,
    compiled: RwLock<HashMap<Revision, Arc<Flow>>>,
    kept: RwLock<HashSet<Revision>>,
}

impl Shelf {
    /// The flows that new sessions begin on, and the engine's own texts for when there is no flow to speak for.
    pub fn new(flows: Vec<Arc<Flow>>, texts: EngineTexts) -> Shelf {
        let compiled = flows.iter().map(|flow| (flow.revision, flow.clone())).collect();
        Shelf {
            entries: Entries::of(&flows),
            flows,
            texts,
            compiled: RwLock::new(compiled),
            kept: RwLock::default(),
        }
    }

    /// The flows that new sessions begin on.
    pub fn flows(&self) -> &[Arc<Flow>] {
        &self.flows
    }

    /// The flow that a dialled code opens, and the answers dialled behind it.
    pub fn opened_by(&self, code: &str, open: &[FlowId]) -> Option<(Arc<Flow>, String)> {
        self.entries.by_code(code, open)
    }

    /// The flow that a bare word opens.
    pub fn opened_by_word(&self, text: &str, open: &[FlowId]) -> Option<Arc<Flow>> {
        self.entries.by_word(text, open)
    }

    /// What a bare word asks for, whatever flow a citizen is in.
    pub fn control(&self, text: &str) -> Option<Control> {
        entry::control(&self.texts, text)
    }

    /// The flow of this id that new sessions begin on.
    pub fn by_id(&self, id: &FlowId) -> Option<Arc<Flow>> {
        self.flows.iter().find(|flow| flow.id == *id).cloned()
    }

    /// The engine's own texts.
    pub(super) fn texts(&self) -> &EngineTexts {
        &self.texts
    }

    /// The language to speak in when nothing else says.
    pub(super) fn first_language(&self) -> Lang {
        self.flows.first().map_or(Lang::EN, |flow| flow.languages[0])
    }

    /// A flow by its revision, if this process has compiled it.
    pub fn by_revision(&self, revision: Revision) -> Option<Arc<Flow>> {
        self.compiled.read().unwrap_or_else(PoisonError::into_inner).get(&revision).cloned()
    }

    /// Gets a revision that this process does not know out of the store and compiles it.
    pub async fn fetch(
        &self,
        revision: Revision,
        store: &dyn Store,
    ) -> Result<Option<Arc<Flow>>, StoreError> {
        let Some(stored) = store.revision(revision).await? else {
            return Ok(None);
        };
        let Some(flow) = check::reload(&stored).map(Arc::new) else {
            return Err(StoreError::Refused(format!("the flow revision {revision} cannot be compiled")));
        };
        let mut compiled = self.compiled.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(compiled.entry(revision).or_insert(flow).clone()))
    }

    /// Puts a flow's revision into the store, unless this process knows that it is there.
    pub async fn keep(&self, flow: &Flow, store: &dyn Store) -> Result<(), StoreError> {
        if !self.kept.read().unwrap_or_else(PoisonError::into_inner).contains(&flow.revision) {
            store.put_revision(flow.revision, &flow.stored).await?;
            self.kept.write().unwrap_or_else(PoisonError::into_inner).insert(flow.revision);
        }
        Ok(())
    }

    /// The store came back empty: nothing that was kept is there.
    pub fn forget_kept(&self) {
        self.kept.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Puts all flows into the store.
    pub async fn keep_all(&self, store: &dyn Store) -> Result<(), StoreError> {
        for flow in &self.flows {
            self.keep(flow, store).await?;
        }
        Ok(())
    }

    /// Please dial again; what you answered is kept.
    pub fn closing(&self, facts: &ChannelFacts) -> Reply {
        self.say(&self.texts.closing, facts, None)
    }

    /// What to say when there is nothing to do: a code that opens nothing, or an answer to nothing.
    pub(super) fn idle(&self, typed: &Typed, facts: &ChannelFacts, language: Option<Lang>) -> Reply {
        let words = match typed {
            Typed::Dial { .. } => &self.texts.nothing,
            Typed::Answer(_) | Typed::OldRepeat => &self.texts.expired,
        };
        self.say(words, facts, language)
    }

    fn say(&self, words: &Words, facts: &ChannelFacts, language: Option<Lang>) -> Reply {
        let language = language.or(facts.language).unwrap_or_else(|| self.first_language());
        Reply { text: step::plain(words, language, Canvas::Screen(facts.screen)), end: true, language }
    }
}
