//! A small TCP proxy between a client and a server on loopback, for tests of deadlines and lost answers: it counts, stalls,
//! and cuts. It needs a Tokio runtime with more than one thread, or a test that awaits.
//!
//! ```ignore
//! let proxy = Proxy::before(redis.port()).await;
//! proxy.url();                    // redis://127.0.0.1:…, through the proxy
//! proxy.stall();                  // nothing passes in either direction; connections stay, and new ones are taken
//! proxy.resume();                 // what was held passes
//! proxy.stall_answers();          // requests pass, answers do not
//! proxy.cut();                    // ends all connections; new ones are taken
//! proxy.refuse(); proxy.accept(); // nobody listens; somebody does again, on the same port
//! proxy.lose_answers(1);          // the next answer is not passed: its connection ends instead
//! proxy.round_trips();            // how often a client sent after it had been answered (or for the first time)
//! proxy.requests_bytes();         // bytes from clients
//! ```
//!
//! A round trip is a burst of the client: bytes that follow an answer. Requests of several callers that are under way at
//! the same time may share one, so count round trips with one caller.

use crate::redis_server::free_port;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// The most bytes passed at once.
const BUFFER: usize = 64 * 1024;
/// Connections waiting to be taken.
const BACKLOG: u32 = 128;

/// A proxy; ends when dropped.
pub struct Proxy {
    at: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    server: SocketAddr,
    requests_pass: watch::Sender<bool>,
    answers_pass: watch::Sender<bool>,
    /// Rises with every cut: a connection of an earlier number ends.
    cuts: watch::Sender<u64>,
    answers_to_lose: AtomicI64,
    round_trips: AtomicU64,
    request_bytes: AtomicU64,
    connections: AtomicU64,
}

impl Proxy {
    /// A proxy before a server on loopback.
    pub async fn before(port: u16) -> Proxy {
        let shared = Arc::new(Shared {
            server: SocketAddr::from(([127, 0, 0, 1], port)),
            requests_pass: watch::Sender::new(true),
            answers_pass: watch::Sender::new(true),
            cuts: watch::Sender::new(0),
            answers_to_lose: AtomicI64::new(0),
            round_trips: AtomicU64::new(0),
            request_bytes: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        });
        let listener = TcpListener::bind(("127.0.0.1", free_port())).await.expect("a port of loopback");
        let at = listener.local_addr().expect("a bound socket");
        let proxy = Proxy { at, shared, listening: Mutex::new(None) };
        proxy.listen(listener);
        proxy
    }

    /// A plain Redis URL through the proxy.
    pub fn url(&self) -> String {
        format!("redis://{}", self.at)
    }

    /// Nothing passes any more, in either direction.
    pub fn stall(&self) {
        self.shared.requests_pass.send_replace(false);
        self.shared.answers_pass.send_replace(false);
    }

    /// Requests pass, answers do not.
    pub fn stall_answers(&self) {
        self.shared.answers_pass.send_replace(false);
    }

    /// Everything passes again, what was held first.
    pub fn resume(&self) {
        self.shared.requests_pass.send_replace(true);
        self.shared.answers_pass.send_replace(true);
    }

    /// Ends all connections. New ones are taken.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|n| *n += 1);
    }

    /// Nobody listens any more; connections that are there stay.
    pub async fn refuse(&self) {
        let listening = self.listening.lock().expect("no panic in a proxy").take();
        if let Some(task) = listening {
            task.abort();
            let _ = task.await;
        }
    }

    /// Listens again, on the same port.
    pub fn accept(&self) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option of a socket");
        socket.bind(self.at).expect("our own port");
        self.listen(socket.listen(BACKLOG).expect("our own port"));
    }

    /// The next `n` answers are not passed on: where one would be, its connection ends.
    pub fn lose_answers(&self, n: i64) {
        self.shared.answers_to_lose.store(n, Ordering::SeqCst);
    }

    /// Bursts of clients since the start.
    pub fn round_trips(&self) -> u64 {
        self.shared.round_trips.load(Ordering::SeqCst)
    }

    /// Bytes from clients since the start.
    pub fn request_bytes(&self) -> u64 {
        self.shared.request_bytes.load(Ordering::SeqCst)
    }

    /// Connections ever taken.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    fn listen(&self, listener: TcpListener) {
        let shared = self.shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(pass(shared.clone(), client));
            }
        });
        *self.listening.lock().expect("no panic in a proxy") = Some(task);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        if let Some(task) = self.listening.lock().expect("no panic in a proxy").take() {
            task.abort();
        }
    }
}

/// One connection, until either side or a cut ends it.
async fn pass(shared: Arc<Shared>, client: TcpStream) {
    let mut cuts = shared.cuts.subscribe();
    let Ok(server) = TcpStream::connect(shared.server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // True after an answer: the next bytes of the client begin a round trip.
    let answered = Arc::new(watch::Sender::new(true));
    // In this order: what was held does not slip through when a cut is followed by a resume.
    tokio::select! {
        biased;
        _ = cuts.changed() => {}
        _ = requests(shared.clone(), from_client, to_server, answered.clone()) => {}
        _ = answers(shared.clone(), from_server, to_client, answered) => {}
    }
}

async fn requests(
    shared: Arc<Shared>,
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    answered: Arc<watch::Sender<bool>>,
) {
    let mut pass = shared.requests_pass.subscribe();
    let mut buffer = vec![0; BUFFER];
    while let Ok(n @ 1..) = client.read(&mut buffer).await {
        shared.request_bytes.fetch_add(n as u64, Ordering::SeqCst);
        if answered.send_replace(false) {
            shared.round_trips.fetch_add(1, Ordering::SeqCst);
        }
        if pass.wait_for(|open| *open).await.is_err() || server.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

async fn answers(
    shared: Arc<Shared>,
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    answered: Arc<watch::Sender<bool>>,
) {
    let mut pass = shared.answers_pass.subscribe();
    let mut buffer = vec![0; BUFFER];
    while let Ok(n @ 1..) = server.read(&mut buffer).await {
        let lose = shared
            .answers_to_lose
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| (n > 0).then(|| n - 1));
        if lose.is_ok() || pass.wait_for(|open| *open).await.is_err() {
            return;
        }
        answered.send_replace(true);
        if client.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}
