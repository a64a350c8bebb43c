//! A pretend vendor on loopback: it takes requests, keeps when each began, and answers by script. Also for what real vendors
//! do on bad days: no answer, half an answer, an answer without end.
//!
//! ```ignore
//! let vendor = Vendor::start().await;
//! vendor.url("/send");                              // http://127.0.0.1:…/send
//! vendor.always(Say::status(202));                  // what it says from now on (at first: 200 and no body)
//! vendor.next([Say::status(503), Say::Close]);      // what it says to the next requests, before that
//! vendor.seen();                                    // every request so far, in the order of their beginnings
//! vendor.wait_for(3).await;                         // until it has seen so many, and then they
//! vendor.most_at_once();                            // the most requests that were ever open at the same time
//! ```

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// How long a test waits for requests.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest request that is read.
const REQUEST_MAX: usize = 256 * 1024;

/// What the vendor does with one request.
#[derive(Debug, Clone)]
pub enum Say {
    /// A whole answer: status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// Something else, later.
    After(Duration, Box<Say>),
    /// A body that never ends.
    Endless,
    /// The first half of an answer, and the connection ends.
    Half,
    /// Nothing, and the connection ends.
    Close,
    /// Nothing, and the connection stays.
    Hang,
}

impl Say {
    /// A status without a body.
    pub fn status(status: u16) -> Say {
        Say::Answer(status, Vec::new(), String::new())
    }

    /// 200 with this body.
    pub fn body(body: &str) -> Say {
        Say::Answer(200, Vec::new(), body.into())
    }

    /// This, later.
    pub fn after(self, wait: Duration) -> Say {
        Say::After(wait, Box::new(self))
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Seen {
    /// When its last byte was here.
    pub at: Instant,
    /// Method and target.
    pub line: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// A vendor; ends when dropped.
pub struct Vendor {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

struct Shared {
    seen: watch::Sender<Vec<Seen>>,
    always: Mutex<Say>,
    next: Mutex<VecDeque<Say>>,
    open: AtomicUsize,
    most: AtomicUsize,
    connections: AtomicUsize,
}

impl Vendor {
    /// One that answers 200 without a body.
    pub async fn start() -> Vendor {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            seen: watch::Sender::new(Vec::new()),
            always: Mutex::new(Say::status(200)),
            next: Mutex::default(),
            open: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        let listening = tokio::spawn(listen(listener, shared.clone()));
        Vendor { address, shared, listening }
    }

    /// The address of a path here.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it says from now on.
    pub fn always(&self, say: Say) {
        *self.shared.always.lock().unwrap() = say;
    }

    /// What it says to the next requests.
    pub fn next(&self, says: impl IntoIterator<Item = Say>) {
        self.shared.next.lock().unwrap().extend(says);
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.borrow().clone()
    }

    /// Waits until so many requests were seen.
    pub async fn wait_for(&self, number: usize) -> Vec<Seen> {
        let mut seen = self.shared.seen.subscribe();
        let enough = seen.wait_for(|seen| seen.len() >= number);
        let enough = tokio::time::timeout(PATIENCE, enough).await;
        assert!(enough.is_ok(), "{} of {number} requests after {PATIENCE:?}", self.seen().len());
        self.seen()
    }

    /// Connections that were ever made.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The most requests that were ever open at the same time.
    pub fn most_at_once(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        connection.set_nodelay(true).expect("a socket");
        connections.spawn(serve(connection, shared.clone()));
    }
}

async fn serve(mut connection: TcpStream, shared: Arc<Shared>) {
    let mut unread = Vec::new();
    while let Some(seen) = read(&mut connection, &mut unread).await {
        let say = shared.next.lock().unwrap().pop_front();
        let say = say.unwrap_or_else(|| shared.always.lock().unwrap().clone());
        let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most.fetch_max(open, Ordering::SeqCst);
        shared.seen.send_modify(|all| all.push(seen));
        let goes_on = answer(&mut connection, say).await;
        shared.open.fetch_sub(1, Ordering::SeqCst);
        if !goes_on {
            return;
        }
    }
}

/// The next request; `None` when the client is gone, or speaks something else than HTTP, such as TLS.
async fn read(connection: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Seen> {
    loop {
        if unread.first().is_some_and(|byte| !byte.is_ascii_uppercase()) {
            return None;
        }
        let head = unread.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&unread[..head]).into_owned();
            let mut lines = text.lines();
            let line = lines.next().unwrap_or("").trim_end_matches(" HTTP/1.1").to_owned();
            let headers: Vec<_> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect();
            let length = headers.iter().find(|(name, _)| name == "content-length");
            let length: usize = length.map_or(0, |(_, value)| value.parse().expect("a length"));
            let end = head + 4 + length;
            if unread.len() >= end {
                let body = String::from_utf8_lossy(&unread[head + 4..end]).into_owned();
                unread.drain(..end);
                return Some(Seen { at: Instant::now(), line, headers, body });
            }
        }
        assert!(unread.len() < REQUEST_MAX, "a request without end");
        let mut block = [0; 4096];
        match connection.read(&mut block).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => unread.extend_from_slice(&block[..read]),
        }
    }
}

/// Whether the connection goes on.
async fn answer(connection: &mut TcpStream, say: Say) -> bool {
    let mut say = say;
    while let Say::After(wait, then) = say {
        tokio::time::sleep(wait).await;
        say = *then;
    }
    match say {
        Say::Answer(status, headers, body) => {
            let mut head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n", body.len());
            headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
            connection.write_all(format!("{head}\r\n{body}").as_bytes()).await.is_ok()
        }
        Say::Endless => {
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while connection.write_all(&[b'x'; 4096]).await.is_ok() {}
            false
        }
        Say::Half => {
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
            false
        }
        Say::Close => false,
        // Ends when the client hangs up.
        Say::Hang => connection.read(&mut [0; 1]).await.is_ok_and(|read| read > 0),
        Say::After(..) => unreachable!("unwrapped above"),
    }
}
