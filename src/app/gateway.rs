//! A running gateway: doors, workers, and their end.
//!
//! Start: key file, store, doors; the doors answer with the closing screen until the store was reached once, our keys
//! are its keys, and every flow's revision is in it. Stop (SIGTERM, SIGINT): no new callbacks, turns under way end, workers
//! finish what they claimed, the store writes what it gathered.

use super::{Installation, KeyFileError, Stores, key_file};
use crate::{
    domain::{id::DepartmentId, keys::Keys, lang::Lang, message::Bearer, time::Clock},
    flow::graph::Flow,
    link::http::Http,
    store::{
        KeysFound, Queue, Store, StoreError,
        due::Due,
        embedded::OpenError,
        spool::{Spool, SpoolOpenError},
    },
    telemetry,
    turn::{Shelf, Turns, UNROUTED},
    web::{
        self, Hall, Limiter, Readiness, Side, Tracker, TurnMetrics,
        phone::{Code, Lines, Page},
    },
    work::{self, Desk, forwarder::Forwarder, sender::Sender},
};
use actix_web::{App, HttpServer, dev::ServerHandle};
use metrics_exporter_prometheus::PrometheusHandle;
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::sync::watch;

/// How long a store that does not answer is left alone before start goes on trying.
const OPEN_AGAIN: Duration = Duration::from_secs(1);
/// How long callbacks under way have at shutdown, and then the turns they left behind.
const DRAIN: Duration = Duration::from_secs(20);
/// How long a client may take to send its headers.
const CLIENT_HEADERS: Duration = Duration::from_secs(5);
/// How long an idle connection is kept: telcos call again.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Why a gateway does not start, or ends by itself.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The key file.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The embedded store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The spool cannot be opened.
    #[error(transparent)]
    Spool(#[from] SpoolOpenError),
    /// The store, when it cannot be waited for.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store was written with other keys.
    #[error("the store was written with other keys than those in {0}: put the right key file there")]
    OtherKeys(String),
    /// The store has keys and we have none.
    #[error("the store has been used before, and the key file {0} is not there: bring it back from its copy")]
    LostKeys(String),
    /// An address cannot be listened at.
    #[error("cannot listen at {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The metrics cannot be set up.
    #[error("cannot set up metrics: {0}")]
    Metrics(String),
    /// What runs by itself ended by itself, which is a bug: better started again by whoever watches over us.
    #[error("the workers died; the log says why")]
    WorkersDied,
    /// A thread cannot be started, or the server failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What every part of a gateway shares.
struct Shared {
    installation: Installation,
    stores: Stores,
    keys: Arc<Keys>,
    clock: Clock,
    shelf: Arc<Shelf>,
    due: Arc<Due>,
    tracker: Tracker,
    spool: Option<Arc<Spool>>,
    phone: Option<Arc<Page>>,
}

/// A gateway that runs.
pub struct Gateway {
    /// Where telcos come in; a configured port 0 is a real one here.
    pub address: SocketAddr,
    /// Where operators come in, if that is elsewhere.
    pub operators: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    servers: Vec<ServerHandle>,
    workers: JoinHandle<()>,
    failed: watch::Receiver<String>,
    tracker: Tracker,
    stores: Stores,
}

impl Gateway {
    /// Starts it on the current actix system.
    pub async fn start(installation: Installation, clock: Clock) -> Result<Gateway, StartError> {
        let metrics = telemetry::start_metrics().map_err(|e| StartError::Metrics(e.to_string()))?;
        let (stores, first) = Stores::open(&installation.config.store, &clock).await?;
        let keys = Arc::new(keys(&installation, &*first).await?);
        let spool = Spool::open(&installation.config.spool, keys.clone(), clock.clone())?.map(Arc::new);
        let shared = Arc::new(Shared::of(installation, stores.clone(), keys, clock, spool));
        let readiness = Arc::new(shared.readiness(metrics));
        let (stop, stopped) = watch::channel(false);
        let (fail, failed) = watch::channel(String::new());
        let workers = start_workers(shared.clone(), readiness.clone(), stopped, fail)?;
        let (address, operators, servers) = start_doors(&shared, &readiness)?;
        Ok(Gateway {
            address,
            operators,
            stop,
            servers,
            workers,
            failed,
            tracker: shared.tracker.clone(),
            stores,
        })
    }

    /// Runs until it is told to stop, or finds that it must not run.
    pub async fn run(mut self) -> Result<(), StartError> {
        let told = tokio::select! {
            signal = stop_signal() => { tracing::info!("{signal}: finishing what is under way"); None }
            failed = self.failed.changed() => Some(match failed {
                Ok(()) => StartError::OtherKeys(self.failed.borrow().clone()),
                // The workers hold the other end for as long as they live.
                Err(_) => StartError::WorkersDied,
            }),
        };
        self.stop().await;
        told.map_or(Ok(()), Err)
    }

    /// No new callbacks; what is under way is finished, each part inside its limit.
    pub async fn stop(self) {
        futures_util::future::join_all(self.servers.iter().map(|server| server.stop(true))).await;
        if !self.tracker.drained(DRAIN).await {
            tracing::warn!("turns were still under way after {DRAIN:?}; their callbacks will come again");
        }
        let _ = self.stop.send(true);
        let workers = self.workers;
        let _ = tokio::task::spawn_blocking(move || workers.join()).await;
        if self.stores.store().stop().await.is_err() {
            tracing::warn!("the store did not finish what waited");
        }
        tracing::info!("stopped");
    }
}

/// Our keys: from the file, or made when the store has none either.
async fn keys(installation: &Installation, store: &dyn Store) -> Result<Keys, StartError> {
    let path = &installation.config.keys_file;
    if let Some(keys) = key_file::read(path)? {
        return Ok(keys);
    }
    if store.has_keys().await? {
        return Err(StartError::LostKeys(path.display().to_string()));
    }
    let keys = key_file::make(path)?;
    tracing::info!("made new keys in {}: keep a copy apart from the store's", path.display());
    Ok(keys)
}

impl Shared {
    fn of(
        installation: Installation,
        stores: Stores,
        keys: Arc<Keys>,
        clock: Clock,
        spool: Option<Arc<Spool>>,
    ) -> Shared {
        let departments = installation.config.departments.iter().map(|d| d.id.clone());
        let lines = installation.doors.values().filter(|door| door.facts.sms.is_some());
        let outboxes = lines.map(|door| Queue::Outbox(door.facts.id.clone()));
        let queues = departments.map(Queue::Completion).chain(outboxes).chain([Queue::Timer, Queue::Join]);
        let due = Arc::new(Due::of(queues));
        let shelf = installation.shelf.clone();
        let phone = phone(&installation).map(Arc::new);
        Shared { installation, stores, keys, clock, shelf, due, tracker: Tracker::default(), spool, phone }
    }

    fn turns(&self, store: Arc<dyn Store>) -> Turns {
        Turns {
            store,
            shelf: self.shelf.clone(),
            routes: self.installation.routes.clone(),
            keys: self.keys.clone(),
            clock: self.clock.clone(),
            due: self.due.clone(),
            channels: self.installation.channels.clone(),
        }
    }

    fn readiness(&self, prometheus: PrometheusHandle) -> Readiness {
        let unrouted = DepartmentId::parse(UNROUTED).expect("a good id");
        let queues = self.due.queues().cloned().chain([Queue::Completion(unrouted)]).collect();
        Readiness {
            open: AtomicBool::new(false),
            queues,
            ussd: TurnMetrics::of(Bearer::Ussd),
            sms: TurnMetrics::of(Bearer::Sms),
            prometheus,
        }
    }
}

/// The phone page, when there is a simulator to speak to.
fn phone(installation: &Installation) -> Option<Page> {
    let simulator = installation.config.channels.iter().find(|channel| channel.is_simulator())?;
    let flows = installation.shelf.flows();
    let opening = |of: fn(&Flow) -> &Vec<String>| {
        let all =
            flows.iter().flat_map(|flow| of(flow).iter().map(|code| (code.clone(), flow.title.clone())));
        all.map(|(code, title)| Code { code, title }).collect()
    };
    let mut languages: Vec<Lang> = Vec::new();
    for language in flows.iter().flat_map(|flow| &flow.languages) {
        if !languages.contains(language) {
            languages.push(*language);
        }
    }
    Some(Page::new(&Lines {
        channel: simulator.id.clone(),
        codes: opening(|flow| &flow.ussd_codes),
        words: opening(|flow| &flow.sms_words),
        languages,
    }))
}

/// A thread of its own for everything that runs by itself, so that a busy worker never delays a dial.
fn start_workers(
    shared: Arc<Shared>,
    readiness: Arc<Readiness>,
    stopped: watch::Receiver<bool>,
    fail: watch::Sender<String>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("workers".into()).spawn(move || {
        runtime.block_on(async move {
            let store = shared.stores.store();
            if open(&shared, &*store, stopped.clone(), &fail).await {
                readiness.open.store(true, Ordering::Relaxed);
                work(&shared, &readiness, store, stopped, &fail).await;
            }
        });
    })
}

/// Reaches the store for the first time: our keys are its keys, and it has every flow. False: the process stops.
async fn open(
    shared: &Shared,
    store: &dyn Store,
    mut stopped: watch::Receiver<bool>,
    fail: &watch::Sender<String>,
) -> bool {
    loop {
        match open_once(shared, store).await {
            Ok(KeysFound::Adopted | KeysFound::Same) => return true,
            Ok(KeysFound::Other) => {
                let _ = fail.send(shared.installation.config.keys_file.display().to_string());
                return false;
            }
            Err(error) => tracing::warn!(%error, "not ready yet"),
        }
        tokio::select! {
            () = tokio::time::sleep(OPEN_AGAIN) => {}
            _ = stopped.changed() => return false,
        }
    }
}

async fn open_once(shared: &Shared, store: &dyn Store) -> Result<KeysFound, StoreError> {
    let found = store.adopt_keys(shared.keys.check_value()).await?;
    if found == KeysFound::Adopted {
        shared.shelf.forget_kept();
    }
    if found != KeysFound::Other {
        shared.shelf.keep_all(store).await?;
    }
    Ok(found)
}

async fn work(
    shared: &Shared,
    readiness: &Readiness,
    store: Arc<dyn Store>,
    stop: watch::Receiver<bool>,
    fail: &watch::Sender<String>,
) {
    let desk = Desk {
        store: store.clone(),
        due: shared.due.clone(),
        clock: shared.clock.clone(),
        stop,
        spool: shared.spool.clone(),
    };
    let timers = work::timer::run(desk.clone(), shared.turns(store.clone()));
    let departments = &shared.installation.config.departments;
    let forwarders = departments.iter().map(|settings| {
        let forwarder = Forwarder::new(settings, shared.keys.clone());
        forwarder.run(desk.clone())
    });
    let senders = senders(shared).into_iter().map(|sender| sender.run(desk.clone()));
    let joins = work::join::run(desk.clone());
    let replay = futures_util::future::OptionFuture::from(
        shared.spool.clone().map(|spool| work::replay::run(desk.clone(), shared.turns(store.clone()), spool)),
    );
    let upkeep = upkeep(shared, readiness, &*store, desk.stop.clone(), fail);
    let sweep = work::sweep(desk.clone());
    let (forwarders, senders) =
        (futures_util::future::join_all(forwarders), futures_util::future::join_all(senders));
    tokio::join!(timers, forwarders, senders, joins, sweep, replay, upkeep);
}

/// One for each channel that sends.
fn senders(shared: &Shared) -> Vec<Sender> {
    let (http, timezone) = (Http::new(), shared.installation.config.timezone);
    let doors = shared.installation.doors.values();
    let senders = doors.filter_map(|door| {
        Sender::new(door.facts.clone(), door.codec.clone(), shared.keys.clone(), http.clone(), timezone)
    });
    senders.collect()
}

/// Tidies the metrics, and looks whether the store is still the one that was opened: one that came back empty gets our keys
/// and flows again, and one that has other keys by now is not ours to write to.
async fn upkeep(
    shared: &Shared,
    readiness: &Readiness,
    store: &dyn Store,
    mut stop: watch::Receiver<bool>,
    fail: &watch::Sender<String>,
) {
    while !*stop.borrow() {
        readiness.prometheus.run_upkeep();
        match open_once(shared, store).await {
            Ok(KeysFound::Adopted) => {
                tracing::error!("the store came back empty; our keys and flows are in it again")
            }
            Ok(KeysFound::Other) => {
                readiness.open.store(false, Ordering::Relaxed);
                let _ = fail.send(shared.installation.config.keys_file.display().to_string());
            }
            // A store that is away is told by those who need it.
            Ok(KeysFound::Same) | Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(telemetry::UPKEEP) => {}
            _ = stop.changed() => {}
        }
    }
}

type Started = (SocketAddr, Option<SocketAddr>, Vec<ServerHandle>);

fn start_doors(shared: &Arc<Shared>, readiness: &Arc<Readiness>) -> Result<Started, StartError> {
    let config = &shared.installation.config;
    let beside = config.admin.listen.is_none();
    let side = if beside { Side::Both } else { Side::Telcos };
    let (address, server) = start_server(shared, readiness, config.server.listen.value, side)?;
    let mut servers = vec![server];
    let mut operators = None;
    if let Some(listen) = &config.admin.listen {
        let (address, server) = start_server(shared, readiness, listen.value, Side::Operators)?;
        servers.push(server);
        operators = Some(address);
    }
    Ok((address, operators, servers))
}

fn start_server(
    shared: &Arc<Shared>,
    readiness: &Arc<Readiness>,
    listen: SocketAddr,
    side: Side,
) -> Result<(SocketAddr, ServerHandle), StartError> {
    let refused = |error| StartError::Listen(listen, error);
    let listener = TcpListener::bind(listen).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let (shared, readiness) = (shared.clone(), readiness.clone());
    let limiter = Arc::new(Limiter::default());
    let server = HttpServer::new(move || {
        // One store for each worker: its connection is opened inside the worker's own thread.
        let hall = Hall {
            doors: shared.installation.doors.clone(),
            turns: shared.turns(shared.stores.store()),
            tracker: shared.tracker.clone(),
            limiter: limiter.clone(),
            spool: shared.spool.clone(),
            readiness: readiness.clone(),
            token: shared.installation.token.clone(),
            phone: shared.phone.clone(),
        };
        App::new().configure(|config| web::routes(config, hall.clone(), side))
    })
    .client_request_timeout(CLIENT_HEADERS)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(DRAIN.as_secs())
    .disable_signals()
    .listen(listener)
    .map_err(refused)?
    .run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Ok((address, handle))
}

/// Ends at SIGTERM or SIGINT, with its name.
pub async fn stop_signal() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}
