//! Ids that cannot be swapped for one another. How each is made is in [`super::keys`]; here is what they are.

use std::{fmt, sync::Arc};

/// How many partitions a store has. A citizen's partition is the first byte of the id, mod this; it never changes.
pub const PARTITIONS: u8 = 64;

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        /// 32 lower-case hexadecimal digits.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

bytes_id! {
    /// A citizen: HMAC of the MSISDN, so that no number is in a key (P11).
    CitizenId
}
bytes_id! {
    /// A callback: what a repeat is known by (P2).
    EventId
}
bytes_id! {
    /// One vendor dialogue on one channel: what a USSD session's saved replies lie under.
    DialogueId
}

bytes_id! {
    /// An MT: its citizen's partition in the first byte, so that a receipt which echoes it finds its partition, and a check
    /// in the last four, so that one which nobody made is known without asking the store (`Keys::made`).
    MtId
}
bytes_id! {
    /// What a vendor calls an MT, hashed with its channel. It names no citizen, so it has a partition of its own.
    VendorKey
}
bytes_id! {
    /// An invitation: its key and its citizen, hashed.
    InvitationId
}

impl CitizenId {
    /// The partition in which everything of this citizen lies.
    pub fn partition(&self) -> Partition {
        Partition(self.0[0] % PARTITIONS)
    }

    /// Reads 32 lower-case hexadecimal digits.
    pub fn parse(hex: &str) -> Option<CitizenId> {
        unhex(hex).map(CitizenId)
    }
}

impl MtId {
    /// The partition of its citizen.
    pub fn partition(&self) -> Partition {
        Partition(self.0[0] % PARTITIONS)
    }

    /// Reads 32 hexadecimal digits.
    pub fn parse(hex: &str) -> Option<MtId> {
        unhex(hex).map(MtId)
    }
}

impl VendorKey {
    /// Where it is kept.
    pub fn partition(&self) -> Partition {
        Partition(self.0[0] % PARTITIONS)
    }

    /// Reads 32 hexadecimal digits.
    pub fn parse(hex: &str) -> Option<VendorKey> {
        unhex(hex).map(VendorKey)
    }
}

/// Reads 32 hexadecimal digits.
fn unhex(hex: &str) -> Option<[u8; 16]> {
    let mut id = [0; 16];
    if hex.len() != 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in id.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(id)
}

/// One of the [`PARTITIONS`] of a store: an act never leaves one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u8);

impl Partition {
    /// All of them, in order.
    pub fn all() -> impl Iterator<Item = Partition> + Clone {
        (0..PARTITIONS).map(Partition)
    }
}

/// The response of one session, complete or partial: its idempotency key everywhere. Written `rsp_` and 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ResponseId(pub [u8; 16]);

impl fmt::Display for ResponseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rsp_")?;
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl ResponseId {
    /// The number that a citizen can quote for it: nine digits in threes, `482-109-375`. Digits, because an office reads
    /// them out and a citizen copies them in any script; whoever holds the response's id can work it out again.
    pub fn reference(&self) -> String {
        let n = u64::from_be_bytes(self.0[..8].try_into().expect("eight bytes")) % 1_000_000_000;
        format!("{:03}-{:03}-{:03}", n / 1_000_000, n / 1_000 % 1_000, n % 1_000)
    }
}

impl fmt::Debug for ResponseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How often a citizen's record was written, in a way that never returns (`Version::next`). Zero: there is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(pub u64);

impl Version {
    /// The version of a turn that finds `self`. The high 48 bits rise by at least one and are never behind `now_ms`;
    /// the low 16 are `salt`, from the event's id. So no version ever returns: not with a new session, not after a
    /// lapsed record, not after a failover that lost the last turns.
    pub fn next(self, now_ms: u64, salt: u16) -> Version {
        let high = (self.0 >> 16) + 1;
        Version((high.max(now_ms & 0x0000_ffff_ffff_ffff) << 16) | u64::from(salt))
    }
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Reads an id: 1 to 64 lower-case letters, digits, `-` and `_`, beginning with a letter. It stands in
            /// URLs, keys and metrics, so nothing else is let in.
            pub fn parse(text: &str) -> Option<$name> {
                let good = text.len() <= 64
                    && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
                    && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
                good.then(|| $name(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_id! {
    /// A configured line to one vendor.
    ChannelId
}
name_id! {
    /// A place where completions go.
    DepartmentId
}
name_id! {
    /// An authored questionnaire.
    FlowId
}

/// A flow as it was at one moment: the SHA-256 of the flow file and of the engine's texts it uses (P7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub [u8; 32]);

/// `sha256:` and 64 hexadecimal digits.
impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_rises_whatever_the_clock_does() {
        let first = Version::default().next(1_795_511_523_120, 7);
        assert_eq!(first.0, (1_795_511_523_120 << 16) | 7);
        assert!(first.next(1_795_511_523_120, 0) > first, "twice in one millisecond");
        assert!(first.next(12, 0xffff) > first, "a clock that went back");
        assert_ne!(Version(5).next(0, 1), Version(5).next(0, 2), "two events that found the same record");
    }
}
