//! What is told while a file is taken: on a terminal one line that moves, elsewhere a line now and then.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

/// How often the line on a terminal moves.
const MOVES: Duration = Duration::from_millis(500);
/// How often a line is written where there is no terminal.
const WRITES: Duration = Duration::from_secs(10);

/// What became of the lines so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Taken now.
    pub taken: u64,
    /// Taken before.
    pub repeated: u64,
    /// Refused.
    pub refused: u64,
}

impl Counts {
    fn lines(self) -> u64 {
        self.taken + self.repeated + self.refused
    }
}

/// Tells on standard error.
pub struct Progress {
    terminal: bool,
    began: Instant,
    told: Instant,
}

impl Progress {
    /// From now on.
    pub fn start() -> Progress {
        let now = Instant::now();
        Progress { terminal: io::stderr().is_terminal(), began: now, told: now }
    }

    /// How often [`Progress::tell`] has something to do.
    pub fn every(&self) -> Duration {
        if self.terminal { MOVES } else { WRITES }
    }

    /// Tells where it stands, if it was not told just now.
    pub fn tell(&mut self, counts: Counts) {
        if self.told.elapsed() < self.every() {
            return;
        }
        self.told = Instant::now();
        let Counts { taken, repeated, refused } = counts;
        let each_second = counts.lines() as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let lines = counts.lines();
        self.say(&format!(
            "{lines} lines, {each_second:.0} a second: {taken} taken, {repeated} repeated, {refused} refused"
        ));
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        // Whoever closed standard error does not want to hear it.
        let _ = writeln!(io::stderr(), "{clear}{text}");
    }

    /// A line that the next one takes the place of, on a terminal.
    fn say(&self, text: &str) {
        match self.terminal {
            true => {
                let _ = write!(io::stderr(), "\r\x1b[K{text}");
            }
            false => self.line(text),
        }
    }

    /// Takes the moving line away.
    pub fn end(&self) {
        if self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
