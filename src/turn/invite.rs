//! Taking an invitation: one act, no turn. The mark that it was taken, the citizen's record if there is none, and a timer, which
//! begins the dialogue when it is due.

use super::{TurnError, Turns};
use crate::{
    domain::{id::Version, invitation::Invitation, keys},
    store::{
        Invite, Invited, Put, Queue,
        payload::{InvitePayload, TimerPayload},
        record::Record,
    },
};
use std::time::Duration;

/// How long after its last moment the same invitation is still known.
const KNOWN_AFTER: Duration = Duration::from_secs(90 * 86_400);

impl Turns {
    /// Takes an invitation, or knows it: the same key and number twice changes nothing.
    pub async fn invite(&self, invitation: &Invitation) -> Result<Invited, TurnError> {
        let Invitation { key, msisdn, flow, language, channel, context, not_before, not_after } = invitation;
        let citizen = self.keys.citizen(msisdn);
        let id = keys::invitation_id(key, &citizen);
        let now = self.clock.now();
        let due = *not_before.max(&now);
        let payload = TimerPayload::Invite(Box::new(InvitePayload {
            flow: flow.clone(),
            language: *language,
            channel: channel.clone(),
            context: context.clone(),
            not_after: *not_after,
        }));
        let timer = Put {
            queue: Queue::Timer,
            id: format!("{citizen}:{}:{id}", payload.kind()),
            generation: Version::default().next(now.millis(), 0),
            due,
            dead: None,
            payload: payload.encode(),
            mt: None,
        };
        let record = Record::fresh(self.keys.seal(&citizen, msisdn));
        let invite = Invite { citizen, id, known_until: not_after.plus(KNOWN_AFTER), record, timer };
        let invited = self.store.invite(&invite).await?;
        if invited == Invited::Taken {
            self.due.note(&Queue::Timer, citizen.partition(), due);
        }
        Ok(invited)
    }
}
