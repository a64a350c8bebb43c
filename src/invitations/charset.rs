//! What a file's bytes are, found from its first ones: UTF-8 or UTF-16. Whatever it is, UTF-8 comes out, as a stream.
//!
//! Bytes that are no UTF-8 come through as they are, so that only their own line is refused. What cannot be read in UTF-16
//! comes out as U+FFFD, which no good line has.

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_16BE, UTF_16LE};
use std::{
    io::{self, BufRead, Cursor, Read},
    ops::Range,
};

/// The most bytes that are looked at to find the charset.
const MARK_MAX: usize = 3;
/// How much decoded text is held at once, in bytes.
const HELD_MAX: usize = 8 * 1024;

/// The same text in UTF-8, without its byte-order mark.
pub fn utf8<'a>(mut input: impl BufRead + Send + 'a) -> io::Result<Box<dyn BufRead + Send + 'a>> {
    let first = first_bytes(&mut input)?;
    // A header begins with an ASCII letter, so a zero beside it tells UTF-16 also where no mark does.
    let (decoder, mark) = match *first {
        [0xef, 0xbb, 0xbf] => (None, 3),
        [0xff, 0xfe, ..] => (Some(UTF_16LE), 2),
        [0xfe, 0xff, ..] => (Some(UTF_16BE), 2),
        [c, 0, ..] if c != 0 => (Some(UTF_16LE), 0),
        [0, c, ..] if c != 0 => (Some(UTF_16BE), 0),
        _ => (None, 0),
    };
    let input = Cursor::new(first[mark..].to_vec()).chain(input);
    Ok(match decoder {
        None => Box::new(input),
        Some(encoding) => Box::new(Utf16::new(input, encoding)),
    })
}

/// The first bytes, also of a pipe that gives one at a time.
fn first_bytes(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut first = Vec::with_capacity(MARK_MAX);
    input.take(MARK_MAX as u64).read_to_end(&mut first)?;
    Ok(first)
}

/// Decodes as it is read.
struct Utf16<R> {
    input: R,
    decoder: Decoder,
    ended: bool,
    text: Box<[u8]>,
    /// Where what was decoded and not yet read begins and ends.
    held: Range<usize>,
}

impl<R> Utf16<R> {
    fn new(input: R, encoding: &'static Encoding) -> Utf16<R> {
        let decoder = encoding.new_decoder_without_bom_handling();
        Utf16 { input, decoder, ended: false, text: vec![0; HELD_MAX].into(), held: 0..0 }
    }
}

impl<R: BufRead> BufRead for Utf16<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.held.is_empty() && !self.ended {
            let bytes = self.input.fill_buf()?;
            let last = bytes.is_empty();
            let (result, read, written, _) = self.decoder.decode_to_utf8(bytes, &mut self.text, last);
            self.input.consume(read);
            self.ended = last && result == CoderResult::InputEmpty;
            self.held = 0..written;
        }
        Ok(&self.text[self.held.clone()])
    }

    fn consume(&mut self, read: usize) {
        self.held.start += read;
    }
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    /// Gives one byte at a time, as a slow pipe does.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.0.take(1).read(out).inspect(|n| self.0 = &self.0[*n..])
        }
    }

    fn check(bytes: &[u8], expected: &[u8]) {
        let mut read = Vec::new();
        utf8(BufReader::new(Slow(bytes))).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, expected, "{bytes:?}");
    }

    fn utf16(text: &str, mark: bool, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let mark = mark.then_some(0xfeff);
        mark.into_iter().chain(text.encode_utf16()).flat_map(bytes).collect()
    }

    #[test]
    fn every_charset_an_office_saves_in_becomes_utf_8() {
        let text = "key,visit.office\nv-1,କଟକ 😀\n";
        check(text.as_bytes(), text.as_bytes());
        check(&[&[0xef, 0xbb, 0xbf], text.as_bytes()].concat(), text.as_bytes());
        for mark in [true, false] {
            check(&utf16(text, mark, u16::to_le_bytes), text.as_bytes());
            check(&utf16(text, mark, u16::to_be_bytes), text.as_bytes());
        }
        check(b"", b"");
        check(b"k", b"k");
    }

    #[test]
    fn what_cannot_be_read_shows() {
        check(b"key\nv\xe9\n", b"key\nv\xe9\n");
        check(&[&utf16("k", true, u16::to_le_bytes)[..], &[0x00, 0xd8]].concat(), "k\u{fffd}".as_bytes());
        check(&[&utf16("k", true, u16::to_le_bytes)[..], &[0x20]].concat(), "k\u{fffd}".as_bytes());
    }
}
