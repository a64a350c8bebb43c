//! Floor 2: the engine. Values in, values out: it knows no store, no channel, no clock, no disk and no log.
//!
//! In reading order: `document` (what an author writes), [`texts`] (what the engine itself can utter), `control` and [`entry`] (the words and codes that open a flow or are about the programme), [`check`] (from the
//! one and the other to a flow, with every fault), [`graph`] (a checked flow), [`session`] (one citizen's way through it), [`event`] (what can
//! happen), `step` (the one pure call), [`effect`] (what it wishes done).

pub mod bundled;
pub mod check;
mod control;
mod document;
pub mod effect;
pub mod entry;
pub mod event;
pub mod graph;
pub mod node;
pub mod session;
pub mod step;
pub mod texts;
