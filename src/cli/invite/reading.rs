//! The file's lines, read and checked by a thread of their own, a bounded number ahead: a pipe that gives nothing holds up
//! nothing else, and the phone numbers are looked at beside the store's work.

use crate::{
    domain::{invitation::Invitation, time::Clock},
    invitations::{Known, Refusal, Sheet},
};
use std::io;
use tokio::sync::mpsc;

/// How many lines wait, read and checked, for the store.
const AHEAD_MAX: usize = 1024;

/// One record of the file.
pub struct Checked {
    /// The number of its first line.
    pub line: u64,
    /// The invitation, or why it is refused.
    pub invitation: Result<Invitation, Refusal>,
}

/// The records to come, and at last perhaps why there are no more. The thread ends with the file, or when nobody listens.
pub fn start(
    mut sheet: Sheet<'static>,
    known: Known,
    clock: Clock,
) -> io::Result<mpsc::Receiver<io::Result<Checked>>> {
    let (send, lines) = mpsc::channel(AHEAD_MAX);
    std::thread::Builder::new().name("reading".into()).spawn(move || {
        loop {
            let next = match sheet.read() {
                Ok(None) => return,
                Ok(Some(written)) => {
                    let invitation = written.row.and_then(|row| row.check(&known, clock.now()));
                    Ok(Checked { line: written.line, invitation })
                }
                Err(error) => Err(error),
            };
            let last = next.is_err();
            if send.blocking_send(next).is_err() || last {
                return;
            }
        }
    })?;
    Ok(lines)
}
