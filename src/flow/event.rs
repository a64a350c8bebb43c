//! What can happen to a session: a closed list. Invitations, reminders and STOP join it with the outbox.

use crate::domain::message::Screen;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The citizen dialled: a dialogue begins on an open screen, with a fresh session or with one that is live.
    Dialled {
        /// What was dialled behind the code, answers joined by `*` (`2*5` of `*166*2*5#`); mostly empty.
        typed: String,
        /// What the citizen's screen can show.
        screen: Screen,
    },
    /// The citizen answered the screen that is open.
    Answered {
        /// What was typed, kept exactly.
        text: String,
        /// What the citizen's screen can show.
        screen: Screen,
    },
    /// The session's time is over.
    Expired,
}
