//! Floor 2: the engine. Values in, values out: it knows no store, no channel, no clock, no disk and no log.
//!
//! In reading order: [`graph`] (a checked flow), [`session`] (one citizen's way through it), [`event`] (what can
//! happen), `step` (the one pure call), [`effect`] (what it wishes done).

pub mod effect;
pub mod event;
pub mod graph;
pub mod node;
pub mod session;
