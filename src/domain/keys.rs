//! The keys from which ids are made and with which numbers are sealed. Pure: no file is read here (`app` does that).
//!
//! One root key gives subkeys by HKDF label (`citizen`, `ids`, `check`, `pseudonym/<department>`); beside it a sealing
//! key, current and previous, each with an id. A new root key moves every citizen, so only sealing keys rotate.

use super::{
    id::{CitizenId, DepartmentId, DialogueId, EventId, InvitationId, MtId, ResponseId, VendorKey, Version},
    msisdn::Msisdn,
};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce, aead::Aead};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// A 256-bit key.
pub type Key = [u8; 32];

/// Where the check of an MT's id begins.
const MT_CHECK: usize = 12;

/// A sealed MSISDN: the sealing key's id, then the ciphertext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Which sealing key closed it.
    pub key: u32,
    /// XChaCha20-Poly1305 over the E.164 text; the citizen id is its associated data.
    pub bytes: Vec<u8>,
}

/// All keys of one installation. Prints nothing of itself.
pub struct Keys {
    citizen: Key,
    ids: Key,
    check: Key,
    root: Hkdf<Sha256>,
    sealing: (u32, Key),
    previous: Option<(u32, Key)>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Keys {
    /// Keys from a root key and the sealing keys with their ids.
    pub fn new(root: &Key, sealing: (u32, Key), previous: Option<(u32, Key)>) -> Keys {
        let root = Hkdf::<Sha256>::new(Some(b"matamat"), root);
        let sub = |label: &str| {
            let mut key = [0; 32];
            root.expand(label.as_bytes(), &mut key).expect("32 bytes are a valid HKDF length");
            key
        };
        Keys { citizen: sub("citizen"), ids: sub("ids"), check: sub("check"), root, sealing, previous }
    }

    /// A citizen's id. The same number gives the same citizen for the life of the root key.
    pub fn citizen(&self, number: &Msisdn) -> CitizenId {
        CitizenId(mac(&self.citizen, &[number.reveal().as_bytes()]))
    }

    /// The one response of the session that begins with the turn `version` of a citizen: it names the session everywhere.
    /// A re-run makes the same.
    pub fn response(&self, citizen: &CitizenId, version: Version) -> ResponseId {
        let session = mac(&self.ids, &[b"session", &citizen.0, &version.0.to_be_bytes()]);
        ResponseId(mac(&self.ids, &[b"response", &session]))
    }

    /// The one MT of the turn `version` of a citizen. A re-run makes the same.
    pub fn mt(&self, citizen: &CitizenId, version: Version) -> MtId {
        let mut id = mac(&self.ids, &[b"mt", &citizen.0, &version.0.to_be_bytes()]);
        id[0] = citizen.0[0];
        let check = self.mt_check(&id);
        id[MT_CHECK..].copy_from_slice(&check);
        MtId(id)
    }

    /// Whether this installation made the id: nobody else can make one that passes.
    pub fn made(&self, id: &MtId) -> bool {
        self.mt_check(&id.0).ct_eq(&id.0[MT_CHECK..]).into()
    }

    fn mt_check(&self, id: &[u8; 16]) -> [u8; 4] {
        mac(&self.ids, &[b"mt-check", &id[..MT_CHECK]])[..4].try_into().expect("four bytes")
    }

    /// A citizen's pseudonym at one department, `c_` and 32 hexadecimal digits: two departments cannot join their files.
    pub fn pseudonym(&self, department: &DepartmentId, citizen: &CitizenId) -> String {
        let mut key = [0; 32];
        self.root
            .expand(format!("pseudonym/{department}").as_bytes(), &mut key)
            .expect("32 bytes are a valid HKDF length");
        format!("c_{}", CitizenId(mac(&key, &[&citizen.0])))
    }

    /// Proves that a store was written under these keys without telling them.
    pub fn check_value(&self) -> [u8; 16] {
        mac(&self.check, &[b"check"])
    }

    /// Seals a number for its citizen's record. The nonce comes from the citizen and the key, so a re-run seals to the
    /// same bytes (P12); one citizen has one number, so no nonce ever serves two texts.
    pub fn seal(&self, citizen: &CitizenId, number: &Msisdn) -> Sealed {
        let (key, secret) = &self.sealing;
        let half = |n: u8| mac(secret, &[b"nonce", &[n], &citizen.0]);
        let mut nonce = [0; 24];
        nonce[..16].copy_from_slice(&half(0));
        nonce[16..].copy_from_slice(&half(1)[..8]);
        let sealed = XChaCha20Poly1305::new(secret.into())
            .encrypt(&XNonce::from(nonce), aead(number.reveal().as_bytes(), citizen))
            .expect("a number is far below the cipher's limit");
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        Sealed { key: *key, bytes }
    }

    /// Opens a sealed number; `None` when neither key closed it, or it was changed, or it belongs to somebody else.
    pub fn open(&self, citizen: &CitizenId, sealed: &Sealed) -> Option<Msisdn> {
        let secret = self.secret(sealed.key)?;
        let (nonce, text) = sealed.bytes.split_at_checked(24)?;
        let nonce: [u8; 24] = nonce.try_into().ok()?;
        let opened =
            XChaCha20Poly1305::new(secret.into()).decrypt(&XNonce::from(nonce), aead(text, citizen)).ok()?;
        Msisdn::from_e164(std::str::from_utf8(&opened).ok()?)
    }

    /// Seals bytes that hold numbers, for a file of ours. `nonce` is random and never used twice: the same bytes sealed twice
    /// do not look alike.
    pub fn seal_bytes(&self, nonce: [u8; 24], bytes: &[u8]) -> Sealed {
        let (key, secret) = &self.sealing;
        let sealed = XChaCha20Poly1305::new(secret.into())
            .encrypt(&XNonce::from(nonce), bytes)
            .expect("a callback is far below the cipher's limit");
        Sealed { key: *key, bytes: [&nonce[..], &sealed].concat() }
    }

    /// Opens what [`Keys::seal_bytes`] closed; `None` when neither key did, or it was changed.
    pub fn open_bytes(&self, sealed: &Sealed) -> Option<Vec<u8>> {
        let secret = self.secret(sealed.key)?;
        let (nonce, text) = sealed.bytes.split_at_checked(24)?;
        let nonce: [u8; 24] = nonce.try_into().ok()?;
        XChaCha20Poly1305::new(secret.into()).decrypt(&XNonce::from(nonce), text).ok()
    }

    /// The sealing key of this id, current or previous.
    fn secret(&self, key: u32) -> Option<&Key> {
        let all = std::iter::once(&self.sealing).chain(&self.previous);
        all.into_iter().find_map(|(id, secret)| (*id == key).then_some(secret))
    }
}

/// The id of a callback by the vendor's own key for it, or of a vendor's dialogue: no secret, for it names no citizen
/// by itself; the parts are lengths and bytes, so that no two lists of parts hash alike.
fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize()[..16].try_into().expect("SHA-256 has 32 bytes")
}

/// The event of one callback: the channel and whatever the vendor knows it by.
pub fn event_id(parts: &[&[u8]]) -> EventId {
    EventId(hash(parts))
}

/// One vendor dialogue: the channel, the citizen (vendors without a session id have one a number), the vendor's id.
pub fn dialogue_id(channel: &str, citizen: &CitizenId, session: &str) -> DialogueId {
    DialogueId(hash(&[channel.as_bytes(), &citizen.0, session.as_bytes()]))
}

/// What a vendor calls an MT.
pub fn vendor_key(channel: &str, id: &str) -> VendorKey {
    VendorKey(hash(&[b"vendor-id", channel.as_bytes(), id.as_bytes()]))
}

/// One invitation of one citizen.
pub fn invitation_id(key: &str, citizen: &CitizenId) -> InvitationId {
    InvitationId(hash(&[b"invitation", key.as_bytes(), &citizen.0]))
}

fn aead<'a>(msg: &'a [u8], citizen: &'a CitizenId) -> chacha20poly1305::aead::Payload<'a, 'a> {
    chacha20poly1305::aead::Payload { msg, aad: &citizen.0 }
}

fn mac(key: &Key, parts: &[&[u8]]) -> [u8; 16] {
    let mut mac =
        <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes()[..16].try_into().expect("SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new(&[1; 32], (7, [2; 32]), Some((6, [3; 32])))
    }

    #[test]
    fn a_sealed_number_opens_for_its_citizen_only() {
        let keys = keys();
        let number = Msisdn::parse("+919437000001", "IN").expect("a good number");
        let citizen = keys.citizen(&number);
        let sealed = keys.seal(&citizen, &number);
        assert_eq!(sealed, keys.seal(&citizen, &number), "a re-run seals to the same bytes");
        assert_eq!(keys.open(&citizen, &sealed), Some(number));
        assert_eq!(keys.open(&CitizenId([9; 16]), &sealed), None, "moved to another record");
        let mut changed = sealed.clone();
        *changed.bytes.last_mut().expect("not empty") ^= 1;
        assert_eq!(keys.open(&citizen, &changed), None, "changed at rest");
        assert_eq!(keys.open(&citizen, &Sealed { key: 5, ..sealed }), None, "a key that is gone");
    }

    #[test]
    fn sealed_bytes_open_under_both_keys_and_under_no_other() {
        let (old, keys) = (Keys::new(&[1; 32], (6, [3; 32]), None), keys());
        let sealed = [old.seal_bytes([1; 24], b"+919437000001"), keys.seal_bytes([2; 24], b"+919437000001")];
        for sealed in &sealed {
            assert_eq!(keys.open_bytes(sealed).as_deref(), Some(&b"+919437000001"[..]));
            assert!(!sealed.bytes.windows(10).any(|part| part == b"9437000001"));
        }
        assert_eq!(old.open_bytes(&sealed[1]), None, "a key that came later");
        let mut changed = sealed[1].clone();
        *changed.bytes.last_mut().expect("not empty") ^= 1;
        assert_eq!(keys.open_bytes(&changed), None, "changed at rest");
    }

    #[test]
    fn an_mt_id_that_nobody_made_is_known() {
        let keys = keys();
        let citizen = CitizenId([0x47; 16]);
        let id = keys.mt(&citizen, Version(9));
        assert_eq!(id.partition(), citizen.partition());
        assert_ne!(id, keys.mt(&citizen, Version(10)));
        assert!(keys.made(&id));
        for at in 0..16 {
            let mut forged = id;
            forged.0[at] ^= 1;
            assert!(!keys.made(&forged), "byte {at}");
        }
        assert!(!Keys::new(&[8; 32], (7, [2; 32]), None).made(&id), "another installation's");
        assert_eq!(MtId::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn the_previous_sealing_key_still_opens() {
        let number = Msisdn::parse("+919437000001", "IN").expect("a good number");
        let old = Keys::new(&[1; 32], (6, [3; 32]), None);
        let citizen = old.citizen(&number);
        assert_eq!(keys().open(&citizen, &old.seal(&citizen, &number)), Some(number));
    }

    #[test]
    fn departments_know_a_citizen_by_different_names() {
        let at = |id| keys().pseudonym(&DepartmentId::parse(id).expect("an id"), &CitizenId([4; 16]));
        assert_ne!(at("health"), at("police"));
        assert_eq!(at("health"), at("health"));
    }
}
