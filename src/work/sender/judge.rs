//! The last look before the wire: what may leave now, what waits for the morning, what never leaves.
//!
//! Consent, expiry and what was superseded were looked at by the claim itself, in the store.

use super::{Line, quiet};
use crate::{
    channel::Request,
    domain::{
        delivery::Verdict,
        id::{MtId, Partition},
        message::Mt,
        time::Timestamp,
    },
    store::{Item, MtHeader, SentLine, Settle, payload::OwedMt},
};

/// A claimed MT, as it is settled.
pub struct Held {
    /// Its partition.
    pub partition: Partition,
    /// What was claimed.
    pub item: Item,
}

/// An MT that may leave.
pub struct Ready {
    /// What is settled after it.
    pub held: Held,
    /// Its id.
    pub mt: MtId,
    /// What the store knows of it.
    pub header: MtHeader,
    /// How it leaves.
    pub request: Request,
}

impl Held {
    /// The settle of this attempt. What is tried again stays urgent; a person finds a dead letter by the id that is logged here.
    pub fn settle(&self, line: &Line, verdict: Verdict, sent: Option<SentLine>) -> Settle {
        let why = match &verdict {
            Verdict::Dead(why) => Some(why.as_str()),
            Verdict::Unknown(_) if self.item.unknowns > 0 => Some("in doubt twice in a row"),
            _ => None,
        };
        if let Verdict::Again(at) | Verdict::Later(at) | Verdict::Unknown(at) = &verdict
            && self.item.mt.is_some_and(|mt| mt.urgent)
        {
            line.desk.due.note_urgent(&line.queue, self.partition, *at);
        }
        if let Some(why) = why {
            tracing::warn!(channel = %line.channel, mt = self.item.id, why, "an MT is a dead letter");
        }
        Settle {
            queue: line.queue.clone(),
            partition: self.partition,
            id: self.item.id.clone(),
            generation: self.item.generation,
            attempt: self.item.attempt,
            verdict,
            sent,
        }
    }
}

impl Line {
    /// Whether an MT may leave now; if not, what becomes of it.
    pub fn judge(&self, held: Held, now: Timestamp) -> Result<Ready, Box<Settle>> {
        match self.ready(&held.item, now) {
            Ok((mt, header, request)) => Ok(Ready { held, mt, header, request }),
            Err(verdict) => Err(Box::new(held.settle(self, verdict, None))),
        }
    }

    fn ready(&self, item: &Item, now: Timestamp) -> Result<(MtId, MtHeader, Request), Verdict> {
        let header = item.mt.ok_or_else(|| dead("it is no MT"))?;
        if let Some(end) = self.quiet_until(&header, item, now) {
            return Err(Verdict::Later(end));
        }
        if header.segments > self.sms.segments_max {
            let (has, most) = (header.segments, self.sms.segments_max);
            return Err(Verdict::Dead(format!("{has} segments, and the channel takes at most {most}")));
        }
        let mt = self.mt(item, &header)?;
        let request = self
            .codec
            .encode(&mt, now)
            .map_err(|why| Verdict::Dead(crate::domain::wire::for_people(&why)))?;
        Ok((mt.id, header, request))
    }

    fn quiet_until(&self, header: &MtHeader, item: &Item, now: Timestamp) -> Option<Timestamp> {
        let quiet = self.sms.quiet.filter(|_| !quiet::is_fresh_reply(header, item.generation, now))?;
        quiet::quiet_until(quiet, self.timezone, now)
    }

    fn mt(&self, item: &Item, header: &MtHeader) -> Result<Mt, Verdict> {
        let OwedMt { text, coding, language, template } =
            OwedMt::decode(&item.payload).map_err(|error| Verdict::Dead(error.to_string()))?;
        let record = item.record.as_ref().ok_or_else(|| dead("nothing is known of its citizen any more"))?;
        let to = self.keys.open(&item.citizen, &record.number);
        Ok(Mt {
            id: MtId::parse(&item.id).ok_or_else(|| dead("its id is none of ours"))?,
            to: to
                .ok_or_else(|| dead("its number cannot be opened: the sealing key is not in the key file"))?,
            text,
            coding,
            segments: header.segments,
            language,
            template,
        })
    }
}

fn dead(why: &str) -> Verdict {
    Verdict::Dead(why.into())
}
