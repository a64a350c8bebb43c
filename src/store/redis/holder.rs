//! One connection to Redis, held for one worker: opened inside it, replaced when it is of no use, found again by itself.
//!
//! It promises that no caller waits longer than [`ACT_BOUND`], and that an act which got no answer is sent again, same
//! bytes, at most [`RESENDS`] times inside it. Callers that come while nobody is there are told so at once. What a request
//! means is no business of this file, only that it may be sent twice.

use super::{Fault, Target, check, script};
use crate::store::{Durability, StoreError};
use redis::{AsyncConnectionConfig, Cmd, Pipeline, PushInfo, RedisResult, Value, aio::MultiplexedConnection};
use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep, timeout, timeout_at},
};

/// How long the server has for one answer.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a connection may take: name, TCP and TLS.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long everything that is asked of a new connection may take.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(3);
/// How often an act without an answer is sent again.
pub const RESENDS: u32 = 3;
/// How long one act may take, all sends together.
pub const ACT_BOUND: Duration = Duration::from_secs(4);
/// So many time-outs in a row, and the connection is replaced.
pub const TIMEOUTS_IN_A_ROW: u32 = 3;
/// The first wait between two tries to connect; it doubles.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(50);
/// The longest wait between two tries to connect.
pub const BACKOFF_LAST: Duration = Duration::from_secs(1);

/// What is asked of Redis in one round trip.
pub enum Request {
    /// One command.
    One(Cmd),
    /// Several, answered together.
    Many(Pipeline),
}

impl Request {
    async fn send(&self, connection: &mut MultiplexedConnection) -> RedisResult<Value> {
        match self {
            Request::One(cmd) => cmd.query_async(connection).await,
            Request::Many(pipeline) => pipeline.query_async(connection).await,
        }
    }
}

/// Holds the connection. Dropping it ends its tasks.
pub struct Holder(Arc<Held>);

struct Held {
    target: Target,
    claim: Durability,
    link: watch::Sender<Link>,
    notes: Mutex<Vec<String>>,
}

#[derive(Clone)]
enum Link {
    /// The first look for the server is under way: callers wait for it, because a worker that has just begun is not away.
    Looking,
    Open(Arc<Open>),
    Away(String),
    Stopped,
}

struct Open {
    connection: MultiplexedConnection,
    timeouts: AtomicU32,
}

impl Holder {
    /// Connects once; what the server cannot keep is refused here.
    pub async fn connect(target: Target, claim: Durability) -> Result<Holder, StoreError> {
        let held = Held::new(target, claim);
        let (open, gone) = held.open().await?;
        held.keep(open, gone);
        Ok(Holder(held))
    }

    /// Begins to look for the server and does not wait for it.
    pub fn start(target: Target, claim: Durability) -> Holder {
        let held = Held::new(target, claim);
        tokio::spawn(find(Arc::downgrade(&held)));
        Holder(held)
    }

    /// What an operator should know of the server that was found last.
    pub fn notes(&self) -> Vec<String> {
        self.0.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes no more requests; those under way are answered.
    pub fn stop(&self) {
        self.0.link.send_replace(Link::Stopped);
    }

    /// Sends a request that may be sent twice, until it is answered or the time is over.
    pub async fn act(&self, request: &Request) -> Result<Value, StoreError> {
        let until = Instant::now() + ACT_BOUND;
        let mut unknown = match self.once(request, until).await {
            Err(StoreError::Unknown(why)) => why,
            known => return known,
        };
        for _ in 0..RESENDS {
            if !self.found_until(until).await {
                break;
            }
            match self.once(request, until).await {
                Ok(answer) => return Ok(answer),
                Err(StoreError::Unknown(why)) => unknown = why,
                // This send did not happen. Whether an earlier one did is as unknown as before.
                Err(_) => {}
            }
        }
        Err(StoreError::Unknown(unknown))
    }

    /// Sends a request once.
    pub async fn once(&self, request: &Request, until: Instant) -> Result<Value, StoreError> {
        let open = self.link(until).await?;
        let answer = timeout_at(until, request.send(&mut open.connection.clone())).await;
        let Ok(answer) = answer else {
            self.0.timed_out(&open);
            return Err(StoreError::Unknown("no answer in time".into()));
        };
        match answer.map_err(Fault::from) {
            Err(fault) if fault.no_script => self.after_loading(&open, request, until).await,
            answer => self.0.judge(&open, answer),
        }
    }

    /// The server was restarted, or its scripts were flushed: tells them again, and repeats.
    async fn after_loading(
        &self,
        open: &Arc<Open>,
        request: &Request,
        until: Instant,
    ) -> Result<Value, StoreError> {
        let mut connection = open.connection.clone();
        let again = async {
            script::load_all().query_async::<Value>(&mut connection).await?;
            request.send(&mut connection).await
        };
        match timeout_at(until, again).await {
            Ok(answer) => self.0.judge(open, answer.map_err(Fault::from)),
            Err(_) => Err(StoreError::Unknown("no answer in time".into())),
        }
    }

    async fn link(&self, until: Instant) -> Result<Arc<Open>, StoreError> {
        if matches!(*self.0.link.borrow(), Link::Looking) {
            let mut link = self.0.link.subscribe();
            let looked = link.wait_for(|link| !matches!(link, Link::Looking));
            let _ = timeout_at(until, looked).await;
        }
        match &*self.0.link.borrow() {
            Link::Open(open) => Ok(open.clone()),
            Link::Looking => Err(StoreError::Away(format!("not yet connected to {}", self.0.target))),
            Link::Away(why) => Err(StoreError::Away(why.clone())),
            Link::Stopped => Err(StoreError::Away("this gateway is stopping".into())),
        }
    }

    /// Whether there is a connection before the time is over.
    async fn found_until(&self, until: Instant) -> bool {
        let mut link = self.0.link.subscribe();
        let found = link.wait_for(|link| !matches!(link, Link::Away(_) | Link::Looking));
        match timeout_at(until, found).await {
            Ok(Ok(link)) => matches!(*link, Link::Open(_)),
            _ => false,
        }
    }
}

impl Held {
    fn new(target: Target, claim: Durability) -> Arc<Held> {
        let (link, _) = watch::channel(Link::Looking);
        Arc::new(Held { target, claim, link, notes: Mutex::default() })
    }

    /// Opens a connection, asks the server what it can keep, and tells it the scripts.
    async fn open(&self) -> Result<(Open, oneshot::Receiver<()>), StoreError> {
        let named = |e: StoreError| match e {
            StoreError::Refused(why) => StoreError::Refused(format!("{}: {why}", self.target)),
            // Nothing of ours was sent yet.
            StoreError::Away(why) | StoreError::Full(why) | StoreError::Unknown(why) => {
                StoreError::Away(format!("{}: {why}", self.target))
            }
        };
        // The client drops this closure, and with it `ended`, when the connection ends, also when nobody is asking.
        let (ended, gone) = oneshot::channel::<()>();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_push_sender(move |_: PushInfo| if ended.is_closed() { Err(()) } else { Ok(()) });
        let client = self.target.client();
        let connected = client.get_multiplexed_async_connection_with_config(&config).await;
        drop(config);
        let mut connection = connected.map_err(|e| named(Fault::from(e).error))?;
        let asked = timeout(CHECK_TIMEOUT, self.prepare(&mut connection)).await;
        let notes =
            asked.unwrap_or_else(|_| Err(StoreError::Away("no answer in time".into()))).map_err(named)?;
        *self.notes.lock().unwrap_or_else(PoisonError::into_inner) = notes;
        Ok((Open { connection, timeouts: AtomicU32::new(0) }, gone))
    }

    async fn prepare(&self, connection: &mut MultiplexedConnection) -> Result<Vec<String>, StoreError> {
        let notes = check::check(connection, self.claim).await?;
        let loaded = script::load_all().query_async::<Value>(connection).await;
        loaded.map_err(|e| Fault::from(e).error)?;
        Ok(notes)
    }

    /// Hands a connection to the callers, and watches for its end.
    fn keep(self: &Arc<Held>, open: Open, gone: oneshot::Receiver<()>) {
        let open = Arc::new(open);
        let kept = self.link.send_if_modified(|link| match link {
            Link::Stopped => false,
            _ => {
                *link = Link::Open(open.clone());
                true
            }
        });
        if kept {
            let (held, open) = (Arc::downgrade(self), Arc::downgrade(&open));
            tokio::spawn(async move {
                let _ = gone.await;
                if let (Some(held), Some(open)) = (held.upgrade(), open.upgrade()) {
                    held.lose(&open, "the connection ended");
                }
            });
        }
    }

    fn judge(self: &Arc<Held>, open: &Arc<Open>, answer: Result<Value, Fault>) -> Result<Value, StoreError> {
        match answer {
            Ok(value) => {
                open.timeouts.store(0, Ordering::Relaxed);
                Ok(value)
            }
            Err(fault) => {
                if fault.lost {
                    self.lose(open, &fault.error.to_string());
                } else if fault.timed_out {
                    self.timed_out(open);
                } else {
                    open.timeouts.store(0, Ordering::Relaxed);
                }
                Err(fault.error)
            }
        }
    }

    fn timed_out(self: &Arc<Held>, open: &Arc<Open>) {
        if open.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= TIMEOUTS_IN_A_ROW {
            self.lose(open, "no answer several times in a row");
        }
    }

    /// Gives up this connection, if it is still the one in use, and looks for another.
    fn lose(self: &Arc<Held>, lost: &Arc<Open>, why: &str) {
        let given_up = self.link.send_if_modified(|link| match link {
            Link::Open(open) if Arc::ptr_eq(open, lost) => {
                *link = Link::Away(format!("{}: {why}", self.target));
                true
            }
            _ => false,
        });
        if given_up {
            tracing::warn!(store = %self.target, why, "lost the connection to Redis");
            tokio::spawn(find(Arc::downgrade(self)));
        }
    }

    /// Tells callers, and once also the log, why nobody is there.
    fn still_away(&self, why: &str) {
        let another_reason = self.link.send_if_modified(|link| match link {
            Link::Away(known) if known != why => {
                *known = why.to_owned();
                true
            }
            Link::Looking => {
                *link = Link::Away(why.to_owned());
                true
            }
            _ => false,
        });
        if another_reason {
            tracing::warn!(why, "no Redis yet");
        }
    }
}

/// Looks for the server until it is found or nobody asks any more.
async fn find(held: Weak<Held>) {
    let mut wait = BACKOFF_FIRST;
    loop {
        let Some(held) =
            held.upgrade().filter(|held| matches!(*held.link.borrow(), Link::Away(_) | Link::Looking))
        else {
            return;
        };
        match held.open().await {
            Ok((open, gone)) => {
                tracing::info!(store = %held.target, "connected to Redis");
                return held.keep(open, gone);
            }
            Err(why) => held.still_away(&why.to_string()),
        }
        drop(held);
        sleep(wait).await;
        wait = (wait * 2).min(BACKOFF_LAST);
    }
}
