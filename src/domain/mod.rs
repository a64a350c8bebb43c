//! Floor 0: plain values. No async, no I/O, nothing of ours below.
//!
//! One word per thing, the trade's word, in code, configuration, logs and docs:
//!
//! | word | lives in |
//! |---|---|
//! | MSISDN: a phone number, E.164, parsed once at the door, masked when printed | [`msisdn`] |
//! | bearer, screen, USSD step, reply; MO, MT, DLR | [`message`] |
//! | a request of ours and what came back | [`wire`] |
//! | the ids that cannot be swapped, and the keys they are made with | [`id`], [`keys`] |
//! | invitation: a dialogue that we start | [`invitation`] |
//! | completion: the finished response that a department is owed | [`completion`] |
//! | attempt, verdict, retry schedule: how a delivery went | [`delivery`] |
//! | timestamp and clock | [`time`] |
//! | where a secret comes from | [`secret`] |
//! | a language tag | [`lang`] |
//! | every metric's name, once | [`metric`] |

pub mod completion;
pub mod delivery;
pub mod id;
pub mod invitation;
pub mod keys;
pub mod lang;
pub mod message;
pub mod metric;
pub mod msisdn;
pub mod secret;
pub mod time;
pub mod wire;
