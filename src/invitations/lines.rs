//! The lines of a file as an editor numbers them: ended by LF, CRLF or CR, each of bounded length, and put back where a
//! record that began with one of them came to nothing.

use std::{
    collections::VecDeque,
    io::{self, BufRead},
};

/// The longest line, in bytes of UTF-8. Of a longer one only the number is kept.
pub const LINE_MAX: usize = 16 * 1024;

/// One line.
pub struct Line {
    /// From 1.
    pub number: u64,
    /// Its bytes and a LF, however it ended; `None`: more than [`LINE_MAX`].
    pub bytes: Option<Vec<u8>>,
}

impl Line {
    /// Nothing but blanks.
    pub fn is_blank(&self) -> bool {
        self.bytes.as_ref().is_some_and(|bytes| bytes.trim_ascii().is_empty())
    }
}

/// The lines of a file.
pub struct Lines<R> {
    input: R,
    number: u64,
    back: VecDeque<Line>,
}

impl<R: BufRead> Lines<R> {
    /// The lines of `input`.
    pub fn new(input: R) -> Lines<R> {
        Lines { input, number: 0, back: VecDeque::new() }
    }

    /// The next line; `None` at the end. What stands behind the last line end is a line if it is not empty.
    pub fn next(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.back.pop_front() {
            return Ok(Some(line));
        }
        let mut bytes = Vec::new();
        let mut long = false;
        loop {
            let held = self.input.fill_buf()?;
            if held.is_empty() {
                let nothing = bytes.is_empty() && !long;
                return Ok((!nothing).then(|| self.line(bytes, long)));
            }
            let end = held.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = &held[..end.unwrap_or(held.len())];
            long |= bytes.len() + part.len() > LINE_MAX;
            if !long {
                bytes.extend_from_slice(part);
            }
            let (read, carriage) = (part.len(), end.is_some_and(|at| held[at] == b'\r'));
            self.input.consume(read + usize::from(end.is_some()));
            if carriage && self.input.fill_buf()?.first() == Some(&b'\n') {
                self.input.consume(1);
            }
            if end.is_some() {
                return Ok(Some(self.line(bytes, long)));
            }
        }
    }

    /// Gives these lines, which came one after the other, once more.
    pub fn put_back(&mut self, lines: Vec<Line>) {
        lines.into_iter().rev().for_each(|line| self.back.push_front(line));
    }

    fn line(&mut self, mut bytes: Vec<u8>, long: bool) -> Line {
        self.number += 1;
        bytes.push(b'\n');
        Line { number: self.number, bytes: (!long).then_some(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn check(text: &str, expected: &[&str]) {
        // The smallest buffer cuts everywhere, also inside CRLF.
        let mut lines = Lines::new(BufReader::with_capacity(1, text.as_bytes()));
        for (n, expected) in expected.iter().enumerate() {
            let line = lines.next().unwrap().expect("a line");
            let expected = format!("{expected}\n");
            assert_eq!((line.number, line.bytes), (n as u64 + 1, Some(expected.into_bytes())), "{text:?}");
        }
        assert!(lines.next().unwrap().is_none(), "{text:?}");
    }

    #[test]
    fn a_line_ends_as_any_system_ends_it() {
        check("a\nb\r\nc\rd", &["a", "b", "c", "d"]);
        check("a\n\r\n\n", &["a", "", ""]);
        check("", &[]);
    }

    #[test]
    fn a_long_line_is_one_line_and_is_not_kept() {
        let text = format!("{}\nb\n", "x".repeat(LINE_MAX + 1));
        let mut lines = Lines::new(text.as_bytes());
        assert!(lines.next().unwrap().unwrap().bytes.is_none());
        assert_eq!(lines.next().unwrap().unwrap().bytes.as_deref(), Some(&b"b\n"[..]));
        let exact = "x".repeat(LINE_MAX);
        assert!(Lines::new(exact.as_bytes()).next().unwrap().unwrap().bytes.is_some());
    }

    #[test]
    fn what_is_put_back_comes_again_in_order() {
        let mut lines = Lines::new(&b"a\nb\nc\n"[..]);
        let taken: Vec<Line> = (0..2).map(|_| lines.next().unwrap().unwrap()).collect();
        lines.put_back(taken);
        let numbers: Vec<u64> =
            std::iter::from_fn(|| lines.next().unwrap()).map(|line| line.number).collect();
        assert_eq!(numbers, [1, 2, 3]);
    }
}
