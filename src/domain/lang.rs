//! A language as flows and channels name it: `or`, `en`, `hi`.

use std::fmt;

/// A language tag of two or three lower-case ASCII letters (ISO 639), held inline: sessions carry one, so it costs no allocation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lang([u8; 3]);

impl Lang {
    /// English, the language of every engine text's last fallback.
    pub const EN: Lang = Lang([b'e', b'n', 0]);

    /// Reads a tag; `None` for anything but two or three lower-case ASCII letters.
    pub fn parse(tag: &str) -> Option<Lang> {
        let bytes = tag.as_bytes();
        if !(2..=3).contains(&bytes.len()) || !bytes.iter().all(u8::is_ascii_lowercase) {
            return None;
        }
        let mut held = [0; 3];
        held[..bytes.len()].copy_from_slice(bytes);
        Some(Lang(held))
    }

    /// The tag.
    pub fn as_str(&self) -> &str {
        let len = if self.0[2] == 0 { 2 } else { 3 };
        std::str::from_utf8(&self.0[..len]).expect("a Lang holds ASCII letters only")
    }
}

impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
