//! Lines to a file: appended under `flock`, many to one write and one fsync.
//!
//! | dies | after restart |
//! |---|---|
//! | in the middle of a write | a tail without a line end is cut off: it was never settled and will be written again |
//! | after the fsync, before the settle | the lines are written again; readers tell repeats by the id |

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
};

/// How far back a tail without a line end is looked for at once.
const TAIL_BLOCK: u64 = 64 * 1024;

/// A file that lines are appended to. Blocking: call it from a thread that may wait.
#[derive(Debug)]
pub struct LineFile {
    path: PathBuf,
    open: Option<File>,
}

impl LineFile {
    /// A file that will be opened, and made with its missing parents, at the first write.
    pub fn new(path: &Path) -> LineFile {
        LineFile { path: path.to_owned(), open: None }
    }

    /// Appends whole lines (each ending in `\n`) and returns when they are on the disk. After an error nothing of them
    /// counts as written; what of them is there is cut off before the next write.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let written = self.try_append(lines);
        if written.is_err() {
            self.open = None;
        }
        written
    }

    fn try_append(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut file = self.take_open()?;
        let lock = Lock::exclusive(&file)?;
        (&file).write_all(lines)?;
        file.sync_data()?;
        drop(lock);
        file.flush()?;
        self.open = Some(file);
        Ok(())
    }

    /// The file that has our path now: reopened when ours was moved away, a broken tail cut off when it is opened.
    fn take_open(&mut self) -> io::Result<File> {
        if let Some(file) = self.open.take() {
            let (held, named) = (file.metadata()?, std::fs::metadata(&self.path));
            if named.is_ok_and(|named| (named.dev(), named.ino()) == (held.dev(), held.ino())) {
                return Ok(file);
            }
        }
        if let Some(parent) = self.path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent)?;
        }
        let file = OpenOptions::new().read(true).append(true).create(true).open(&self.path)?;
        let lock = Lock::exclusive(&file)?;
        cut_broken_tail(&file)?;
        drop(lock);
        Ok(file)
    }
}

/// Cuts off what stands behind the last line end.
fn cut_broken_tail(mut file: &File) -> io::Result<()> {
    let mut end = file.metadata()?.len();
    let whole = end;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(TAIL_BLOCK);
        block.resize((end - start) as usize, 0);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut block)?;
        if let Some(at) = block.iter().rposition(|b| *b == b'\n') {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if end < whole {
        file.set_len(end)?;
        file.sync_data()?;
    }
    Ok(())
}

/// An advisory lock on a file, held until dropped: another process that appends here waits for its turn.
struct Lock<'a>(&'a File);

impl Lock<'_> {
    fn exclusive(file: &File) -> io::Result<Lock<'_>> {
        // SAFETY: the descriptor is open for as long as the borrow of `file` lives.
        match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) } {
            0 => Ok(Lock(file)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // SAFETY: as above; a failure to unlock is mended by closing the file.
        unsafe { libc::flock(self.0.as_raw_fd(), libc::LOCK_UN) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(path: &Path) -> String {
        std::fs::read_to_string(path).expect("the file is there")
    }

    #[test]
    fn a_tail_without_a_line_end_is_cut_off_at_start() {
        for (before, after) in [
            ("", "new\n"),
            ("one\n", "one\nnew\n"),
            ("one\ntw", "one\nnew\n"),
            ("tw", "new\n"),
            (&format!("one\n{}", "x".repeat(200_000)), "one\nnew\n"),
        ] {
            let dir = tempfile::tempdir().expect("a directory");
            let path = dir.path().join("deep/er/responses.ndjson");
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(&path, before).expect("written");
            LineFile::new(&path).append(b"new\n").expect("appended");
            assert_eq!(content(&path), after);
        }
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, old) = (dir.path().join("sub/a.ndjson"), dir.path().join("a.1"));
        let mut file = LineFile::new(&path);
        file.append(b"one\n").expect("appended");
        std::fs::rename(&path, &old).expect("moved");
        file.append(b"two\n").expect("appended");
        assert_eq!((content(&old), content(&path)), ("one\n".into(), "two\n".into()));
    }

    #[test]
    fn a_failed_write_is_an_error_and_the_next_one_works() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.ndjson");
        std::fs::create_dir(&path).expect("a directory in its place");
        let mut file = LineFile::new(&path);
        file.append(b"one\n").expect_err("a directory takes no lines");
        std::fs::remove_dir(&path).expect("removed");
        file.append(b"one\n").expect("appended");
        assert_eq!(content(&path), "one\n");
    }
}
