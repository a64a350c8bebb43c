//! Lines into the store, many at once, so that the embedded store has something to gather into one fsync.
//!
//! Two lines with the same key and number are never under way at once: the first of them is the one that is taken. Beside
//! those under way nothing of a line is kept.

use super::{
    progress::{Counts, Progress},
    reading::Checked,
};
use crate::{
    app,
    domain::{invitation::Invitation, msisdn::Msisdn},
    store::Invited,
    turn::{TurnError, Turns},
};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::{
    cell::Cell,
    collections::{BTreeSet, HashSet},
    future::Future,
    io,
    pin::Pin,
    process::ExitCode,
    rc::Rc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

/// How many lines are under way at once.
const UNDER_WAY_MAX: usize = 256;
/// How long a store that is in trouble is asked again for one line.
const PATIENCE: Duration = Duration::from_secs(60);
/// The first wait after trouble; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Where invitations go.
#[derive(Clone)]
pub enum Taker {
    /// Nowhere: they are only checked.
    Nobody,
    /// Into the store.
    Store(Turns),
}

/// One run.
pub struct Taking {
    taker: Taker,
    counts: Counts,
    progress: Progress,
    stop: watch::Sender<bool>,
    warned: Rc<Cell<bool>>,
    under_way: FuturesUnordered<Pin<Box<dyn Future<Output = Done>>>>,
    /// Of those under way.
    whose: HashSet<Whose>,
    /// Of those under way, and of those that the store did not take.
    lines: BTreeSet<u64>,
    /// The last one that was looked at.
    last: u64,
    trouble: Option<String>,
}

/// What a repeat is known by.
type Whose = (String, Msisdn);

/// What became of one line.
struct Done {
    line: u64,
    whose: Whose,
    invited: Result<Invited, TurnError>,
}

impl Taking {
    /// A run into `taker`.
    pub fn new(taker: Taker) -> Taking {
        Taking {
            taker,
            counts: Counts::default(),
            progress: Progress::start(),
            stop: watch::Sender::new(false),
            warned: Rc::default(),
            under_way: FuturesUnordered::new(),
            whose: HashSet::new(),
            lines: BTreeSet::new(),
            last: 0,
            trouble: None,
        }
    }

    /// Takes lines until there are no more, a signal comes, or the store stays in trouble; then ends what is under way, and
    /// says what was done.
    pub async fn run(mut self, mut lines: mpsc::Receiver<io::Result<Checked>>) -> ExitCode {
        let stop = self.stop.clone();
        let signals = tokio::spawn(async move {
            app::stop_signal().await;
            stop.send_replace(true);
        });
        let mut stopped = self.stop.subscribe();
        let mut tick = tokio::time::interval(self.progress.every());
        let whole = loop {
            if *stopped.borrow_and_update() {
                break false;
            }
            tokio::select! {
                _ = stopped.changed() => {}
                Some(done) = self.under_way.next() => self.count(done),
                line = lines.recv(), if self.under_way.len() < UNDER_WAY_MAX => match line {
                    None => break true,
                    Some(Ok(checked)) => self.take(checked).await,
                    Some(Err(error)) => {
                        self.trouble = Some(format!("the file cannot be read on: {error}"));
                        break false;
                    }
                },
                _ = tick.tick() => {}
            }
            self.progress.tell(self.counts);
        };
        while let Some(done) = self.under_way.next().await {
            self.count(done);
        }
        signals.abort();
        self.end(whole)
    }

    async fn take(&mut self, Checked { line, invitation }: Checked) {
        self.last = line;
        let invitation = match invitation {
            Ok(invitation) => invitation,
            Err(refusal) => {
                self.counts.refused += 1;
                return self.progress.line(&format!("line {line}: {refusal}"));
            }
        };
        let whose = (invitation.key.clone(), invitation.msisdn.clone());
        while self.whose.contains(&whose) {
            match self.under_way.next().await {
                Some(done) => self.count(done),
                None => unreachable!("whose line is under way is among those under way"),
            }
        }
        self.whose.insert(whose.clone());
        self.lines.insert(line);
        let try_hard =
            TryHard { taker: self.taker.clone(), stop: self.stop.subscribe(), warned: self.warned.clone() };
        let taking = async move { Done { line, whose, invited: try_hard.take(&invitation).await } };
        self.under_way.push(Box::pin(taking));
    }

    fn count(&mut self, Done { line, whose, invited }: Done) {
        self.whose.remove(&whose);
        match invited {
            Ok(Invited::Taken) => self.counts.taken += 1,
            Ok(Invited::Repeated) => self.counts.repeated += 1,
            Err(error) => {
                self.trouble.get_or_insert(error.to_string());
                self.stop.send_replace(true);
                return;
            }
        }
        self.lines.remove(&line);
    }

    /// The last words: what is not done stays in `lines`.
    fn end(self, whole: bool) -> ExitCode {
        self.progress.end();
        let whole = whole && self.trouble.is_none();
        if !whole {
            let done = self.lines.first().map_or(self.last, |first| first - 1);
            let why = self.trouble.as_deref().unwrap_or("stopped");
            self.progress.line(&format!(
                "{why}\nevery line up to {done} is done. Give the same file again for the rest: nobody is asked twice"
            ));
        }
        if matches!(self.taker, Taker::Nobody) {
            self.progress.line("only checked: nobody was invited");
        }
        let Counts { taken, repeated, refused } = self.counts;
        println!("taken={taken} repeated={repeated} refused={refused}");
        if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// One line's way into the store, through trouble that passes.
struct TryHard {
    taker: Taker,
    stop: watch::Receiver<bool>,
    warned: Rc<Cell<bool>>,
}

impl TryHard {
    /// Tries until it is taken, the trouble is one that stays, [`PATIENCE`] is over or the run is stopped; then no more.
    async fn take(mut self, invitation: &Invitation) -> Result<Invited, TurnError> {
        let Taker::Store(turns) = &self.taker else { return Ok(Invited::Taken) };
        let end = Instant::now() + PATIENCE;
        let mut wait = FIRST_WAIT;
        loop {
            let error = match turns.invite(invitation).await {
                Ok(invited) => return Ok(invited),
                Err(error) => error,
            };
            if !error.passes() || Instant::now() + wait > end || *self.stop.borrow() {
                return Err(error);
            }
            if !self.warned.replace(true) {
                eprintln!("{error}; trying for {} s", PATIENCE.as_secs());
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = self.stop.changed() => {}
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}
