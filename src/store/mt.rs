//! The values of the acts that only SMS needs: slots, invitations, receipts, and an MT's life.

use super::{Put, record::Record};
use crate::domain::{
    id::{ChannelId, CitizenId, InvitationId, MtId, VendorKey},
    message::MtState,
    time::Timestamp,
};
use std::time::Duration;

/// Asks for slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// Of which channel.
    pub channel: ChannelId,
    /// For so many segments, at least 1.
    pub segments: u32,
    /// What the channel may send, in segments a second, at least 1.
    pub tps: u32,
}

/// Slots, or none yet. Counted from the moment of the act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// Ours: the first segment may leave after this time, each further one 1/TPS later.
    In(Duration),
    /// Nothing was promised: ask again after this time.
    Wait(Duration),
}

/// An invitation to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Whom.
    pub citizen: CitizenId,
    /// What a repeat is known by.
    pub id: InvitationId,
    /// Until when a repeat is known.
    pub known_until: Timestamp,
    /// The citizen's record, if there is none.
    pub record: Record,
    /// The timer that begins the dialogue.
    pub timer: Put,
}

/// What became of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invited {
    /// It was taken.
    Taken,
    /// It was taken before: nothing changed.
    Repeated,
}

/// A receipt for an MT of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which.
    pub mt: MtId,
    /// The channel that sent it, so its outbox.
    pub channel: ChannelId,
    /// Which part, from 1; 0: the whole.
    pub part: u8,
    /// What it means; `None`: a word in no list, which only its life is told.
    pub state: Option<MtState>,
    /// The vendor's word and code, for people. At most 200 characters.
    pub said: String,
    /// The vendor's time for it.
    pub at: Timestamp,
}

/// What became of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// The state moved, or the item in the outbox ended.
    Moved,
    /// Nothing that was not known.
    Known,
}

/// A receipt that waits for its MT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The vendor's id.
    pub key: VendorKey,
    /// The item in [`super::Queue::Join`]; its id is [`Join::item_id`].
    pub put: Put,
}

impl Join {
    /// The item's id: one for each state and part (0: the whole), so that a repeat takes no further place.
    pub fn item_id(key: &VendorKey, state: Option<MtState>, part: u8) -> String {
        let state = state.map_or("unknown", MtState::name);
        match part {
            0 => format!("{key}:{state}"),
            part => format!("{key}:{state}:{part}"),
        }
    }
}

/// What became of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// It waits.
    Waits,
    /// [`super::JOINS_MAX`] wait already: it was not taken.
    Full,
}

/// What is known of an MT after its send or its first receipt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Life {
    /// The highest state of every part that was heard of, by part.
    pub parts: Vec<(u8, MtState)>,
    /// What the vendor calls it.
    pub vendor_id: Option<String>,
    /// What happened, oldest first, at most [`super::LIFE_LINES`].
    pub lines: Vec<LifeLine>,
}

/// One line of an MT's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifeLine {
    /// When, by the store's clock for a send, by the vendor's for a receipt.
    pub at: Timestamp,
    /// What was said.
    pub said: String,
}

/// An item, wherever it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub state: ItemState,
    /// How many attempts were begun.
    pub attempts: u32,
    /// When it was due.
    pub due: Timestamp,
    /// What was put.
    pub payload: Vec<u8>,
}

/// Where an item lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemState {
    /// It waits.
    Waiting,
    /// Somebody works on it. What has a lease that is over waits.
    Claimed,
    /// It is a dead letter, for this reason.
    Dead(String),
}
