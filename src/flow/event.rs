//! What can happen to a session: a closed list.

use crate::domain::message::Screen;

/// What a question is put on, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canvas {
    /// The open USSD request: one page, now.
    Screen(Screen),
    /// An SMS: the whole question, through an outbox.
    Sms,
}

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
    /// The citizen sent a word that opens a flow: the first question of a fresh session, or the open one of a live one.
    Opened,
    /// An invitation begins a fresh session: its first question goes out by SMS.
    Invited,
    /// The citizen answered the question that is open.
    Answered {
        /// What was typed, kept exactly.
        text: String,
        /// Where the answer came from, and the next question goes.
        on: Canvas,
    },
    /// The citizen is not the one who was meant: the session ends without a response.
    NotMe {
        /// Where the last words go.
        on: Canvas,
    },
    /// The question was not answered for a while: it goes out again by SMS.
    Reminded {
        /// Which reminder, from 1.
        nth: u8,
    },
    /// A dialogue was left open: its question goes out by SMS.
    HandedOver,
    /// The citizen said STOP: the session ends and says nothing.
    Stopped,
    /// The session's time is over: it ends and says nothing.
    Expired,
}
