//! `matamat message`: the whole life of an MT, for whoever is asked what became of it.

use crate::{
    app::{self, Installation},
    domain::{
        id::{ChannelId, MtId},
        message::{Coding, MtState},
        time::Timestamp,
    },
    store::{Found, ItemState, Life, Queue, Store, payload::OwedMt},
    text,
};
use anyhow::bail;
use chrono::DateTime;
use chrono_tz::Tz;
use clap::Args;
use serde_json::{Value, json};
use std::{path::Path, process::ExitCode};

/// Tell the whole life of a message that we sent.
///
/// Where it lies, what it says, what the vendor answered and what every receipt told, with times in `server.timezone`. The number
/// is not told: it is in its citizen's record only. Exits 1 when nothing is known of it.
#[derive(Debug, Args)]
pub struct Message {
    /// The message's id: 32 hexadecimal digits, as in the vendor's console or a log
    id: String,
    /// Print one JSON object, with times in UTC
    #[arg(long)]
    json: bool,
}
