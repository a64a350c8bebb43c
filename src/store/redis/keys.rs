//! Every key name, once, and how an item is written under its queue.
//!
//! Ids stand in keys as their raw bytes: half the length of hexadecimal, and memory is what a state pays for.

use crate::{
    domain::id::{
        ChannelId, CitizenId, DialogueId, EventId, InvitationId, MtId, PARTITIONS, Partition, Revision,
        VendorKey,
    },
    store::Queue,
};

/// One hash tag a partition. Their cluster slots are 256 apart (127, 383, …), so that a cluster of any size gets equal
/// shares. Never change one: it is where everything of a citizen lies.
pub const TAGS: [&str; PARTITIONS as usize] = [
    "iv9", "kuo", "hd8", "bnv", "iry", "cx7", "qkp", "bj6", "mz4", "gpz", "lh5", "nkc", "ewl", "g02", "dem",
    "3lk", "pl3", "cmu", "h12", "jvl", "ajc", "ci5", "hqz", "7qd", "mk6", "gax", "ly7", "fsy", "efn", "ge8",
    "dto", "fw9", "c9o", "xu9", "bof", "yg8", "k47", "azq", "si6", "hah", "gqj", "e64", "fck", "1jm", "v32",
    "e2t", "nn3", "lme", "cle", "ao3", "j3t", "y22", "rj5", "aks", "j74", "hpj", "oip", "0in", "fri", "d57",
    "om0", "mnf", "wt9", "d1w",
];

/// The check value of the keys the store was written with.
pub const KEYS: &str = "mm:{meta}:keys";
/// The format of everything that is stored: a decimal number.
pub const FORMAT: &str = "mm:{meta}:format";
/// Written by `/readyz` to see whether writes are taken; gone after a minute.
pub const ALIVE: &str = "mm:{meta}:alive";

/// Stands before an item id whose first 32 characters were hexadecimal and are written as 16 bytes. No id holds it.
const PACKED: u8 = 1;

/// A flow's revision.
pub fn revision(revision: &Revision) -> Vec<u8> {
    [b"mm:{meta}:r:", &revision.0[..]].concat()
}

/// What stands before a citizen's id in the key of the record: a claim makes these keys itself.
pub fn citizen_prefix(partition: Partition) -> Vec<u8> {
    prefix(partition, 'c')
}

/// What stands before a citizen's id in the key of the thread: a settle makes this key itself.
pub fn thread_prefix(partition: Partition) -> Vec<u8> {
    prefix(partition, 't')
}

fn prefix(partition: Partition, kind: char) -> Vec<u8> {
    format!("mm:{{{}}}:{kind}:", TAGS[usize::from(partition.0)]).into_bytes()
}

fn key(partition: Partition, kind: char, id: &[u8]) -> Vec<u8> {
    [&prefix(partition, kind)[..], id].concat()
}

/// A citizen's record.
pub fn citizen(citizen: &CitizenId) -> Vec<u8> {
    key(citizen.partition(), 'c', &citizen.0)
}

/// A vendor dialogue of this citizen: history and saved replies.
pub fn dialogue(citizen: &CitizenId, dialogue: &DialogueId) -> Vec<u8> {
    key(citizen.partition(), 'u', &dialogue.0)
}

/// The mark of an event of this citizen.
pub fn event(citizen: &CitizenId, event: &EventId) -> Vec<u8> {
    key(citizen.partition(), 'e', &event.0)
}

/// The mark of an invitation of this citizen.
pub fn invitation(citizen: &CitizenId, invitation: &InvitationId) -> Vec<u8> {
    key(citizen.partition(), 'i', &invitation.0)
}

/// The thread of a citizen's simulated phone.
pub fn thread(citizen: &CitizenId) -> Vec<u8> {
    key(citizen.partition(), 't', &citizen.0)
}

/// The life of an MT.
pub fn life(mt: &MtId) -> Vec<u8> {
    key(mt.partition(), 'm', &mt.0)
}

/// What a vendor calls an MT.
pub fn vendor_id(vendor: &VendorKey) -> Vec<u8> {
    key(vendor.partition(), 'v', &vendor.0)
}

/// The next free slot of a channel: one key, so in a partition that its name decides.
pub fn slot(channel: &ChannelId) -> Vec<u8> {
    let name = channel.as_str().as_bytes();
    key(Partition(fnv(name) % PARTITIONS), 's', name)
}

/// FNV-1a, its last byte: the same in every process and release.
fn fnv(bytes: &[u8]) -> u8 {
    let step = |hash: u32, b: &u8| (hash ^ u32::from(*b)).wrapping_mul(0x0100_0193);
    bytes.iter().fold(0x811c_9dc5, step) as u8
}

/// The keys of one queue in one partition, in the order in which every script takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueKeys {
    /// ZSET: item to due time, or to the end of its lease.
    pub waiting: String,
    /// ZSET: the same of an outbox's items that go first. No other queue has it.
    pub urgent: String,
    /// ZSET: dead item to when it died.
    pub dead: String,
    /// HASH: item to its header, and to the payload behind it when that is short, or an MT's.
    pub headers: String,
    /// HASH: item to its payload, when that is not behind its header.
    pub payloads: String,
    /// HASH: dead item to why it died.
    pub reasons: String,
    /// HASH: what was ever counted.
    pub counts: String,
}

impl QueueKeys {
    /// How many they are.
    pub const LEN: usize = 7;

    /// The keys of `queue` in `partition`.
    pub fn of(queue: &Queue, partition: Partition) -> QueueKeys {
        let key = |part: char| format!("{}{part}", queue_prefix(queue, partition));
        QueueKeys {
            waiting: key('w'),
            urgent: key('u'),
            dead: key('d'),
            headers: key('h'),
            payloads: key('p'),
            reasons: key('y'),
            counts: key('n'),
        }
    }

    /// The sets in which something of `queue` may be due.
    pub fn due(self, queue: &Queue) -> Vec<String> {
        match queue {
            Queue::Outbox(_) => vec![self.waiting, self.urgent],
            _ => vec![self.waiting],
        }
    }

    /// In the order of the scripts.
    pub fn in_order(&self) -> [&str; Self::LEN] {
        let QueueKeys { waiting, urgent, dead, headers, payloads, reasons, counts } = self;
        [waiting, urgent, dead, headers, payloads, reasons, counts]
    }
}

/// The keys of one queue in one partition, in the order of the scripts.
pub fn queue(queue: &Queue, partition: Partition) -> Vec<Vec<u8>> {
    QueueKeys::of(queue, partition).in_order().map(|key| key.as_bytes().to_vec()).to_vec()
}

/// The items that one claim took: kept as long as its lease, so that the claim can be sent again.
pub fn claim(queue: &Queue, partition: Partition, token: &[u8; 16]) -> Vec<u8> {
    [format!("{}t:", queue_prefix(queue, partition)).as_bytes(), token].concat()
}

fn queue_prefix(queue: &Queue, partition: Partition) -> String {
    format!("mm:{{{}}}:q:{queue}:", TAGS[usize::from(partition.0)])
}

/// An item's id as it is stored: most begin with a citizen's id in hexadecimal, which is then written as bytes.
pub fn item(id: &str) -> Vec<u8> {
    let packed = id.get(..32).and_then(CitizenId::parse).filter(|c| c.to_string() == id[..32]);
    match packed {
        Some(citizen) => [&[PACKED][..], &citizen.0, &id.as_bytes()[32..]].concat(),
        None => id.as_bytes().to_vec(),
    }
}

/// An item's id as it was put; `None` when the bytes are no id.
pub fn item_id(stored: &[u8]) -> Option<String> {
    let Some(rest) = stored.strip_prefix(&[PACKED]) else {
        return String::from_utf8(stored.to_vec()).ok();
    };
    let citizen = CitizenId(rest.get(..16)?.try_into().ok()?);
    Some(format!("{citizen}{}", std::str::from_utf8(&rest[16..]).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cluster slot: CRC16 (XMODEM) of the tag, mod 16384, as the cluster specification has it.
    fn slot(tag: &str) -> u16 {
        let shift = |crc: u16| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        let byte = |crc: u16, b: u8| (0..8).fold(crc ^ (u16::from(b) << 8), |crc, _| shift(crc));
        tag.bytes().fold(0, byte) % 16_384
    }

    #[test]
    fn the_partitions_are_evenly_spaced_over_a_cluster() {
        assert_eq!(slot("123456789"), 0x31C3, "the check value of CRC16/XMODEM, below 16384");
        for (partition, tag) in TAGS.iter().enumerate() {
            assert_eq!(usize::from(slot(tag)), partition * 256 + 127, "{tag}");
        }
    }

    #[test]
    fn an_item_id_comes_back_as_it_was_put() {
        let hex = "00ff00ff00ff00ff00ff00ff00ff00ff";
        let table = [
            (format!("{hex}:expiry"), 24),
            (format!("rsp_{hex}"), 36),
            (hex.to_owned(), 17),
            (hex.to_uppercase(), 32),
            ("x".to_owned(), 1),
        ];
        for (id, stored) in table {
            assert_eq!(item(&id).len(), stored, "{id}");
            assert_eq!(item_id(&item(&id)), Some(id));
        }
    }

    #[test]
    fn everything_of_a_citizen_has_the_tag_of_its_partition() {
        let id = CitizenId([0x42; 16]); // 0x42 mod 64 is partition 2
        let waiting = QueueKeys::of(&Queue::Timer, id.partition()).waiting.into_bytes();
        let token = claim(&Queue::Timer, id.partition(), &[9; 16]);
        for key in [citizen(&id), dialogue(&id, &DialogueId([7; 16])), waiting, token] {
            assert_eq!(key[..9], b"mm:{hd8}:"[..]);
        }
    }
}
