//! Matamat (ମତାମତ, "opinion, feedback"): a lightweight SMS/USSD feedback gateway.
//!
//! A telco posts a callback; the gateway runs one citizen one step through a short flow held as a state machine in a store,
//! commits everything that the step changes at once, and answers. A completed response goes to the department that can act
//! on it: at least once, under a stable id, with the number only if the citizen agreed.
//!
//! ```text
//! telco ─callback─▶ web ─▶ channel.decode ─▶ turn: load ▸ flow::step ▸ route ▸ commit ─▶ channel.answer ─▶ telco
//! ```
//!
//! One word per thing: a **channel** is one configured line to one vendor; a **flow** is the authored questionnaire, a
//! **node** one question in it, a **session** one citizen's way through it; an **event** is what happened, a **step** one pure
//! engine call, an **effect** one thing it wishes done; a **turn** is one event handled from end to end; a **completion** is a
//! response owed to a **department**; an **act** is what the store does all at once or not at all. [`domain`] has the rest.
//!
//! The floors, from the ground, in reading order; arrows point down only (`docs/ARCHITECTURE.md`, held by a test):

// Floor 0: plain values, and where a crash test may kill the process.
pub mod domain;
pub mod fail;
// Floor 1: files that people write, texts, expressions.
pub mod expr;
pub mod findings;
pub mod text;
// Floor 2: the engine, and which departments want a completion.
pub mod flow;
pub mod route;
// Floor 3: memory, vendors, departments, wires, files of invitations.
pub mod channel;
pub mod department;
pub mod invitations;
pub mod link;
pub mod store;
// Floor 4: one event from end to end.
pub mod turn;
// Floor 5: loops that run by themselves, and doors.
pub mod web;
pub mod work;
// The roof: configuration, logs and metrics, assembly, commands.
pub mod app;
pub mod cli;
pub mod config;
pub mod telemetry;
